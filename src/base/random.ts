/** Random numbers as an input: a seeded generator (xoshiro128**), the same on every machine. */

import { rol32 } from './u32.ts'

/** @see Blackman, Vigna: Scrambled linear pseudorandom number generators */
export class Random {
  private readonly s = new Uint32Array(4)

  /** Any integer or string seeds; equal seeds give equal sequences. */
  constructor(seed: bigint | number | string) {
    // splitmix32 over the seed's text spreads even neighbouring seeds
    let h = 0x9e3779b9
    for (const c of String(seed)) h = Math.imul(h ^ c.charCodeAt(0), 0x85ebca6b) ^ (h >>> 13)
    for (let i = 0; i < 4; i++) {
      h = (h + 0x9e3779b9) >>> 0
      let z = Math.imul(h ^ (h >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      this.s[i] = (z ^ (z >>> 15)) >>> 0
    }
    if (this.s.every((word) => word === 0)) this.s[0] = 1
  }

  u32(): number {
    const s = this.s as unknown as [number, number, number, number]
    const result = Math.imul(rol32(Math.imul(s[1], 5), 7), 9) >>> 0
    const t = s[1] << 9
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rol32(s[3], 11)
    return result
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32())
  }

  /** Uniform in `[0, ceiling)`, as `get_random_u32_below`. */
  below(ceiling: number): number {
    return Math.floor((this.u32() * ceiling) / 0x1_0000_0000)
  }

  /** A permutation of `0 … n-1` (Fisher-Yates). */
  permutation(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i)
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const swap = order[i] as number
      order[i] = order[j] as number
      order[j] = swap
    }
    return order
  }
}

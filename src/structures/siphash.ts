/**
 * SipHash-2-4, the keyed hash behind sequence numbers, timestamp offsets and ephemeral ports. Words are pairs of
 * 32-bit halves: bigint arithmetic would cost a connection more than all the rest. @see lib/siphash.c
 */

/** A 128-bit key: four words, least significant first. */
export type SiphashKey = readonly [number, number, number, number]
/** A 64-bit result as two words. */
export interface Hash64 {
  readonly low: number
  readonly high: number
}

/** v0 … v3, each low word then high word. */
type State = Int32Array

function add(v: State, a: number, b: number): void {
  const low = ((v[a] as number) >>> 0) + ((v[b] as number) >>> 0)
  v[a] = low
  v[a + 1] = (v[a + 1] as number) + (v[b + 1] as number) + (low > 0xffff_ffff ? 1 : 0)
}

function rotate(v: State, a: number, by: number): void {
  const low = v[a] as number
  const high = v[a + 1] as number
  if (by < 32) {
    v[a] = (low << by) | (high >>> (32 - by))
    v[a + 1] = (high << by) | (low >>> (32 - by))
  } else {
    const n = by - 32
    v[a] = n === 0 ? high : (high << n) | (low >>> (32 - n))
    v[a + 1] = n === 0 ? low : (low << n) | (high >>> (32 - n))
  }
}

function xor(v: State, a: number, b: number): void {
  v[a] = (v[a] as number) ^ (v[b] as number)
  v[a + 1] = (v[a + 1] as number) ^ (v[b + 1] as number)
}

function round(v: State): void {
  add(v, 0, 2)
  rotate(v, 2, 13)
  xor(v, 2, 0)
  rotate(v, 0, 32)
  add(v, 4, 6)
  rotate(v, 6, 16)
  xor(v, 6, 4)
  add(v, 0, 6)
  rotate(v, 6, 21)
  xor(v, 6, 0)
  add(v, 4, 2)
  rotate(v, 2, 17)
  xor(v, 2, 4)
  rotate(v, 4, 32)
}

/** Mix one 64-bit word in. */
function absorb(v: State, low: number, high: number): void {
  v[6] = (v[6] as number) ^ low
  v[7] = (v[7] as number) ^ high
  round(v)
  round(v)
  v[0] = (v[0] as number) ^ low
  v[1] = (v[1] as number) ^ high
}

/** Hash 32-bit words. `siphash(key, a, b, c)` is siphash_3u32. @see include/linux/siphash.h:siphash_3u32 */
export function siphash(key: SiphashKey, ...words: number[]): Hash64 {
  const v = new Int32Array([
    0x70736575 ^ key[0],
    0x736f6d65 ^ key[1],
    0x6e646f6d ^ key[2],
    0x646f7261 ^ key[3],
    0x6e657261 ^ key[0],
    0x6c796765 ^ key[1],
    0x79746573 ^ key[2],
    0x74656462 ^ key[3],
  ])
  const whole = words.length & ~1
  for (let i = 0; i < whole; i += 2) absorb(v, words[i] as number, words[i + 1] as number)
  const left = words.length > whole ? (words[whole] as number) : 0
  absorb(v, left, (words.length * 4) << 24)
  v[4] = (v[4] as number) ^ 0xff
  for (let i = 0; i < 4; i++) round(v)
  const low = (v[0] as number) ^ (v[2] as number) ^ v[4] ^ (v[6] as number)
  const high = (v[1] as number) ^ (v[3] as number) ^ (v[5] as number) ^ (v[7] as number)
  return { low: low >>> 0, high: high >>> 0 }
}

/** Seeded damage to bytes, for tests of hostile input: one case is the same on every machine. */

import { expect } from 'vitest'
import { CoredrillError, DumpError } from '../../src/base/errors.ts'
import { Random } from '../../src/base/random.ts'
import type { ByteSource } from '../../src/vmcore/container.ts'

/** Cases of each hostile test: a size that takes seconds, more by COREDRILL_FUZZ. */
export function fuzzCases(usual: number): number {
  const wanted = Number(process.env['COREDRILL_FUZZ'] ?? '')
  return Number.isSafeInteger(wanted) && wanted > 0 ? wanted : usual
}

/** No single case may take longer, in milliseconds. */
const LONGEST = 5000

/** Damage one to eight places of `bytes` between `from` and `to`. */
export function mutate(bytes: Uint8Array, random: Random, from = 0, to = bytes.length): void {
  const room = Math.max(1, to - from)
  for (let n = 1 + random.below(8); n > 0; n--) {
    const at = from + random.below(room)
    switch (random.below(5)) {
      case 0:
        bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
        break
      case 1:
        bytes[at] = random.below(256)
        break
      case 2:
        bytes.fill(random.below(2) * 0xff, at, Math.min(to, at + 8))
        break
      case 3:
        // a word from elsewhere: pointers that make cycles
        copyWord(bytes, random, from, room)
        break
      default:
        for (let i = 0; i < 4 && at + i < to; i++) bytes[at + i] = [0xff, 0xff, 0xff, 0x7f][i] as number
    }
  }
}

function copyWord(bytes: Uint8Array, random: Random, from: number, room: number): void {
  const source = (from + random.below(room)) & ~7
  bytes.copyWithin((from + random.below(room)) & ~7, source, source + 8)
}

/** Run one case: it must end soon, in an answer or in one CoredrillError of one line. */
export function endsWell(seed: string, work: () => void): void {
  const before = performance.now()
  try {
    work()
  } catch (error) {
    if (!(error instanceof CoredrillError) || error.code === 'IMPOSSIBLE')
      throw new Error(`${seed}: not an error of ours`, { cause: error })
    expect(error.message.split('\n'), seed).toHaveLength(1)
  }
  expect(performance.now() - before, `${seed}: milliseconds`).toBeLessThan(LONGEST)
}

/** A file in memory. */
export function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    path: 'hostile',
    size: bytes.length,
    read(offset, length) {
      if (!(offset >= 0) || !(length >= 0) || offset + length > bytes.length)
        throw new DumpError('TRUNCATED', 'hostile', offset, `needs ${length} bytes`)
      return bytes.slice(offset, offset + length)
    },
    close: () => undefined,
  }
}

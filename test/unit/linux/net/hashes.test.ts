import { describe, expect, test } from 'vitest'
import { htonl, htons } from '../../../../src/base/u32.ts'
import { jhash_1word, jhash_3words } from '../../../../src/structures/jhash.ts'
import { siphash } from '../../../../src/structures/siphash.ts'

const ip = (a: number, b: number, c: number, d: number): number =>
  htonl(((a << 24) | (b << 16) | (c << 8) | d) >>> 0)
const ehash = (l: number, lport: number, f: number, fport: number, iv: number): number =>
  jhash_3words(l, f, ((lport << 16) | htons(fport)) >>> 0, iv | 0)

describe('jhash', () => {
  test.each([
    [
      '127.0.0.1:31337 ← 127.0.0.1:40000, no secret',
      ehash(ip(127, 0, 0, 1), 31337, ip(127, 0, 0, 1), 40000, 0),
      0x87338726,
    ],
    [
      '192.168.56.1:31337 ← 192.168.56.101:51000 with a secret',
      ehash(ip(192, 168, 56, 1), 31337, ip(192, 168, 56, 101), 51000, 0x12345678 + 0x9abcdef0),
      0x3232feae,
    ],
    ['listener on 0.0.0.0:31337', (jhash_1word(0, 0) ^ 31337) >>> 0, 0x0493ecd1],
    ['listener on 127.0.0.1:31337', (jhash_1word(ip(127, 0, 0, 1), 0) ^ 31337) >>> 0, 0x66cbe167],
  ])('%s', (_name, found, expected) => expect(found).toBe(expected))
})

test('siphash: the reference key over one 64-bit word', () => {
  const key = [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c] as const
  // 00 01 … 07, the 9th of the algorithm's published vectors
  const { low, high } = siphash(key, 0x03020100, 0x07060504)
  expect([high.toString(16), low.toString(16)]).toEqual(['93f5f579', '9a932462'])
})

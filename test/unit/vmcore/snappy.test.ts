import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/vmcore/crc32.ts'
import { SnappyError, snappyCompress, snappyDecompress } from '../../../src/vmcore/snappy.ts'

describe('snappy', () => {
  test('the format’s own examples decompress', () => {
    const literal = Uint8Array.from([5, 4 << 2, ...Buffer.from('crash')])
    expect(Buffer.from(snappyDecompress(literal, 5)).toString()).toBe('crash')
    const overlapping = Uint8Array.from([8, 1 << 2, 0x61, 0x62, 1 | (2 << 2), 2])
    expect(Buffer.from(snappyDecompress(overlapping, 8)).toString()).toBe('abababab')
    const farCopy = Uint8Array.from([6, 2 << 2, 0x61, 0x62, 0x63, 3 | (2 << 2), 3, 0, 0, 0])
    expect(Buffer.from(snappyDecompress(farCopy, 6)).toString()).toBe('abcabc')
  })

  test('what is compressed comes back', () => {
    const words = fc.array(fc.constantFrom('\0\0\0\0\0\0\0\0', 'sock', 'ffff8881', '\x01', 'skb'), {
      maxLength: 4000,
    })
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 500 }),
          words.map((w) => Buffer.from(w.join(''))),
        ),
        (bytes) => {
          const plain = Uint8Array.from(bytes)
          expect(snappyDecompress(snappyCompress(plain), plain.length)).toEqual(plain)
        },
      ),
      { seed: 1, numRuns: 200 },
    )
  })

  test.each([
    ['long literal', Uint8Array.from({ length: 70000 }, (_, i) => (i * i * 7919) >> 5)],
    ['zeroes', new Uint8Array(100000)],
    ['one byte', Uint8Array.from([1])],
    ['nothing', new Uint8Array(0)],
  ])('%s', (_, plain) => {
    expect(snappyDecompress(snappyCompress(plain), plain.length)).toEqual(plain)
  })

  test('damage is an error, never more than the size asked for', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), (bytes) => {
        try {
          expect(snappyDecompress(bytes, 64)).toHaveLength(64)
        } catch (error) {
          expect(error).toBeInstanceOf(SnappyError)
        }
      }),
      { seed: 2, numRuns: 2000 },
    )
  })
})

test('crc32 is zlib’s, in one piece or in several', () => {
  const bytes = Buffer.from('123456789')
  expect(crc32(bytes)).toBe(0xcbf43926)
  expect(crc32(bytes.subarray(4), crc32(bytes.subarray(0, 4)))).toBe(0xcbf43926)
  expect(crc32(new Uint8Array(0))).toBe(0)
})

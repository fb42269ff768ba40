/** LZO1X blocks, written by hand: each instruction, and each way to be damaged. */

import { expect, test } from 'vitest'
import { LzoError, lzoDecompress } from '../../../src/vmcore/lzo.ts'

const END = [0x11, 0, 0]
const text = (s: string): number[] => [...Buffer.from(s)]
const read = (bytes: number[], size: number): string =>
  Buffer.from(lzoDecompress(Uint8Array.from(bytes), size)).toString('latin1')

test.each<[string, number[], string]>([
  ['nothing', END, ''],
  ['a first run of literals', [17 + 5, ...text('abcde'), ...END], 'abcde'],
  ['a run of literals', [2, ...text('abcde'), ...END], 'abcde'],
  ['a long run', [0, 3, ...text('x'.repeat(21)), ...END], 'x'.repeat(21)],
  ['a very long run', [0, 0, 1, ...text('y'.repeat(274)), ...END], 'y'.repeat(274)],
  [
    '3 and 4 bytes from near by',
    [17 + 4, ...text('abcd'), 0x40 | (3 << 2), 0, 0x60 | (3 << 2), 0, ...END],
    'abcdabcabcd'.replace(/abcabcd$/, 'abcdabc'),
  ],
  ['a copy over itself', [17 + 4, ...text('abcd'), 0xe0, 0, ...END], 'abcd' + 'd'.repeat(8)],
  [
    'literals after a copy',
    [17 + 4, ...text('abcd'), 0x42 | (3 << 2), 0, ...text('xy'), ...END],
    'abcdabcxy',
  ],
  ['2 bytes after few literals', [17 + 3, ...text('abc'), 2 << 2, 0, ...END], 'abcab'],
  ['a middle copy', [17 + 4, ...text('abcd'), 0x20 | 10, 3 << 2, 0, ...END], 'abcdabcdabcdabcd'],
  ['a long middle copy', [17 + 4, ...text('abcd'), 0x20, 7, 3 << 2, 0, ...END], 'abcd'.repeat(11)],
])('%s', (_, bytes, expected) => {
  expect(read(bytes, expected.length)).toBe(expected)
})

test('3 bytes from far back after a long run', () => {
  const run = text('abc' + '.'.repeat(2046) + 'de')
  const length = run.length - 18
  const zeros = Math.floor((length - 1) / 255)
  const bytes = [0, ...new Array<number>(zeros).fill(0), length - zeros * 255, ...run, 2 << 2, 0, ...END]
  expect(read(bytes, run.length + 3).slice(-3)).toBe('abc')
})

test('a far copy', () => {
  const size = 20_000
  const length = size - 18
  const zeros = Math.floor((length - 1) / 255)
  const head = [0, ...new Array<number>(zeros).fill(0), length - zeros * 255]
  const run = text('abc' + '.'.repeat(size - 3))
  const distance = size - 16384
  const far = [0x10 | 1, (distance << 2) & 0xff, (distance >> 6) & 0xff]
  expect(read([...head, ...run, ...far, ...END], size + 3).slice(-3)).toBe('abc')
})

test.each<[string, number[], number]>([
  ['empty', [], 0],
  ['no end', [17 + 3, ...text('abc')], 3],
  ['an end too early', [17 + 3, ...text('abc'), ...END], 4],
  ['an end too late', [17 + 4, ...text('abcd'), ...END], 3],
  ['bytes after the end', [17 + 3, ...text('abc'), ...END, 0], 3],
  ['an end of another length', [17 + 3, ...text('abc'), 0x12, 0, 0], 3],
  ['literals cut off', [17 + 9, ...text('abc')], 9],
  ['a copy from before the start', [17 + 4, ...text('abcd'), 0x40, 9, ...END], 7],
  ['a copy past the end', [17 + 4, ...text('abcd'), 0x20, 200, 0, 0, ...END], 9],
  ['a length without end', new Array<number>(5000).fill(0), 4096],
])('%s is damaged', (_, bytes, size) => {
  expect(() => lzoDecompress(Uint8Array.from(bytes), size)).toThrow(LzoError)
})

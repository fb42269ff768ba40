import { expect, test } from 'vitest'
import { charText, stringText } from '../../../src/render/c-text.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

test.each([
  [0, "'\\000'"],
  [7, "'\\a'"],
  [10, "'\\n'"],
  [0x27, "'\\''"],
  [0x22, `'"'`],
  [0x5c, "'\\\\'"],
  [0x41, "'A'"],
  [0x7f, "'\\177'"],
  [0xe2, "'\\342'"],
  [-1, "'\\377'"],
])('the character %i', (code, text) => {
  expect(charText(code)).toBe(text)
})

test.each([
  ['', '""'],
  ['\0', '""'],
  ['init\0', '"init"'],
  ['init\0\0\0', '"init\\000\\000"'],
  ['a"b\\c', '"a\\"b\\\\c"'],
  // a digit after an octal escape would be read as part of it
  ['\u00018', '"\\001\\070"'],
  ['\u0001x8', '"\\001x8"'],
  ['\x1b[2J', '"\\033[2J"'],
  ['P\u00d4\u00b3', '"PԳ"'],
  ['\u00c0\u00a8', '"\\300\\250"'],
  // overlong, a surrogate, beyond Unicode
  ['\u00e0\u0080\u0080.', '"\\340\\200\\200."'],
  ['\u00ed\u00a0\u0080.', '"\\355\\240\\200."'],
  ['\u00f4\u0090\u0080\u0080.', '"\\364\\220\\200\\200."'],
])('the string %j', (text, shown) => {
  expect(stringText(bytes(text), 256)).toBe(shown)
})

test('an incomplete character at the end is named; the character before it is lost, as gdb loses it', () => {
  expect(stringText(bytes('\u00c8'), 256)).toBe('<incomplete sequence \\310>')
  expect(stringText(bytes('\u00a8\u00c8'), 256)).toBe('"\\250", <incomplete sequence \\310>')
  expect(stringText(bytes('ab\u00c8'), 256)).toBe('"a", <incomplete sequence \\310>')
})

test('a right-to-left override does not reach the terminal', () => {
  expect(stringText(Buffer.from('\u202e'), 256)).toBe('"\\342\\200\\256"')
})

test('beyond the limit: dots; a run of one character is not cut', () => {
  expect(stringText(bytes('abcdef'), 3)).toBe('"abc"...')
  expect(stringText(bytes('abbbbbbcd'), 3)).toBe('"abbbbbb"...')
  expect(stringText(bytes('abc'), 3)).toBe('"abc"')
  expect(stringText(bytes('abc'), 3, true)).toBe('"abc"...')
})

/** Text on the screen: what a terminal would obey is escaped, columns are counted, lines are cut and folded to them. */

import { describe, expect, test } from 'vitest'
import {
  charWidth,
  clean,
  cut,
  decoded,
  fit,
  fold,
  line,
  plainText,
  span,
  textWidth,
} from '../../../src/tui/cell.ts'

describe('clean', () => {
  test.each([
    ['an escape sequence', '\x1b[2Jx', '\\x1b[2Jx'],
    ['a C1 control', 'a\x9bb', 'a\\x9bb'],
    ['a direction mark', 'a\u202eb', 'a\\u{202e}b'],
    ['a combining mark', 'e\u0301', 'e\\u{301}'],
    ['a line separator', 'a\u2028b', 'a\\u{2028}b'],
    ['a lone surrogate', 'a\ud800b', 'a\\u{d800}b'],
    ['a tab', 'a\tb', 'a b'],
    ['letters of the world', 'aé漢😀', 'aé漢😀'],
  ])('%s', (_, text, shown) => expect(clean(text)).toBe(shown))

  test('for a terminal of ASCII only', () => expect(clean('aé漢', true)).toBe('a\\xe9\\u{6f22}'))
})

describe('columns', () => {
  test('wide characters take two', () => {
    expect(charWidth('漢')).toBe(2)
    expect(textWidth('a漢字')).toBe(5)
  })
  test('a wide character that does not fit is left out', () => expect(cut('a漢字', 4)).toBe('a漢'))
  test('a line is as wide as asked', () => {
    expect(plainText(fit(line('a漢字'), 4))).toBe('a漢 ')
    expect(plainText(fit([span('ab'), span('cd')], 3))).toBe('abc')
  })
})

test('bytes are UTF-8 where they can be', () => {
  expect(decoded(Buffer.from('é漢').toString('latin1'))).toBe('é漢')
  expect(decoded('\xff\xfe')).toBe('\xff\xfe')
})

describe('fold', () => {
  test('keeps words and indentation', () =>
    expect(fold('  one two three', 12)).toEqual(['  one two', '  three']))
  test('cuts what is too long', () => expect(fold('abcdefghij', 4)).toEqual(['abcd', 'efgh', 'ij']))
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NameChains, StringTable } from '../../../src/btf/name-index.ts'

function section(strings: readonly string[]): Uint8Array {
  return Buffer.from(strings.map((text) => `${text}\0`).join(''), 'latin1')
}

test('an empty section has no strings', () => {
  expect(new StringTable(new Uint8Array()).offsetsOf('a')).toEqual([])
})

test('a string is found whole, not its beginning or end', () => {
  const table = new StringTable(section(['', 'sock', 'socket', 'ock']))
  expect(table.offsetsOf('sock')).toEqual([1])
  expect(table.offsetsOf('socke')).toEqual([])
  expect(table.offsetsOf('ock')).toEqual([13])
})

test('a string that occurs twice has two offsets', () => {
  expect(new StringTable(section(['', 'a', 'b', 'a'])).offsetsOf('a')).toEqual([1, 5])
})

test('a string cut off at the end of the section is not there', () => {
  expect(new StringTable(section(['', 'abc']).subarray(0, 4)).offsetsOf('abc')).toEqual([])
})

test('every string of any section is found at its offset', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '_', '0'), minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(fc.array(text, { maxLength: 60 }), (strings) => {
      const table = new StringTable(section(strings))
      let offset = 0
      for (const string of strings) {
        expect(table.offsetsOf(string)).toContain(offset)
        offset += string.length + 1
      }
    }),
  )
})

test.each([
  ['nothing but zeros', ''],
  ['one string again and again', 'a'],
])('damaged, %s: made in time', (_, text) => {
  const table = new StringTable(section(Array<string>(500_000).fill(text).concat('sock')))
  expect(table.offsetsOf('sock')).toEqual([500_000 * (text.length + 1)])
  expect(table.offsetsOf(text).length).toBeLessThan(1000)
})

test('records of a name come in order; records without a name are left out', () => {
  const chains = NameChains.of(Uint32Array.of(7, 0, 9, 7, 7))
  expect([...chains.recordsOf(7)]).toEqual([0, 3, 4])
  expect([...chains.recordsOf(9)]).toEqual([2])
  expect([...chains.recordsOf(8)]).toEqual([])
})

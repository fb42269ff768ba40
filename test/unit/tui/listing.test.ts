/** A list that is read as far as it is looked at. */

import { expect, test } from 'vitest'
import { addr } from '../../../src/base/addr.ts'
import { FaultError } from '../../../src/base/errors.ts'
import { Listing } from '../../../src/tui/listing.ts'

function* numbers(upTo: number, seen: number[] = []): Generator<number> {
  for (let i = 0; i < upTo; i++) {
    seen.push(i)
    yield i
  }
}

test('reads no more than was asked for', () => {
  const seen: number[] = []
  const list = new Listing(numbers(1000, seen))
  expect(list.ensure(10)).toBe(true)
  expect(seen.length).toBe(10)
  expect([list.known, list.done, list.at(9)]).toEqual([10, false, 9])
})

test('a slice ends when its steps are used up', () => {
  const list = new Listing(numbers(1000))
  expect(list.ensure(Infinity, 100)).toBe(false)
  expect(list.known).toBe(100)
  expect(list.ensure(Infinity)).toBe(true)
  expect([list.known, list.done]).toEqual([1000, true])
})

test('a filter works in slices too, and on what a filter left', () => {
  const all = new Listing(numbers(1000))
  const even = all.filtered((n) => n % 2 === 0)
  expect(even.ensure(10, 5)).toBe(false)
  expect(even.ensure(10)).toBe(true)
  expect(even.at(9)).toBe(18)
  expect(all.known).toBeLessThan(30)
  const tens = even.filtered((n) => n % 10 === 0)
  while (!tens.ensure(3, 2)) continue
  expect(tens.at(2)).toBe(20)
})

test('an empty list, and one that breaks: what was found stays', () => {
  const empty = new Listing(numbers(0))
  expect([empty.ensure(1), empty.known, empty.done, empty.at(0)]).toEqual([true, 0, true, undefined])
  const broken = new Listing(
    (function* () {
      yield 1
      throw new FaultError(addr(0x1000n), 8, 'unmapped')
    })(),
  )
  broken.ensure(5)
  expect([broken.known, broken.done]).toEqual([1, true])
  expect(broken.problem).toMatch(/1000/)
})

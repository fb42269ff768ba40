/** Split dump sets: the parts together are the dump. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { beginsAsDump, openContainer } from '../../../src/vmcore/open.ts'
import { elfImage, kdumpImage, markedPage, PAGE, vmcoreinfoNote } from '../../support/dump-images.ts'

const folder = mkdtempSync(join(tmpdir(), 'split-'))
afterAll(() => rmSync(folder, { recursive: true }))

const PFNS = [0, 1, 2, 7, 8, 20, 5000]
const pagesOf = (pfns: readonly number[]): Map<number, Uint8Array> =>
  new Map(pfns.map((pfn) => [pfn, markedPage(pfn)]))
const notes = vmcoreinfoNote('OSRELEASE=6.1.0\n')

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

const part = (name: string, startPfn: number, endPfn: number, pfns = PFNS): string =>
  file(name, kdumpImage(pagesOf(pfns), { notes, part: { startPfn, endPfn } }))

const a = part('a', 0, 2)
const b = part('b', 2, 20)
const c = part('c', 20, 5001)

test.each<[string, string[]]>([
  ['in order', [a, b, c]],
  ['in any order', [c, a, b]],
])('all parts, %s', (_, paths) => {
  const container = openContainer(paths.join())
  for (const pfn of PFNS) expect(container.memory.page(pfn)).toEqual(markedPage(pfn))
  expect(container.memory.page(3)).toBe('missing')
  expect(container).toMatchObject({ format: 'kdump, split', vmcoreinfo: 'OSRELEASE=6.1.0\n', warnings: [] })
  expect(container.stats.pagesRead).toBe(PFNS.length)
  container.close()
})

test('a part left out is said, and its pages are missing', () => {
  const { memory, warnings } = openContainer(`${a},${c}`)
  expect(memory.page(7)).toBe('missing')
  expect(memory.page(5000)).toEqual(markedPage(5000))
  expect(warnings).toHaveLength(1)
})

test.each<[string, string[], string]>([
  ['the same part twice', [a, a], 'BAD_FORMAT'],
  ['parts that overlap', [a, part('d', 1, 20)], 'BAD_FORMAT'],
  ['parts of two dumps', [a, part('e', 2, 20, [2, 3])], 'BAD_FORMAT'],
  ['a whole dump among them', [a, file('whole', kdumpImage(pagesOf(PFNS)))], 'BAD_FORMAT'],
  ['a file that is not there', [a, join(folder, 'none')], 'UNREADABLE'],
  ['an empty name', [a, ''], 'UNREADABLE'],
])('%s: refused', (_, paths, code) => {
  expect(() => openContainer(paths.join())).toThrow(expect.objectContaining({ code }))
})

test('a file whose own name has a comma', () => {
  const path = file('one,two', kdumpImage(pagesOf(PFNS)))
  expect(openContainer(path).memory.page(7)).toEqual(markedPage(7))
})

test('a dump is told from a namelist by its beginning', () => {
  expect(beginsAsDump(a)).toBe(true)
  expect(beginsAsDump(file('core', elfImage([{ paddr: 0, bytes: new Uint8Array(PAGE) }])))).toBe(true)
  expect(beginsAsDump(file('vmlinux', elfImage([], { type: 2 })))).toBe(false)
  expect(beginsAsDump(file('map', Buffer.from('ffffffff81000000 T _text\n')))).toBe(false)
  expect(beginsAsDump(file('short', Buffer.from('K')))).toBe(false)
  expect(beginsAsDump(folder)).toBe(false)
})

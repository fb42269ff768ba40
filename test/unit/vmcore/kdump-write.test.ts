/** kdump-compressed files of ours, read again by our reader. Others' readers: test/real/fixture.test.ts. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { DumpError } from '../../../src/base/errors.ts'
import { writeKdump, type KdumpInput } from '../../../src/vmcore/kdump-write.ts'
import { openContainer } from '../../../src/vmcore/open.ts'
import { markedPage } from '../../support/dump-images.ts'

const root = mkdtempSync(join(tmpdir(), 'kdump-write-'))
afterAll(() => rmSync(root, { recursive: true }))
let folder = ''
let path = ''
let folders = 0
beforeEach(() => {
  folder = join(root, String(++folders))
  mkdirSync(folder)
  path = join(folder, 'out')
})

const TEXT = 'OSRELEASE=6.1.0-test\nPAGESIZE=4096\n'
const utsname = {
  sysname: 'Linux',
  nodename: 'lonehost',
  release: '6.1.0-test',
  version: '#1 SMP',
  machine: 'x86_64',
  domainname: '(none)',
}

/** Random bytes that zlib cannot make smaller. */
function noise(pfn: number): Uint8Array {
  let state = pfn * 2654435761 + 1
  return Uint8Array.from({ length: 4096 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

const input = (pfns: readonly number[], more: Partial<KdumpInput> = {}): KdumpInput => ({
  wordSize: 8,
  utsname,
  physBase: 0x8400000,
  cpus: 2,
  notes: [{ name: 'CORE', type: 1, desc: new Uint8Array(336).fill(7) }],
  vmcoreinfo: TEXT,
  ranges: [
    { startPfn: 0, endPfn: 100 },
    { startPfn: 256, endPfn: 4000 },
  ],
  pfns,
  page: (pfn) => (pfn === 3 ? noise(pfn) : markedPage(pfn)),
  ...more,
})

describe.each(['zlib', 'none'] as const)('%s', (compress) => {
  test.each([
    ['no page', []],
    ['one', [3]],
    ['the first and the last', [0, 3999]],
    ['many, on both sides of a hole', [1, 2, 3, 99, 256, 2000, 2001]],
  ])('%s', (_, pfns) => {
    const sizes = writeKdump(path, input(pfns, { compress }))
    const container = openContainer(path)
    expect(container.format).toBe('kdump')
    expect(container.vmcoreinfo).toBe(TEXT)
    expect(container.wordSize).toBe(8)
    expect(container.warnings).toEqual([])
    expect(container.notes.map(({ name, type, desc }) => [name, type, desc.length])).toEqual([
      ['CORE', 1, 336],
      ['VMCOREINFO', 0, TEXT.length],
    ])
    expect(container.ranges).toEqual(input(pfns).ranges)
    for (const pfn of pfns) expect(container.memory.page(pfn)).toEqual(pfn === 3 ? noise(3) : markedPage(pfn))
    for (const pfn of [98, 300, 3998]) expect(container.memory.page(pfn)).toBe('excluded')
    for (const pfn of [100, 255, 4000, 1 << 20]) expect(container.memory.page(pfn)).toBe('missing')
    container.close()
    expect(sizes.file).toBe(readFileSync(path).length)
    expect(sizes.pages).toBeLessThanOrEqual(4096 * pfns.length)
  })
})

test('a page zlib does not make smaller stays as it is', () => {
  const { pages } = writeKdump(path, input([3], { compress: 'zlib' }))
  expect(pages).toBe(4096)
})

test('the same input gives the same bytes', () => {
  const again = join(folder, 'again')
  writeKdump(path, input([1, 2, 3]))
  writeKdump(again, input([1, 2, 3]))
  expect(readFileSync(again)).toEqual(readFileSync(path))
})

test('32 bits: headers where a 32-bit kernel has them', () => {
  writeKdump(path, input([5], { wordSize: 4, physBase: 0, utsname: { ...utsname, machine: 'i686' } }))
  const container = openContainer(path)
  expect(container.wordSize).toBe(4)
  expect(container.vmcoreinfo).toBe(TEXT)
  expect(container.memory.page(5)).toEqual(markedPage(5))
  expect(container.memory.page(6)).toBe('excluded')
  container.close()
})

test('memory beyond 128 GiB: a bitmap of its own size', () => {
  const endPfn = 2 ** 25 + 10
  writeKdump(path, input([endPfn - 1], { ranges: [{ startPfn: endPfn - 10, endPfn }] }))
  const container = openContainer(path)
  expect(container.memory.page(endPfn - 1)).toEqual(markedPage(endPfn - 1))
  expect(container.memory.page(endPfn - 2)).toBe('excluded')
  expect(container.ranges).toEqual([{ startPfn: endPfn - 10, endPfn }])
  container.close()
})

describe('nothing is left behind', () => {
  test('when a page cannot be read', () => {
    const page = (): Uint8Array => {
      throw new DumpError('BAD_FORMAT', 'source', 0, 'damaged')
    }
    expect(() => writeKdump(path, input([1], { page }))).toThrow(DumpError)
    expect(readdirSync(folder)).toEqual([])
  })

  test('when the folder is not there', () => {
    const nowhere = join(folder, 'nowhere', 'out')
    expect(() => writeKdump(nowhere, input([1]))).toThrow(expect.objectContaining({ code: 'UNWRITABLE' }))
    expect(existsSync(nowhere)).toBe(false)
  })
})

test.each([
  ['out of order', [2, 1]],
  ['given twice', [2, 2]],
  ['in a hole', [200]],
  ['beyond the end', [4000]],
])('pages %s are a mistake of the caller', (_, pfns) => {
  expect(() => writeKdump(path, input(pfns))).toThrow(expect.objectContaining({ code: 'IMPOSSIBLE' }))
})

/** One memory in every format: what each container must give alike. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { writeCdump } from '../../../src/vmcore/cdump/write.ts'
import type { Container } from '../../../src/vmcore/container.ts'
import { openContainer } from '../../../src/vmcore/open.ts'
import {
  elfImage,
  flattenedImage,
  kdumpImage,
  markedPage,
  PAGE,
  vmcoreinfoNote,
  type Codec,
} from '../../support/dump-images.ts'

const folder = mkdtempSync(join(tmpdir(), 'containers-'))
afterAll(() => rmSync(folder, { recursive: true }))

const INFO = 'OSRELEASE=6.1.0\nPAGESIZE=4096\n'
const PFNS = [0, 1, 2, 7, 8, 20, 5000]
const PAGES = new Map(PFNS.map((pfn) => [pfn, markedPage(pfn)]))
const notes = vmcoreinfoNote(INFO)

function elf(wordSize: 4 | 8): Buffer {
  const segments = [...PAGES].map(([pfn, bytes]) => ({ paddr: pfn * PAGE, bytes }))
  return elfImage(segments, { wordSize, notes })
}

const kdump = (codec: Codec): Buffer => kdumpImage(PAGES, { codec, notes })

function cdump(): string {
  const path = join(folder, 'x.cdump')
  writeCdump(path, {
    header: {
      profile: 'x',
      release: '6.1.0',
      machine: 'x86_64',
      wordSize: 8,
      memorySize: 5001 * PAGE,
      createdBy: 'test',
      seed: 0,
      scenarioName: 'x',
    },
    vmcoreinfo: INFO,
    snapshots: [{ name: 'boot', step: 0, timeNs: 0n, parent: null, pages: PAGES }],
  })
  return path
}

let files = 0
function opened(bytes: Uint8Array): Container {
  const path = join(folder, `dump${files++}`)
  writeFileSync(path, bytes)
  return openContainer(path)
}

describe.each<[string, () => Container, string]>([
  ['ELF, 64 bits', () => opened(elf(8)), 'elf'],
  ['ELF, 32 bits', () => opened(elf(4)), 'elf'],
  ['kdump, zlib', () => opened(kdump('zlib')), 'kdump'],
  ['kdump, snappy', () => opened(kdump('snappy')), 'kdump'],
  ['kdump, lzo', () => opened(kdump('lzo')), 'kdump'],
  ['kdump, zstd', () => opened(kdump('zstd')), 'kdump'],
  ['kdump, not compressed', () => opened(kdump('raw')), 'kdump'],
  ['flattened ELF', () => opened(flattenedImage(elf(8))), 'elf, flattened'],
  ['flattened kdump', () => opened(flattenedImage(kdump('zlib'), 4096)), 'kdump, flattened'],
  [
    'flattened kdump, headers last',
    () => opened(flattenedImage(kdump('zlib'), 777, true)),
    'kdump, flattened',
  ],
  ['our own', () => openContainer(cdump()), 'cdump'],
])('a container: %s', (_, open, format) => {
  test('gives every page', () => {
    const { memory } = open()
    for (const pfn of PFNS) expect(memory.page(pfn), `page ${pfn}`).toEqual(markedPage(pfn))
  })

  test('knows what it has not', () => {
    const { memory, format: found } = open()
    expect(memory.page(5001)).toBe('missing')
    expect(memory.page(2 ** 40)).toBe('missing')
    expect(found).toBe(format)
  })

  test('reads a page once, and none when opened', () => {
    const { memory, stats } = open()
    expect(stats.pagesRead).toBe(0)
    memory.page(7)
    const before = stats.pagesRead
    memory.page(7)
    expect(stats.pagesRead).toBe(before)
  })

  test('has the VMCOREINFO text', () => {
    expect(open().vmcoreinfo).toBe(INFO)
  })
})

describe('an ELF core', () => {
  const page = (fill: number): Uint8Array => new Uint8Array(PAGE).fill(fill)

  test('memory beyond p_filesz is zero', () => {
    const { memory } = opened(elfImage([{ paddr: 0, bytes: page(1), memsz: 2 * PAGE }]))
    expect(memory.page(1)).toEqual(page(0))
    expect(memory.page(2)).toBe('missing')
  })

  test('a page cut by a segment’s end is filled with zero', () => {
    const { memory } = opened(elfImage([{ paddr: 0, bytes: page(1).subarray(0, 0x800) }]))
    const expected = page(0)
    expected.fill(1, 0, 0x800)
    expect(memory.page(0)).toEqual(expected)
  })

  test('a page in two segments is put together', () => {
    const half = page(0).subarray(0, 0x800)
    const { memory } = opened(
      elfImage([
        { paddr: 0x800, bytes: half.map(() => 2) },
        { paddr: 0, bytes: half.map(() => 1) },
      ]),
    )
    const expected = page(1)
    expected.fill(2, 0x800)
    expect(memory.page(0)).toEqual(expected)
  })

  test('overlapping segments: each page is found', () => {
    const large = new Uint8Array(8 * PAGE).fill(1)
    const { memory, ranges } = opened(
      elfImage([
        { paddr: 0, bytes: large },
        { paddr: 2 * PAGE, bytes: page(1) },
        { paddr: 20 * PAGE, bytes: page(3) },
      ]),
    )
    expect([0, 2, 5, 7, 20].map((pfn) => (memory.page(pfn) as Uint8Array)[0])).toEqual([1, 1, 1, 1, 3])
    expect(ranges).toEqual([
      { startPfn: 0, endPfn: 8 },
      { startPfn: 20, endPfn: 21 },
    ])
  })

  test.each([4, 8] as const)('more segments than e_phnum counts (%i-byte words)', (wordSize) => {
    const { memory } = opened(elfImage([{ paddr: 0, bytes: page(9) }], { wordSize, xnum: true }))
    expect(memory.page(0)).toEqual(page(9))
  })

  test('an e_ehsize of 8, as QEMU writes it, does not matter', () => {
    expect(opened(elfImage([{ paddr: 0, bytes: page(9) }], { ehsize: 8 })).memory.page(0)).toEqual(page(9))
  })

  test('memory no file can hold is not searched', () => {
    const started = opened(
      elfImage([
        { paddr: 0, bytes: page(1), memsz: 2 ** 50 },
        { paddr: 2 ** 55, bytes: page(2) },
      ]),
    )
    expect(started.ranges).toEqual([{ startPfn: 0, endPfn: 1 }])
    expect(started.memory.page(2 ** 30)).toEqual(page(0))
    expect(started.warnings).toHaveLength(1)
  })

  test('cut short: a warning, and the pages behind the cut are missing', () => {
    const whole = elfImage([{ paddr: 0, bytes: new Uint8Array(4 * PAGE).fill(5) }])
    const { memory, warnings } = opened(whole.subarray(0, whole.length - PAGE - 100))
    expect(warnings).toHaveLength(1)
    expect((memory.page(1) as Uint8Array)[0]).toBe(5)
    expect((memory.page(2) as Uint8Array)[0]).toBe(5)
    expect(memory.page(3)).toBe('missing')
  })

  test.each<[string, Buffer, string]>([
    ['of another machine', elfImage([], { machine: 183 }), 'BAD_FORMAT'],
    ['an executable', elfImage([], { type: 2 }), 'BAD_FORMAT'],
    ['without memory', elfImage([]), 'BAD_FORMAT'],
    ['cut inside its headers', elfImage([{ paddr: 0, bytes: page(1) }]).subarray(0, 200), 'TRUNCATED'],
  ])('%s is refused', (_, bytes, code) => {
    expect(() => opened(bytes)).toThrow(expect.objectContaining({ code }))
  })
})

describe('a kdump-compressed file', () => {
  test('a page left out is excluded, a page that never was is missing', () => {
    const { memory } = opened(kdumpImage(PAGES, { excluded: new Set([2, 9]) }))
    expect([2, 9, 3].map((pfn) => memory.page(pfn))).toEqual(['excluded', 'excluded', 'missing'])
    expect(memory.page(5000)).toEqual(markedPage(5000))
  })

  test.each(['zlib', 'lzo', 'snappy', 'zstd'] as const)('a damaged page of %s is one error', (codec) => {
    const bytes = kdumpImage(PAGES, { codec })
    bytes.fill(0xee, bytes.length - 9)
    const { memory } = opened(bytes.fill(0, bytes.length - 3))
    // our zstd image is one raw block: nothing shows its damage
    if (codec !== 'zstd')
      expect(() => memory.page(5000)).toThrow(expect.objectContaining({ code: 'BAD_FORMAT' }))
    expect(memory.page(20)).toEqual(markedPage(20))
  })

  test('one part of a split dump gives its own pages', () => {
    const { memory, warnings } = opened(kdumpImage(PAGES, { part: { startPfn: 7, endPfn: 21 } }))
    expect([7, 8, 20].map((pfn) => memory.page(pfn))).toEqual([7, 8, 20].map((pfn) => markedPage(pfn)))
    expect([0, 5000].map((pfn) => memory.page(pfn))).toEqual(['missing', 'missing'])
    expect(warnings).toHaveLength(1)
  })

  test('the machine’s memory is told in ranges', () => {
    const { ranges: found } = opened(kdumpImage(PAGES))
    expect(found.map((r) => [r.startPfn, r.endPfn])).toEqual([
      [0, 3],
      [7, 9],
      [20, 21],
      [5000, 5001],
    ])
  })

  test('any damage to the headers is an error or a shorter memory, never a hang', () => {
    const good = kdump('zlib')
    for (let at = 0; at < 2 * PAGE; at += at % PAGE < 512 ? 3 : 331) {
      const bytes = Buffer.from(good)
      bytes[at] = (bytes[at] as number) ^ 0xff
      try {
        const { memory } = opened(bytes)
        for (const pfn of PFNS) memory.page(pfn)
      } catch (error) {
        expect(error).toMatchObject({ path: expect.stringContaining(folder) as string })
      }
    }
  })

  test('a damaged page is one error with its position', () => {
    const good = kdump('zlib')
    good.fill(0xee, good.length - 20)
    expect(() => opened(good).memory.page(5000)).toThrow(expect.objectContaining({ code: 'BAD_FORMAT' }))
  })
})

describe('what is no dump', () => {
  test.each<[string, Uint8Array, string]>([
    ['empty', new Uint8Array(0), 'TRUNCATED'],
    ['one byte', Uint8Array.from([0x7f]), 'BAD_MAGIC'],
    ['a text', Buffer.from('crash> ps\n'.repeat(1000)), 'BAD_MAGIC'],
    ['a flattened stream of nothing', flattenedImage(new Uint8Array(0)), 'TRUNCATED'],
  ])('%s', (_, bytes, code) => {
    expect(() => opened(bytes)).toThrow(expect.objectContaining({ code }))
  })

  test('a file that is not there', () => {
    const path = join(folder, 'none')
    expect(() => openContainer(path)).toThrow(expect.objectContaining({ code: 'UNREADABLE', path }))
    expect(() => openContainer(folder)).toThrow(expect.objectContaining({ code: 'UNREADABLE', path: folder }))
  })
})

import { describe, expect, test } from 'vitest'
import type { PhysicalMemory } from '../../../src/memory/memory.ts'
import { PageTable, type PagingMode } from '../../../src/target/page-table.ts'
import { VirtualMemory } from '../../../src/target/virtual-memory.ts'

const PAGE = 4096

/** A few pages of physical memory; the rest is missing, or left out where told. */
class Pages implements PhysicalMemory {
  readonly pageSize = PAGE
  readonly pages = new Map<number, Uint8Array>()
  readonly excluded = new Set<number>()

  page(pfn: number): Uint8Array | 'excluded' | 'missing' {
    return this.pages.get(pfn) ?? (this.excluded.has(pfn) ? 'excluded' : 'missing')
  }

  at(phys: number): Uint8Array {
    const pfn = Math.floor(phys / PAGE)
    let page = this.pages.get(pfn)
    if (page === undefined) this.pages.set(pfn, (page = new Uint8Array(PAGE)))
    return page.subarray(phys % PAGE)
  }

  entry(phys: number, value: bigint, size = 8): void {
    for (let i = 0; i < size; i++) this.at(phys)[i] = Number((value >> BigInt(8 * i)) & 0xffn)
  }
}

/** Tables at 0x1000, 0x2000 … down to one entry at the last level. */
function chain(
  mode: PagingMode,
  indexes: readonly number[],
  last: bigint,
): { phys: Pages; table: PageTable } {
  const phys = new Pages()
  const size = mode === 'i386' ? 4 : 8
  indexes.forEach((index, i) => {
    const next = i === indexes.length - 1 ? last : BigInt((i + 2) * PAGE) | 7n
    phys.entry((i + 1) * PAGE + index * size, next, size)
  })
  return { phys, table: new PageTable(phys, PAGE, mode) }
}

const NX = 1n << 63n

describe('a walk', () => {
  test.each<[string, PagingMode, number[], bigint, number, number, number]>([
    [
      '4 levels, 4 KiB',
      'x86_64',
      [1, 2, 3, 4],
      0x12345067n | NX,
      2 ** 39 + 2 * 2 ** 30 + 3 * 2 ** 21 + 4 * PAGE + 5,
      0x12345005,
      4096,
    ],
    [
      '4 levels, 2 MiB',
      'x86_64',
      [1, 2, 3],
      0x40000e7n,
      2 ** 39 + 2 * 2 ** 30 + 3 * 2 ** 21 + 0x1234,
      0x4001234,
      2 ** 21,
    ],
    ['4 levels, 2 MiB, PAT bit is no address', 'x86_64', [0, 0, 0], 0x40010e7n, 0x10, 0x4000010, 2 ** 21],
    ['4 levels, 1 GiB', 'x86_64', [0, 1], 0xc00000e7n, 2 ** 30 + 0x123456, 0xc0123456, 2 ** 30],
    ['4 levels, above 4 GiB', 'x86_64', [0, 0, 0, 0], 0xf_1234_5067n, 1, 0xf_1234_5001, 4096],
    ['4 levels, kernel half', 'x86_64', [511, 510, 0, 0], 0x7067n, -0x8000_0000, 0x7000, 4096],
    [
      '5 levels',
      'x86_64-la57',
      [1, 2, 3, 4, 5],
      0x9067n,
      2 ** 48 + 2 * 2 ** 39 + 3 * 2 ** 30 + 4 * 2 ** 21 + 5 * PAGE,
      0x9000,
      4096,
    ],
    ['i386, 4 KiB', 'i386', [0x301, 2], 0x9067n, 0xc040_2003, 0x9003, 4096],
    ['i386, 4 MiB', 'i386', [0x301], 0x14000e7n, 0xc040_2003, 0x1402003, 2 ** 22],
    ['PAE, 4 KiB', 'i386-pae', [3, 1, 2], 0x1_0000_9067n, 0xc020_2003, 0x1_0000_9003, 4096],
    ['PAE, 2 MiB', 'i386-pae', [3, 1], 0x14000e7n, 0xc020_2003, 0x1402003, 2 ** 21],
  ])('%s', (_, mode, indexes, last, va, phys, pageSize) => {
    const { table } = chain(mode, indexes, last)
    const walk = table.walk(va)
    expect(walk).toMatchObject({ phys, pageSize, reason: undefined })
    expect(walk.entries).toHaveLength(indexes.length)
    expect(walk.entries.at(-1)?.value).toBe(last)
    expect(table.frame(va)).toBe(Math.floor(phys / PAGE))
  })

  test('tells the physical address of every entry', () => {
    const { table } = chain('x86_64', [1, 2, 3, 4], 0x5067n)
    const walk = table.walk(2 ** 39 + 2 * 2 ** 30 + 3 * 2 ** 21 + 4 * PAGE)
    expect(walk.entries.map((e) => [e.level, e.entryAddr])).toEqual([
      ['PGD', 0x1008],
      ['PUD', 0x2010],
      ['PMD', 0x3018],
      ['PTE', 0x4020],
    ])
  })

  test('an entry that is not present: unmapped, and its value is told', () => {
    const { table } = chain('x86_64', [0, 0, 0, 0], 0x1234_0000n)
    expect(table.walk(0)).toMatchObject({ phys: undefined, reason: 'unmapped' })
    expect(table.walk(0).entries.at(-1)?.value).toBe(0x1234_0000n)
  })

  test('a page made inaccessible keeps its frame, inverted', () => {
    const inverted = (~0x7000n & 0xf_ffff_ffff_f000n) | 0x100n
    const { table } = chain('x86_64', [0, 0, 0, 0], inverted)
    expect(table.walk(8).phys).toBe(0x7008)
  })

  test.each<[string, PagingMode, number]>([
    ['between the halves', 'x86_64', 2 ** 47],
    ['below the kernel half', 'x86_64', -(2 ** 47) - 1],
    ['above 4 GiB', 'i386', 2 ** 32],
    ['negative', 'i386', -1],
    ['no number', 'x86_64', NaN],
  ])('an address %s is not canonical', (_, mode, va) => {
    expect(new PageTable(new Pages(), 0, mode).frame(va)).toBe('non-canonical')
  })

  test('a table that is not in the dump says why', () => {
    const { phys, table } = chain('x86_64', [0, 0, 0, 0], 0x5067n)
    phys.pages.delete(3)
    expect(table.frame(0)).toBe('missing')
    phys.excluded.add(3)
    expect(table.frame(0)).toBe('excluded')
  })

  test('the memory-encryption bit is no address', () => {
    const phys = new Pages()
    for (let i = 1; i <= 4; i++) phys.entry(i * PAGE, BigInt((i + 1) * PAGE) | (1n << 47n) | 7n)
    expect(new PageTable(phys, PAGE, 'x86_64', 2 ** 47).frame(0)).toBe(5)
  })
})

describe('virtual memory', () => {
  /** Two virtual pages in a row, whose frames are not, and a third whose frame is left out. */
  function space(): VirtualMemory {
    const phys = new Pages()
    phys.at(5 * PAGE).set(Array.from({ length: PAGE }, (_, i) => i & 0xff))
    phys.at(3 * PAGE).set(Array.from({ length: PAGE }, (_, i) => (i + 0x80) & 0xff))
    phys.excluded.add(7)
    const frames = new Map([
      [0x10, 5],
      [0x11, 3],
      [0x12, 7],
    ])
    return new VirtualMemory(phys, { frame: (va) => frames.get(Math.floor(va / PAGE)) ?? 'unmapped' }, 8)
  }

  test('reads little-endian', () => {
    const mem = space()
    expect(mem.u8(0x10001)).toBe(1)
    expect(mem.u16(0x10001)).toBe(0x0201)
    expect(mem.u32(0x10004)).toBe(0x07060504)
    expect(mem.u64(0x10008)).toBe(0x0f0e0d0c0b0a0908n)
  })

  test('reads across pages', () => {
    const mem = space()
    expect(mem.u16(0x10fff)).toBe(0x80ff)
    expect(mem.u32(0x10ffe)).toBe(0x8180fffe)
    expect(mem.u64(0x10ffc)).toBe(0x83828180fffefdfcn)
    expect([...mem.read(0x10ffe, 4)]).toEqual([0xfe, 0xff, 0x80, 0x81])
  })

  test('a pointer that is not canonical is NaN', () => {
    expect(space().pointer(0x10000)).toBeNaN()
  })

  test.each([
    ['unmapped', 0x20000, 8, 0x20000n, 'unmapped'],
    ['left out of the dump', 0x12000, 1, 0x12000n, 'excluded'],
    ['readable, then not', 0x11ff0, 0x20, 0x12000n, 'excluded'],
  ])('a read of memory that is %s names the first byte that fails', (_, va, size, addr, reason) => {
    expect(() => space().read(va, size)).toThrow(expect.objectContaining({ code: 'FAULT', addr, reason }))
  })

  test('a length no read can have faults before anything is allocated', () => {
    expect(() => space().read(0x10000, 2 ** 40)).toThrow(expect.objectContaining({ code: 'FAULT' }))
    expect(() => space().read(0x10000, -1)).toThrow(expect.objectContaining({ code: 'FAULT' }))
  })
})

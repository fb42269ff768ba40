import { expect, test } from 'vitest'
import { toAddr } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { for_each_vma, vma_lookup, vma_path, vma_range } from '../../../src/helpers/mm.ts'
import { pfn_to_page, page_flags_text, page_row, page_to_pfn } from '../../../src/helpers/page.ts'
import { translate_pte } from '../../../src/helpers/pte.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

function vma(k: FlatKernel, start: number, end: number): StructRef {
  const made: StructRef = k.make('vm_area_struct')
  made.$set('vm_start', BigInt(start))
  made.$set('vm_end', BigInt(end))
  return made
}

test('VMAs of a maple tree: all, by address, none in a gap', () => {
  const k = new FlatKernel()
  const mm: StructRef = k.make('mm_struct')
  expect([...for_each_vma(mm)]).toEqual([])
  const text = vma(k, 0x400000, 0x401000)
  const heap = vma(k, 0x600000, 0x700000)
  const leaf = k.room(256, 256)
  const slots = [[0x3fffffn, 0n], [0x400fffn, text.$addr], [0x5fffffn, 0n], [0x6fffffn, heap.$addr]] as const // prettier-ignore
  slots.forEach(([pivot, value], i) => {
    k.mem.setU64(leaf + k.types.offsetof('maple_range_64', 'pivot') + i * 8, pivot)
    k.mem.setU64(leaf + k.types.offsetof('maple_range_64', 'slot') + i * 8, value)
  })
  mm.$set('mm_mt.ma_root', toAddr(leaf) | 0xen)
  expect(Array.from(for_each_vma(mm), ({ $va }) => $va)).toEqual([text.$va, heap.$va])
  expect(vma_lookup(mm, 0x400fff)?.$va).toBe(text.$va)
  expect(vma_lookup(mm, 0x401000)).toBeUndefined()
  expect(vma_range(heap)).toEqual({ start: 0x600000, end: 0x700000 })
  expect(vma_path(heap)).toBe('')
})

test('struct page and page frame lead to each other; no struct page outside the map', () => {
  const k = new FlatKernel()
  expect(pfn_to_page(k, 1)).toBeUndefined()
  const size = k.types.sizeof('page')
  const map = k.lonely(100 * size)
  k.symbol('vmemmap_base', k.room(8))
  k.mem.setPointer(Number(BigInt.asIntN(64, k.sym('vmemmap_base'))), map)
  const page = pfn_to_page(k, 7) as StructRef
  expect(page_to_pfn(k, page.$va)).toBe(7)
  expect(page_to_pfn(k, page.$va + 1)).toBeNaN()
  page.$set('flags', 0x17ffffc0080014n)
  page.$set('mapping', 0xdead000000000400n)
  page.$set('_refcount.counter', 6)
  expect(page_row(k, page)).toMatchObject({
    physical: 0x7000n,
    mapping: 0xdead000000000400n,
    count: 6,
    flagNames: 'uptodate,lru,swapbacked',
  })
  expect(pfn_to_page(k, 1_000_000)).toBeUndefined()
})

test('page flags: second names of a bit are not printed', () => {
  expect(page_flags_text(new FlatKernel(), 1n << 17n)).toBe('mappedtodisk')
})

test.each([
  [0n, 0n, []],
  [0x12345063n, 0x12345000n, ['PRESENT', 'RW', 'ACCESSED', 'DIRTY']],
  [0x8000000001a5d067n, 0x1a5d000n, ['PRESENT', 'RW', 'USER', 'ACCESSED', 'DIRTY', 'NX']],
  [0x80000000048001e3n, 0x4800000n, ['PRESENT', 'RW', 'ACCESSED', 'DIRTY', 'PSE', 'GLOBAL', 'NX']],
])('translate_pte: %x', (pte, physical, flags) => {
  expect(translate_pte(pte)).toEqual({ pte, physical, present: flags.length > 0, flags })
})

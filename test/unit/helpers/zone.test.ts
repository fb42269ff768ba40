import { beforeEach, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { free_lists, memory_nodes } from '../../../src/helpers/zone.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const NOWHERE = 0xffffffff00000000n
let k: FlatKernel
let node: StructRef
let zone: StructRef

beforeEach(() => {
  k = new FlatKernel()
  node = k.make('pglist_data')
  node.$set('node_spanned_pages', 512n)
  node.$set('node_start_pfn', 1n)
  k.symbol('contig_page_data', node.$va)
  zone = node.$array('node_zones').ref(0) as StructRef
  zone.$set('name', k.text('DMA'))
  zone.$set('spanned_pages', 256n)
  zone.$set('zone_start_pfn', 1n)
})

test('a node and its zones, those without pages too', () => {
  const [row] = [...memory_nodes(k)]
  expect(row).toMatchObject({ nid: 0, size: 512, start_pfn: 1, mem_map: 0n })
  expect(row?.zones[0]).toMatchObject({ zone: 0, name: 'DMA', size: 256, free: 0, start_pfn: 1 })
  expect(row?.zones[1]).toMatchObject({ zone: 1, name: '', size: 0, start_pfn: 0 })
})

test('a negative counter of free pages is none', () => {
  const item = Number(k.types.enumerator('NR_FREE_PAGES') ?? 0n)
  k.mem.setPointer(zone.$vaOf('vm_stat') + item * 8, -5)
  expect([...memory_nodes(k)][0]?.zones[0]?.free).toBe(0)
})

test('a node that is not in the dump', () => {
  k.symbol('contig_page_data', Number(BigInt.asIntN(64, NOWHERE)))
  expect(() => [...memory_nodes(k)]).toThrow(expect.objectContaining({ code: 'FAULT' }))
})

test('a name that is not in the dump', () => {
  zone.$set('name', NOWHERE)
  expect(() => [...memory_nodes(k)]).toThrow(expect.objectContaining({ code: 'FAULT' }))
})

test('free blocks: those before the damage are delivered, a loop ends', () => {
  const [list] = free_lists(k, zone)
  expect(list).toMatchObject({ order: 0, bytes: 4096 })
  const head = zone.$vaOf('free_area')
  k.emptyList(head)
  expect([...(list?.blocks() ?? [])]).toEqual([])
  const page: StructRef = k.make('page')
  const link = page.$vaOf('lru')
  k.append(head, link)
  expect([...(list?.blocks() ?? [])]).toEqual([page.$addr])
  k.mem.setPointer(link, link)
  expect(() => [...(list?.blocks() ?? [])]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  page.$set('lru.next', NOWHERE)
  const walk = list?.blocks()
  expect(walk?.next().value).toBe(page.$addr)
  expect(() => [...(walk ?? [])]).toThrow(expect.objectContaining({ code: 'FAULT' }))
})

/** The zones of memory nodes and the free pages on their lists. */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each } from '../structures/list.ts'
import { findSymbolVa, readStringAt, type Kernel } from './kernel.ts'
import { PAGE_SIZE, pfn_to_page } from './page.ts'
import { for_each_node } from './slab.ts'

const BLOCKS_MAX = 10_000_000

/** Zones of a node. */
export interface NodeRow {
  readonly nid: number
  /** pages from its first to its last */
  readonly size: number
  /** `struct pglist_data *` */
  readonly pglist_data: bigint
  /** `struct page *` of its first frame; 0 when it has no memory */
  readonly mem_map: bigint
  readonly start_pfn: number
  readonly zones: readonly ZoneSpan[]
}

/** Where a zone lies. */
export interface ZoneSpan {
  readonly zone: number
  /** `struct zone *` */
  readonly address: bigint
  readonly name: string
  /** pages, holes included */
  readonly size: number
  readonly free: number
  /** `struct page *`; 0 when empty */
  readonly mem_map: bigint
  readonly start_pfn: number
  /** `struct zone` itself */
  readonly ref: StructRef
}

/** @throws FaultError */
export function* memory_nodes(kernel: Kernel): Generator<NodeRow> {
  const map = (pfn: number): bigint => pfn_to_page(kernel, pfn)?.$addr ?? 0n
  for (const { nid, node } of for_each_node(kernel)) {
    const zones = [...node_zones(kernel, node)]
    const size = Number(node.$int('node_spanned_pages'))
    const start_pfn = Number(node.$int('node_start_pfn'))
    const mem_map = size === 0 ? 0n : map(start_pfn)
    yield { nid, size, pglist_data: node.$addr, mem_map, start_pfn, zones }
  }
}

function* node_zones(kernel: Kernel, node: StructRef): Generator<ZoneSpan> {
  const zones = node.$array('node_zones')
  const free = free_counter(kernel)
  for (let i = 0; i < zones.length; i++) {
    const ref = zones.ref(i)
    if (ref === null) continue
    const size = Number(ref.$int('spanned_pages'))
    const start_pfn = size === 0 ? 0 : Number(ref.$int('zone_start_pfn'))
    yield {
      zone: i,
      address: ref.$addr,
      name: readStringAt(ref, 'name', 64) ?? '',
      size,
      free: free(ref),
      mem_map: size === 0 ? 0n : (pfn_to_page(kernel, start_pfn)?.$addr ?? 0n),
      start_pfn,
      ref,
    }
  }
}

/** Free pages of a zone as the kernel counts them. @see include/linux/mmzone.h:enum zone_stat_item */
function free_counter(kernel: Kernel): (zone: StructRef) => number {
  const bits = kernel.mem.wordSize * 8
  const item = Number(kernel.types.enumerator('NR_FREE_PAGES') ?? 0n)
  return (zone) => {
    const at = zone.$vaOf('vm_stat') + item * kernel.mem.wordSize
    return Math.max(0, Number(BigInt.asIntN(bits, kernel.mem.word(at))))
  }
}

/** Free pages of all zones as the kernel counts them. @see mm/vmstat.c:vm_zone_stat */
export function free_pages(kernel: Kernel): number {
  const at = findSymbolVa(kernel, 'vm_zone_stat') ?? findSymbolVa(kernel, 'vm_stat')
  if (at === undefined) return 0
  const item = Number(kernel.types.enumerator('NR_FREE_PAGES') ?? 0n)
  const bits = kernel.mem.wordSize * 8
  return Math.max(0, Number(BigInt.asIntN(bits, kernel.mem.word(at + item * kernel.mem.wordSize))))
}

/** A list of free blocks of one size and kind. */
export interface FreeList {
  readonly order: number
  /** bytes of a block */
  readonly bytes: number
  /** `struct list_head *` */
  readonly head: bigint
  /** `struct page *` of each block; throws FaultError or ValidationError where the list is damaged */
  blocks(): Generator<bigint>
}

/** @param zone `struct zone *` @see mm/page_alloc.c */
export function* free_lists(kernel: Kernel, zone: StructRef): Generator<FreeList> {
  const areas = zone.$array('free_area')
  const link = kernel.types.offsetof('page', kernel.types.has('page', 'buddy_list') ? 'buddy_list' : 'lru')
  for (let order = 0; order < areas.length; order++) {
    const area = areas.ref(order)
    if (area === null) continue
    const heads = area.$array('free_list')
    for (let i = 0; i < heads.length; i++) {
      const head = heads.ref(i)
      if (head === null) continue
      yield {
        order,
        bytes: PAGE_SIZE * 2 ** order,
        head: head.$addr,
        blocks: () => blocks(kernel, toVa(head.$addr, kernel.mem.wordSize), link),
      }
    }
  }
}

function* blocks(kernel: Kernel, head: Va, link: number): Generator<bigint> {
  for (const node of list_for_each(kernel.mem, head, BLOCKS_MAX)) yield toAddr(node - link)
}

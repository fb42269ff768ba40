/**
 * Page frames: the buddy allocator. Free blocks are kept per order; a request splits the smallest block that
 * fits, a freed block merges with its buddy.
 *
 * @see mm/page_alloc.c:__alloc_pages
 * @remarks one zone's lists only, kept by the simulator; `struct page` in vmemmap is true for pages in use.
 */

import { toVa, type Va } from '../../base/addr.ts'
import { InvariantError } from '../../base/errors.ts'
import type { StructRef } from '../../btf/ref.ts'
import type { page } from '../../btf/vmlinux.ts'
import { PAGE_SIZE, zonesOf, ZONES_PGSHIFT, type ZoneLimit } from '../../abi/page.ts'
import { PAGE_OFFSET } from '../arch/x86/kernel/image_32.ts'
import { perKernel, type Kernel } from '../kernel.ts'

const ORDERS = 11

interface FreeArea {
  /** First frames of free blocks, by order. */
  readonly free: Set<number>[]
  /** Order of each block in use, by first frame. */
  readonly used: Map<number, number>
  freePages: number
}

const area = perKernel<FreeArea>(() => ({
  free: Array.from({ length: ORDERS }, () => new Set<number>()),
  used: new Map(),
  freePages: 0,
}))

/** Frames not in use. */
export const nr_free_pages = (k: Kernel): number => area(k).freePages

/** Hand a range of boot memory to the allocator. @see mm/memblock.c:memblock_free_all */
export function free_boot_range(k: Kernel, startPfn: number, endPfn: number): void {
  for (let pfn = startPfn; pfn < endPfn;) {
    let order = ORDERS - 1
    while (order > 0 && (pfn % (1 << order) !== 0 || pfn + (1 << order) > endPfn)) order--
    area(k).free[order]?.add(pfn)
    area(k).freePages += 1 << order
    pfn += 1 << order
  }
}

/**
 * Take `2^order` frames, naturally aligned and reading as zeros (init_on_alloc).
 * @returns the first page frame number
 * @throws InvariantError when memory is exhausted: the scenario's `memory` is too small
 */
export function alloc_pages(k: Kernel, order = 0): number {
  const { free } = area(k)
  for (let have = order; have < ORDERS; have++) {
    const first = free[have]?.values().next()
    if (first === undefined || first.done === true) continue
    return take(k, first.value, have, order, first.value)
  }
  throw new InvariantError(
    `out of memory: no free block of ${PAGE_SIZE << order} bytes among ${area(k).freePages} free pages; give the machine more memory`,
  )
}

/** Take exactly this block; false when any of it is in use or beyond memory. */
export function alloc_pages_at(k: Kernel, pfn: number, order: number): boolean {
  const { free } = area(k)
  for (let have = order; have < ORDERS; have++) {
    const start = pfn - (pfn % (1 << have))
    if (free[have]?.has(start) !== true) continue
    take(k, start, have, order, pfn)
    return true
  }
  return false
}

/** Split the free block at `start` until `wanted` stands alone. */
function take(k: Kernel, start: number, have: number, order: number, wanted: number): number {
  const { free, used } = area(k)
  free[have]?.delete(start)
  let block = start
  for (let o = have - 1; o >= order; o--) {
    const upper = block + (1 << o)
    if (wanted >= upper) {
      free[o]?.add(block)
      block = upper
    } else free[o]?.add(upper)
  }
  used.set(block, order)
  area(k).freePages -= 1 << order
  k.mem.clearPhysical(block * PAGE_SIZE, PAGE_SIZE << order)
  prep_new_page(k, block, order)
  return block
}

/** @see mm/page_alloc.c:__free_pages */
export function free_pages(k: Kernel, pfn: number, order: number): void {
  const { free, used } = area(k)
  if (used.get(pfn) !== order)
    throw new InvariantError(`free of page frame ${pfn} order ${order}, which is not in use`)
  used.delete(pfn)
  area(k).freePages += 1 << order
  pfn_to_page(k, pfn)._refcount.counter = 0
  let block = pfn
  let o = order
  for (; o < ORDERS - 1; o++) {
    const buddy = block ^ (1 << o)
    if (free[o]?.delete(buddy) !== true) break
    block = Math.min(block, buddy)
  }
  free[o]?.add(block)
}

/** `struct page` of a frame just allocated. @see mm/page_alloc.c:prep_new_page */
function prep_new_page(k: Kernel, pfn: number, order: number): void {
  const head = pfn_to_page(k, pfn)
  k.mem.fill(head.$va, 0, head.$size << order)
  head.flags = BigInt(zoneOf(k, pfn)) << bases(k).zoneShift
  head._refcount.counter = 1
  head._mapcount.counter = -1
}

const zoneOf = (k: Kernel, pfn: number): number => bases(k).zones.findIndex(([, end]) => pfn < end)

/** `struct page *` in vmemmap, or in `mem_map` on 32 bits. */
export function pfn_to_page(k: Kernel, pfn: number): page {
  const { pages, pageBytes } = bases(k)
  return k.ref('page', pages + pfn * pageBytes)
}

export function page_to_pfn(k: Kernel, page: StructRef): number {
  const { pages, pageBytes } = bases(k)
  return (page.$va - pages) / pageBytes
}

export const page_address = (k: Kernel, pfn: number): Va => directVa(k) + pfn * PAGE_SIZE

/** The frame behind a direct-map address. */
export const virt_to_pfn = (k: Kernel, va: Va): number => Math.floor((va - directVa(k)) / PAGE_SIZE)
export const virt_to_page = (k: Kernel, va: Va): page => pfn_to_page(k, virt_to_pfn(k, va))

export const __pa = (k: Kernel, va: Va): number => va - directVa(k)
export const __va = (k: Kernel, phys: number): Va => directVa(k) + phys

const bases = perKernel((k) => {
  const { wordSize } = k.mem
  const variable = (name: string): Va => k.mem.pointer(toVa(k.sym(name), wordSize))
  const direct = wordSize === 8 ? variable('page_offset_base') : PAGE_OFFSET
  const endLow = wordSize === 8 ? k.mem.sizeBytes / PAGE_SIZE : (variable('high_memory') - direct) / PAGE_SIZE
  return {
    direct,
    pages: variable(wordSize === 8 ? 'vmemmap_base' : 'mem_map'),
    pageBytes: k.types.sizeof('page'),
    endLow,
    zones: zonesOf(wordSize, endLow),
    zoneShift: ZONES_PGSHIFT(wordSize),
  }
})
const directVa = (k: Kernel): Va => bases(k).direct

/** Frame behind the last one in the linear map. */
export const max_low_pfn = (k: Kernel): number => bases(k).endLow
/** The zones of this machine: name and the frame behind each. */
export const zone_limits = (k: Kernel): readonly ZoneLimit[] => bases(k).zones

/** The least order whose block holds `size` bytes. */
export function get_order(size: number): number {
  let order = 0
  while (PAGE_SIZE << order < size) order++
  return order
}

/** How much memory there is and what it is used for, in pages. */

import type { Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { FaultError } from '../base/errors.ts'
import { findSymbolVa, refAt, type Kernel } from './kernel.ts'
import { PAGE_SIZE, vmemmap } from './page.ts'

/** Numbers of pages. */
export interface MemoryUse {
  readonly total: number
  readonly free: number
  readonly shared: number
  readonly buffers: number
  readonly cached: number
  readonly slab: number
  readonly huge_total: number
  readonly huge_free: number
  readonly swap_total: number
  readonly swap_used: number
  readonly commit_limit: number
  readonly committed: number
}

/** Consecutive page frames. */
export interface Frames {
  readonly start: number
  readonly end: number
}

const INODES_MAX = 1_000_000
const SWAPFILES_MAX = 64
const HSTATES_MAX = 16
const ORDER_MAX = 30
const SWP_USED = 1
/** `struct page`s read at once. */
const CHUNK = 64
/** Fallback of `sysctl_overcommit_ratio`. @see mm/util.c */
const OVERCOMMIT_RATIO = 50

/** @param frames where the machine has memory */
export function memory_use(kernel: Kernel, frames: readonly Frames[]): MemoryUse {
  const total = word(kernel, '_totalram_pages') ?? word(kernel, 'totalram_pages') ?? 0
  const zone = vm_stats(kernel, 'vm_zone_stat', 'zone_stat_item')
  const node = vm_stats(kernel, 'vm_node_stat', 'node_stat_item')
  const stat = (name: string): number => node.get(name) ?? zone.get(name) ?? 0
  const buffers = blockdev_pages(kernel)
  const slab = [
    'NR_SLAB_RECLAIMABLE',
    'NR_SLAB_RECLAIMABLE_B',
    'NR_SLAB_UNRECLAIMABLE',
    'NR_SLAB_UNRECLAIMABLE_B',
  ]
  const huge = huge_pages(kernel)
  const swap = swap_pages(kernel)
  return {
    total,
    free: stat('NR_FREE_PAGES'),
    shared: shared_pages(kernel, frames),
    buffers,
    cached: stat('NR_FILE_PAGES') - stat('NR_SWAPCACHE') - buffers,
    slab: slab.reduce((sum, name) => sum + stat(name), 0),
    huge_total: huge.total,
    huge_free: huge.free,
    swap_total: swap.total,
    swap_used: swap.used,
    commit_limit: commit_limit(kernel, total, huge.total, swap.total),
    committed: Math.max(0, word(kernel, 'vm_committed_as', committedOffset(kernel)) ?? 0),
  }
}

const committedOffset = (kernel: Kernel): number =>
  kernel.types.has('percpu_counter', 'count') ? kernel.types.offsetof('percpu_counter', 'count') : 0

function word(kernel: Kernel, symbol: string, offset = 0): number | undefined {
  const at = findSymbolVa(kernel, symbol)
  const bits = kernel.mem.wordSize * 8
  return at === undefined ? undefined : Number(BigInt.asIntN(bits, kernel.mem.word(at + offset)))
}

/** Counters by their enumerators' names. @see mm/vmstat.c:vm_zone_stat, vm_node_stat */
export function vm_stats(kernel: Kernel, symbol: string, items: string): Map<string, number> {
  const at = findSymbolVa(kernel, symbol)
  return at === undefined ? new Map<string, number>() : stats_at(kernel, at, items)
}

/** As {@link vm_stats}, of an array of `atomic_long_t` at an address. */
export function stats_at(kernel: Kernel, at: Va, items: string): Map<string, number> {
  const stats = new Map<string, number>()
  const type = kernel.types.btf.find(items, 'enum')
  if (type?.kind !== 'enum') return stats
  const { wordSize } = kernel.mem
  // of two names of one counter the later says what it is: NR_LRU_BASE is NR_INACTIVE_ANON
  const names = new Map<bigint, string>()
  for (const { name, value } of type.values) if (!/^NR_VM_.*_ITEMS$/.test(name)) names.set(value, name)
  for (const [value, name] of names) {
    const raw = BigInt.asIntN(wordSize * 8, kernel.mem.word(at + Number(value) * wordSize))
    // the sum of the CPUs' parts may be below zero for a moment
    stats.set(name, Math.max(0, Number(raw)))
  }
  return stats
}

/** Pages more than one has, the reserved left out. */
function shared_pages(kernel: Kernel, frames: readonly Frames[]): number {
  const { types, mem } = kernel
  const base = vmemmap(kernel)
  if (base === undefined) return 0
  const size = types.sizeof('page')
  const flagsAt = types.offsetof('page', 'flags')
  const countAt = types.offsetof(
    'page',
    types.has('page', '_refcount.counter') ? '_refcount.counter' : '_count.counter',
  )
  const reserved = 1 << Number(types.enumerator('PG_reserved') ?? 12n)
  let shared = 0
  for (const { start, end } of frames) {
    for (let pfn = start; pfn < end; pfn += CHUNK) {
      const count = Math.min(CHUNK, end - pfn)
      const bytes = readable(() => mem.read(base + pfn * size, count * size))
      if (bytes === undefined) continue
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      for (let at = 0; at < bytes.length; at += size) {
        if (view.getInt32(at + countAt, true) > 1 && (view.getUint32(at + flagsAt, true) & reserved) === 0)
          shared++
      }
    }
  }
  return shared
}

function readable<T>(get: () => T): T | undefined {
  try {
    return get()
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}

/** Pages of block devices themselves. @see block/bdev.c:nr_blockdev_pages */
function blockdev_pages(kernel: Kernel): number {
  const { types, mem } = kernel
  const at = findSymbolVa(kernel, 'blockdev_superblock')
  const super_block = at === undefined ? 0 : mem.pointer(at)
  if (super_block === 0) return 0
  const sb = refAt(kernel, 'super_block', super_block)
  let pages = 0
  for (const inode of list_for_each_entry(
    types,
    mem,
    sb.$vaOf('s_inodes'),
    'inode',
    'i_sb_list',
    INODES_MAX,
  )) {
    pages += Number(inode.$ref('i_mapping')?.$int('nrpages') ?? 0n)
  }
  return pages
}

/** Pools of huge pages, one for each size. @see mm/hugetlb.c:for_each_hstate */
export function* hstates(kernel: Kernel): Generator<StructRef> {
  const at = findSymbolVa(kernel, 'hstates')
  const count = findSymbolVa(kernel, 'hugetlb_max_hstate')
  if (at === undefined || count === undefined) return
  const first = refAt(kernel, 'hstate', at)
  for (let i = 0; i < Math.min(kernel.mem.u32(count), HSTATES_MAX); i++) yield first.$index(i)
}

function huge_pages(kernel: Kernel): { total: number; free: number } {
  let total = 0
  let free = 0
  for (const hstate of hstates(kernel)) {
    const pages = 2 ** Math.min(Number(hstate.$int('order')), ORDER_MAX)
    total += Number(hstate.$int('nr_huge_pages')) * pages
    free += Number(hstate.$int('free_huge_pages')) * pages
  }
  return { total, free }
}

function swap_pages(kernel: Kernel): { total: number; used: number } {
  const table = findSymbolVa(kernel, 'swap_info')
  const count = findSymbolVa(kernel, 'nr_swapfiles')
  let total = 0
  let used = 0
  if (table === undefined || count === undefined) return { total, used }
  const { wordSize } = kernel.mem
  for (let i = 0; i < Math.min(kernel.mem.u32(count), SWAPFILES_MAX); i++) {
    const va = kernel.mem.pointer(table + i * wordSize)
    if (va === 0) continue
    const swap = refAt(kernel, 'swap_info_struct', va)
    if ((Number(swap.$int('flags')) & SWP_USED) === 0) continue
    total += Number(swap.$int('pages'))
    used += Number(swap.$int('inuse_pages'))
  }
  return { total, used }
}

/** @see mm/util.c:vm_commit_limit */
function commit_limit(kernel: Kernel, total: number, huge: number, swap: number): number {
  const kbytes = word(kernel, 'sysctl_overcommit_kbytes') ?? 0
  if (kbytes > 0) return Math.floor((kbytes * 1024) / PAGE_SIZE) + swap
  const at = findSymbolVa(kernel, 'sysctl_overcommit_ratio')
  const ratio = at === undefined ? OVERCOMMIT_RATIO : kernel.mem.u32(at)
  return Math.floor(((total - huge) * ratio) / 100) + swap
}

/** SLUB's caches: what each holds, its slabs on the CPUs and nodes, and which objects of a slab are free. */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each, list_for_each_entry } from '../structures/list.ts'
import { findSymbolVa, readStringAt, refAt, symbolVa, type Kernel } from './kernel.ts'
import { PAGE_SIZE, page_to_pfn } from './page.ts'
import { cpu_count, per_cpu_ptr } from './percpu.ts'

/** A kernel whose direct map is known: pages have addresses. */
export interface MappedKernel extends Kernel {
  /** start of the direct map */
  readonly pageOffset: Va
}

const CACHES_MAX = 10_000
const SLABS_MAX = 1_000_000
const NODES_MAX = 1024
/** `struct kmem_cache_order_objects`: the order above, the count below. @see mm/slub.c:OO_SHIFT */
const OO_SHIFT = 16
const ORDER_MAX = 20

/** One cache. */
export interface CacheRow {
  readonly cache: bigint
  readonly name: string
  readonly object_size: number
  readonly allocated: number
  readonly total: number
  readonly slabs: number
  /** bytes of a slab */
  readonly slab_size: number
}

/** One slab. */
export interface SlabRow {
  readonly slab: bigint
  /** address of its first object */
  readonly memory: bigint
  readonly node: number
  readonly total: number
  readonly allocated: number
}

/** Does this kernel have SLUB's caches? */
export const has_slub = (kernel: Kernel): boolean =>
  kernel.types.has('kmem_cache', 'cpu_slab') && findSymbolVa(kernel, 'slab_caches') !== undefined

/** Every `struct kmem_cache`, the youngest first. @throws FaultError, ValidationError from a damaged list */
export function for_each_cache(kernel: Kernel): Generator<StructRef> {
  const head = symbolVa(kernel, 'slab_caches')
  return list_for_each_entry(kernel.types, kernel.mem, head, 'kmem_cache', 'list', CACHES_MAX)
}

export const cache_name = (cache: StructRef): string => readStringAt(cache, 'name', 128) ?? ''

/** The struct a slab is: `slab` since 5.17, `page` before. */
export const slab_at = (kernel: Kernel, va: Va): StructRef =>
  refAt(kernel, kernel.types.has('slab', 'slab_cache') ? 'slab' : 'page', va)

const objects_of = (slab: StructRef): number => Number(slab.$int('objects'))
const inuse_of = (slab: StructRef): number => Number(slab.$int('inuse'))

/** One CPU's part of a cache. */
export interface CpuSlab {
  readonly cpu: number
  /** `struct kmem_cache_cpu *` */
  readonly at: Va
  readonly slab: StructRef | undefined
  /** objects the CPU has taken from its slab, still free */
  readonly free: readonly Va[]
  readonly partial: readonly StructRef[]
}

/** @param cache `struct kmem_cache *` @see mm/slub.c:___slab_alloc */
export function* cpu_slabs(kernel: Kernel, cache: StructRef): Generator<CpuSlab> {
  const base = cache.$int('cpu_slab')
  for (let cpu = 0; cpu < cpu_count(kernel); cpu++) {
    const at = per_cpu_ptr(kernel, base, cpu)
    const area = refAt(kernel, 'kmem_cache_cpu', at)
    const member = area.$has('slab') ? 'slab' : 'page'
    const va = toVa(area.$int(member), kernel.mem.wordSize)
    const slab = va === 0 ? undefined : slab_at(kernel, va)
    const first = toVa(area.$int('freelist'), kernel.mem.wordSize)
    const free = slab === undefined ? [] : free_list(cache, first, objects_of(slab))
    yield { cpu, at, slab, free, partial: area.$has('partial') ? partials(kernel, area) : [] }
  }
}

function partials(kernel: Kernel, area: StructRef): StructRef[] {
  const found: StructRef[] = []
  const seen = new Set<Va>()
  let va = toVa(area.$int('partial'), kernel.mem.wordSize)
  while (va !== 0 && !seen.has(va)) {
    seen.add(va)
    const slab = slab_at(kernel, va)
    found.push(slab)
    va = toVa(slab.$int('next'), kernel.mem.wordSize)
  }
  return found
}

/** A memory node, or its part of a cache. */
export interface NodeSlabs {
  readonly nid: number
  /** `struct pglist_data *`, or `struct kmem_cache_node *` */
  readonly node: StructRef
}

export function* node_slabs(kernel: Kernel, cache: StructRef): Generator<NodeSlabs> {
  const nodes = cache.$array('node')
  for (let nid = 0; nid < Math.min(nodes.length, node_count(kernel)); nid++) {
    const node = nodes.ref(nid)
    if (node !== null) yield { nid, node }
  }
}

/** The slabs of a node that have free objects and belong to no CPU. */
export function* partial_slabs(kernel: Kernel, node: StructRef): Generator<StructRef> {
  const struct = slab_at(kernel, 0)
  const link = struct.$offsetof(struct.$has('slab_list') ? 'slab_list' : 'lru')
  for (const at of list_for_each(kernel.mem, node.$vaOf('partial'), SLABS_MAX)) {
    yield slab_at(kernel, at - link)
  }
}

function node_count(kernel: Kernel): number {
  const at = findSymbolVa(kernel, 'nr_node_ids')
  return at === undefined ? 1 : Math.min(kernel.mem.u32(at), NODES_MAX)
}

const counter = (node: StructRef, member: string): number =>
  node.$has(member) ? Number(node.$int(`${member}.counter`)) : 0

/** What a cache holds. Objects a CPU has taken but not given out are free. @throws FaultError, ValidationError */
export function cache_row(kernel: Kernel, cache: StructRef): CacheRow {
  let free = 0
  let total = 0
  let slabs = 0
  for (const { slab, free: taken, partial } of cpu_slabs(kernel, cache)) {
    if (slab !== undefined) free += objects_of(slab) - inuse_of(slab) + taken.length
    for (const other of partial) free += objects_of(other) - inuse_of(other)
  }
  for (const { node } of node_slabs(kernel, cache)) {
    total += counter(node, 'total_objects')
    slabs += counter(node, 'nr_slabs')
    for (const slab of partial_slabs(kernel, node)) free += objects_of(slab) - inuse_of(slab)
  }
  return {
    cache: cache.$addr,
    name: cache_name(cache),
    object_size: Number(cache.$int('object_size')),
    allocated: total - free,
    total,
    slabs,
    slab_size: slab_bytes(cache),
  }
}

const slab_bytes = (cache: StructRef): number =>
  PAGE_SIZE * 2 ** Math.min(Number(cache.$int('oo.x')) >>> OO_SHIFT, ORDER_MAX)

/** A word with its bytes the other way round. */
const swab = (value: bigint, bytes: number): bigint => {
  let result = 0n
  for (let i = 0; i < bytes; i++) result = (result << 8n) | ((value >> BigInt(8 * i)) & 0xffn)
  return result
}

/**
 * Objects of a list of free ones, from its first; ends where the list leaves memory or itself.
 *
 * @see mm/slub.c:freelist_ptr
 * @remarks Hardened lists are taken as 5.7 and later write them, with the bytes of the address swapped.
 */
export function free_list(cache: StructRef, first: Va, limit: number): Va[] {
  const { $mem: mem } = cache
  const offset = Number(cache.$int('offset'))
  const random = cache.$has('random') ? BigInt.asUintN(64, cache.$int('random')) : undefined
  const found: Va[] = []
  const seen = new Set<Va>()
  for (let at = first; at !== 0 && !Number.isNaN(at) && !seen.has(at) && found.length < limit;) {
    seen.add(at)
    found.push(at)
    const where = at + offset
    const word = mem.word(where)
    const plain = random === undefined ? word : word ^ random ^ swab(toAddr(where), mem.wordSize)
    at = toVa(BigInt.asUintN(mem.wordSize * 8, plain), mem.wordSize)
  }
  return found
}

/** Address of a slab's first byte. */
export const slab_address = (kernel: MappedKernel, slab: StructRef): Va =>
  kernel.pageOffset + page_to_pfn(kernel, slab.$va) * PAGE_SIZE

/** The memory nodes there are: `struct pglist_data`. @see include/linux/mmzone.h:NODE_DATA */
export function* for_each_node(kernel: Kernel): Generator<NodeSlabs> {
  const single = findSymbolVa(kernel, 'contig_page_data')
  if (single !== undefined) yield { nid: 0, node: refAt(kernel, 'pglist_data', single) }
  const table = findSymbolVa(kernel, 'node_data')
  if (table === undefined) return
  for (let nid = 0; nid < node_count(kernel); nid++) {
    const va = kernel.mem.pointer(table + nid * kernel.mem.wordSize)
    if (va !== 0 && !Number.isNaN(va)) yield { nid, node: refAt(kernel, 'pglist_data', va) }
  }
}

/** The memory node a page frame belongs to. @see struct pglist_data */
export function node_of_pfn(kernel: Kernel, pfn: number): number {
  for (const { nid, node } of for_each_node(kernel)) {
    const start = Number(node.$int('node_start_pfn'))
    if (pfn >= start && pfn < start + Number(node.$int('node_spanned_pages'))) return nid
  }
  return 0
}

/** @param taken objects of it that a CPU has taken */
export function slab_row(kernel: MappedKernel, slab: StructRef, taken: readonly Va[] = []): SlabRow {
  const pfn = page_to_pfn(kernel, slab.$va)
  const memory = slab_address(kernel, slab)
  return {
    slab: slab.$addr,
    memory: toAddr(memory),
    node: node_of_pfn(kernel, pfn),
    total: objects_of(slab),
    allocated: inuse_of(slab) - taken.length,
  }
}

/** An object of a slab; `cpu` when it is free and the slab is that CPU's. */
export interface ObjectRow {
  readonly object: bigint
  readonly allocated: boolean
  readonly cpu?: number
}

/** All objects of a slab by address. @param owner the CPU it belongs to */
export function* slab_objects(
  kernel: MappedKernel,
  cache: StructRef,
  slab: StructRef,
  owner?: CpuSlab,
): Generator<ObjectRow> {
  const size = Number(cache.$int('size'))
  const start = slab_address(kernel, slab)
  const total = Math.min(objects_of(slab), Math.floor(slab_bytes(cache) / Math.max(size, 1)))
  const first = toVa(slab.$int('freelist'), kernel.mem.wordSize)
  const free = new Set(free_list(cache, first, total))
  const taken = new Set(owner?.free)
  for (let i = 0; i < total; i++) {
    const va = start + i * size
    const object = toAddr(va)
    const allocated = !free.has(va) && !taken.has(va)
    if (!allocated && owner !== undefined) yield { object, allocated, cpu: owner.cpu }
    else yield { object, allocated }
  }
}

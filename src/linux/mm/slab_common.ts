/**
 * Making caches: sizes, strides and orders by SLUB's arithmetic, the list of all caches, and pinned objects.
 *
 * @see mm/slab_common.c, mm/slub.c:calculate_sizes
 */

import { toVa, type Va } from '../../base/addr.ts'
import { CoredrillError, InvariantError } from '../../base/errors.ts'
import type { kmem_cache, kmem_cache_cpu, kmem_cache_node } from '../../btf/vmlinux.ts'
import { PAGE_SIZE } from '../../abi/page.ts'
import { INIT_LIST_HEAD, list_add } from '../../structures/list.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { alloc_pages, alloc_pages_at, max_low_pfn, page_address, virt_to_pfn } from './page_alloc.ts'
import { alloc_percpu } from './percpu.ts'
import { kmem_cache_alloc } from './slub.ts'

export const SLAB_HWCACHE_ALIGN = 0x00002000
export const SLAB_CACHE_DMA = 0x00004000
export const SLAB_RECLAIM_ACCOUNT = 0x00020000
export const SLAB_PANIC = 0x00040000
export const SLAB_TYPESAFE_BY_RCU = 0x00080000
export const SLAB_MEM_SPREAD = 0x00100000
export const SLAB_ACCOUNT = 0x04000000
const CACHE_LINE = 64
const SLUB_MAX_ORDER = 3

export interface CacheOptions {
  readonly align?: number
  readonly flags?: number
  /** Runs once for every object of a new slab; such objects are not zeroed when allocated. */
  readonly ctor?: (k: Kernel, object: Va) => void
}

/** An object that must lie at `va`, in the slab reserved around it. */
export interface Pin {
  readonly va: Va
  readonly pfn: number
  readonly order: number
  /** Only an allocation with this function on the stack takes it. */
  readonly within: string | undefined
  /** Whether allocations may take it already; until then it only keeps its place free. */
  armed: boolean
}

/** What the allocator keeps at hand of one cache: all of it could be read from memory again. */
export interface CacheState {
  readonly name: string
  readonly cache: kmem_cache
  readonly objectSize: number
  readonly size: number
  /** Where in a free object the pointer to the next lies. */
  readonly offset: number
  readonly order: number
  readonly objects: number
  readonly randomLow: number
  readonly randomHigh: number
  readonly zeroOnAlloc: boolean
  readonly ctor: ((k: Kernel, object: Va) => void) | undefined
  readonly node: kmem_cache_node
  readonly cpus: kmem_cache_cpu[]
  /** The slab each CPU allocates from. */
  readonly frozen: (Va | undefined)[]
  readonly partial: Va[]
  readonly slabOrder: Map<number, number>
  readonly pins: Pin[]
}

interface Caches {
  readonly byVa: Map<Va, CacheState>
  readonly byName: Map<string, CacheState>
}

const caches = perKernel<Caches>(() => ({ byVa: new Map(), byName: new Map() }))

export function cacheState(k: Kernel, cache: kmem_cache): CacheState {
  const state = caches(k).byVa.get(cache.$va)
  if (state === undefined) throw new InvariantError(`no kmem_cache at ${cache.$addr.toString(16)}`)
  return state
}

export const findCache = (k: Kernel, name: string): kmem_cache | undefined =>
  caches(k).byName.get(name)?.cache
export const cacheNames = (k: Kernel): string[] => [...caches(k).byName.keys()]

/** Stride, place of the free pointer and slab order of objects of a size. @see mm/slub.c:calculate_sizes */
export function calculate_sizes(
  objectSize: number,
  options: CacheOptions,
  cpus: number,
  wordSize: number,
): { size: number; inuse: number; offset: number; align: number; order: number; objects: number } {
  const flags = options.flags ?? 0
  const align = calculate_alignment(flags, options.align ?? 0, objectSize, wordSize)
  let size = Math.ceil(objectSize / wordSize) * wordSize
  const inuse = size
  let offset: number
  if ((flags & SLAB_TYPESAFE_BY_RCU) !== 0 || options.ctor !== undefined) {
    offset = size
    size += wordSize
  } else offset = Math.floor(objectSize / 2 / wordSize) * wordSize
  size = Math.ceil(size / align) * align
  const order = calculate_order(size, cpus)
  return { size, inuse, offset, align, order, objects: Math.floor((PAGE_SIZE << order) / size) }
}

/** @see mm/slab_common.c:calculate_alignment */
function calculate_alignment(flags: number, align: number, size: number, wordSize: number): number {
  let result = align
  if ((flags & SLAB_HWCACHE_ALIGN) !== 0) {
    let line = CACHE_LINE
    while (size <= line / 2) line /= 2
    result = Math.max(result, line)
  }
  return Math.ceil(Math.max(result, wordSize) / wordSize) * wordSize
}

/** @see mm/slub.c:calculate_order */
function calculate_order(size: number, cpus: number): number {
  const most = Math.floor((PAGE_SIZE << SLUB_MAX_ORDER) / size)
  let least = Math.min(4 * (32 - Math.clz32(cpus) + 1), most)
  for (; least > 1; least--) {
    for (let fraction = 16; fraction >= 4; fraction /= 2) {
      const order = slab_order(size, least, SLUB_MAX_ORDER, fraction)
      if (order <= SLUB_MAX_ORDER) return order
    }
  }
  const order = slab_order(size, 1, SLUB_MAX_ORDER, 1)
  return order <= SLUB_MAX_ORDER ? order : slab_order(size, 1, 10, 1)
}

/** The least order that wastes no more than a `fraction`-th of the slab. @see mm/slub.c:calc_slab_order */
function slab_order(size: number, objects: number, max: number, fraction: number): number {
  let order = 0
  while (PAGE_SIZE << order < objects * size) order++
  for (; order <= max; order++) {
    const bytes = PAGE_SIZE << order
    if (bytes % size <= bytes / fraction) break
  }
  return order
}

/**
 * @param name shown by `kmem -s` and in slabinfo
 * @param objectSize bytes, `sizeof` the struct
 * @see mm/slab_common.c:kmem_cache_create
 */
export function kmem_cache_create(
  k: Kernel,
  name: string,
  objectSize: number,
  options: CacheOptions = {},
): kmem_cache {
  const layout = calculate_sizes(objectSize, options, k.nr_cpu_ids, k.mem.wordSize)
  const bootstrap = caches(k).byName.get('kmem_cache')
  const cache = k.ref(
    'kmem_cache',
    bootstrap === undefined ? bootMemory(k) : kmem_cache_alloc(k, bootstrap.cache),
  )
  const nodeCache = caches(k).byName.get('kmem_cache_node')
  const node = k.ref(
    'kmem_cache_node',
    nodeCache === undefined ? bootMemory(k) : kmem_cache_alloc(k, nodeCache.cache),
  )
  const cpuOffset = alloc_percpu(k, k.types.sizeof('kmem_cache_cpu'))
  const randomLow = k.random.u32()
  const randomHigh = k.random.u32()
  const flags = options.flags ?? 0
  const state: CacheState = {
    ...layout,
    name,
    cache,
    objectSize,
    randomLow,
    randomHigh: k.mem.wordSize === 8 ? randomHigh : 0,
    zeroOnAlloc: options.ctor === undefined && (flags & SLAB_TYPESAFE_BY_RCU) === 0,
    ctor: options.ctor,
    node,
    cpus: Array.from({ length: k.nr_cpu_ids }, (_, cpu) =>
      k.ref('kmem_cache_cpu', Number(cpuOffset) + k.per_cpu_offset(cpu)),
    ),
    frozen: [],
    partial: [],
    slabOrder: new Map(),
    pins: [],
  }
  describe(k, state, cpuOffset, flags, layout.inuse, layout.align)
  caches(k).byVa.set(cache.$va, state)
  caches(k).byName.set(name, state)
  return cache
}

/** Fill in `struct kmem_cache` and its node, and link it among the others. */
function describe(
  k: Kernel,
  s: CacheState,
  cpuOffset: bigint,
  flags: number,
  inuse: number,
  align: number,
): void {
  const { cache, node } = s
  cache.cpu_slab = cpuOffset
  cache.flags = flags | 0x40000000 // __CMPXCHG_DOUBLE
  cache.min_partial = 5n
  cache.size = s.size
  cache.object_size = s.objectSize
  cache.offset = s.offset
  k.mem.setU32(cache.$vaOf('oo'), (s.order << 16) | s.objects)
  const minOrder = slab_order(s.size, 1, 10, 1)
  k.mem.setU32(cache.$vaOf('min'), (minOrder << 16) | Math.floor((PAGE_SIZE << minOrder) / s.size))
  cache.refcount = 1
  cache.inuse = inuse
  cache.align = align
  if (k.mem.wordSize === 8) k.mem.setHalves(cache.$vaOf('random'), s.randomLow, s.randomHigh)
  else k.mem.setU32(cache.$vaOf('random'), s.randomLow)
  k.mem.setPointer(cache.$vaOf('node'), node.$va)
  node.nr_partial = 0n
  INIT_LIST_HEAD(k.mem, node.partial.$va)
  list_add(k.mem, cache.list.$va, toVa(k.sym('slab_caches'), k.mem.wordSize))
  cache.name = nameOf(k, s.name)
}

/** Cache names are constants of the kernel image; they lie packed in pages of their own. */
function nameOf(k: Kernel, name: string): bigint {
  const state = names(k)
  const bytes = Buffer.from(`${name}\0`, 'latin1')
  if (state.used + bytes.length > PAGE_SIZE) {
    state.page = page_address(k, alloc_pages(k))
    state.used = 0
  }
  const at = state.page + state.used
  k.mem.write(at, bytes)
  state.used += bytes.length
  return BigInt.asUintN(64, BigInt(at))
}
const names = perKernel(() => ({ page: 0, used: PAGE_SIZE }))

/** Memory for the first two caches, which cannot come from themselves. @see mm/slub.c:bootstrap */
function bootMemory(k: Kernel): Va {
  return page_address(k, alloc_pages(k))
}

/**
 * Ask that the next object of a cache lie at `address`. A slab of its own is reserved around it now, so that
 * nothing else is put there.
 * @param armed false: reserve the place now, let the scenario arm the pin when its step comes
 * @throws CoredrillError BAD_ARGUMENT when the address is misaligned, outside memory, or already in use
 */
export function pin(k: Kernel, cacheName: string, address: bigint, within?: string, armed = true): Pin {
  const refuse = (why: string): never => {
    throw new CoredrillError('BAD_ARGUMENT', `pin of ${cacheName} at ${address.toString(16)}: ${why}`)
  }
  const state = caches(k).byName.get(cacheName) ?? refuse(`there is no slab cache ${cacheName}`)
  const va = toVa(address, k.mem.wordSize)
  const align = state.cache.align
  const lowest = Math.min(align, state.ctor === undefined && align === CACHE_LINE ? k.mem.wordSize : align)
  if (va % lowest !== 0) refuse(`not aligned to ${lowest} bytes`)
  const pfn = virt_to_pfn(k, va)
  if (pfn < 0 || pfn >= max_low_pfn(k)) refuse('outside the direct map of this memory size')
  const last = virt_to_pfn(k, va + state.objectSize - 1)
  let order = 0
  while (pfn >> order !== last >> order) order++
  const start = (pfn >> order) << order
  if (order > 10 || !alloc_pages_at(k, start, order)) refuse('overlaps memory that is in use')
  const made: Pin = { va, pfn: start, order, within, armed }
  state.pins.push(made)
  return made
}

/** Pins no allocation has taken: the scenario named an object that never came to be. */
export function unusedPins(k: Kernel): { cache: string; va: Va }[] {
  return [...caches(k).byName.values()].flatMap((s) => s.pins.map(({ va }) => ({ cache: s.name, va })))
}

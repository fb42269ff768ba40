/**
 * Slab caches: objects at SLUB's strides, free lists hardened and shuffled as CONFIG_SLAB_FREELIST_HARDENED
 * and _RANDOM make them, so that addresses look like a kernel's and a freed object holds what one does.
 *
 * @see mm/slub.c
 * @remarks a slab with free objects goes straight to its node's partial list: per-CPU partial lists are not kept.
 */

import { vaOfHalves, type Va } from '../../base/addr.ts'
import { InvariantError, invariant } from '../../base/errors.ts'
import { swab32 } from '../../base/u32.ts'
import type { kmem_cache, kmem_cache_cpu, slab } from '../../btf/vmlinux.ts'
import { list_add, list_del } from '../../structures/list.ts'
import type { Kernel } from '../kernel.ts'
import { alloc_pages, free_pages, page_address, page_to_pfn, pfn_to_page, virt_to_pfn } from './page_alloc.ts'
import { cacheState, type CacheState } from './slab_common.ts'

const TWO_32 = 0x1_0000_0000
/** `slab.__page_flags` of a slab's first page: PG_slab, and PG_head when it has several. */
const SLAB_FLAG = 1n << 9n
const HEAD_FLAG = 1n << 16n

/**
 * An object, zeroed unless the cache has a constructor or is SLAB_TYPESAFE_BY_RCU (then with what the last owner left).
 * @returns its address
 * @see mm/slub.c:slab_alloc_node
 */
export function kmem_cache_alloc(k: Kernel, cache: kmem_cache): Va {
  const state = cacheState(k, cache)
  const object = state.pins.length > 0 ? takePin(k, state) : undefined
  const va = object ?? popFreelist(k, state)
  if (state.zeroOnAlloc) k.mem.fill(va, 0, state.objectSize)
  return va
}

/** As {@link kmem_cache_alloc} with `__GFP_ZERO`. */
export function kmem_cache_zalloc(k: Kernel, cache: kmem_cache): Va {
  const va = kmem_cache_alloc(k, cache)
  const state = cacheState(k, cache)
  if (!state.zeroOnAlloc) k.mem.fill(va, 0, state.objectSize)
  return va
}

/** @see mm/slub.c:kmem_cache_free */
export function kmem_cache_free(k: Kernel, cache: kmem_cache, va: Va): void {
  const state = cacheState(k, cache)
  const slabRef = slab_of(k, va)
  const cpu = cpuSlab(k, state)
  if (state.frozen[k.cpu.id] === slabRef.$va) {
    set_freepointer(k, state, va, cpu.freelist)
    writeFreelist(k, cpu, va)
    return
  }
  const first = k.mem.pointer(slabRef.$vaOf('freelist'))
  const inuse = slabRef.inuse - 1
  set_freepointer(k, state, va, first)
  k.mem.setPointer(slabRef.$vaOf('freelist'), va)
  slabRef.inuse = inuse
  if (slabRef.frozen === 1) return // another CPU's: it takes the list over when its own runs dry
  const node = state.node
  if (inuse === 0 && (node.nr_partial >= 5n || slabRef.objects === 1)) {
    if (first !== 0) removePartial(k, state, slabRef)
    discardSlab(k, state, slabRef)
  } else if (first === 0) {
    list_add(k.mem, slabRef.slab_list.$va, node.partial.$va)
    node.nr_partial = node.nr_partial + 1n
    state.partial.push(slabRef.$va)
  }
}

/** The slab an object lies in. @see mm/slab.h:virt_to_slab */
export function slab_of(k: Kernel, va: Va): slab {
  const pfn = virt_to_pfn(k, va)
  const page = pfn_to_page(k, pfn)
  const head = page.compound_head
  if ((head & 1n) === 0n) return k.ref('slab', page.$va)
  return k.ref('slab', head - 1n)
}

function popFreelist(k: Kernel, state: CacheState): Va {
  const cpu = cpuSlab(k, state)
  let object = cpu.freelist
  if (object === 0) object = refill(k, state)
  writeFreelist(k, cpu, get_freepointer(k, state, object))
  return object
}

interface CpuSlab {
  readonly ref: kmem_cache_cpu
  readonly freelistVa: Va
  readonly freelist: Va
}

function cpuSlab(k: Kernel, state: CacheState): CpuSlab {
  const ref = state.cpus[k.cpu.id] as kmem_cache_cpu
  return { ref, freelistVa: ref.$va, freelist: k.mem.pointer(ref.$va) }
}

function writeFreelist(k: Kernel, cpu: CpuSlab, object: Va): void {
  k.mem.setPointer(cpu.freelistVa, object)
}

/** The CPU's list is empty: take what others freed into its slab, a partial slab, or a new one. @see mm/slub.c:___slab_alloc */
function refill(k: Kernel, state: CacheState): Va {
  const cpu = state.cpus[k.cpu.id] as kmem_cache_cpu
  const frozen = state.frozen[k.cpu.id]
  if (frozen !== undefined) {
    const current = k.ref('slab', frozen)
    const freed = k.mem.pointer(current.$vaOf('freelist'))
    if (freed !== 0) {
      k.mem.setPointer(current.$vaOf('freelist'), 0)
      current.inuse = current.objects
      return freed
    }
    current.frozen = 0 // full: on no list until something in it is freed
  }
  const partial = state.partial.pop()
  const next = partial === undefined ? newSlab(k, state) : k.ref('slab', partial)
  if (partial !== undefined) {
    list_del(k.mem, next.slab_list.$va)
    state.node.nr_partial = state.node.nr_partial - 1n
  }
  const freelist = k.mem.pointer(next.$vaOf('freelist'))
  k.mem.setPointer(next.$vaOf('freelist'), 0)
  next.inuse = next.objects
  next.frozen = 1
  cpu.slab = next
  state.frozen[k.cpu.id] = next.$va
  return freelist
}

/** A slab from the page allocator, its objects chained in random order. @see mm/slub.c:allocate_slab, shuffle_freelist */
function newSlab(k: Kernel, state: CacheState): slab {
  const pfn = alloc_pages(k, state.order)
  const ref = markSlab(k, state, pfn, state.order, state.objects)
  const start = page_address(k, pfn)
  const order = k.random.permutation(state.objects)
  const first = start + (order[0] as number) * state.size
  for (let i = 0; i < order.length; i++) {
    const object = start + (order[i] as number) * state.size
    const next = i + 1 < order.length ? start + (order[i + 1] as number) * state.size : 0
    state.ctor?.(k, object)
    set_freepointer(k, state, object, next)
  }
  k.mem.setPointer(ref.$vaOf('freelist'), first)
  return ref
}

function markSlab(k: Kernel, state: CacheState, pfn: number, order: number, objects: number): slab {
  const page = pfn_to_page(k, pfn)
  const ref = k.ref('slab', page.$va)
  ref.__page_flags = ref.__page_flags | SLAB_FLAG | (order > 0 ? HEAD_FLAG : 0n)
  ref.slab_cache = state.cache
  ref.inuse = 0
  ref.objects = objects
  ref.frozen = 0
  for (let i = 1; i < 1 << order; i++) pfn_to_page(k, pfn + i).compound_head = page.$addr | 1n
  const node = state.node
  k.mem.setWord(node.$vaOf('nr_slabs'), k.mem.word(node.$vaOf('nr_slabs')) + 1n)
  k.mem.setWord(node.$vaOf('total_objects'), k.mem.word(node.$vaOf('total_objects')) + BigInt(objects))
  state.slabOrder.set(pfn, order)
  return ref
}

function discardSlab(k: Kernel, state: CacheState, ref: slab): void {
  const pfn = page_to_pfn(k, ref)
  const order = state.slabOrder.get(pfn)
  invariant(order !== undefined, 'a slab of unknown order')
  const node = state.node
  k.mem.setWord(node.$vaOf('nr_slabs'), k.mem.word(node.$vaOf('nr_slabs')) - 1n)
  const objects = BigInt(ref.objects)
  k.mem.setWord(node.$vaOf('total_objects'), k.mem.word(node.$vaOf('total_objects')) - objects)
  for (let i = 1; i < 1 << order; i++) pfn_to_page(k, pfn + i).compound_head = 0n
  state.slabOrder.delete(pfn)
  free_pages(k, pfn, order)
}

function removePartial(k: Kernel, state: CacheState, ref: slab): void {
  const at = state.partial.indexOf(ref.$va)
  if (at < 0) return
  state.partial.splice(at, 1)
  list_del(k.mem, ref.slab_list.$va)
  state.node.nr_partial = state.node.nr_partial - 1n
}

/** `*(obj + s->offset) = ptr ^ s->random ^ swab(address)` @see mm/slub.c:freelist_ptr */
function set_freepointer(k: Kernel, state: CacheState, object: Va, next: Va): void {
  const at = object + state.offset
  if (k.mem.wordSize === 4) {
    k.mem.setU32(at, (next ^ state.randomLow ^ swab32(at >>> 0)) >>> 0)
    return
  }
  const atHigh = Math.floor(at / TWO_32)
  const nextHigh = Math.floor(next / TWO_32)
  const low = (next - nextHigh * TWO_32) ^ state.randomLow ^ swab32(atHigh >>> 0)
  const high = nextHigh ^ state.randomHigh ^ swab32((at - atHigh * TWO_32) >>> 0)
  k.mem.setHalves(at, low, high)
}

function get_freepointer(k: Kernel, state: CacheState, object: Va): Va {
  const at = object + state.offset
  if (k.mem.wordSize === 4) return (k.mem.u32(at) ^ state.randomLow ^ swab32(at >>> 0)) >>> 0
  const atHigh = Math.floor(at / TWO_32)
  const low = (k.mem.u32(at) ^ state.randomLow ^ swab32(atHigh >>> 0)) >>> 0
  const high = (k.mem.u32(at + 4) ^ state.randomHigh ^ swab32((at - atHigh * TWO_32) >>> 0)) >>> 0
  const next = vaOfHalves(low, high)
  if (Number.isNaN(next))
    throw new InvariantError(`${state.name}: the free list is damaged at ${at.toString(16)}`)
  return next
}

/** The scenario pinned the next object of this kind: a slab of its own was laid around the address. */
function takePin(k: Kernel, state: CacheState): Va | undefined {
  const index = state.pins.findIndex(
    ({ within, armed }) =>
      armed && (within === undefined || k.thread.frames.some(({ name }) => name === within)),
  )
  if (index < 0) return undefined
  const [pin] = state.pins.splice(index, 1) as [CacheState['pins'][number]]
  const ref = markSlab(k, state, pin.pfn, pin.order, 1)
  ref.inuse = 1
  state.ctor?.(k, pin.va)
  return pin.va
}

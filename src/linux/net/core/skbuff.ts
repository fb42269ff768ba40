/**
 * Socket buffers: a head that says where a packet's headers are, and the memory the packet lies in.
 *
 * @see net/core/skbuff.c, include/linux/skbuff.h
 */

import type { Va } from '../../../base/addr.ts'
import { InvariantError } from '../../../base/errors.ts'
import type {
  dst_entry,
  iphdr,
  net_device,
  sk_buff,
  sk_buff_head,
  skb_shared_info,
} from '../../../btf/vmlinux.ts'
import { kfunc } from '../../kfunc.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfree, kmalloc, ksize } from '../../mm/slab.ts'
import { kmem_cache_create, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../../mm/slub.ts'
import { dst_release } from './dst.ts'

/** Room before the data, kept for headers pushed later. @see include/linux/skbuff.h:NET_SKB_PAD */
export const NET_SKB_PAD = 64
/** `skb.fclone` */
const SKB_FCLONE_UNAVAILABLE = 0
const SKB_FCLONE_ORIG = 1
const SKB_FCLONE_CLONE = 2
/** A header offset that is not set. */
const UNSET = 0xffff
const SKB_DST_NOREF = 1n

const SMP_CACHE_BYTES = 64
/** @see include/linux/skbuff.h:SKB_DATA_ALIGN */
export const SKB_DATA_ALIGN = (size: number): number => Math.ceil(size / SMP_CACHE_BYTES) * SMP_CACHE_BYTES

const layout = perKernel((k) => ({
  head: k.types.sizeof('sk_buff'),
  shared: SKB_DATA_ALIGN(k.types.sizeof('skb_shared_info')),
  cacheTail: k.types.offsetof('sk_buff', 'tail'),
  copyStart: k.types.offsetof('sk_buff', 'headers'),
  copyEnd: k.types.offsetof('sk_buff', 'tail'),
}))

const caches = perKernel((k) => ({
  head: kmem_cache_create(k, 'skbuff_head_cache', k.types.sizeof('sk_buff'), {
    flags: SLAB_HWCACHE_ALIGN | SLAB_PANIC,
  }),
  fclone: kmem_cache_create(k, 'skbuff_fclone_cache', k.types.sizeof('sk_buff_fclones'), {
    flags: SLAB_HWCACHE_ALIGN | SLAB_PANIC,
  }),
}))

/** @see net/core/skbuff.c:skb_init */
export function skb_init(k: Kernel): void {
  const { head, fclone } = caches(k)
  const set = (name: string, cache: { readonly $va: Va }): void => {
    const at = k.symbols.get(name)
    if (at !== undefined) k.mem.setPointer(Number(BigInt.asIntN(64, at)), cache.$va)
  }
  set('skbuff_head_cache', head)
  set('skbuff_fclone_cache', fclone)
}

/** Bytes a buffer of `size` is accounted for. @see include/linux/skbuff.h:SKB_TRUESIZE */
export const SKB_TRUESIZE = (k: Kernel, size: number): number =>
  size + SKB_DATA_ALIGN(layout(k).head) + layout(k).shared

/** `skb_end_pointer(skb)`: the shared info begins where the data ends. */
export const skb_shinfo = (k: Kernel, skb: sk_buff): skb_shared_info =>
  k.ref('skb_shared_info', headOf(k, skb) + skb_end_offset(k, skb))

const headOf = (k: Kernel, skb: sk_buff): Va => k.mem.pointer(skb.$vaOf('head'))

/** `tail` and `end` are offsets from the head, and pointers on 32 bits: NET_SKBUFF_DATA_USES_OFFSET. */
const offsetOf = (k: Kernel, skb: sk_buff, member: 'tail' | 'end'): number =>
  Number(skb[member]) - (k.mem.wordSize === 8 ? 0 : headOf(k, skb))

const setOffset = (k: Kernel, skb: sk_buff, member: 'tail' | 'end', offset: number): void =>
  void (skb[member] = offset + (k.mem.wordSize === 8 ? 0 : headOf(k, skb)))

const skb_end_offset = (k: Kernel, skb: sk_buff): number => offsetOf(k, skb, 'end')
/** `skb->data` as an address. */
export const skb_data = (k: Kernel, skb: sk_buff): Va => k.mem.pointer(skb.$vaOf('data'))

/**
 * @param size   bytes of data, headers included
 * @param fclone allocate room for a clone beside the head, as TCP does for what it may retransmit
 * @see net/core/skbuff.c:__alloc_skb
 */
export const __alloc_skb = kfunc(
  'net/core/skbuff.c',
  function __alloc_skb(k: Kernel, size: number, fclone: boolean): sk_buff {
    const { shared, cacheTail } = layout(k)
    const skb = k.ref('sk_buff', kmem_cache_alloc(k, fclone ? caches(k).fclone : caches(k).head))
    const osize = ksize(SKB_DATA_ALIGN(size) + shared)
    const data = kmalloc(k, osize)
    const usable = osize - shared
    k.mem.fill(skb.$va, 0, cacheTail)
    skb.truesize = SKB_TRUESIZE(k, usable)
    skb.users.refs.counter = 1
    k.mem.setPointer(skb.$vaOf('head'), data)
    k.mem.setPointer(skb.$vaOf('data'), data)
    setOffset(k, skb, 'tail', 0)
    setOffset(k, skb, 'end', usable)
    skb.mac_header = UNSET
    skb.transport_header = UNSET
    skb.alloc_cpu = k.cpu.id
    skb_shinfo(k, skb).dataref.counter = 1
    if (fclone) {
      skb.fclone = SKB_FCLONE_ORIG
      k.ref('sk_buff_fclones', skb).fclone_ref.refs.counter = 1
    }
    return skb
  },
)

/** @param size bytes of data, headers included */
export const alloc_skb = (k: Kernel, size: number): sk_buff => __alloc_skb(k, size, false)
export const alloc_skb_fclone = (k: Kernel, size: number): sk_buff => __alloc_skb(k, size, true)

/** A buffer for a received frame: padded so that headers are aligned. @see net/core/skbuff.c:__netdev_alloc_skb */
export const __netdev_alloc_skb = kfunc(
  'net/core/skbuff.c',
  function __netdev_alloc_skb(k: Kernel, dev: net_device, length: number): sk_buff {
    const skb = __alloc_skb(k, length + NET_SKB_PAD, false)
    skb_reserve(k, skb, NET_SKB_PAD)
    skb.dev = dev
    return skb
  },
)

/** Leave room at the head of an empty buffer. */
export function skb_reserve(k: Kernel, skb: sk_buff, len: number): void {
  k.mem.setPointer(skb.$vaOf('data'), skb_data(k, skb) + len)
  skb.tail = Number(skb.tail) + len
}

/** Extend the data at its tail. @returns the address of the new bytes */
export function skb_put(k: Kernel, skb: sk_buff, len: number): Va {
  const tail = offsetOf(k, skb, 'tail')
  if (tail + len > skb_end_offset(k, skb)) throw new InvariantError('skb_over_panic')
  setOffset(k, skb, 'tail', tail + len)
  skb.len = skb.len + len
  return headOf(k, skb) + tail
}

/** Extend the data at its head. @returns the new start of the data */
export function skb_push(k: Kernel, skb: sk_buff, len: number): Va {
  const data = skb_data(k, skb) - len
  if (data < headOf(k, skb)) throw new InvariantError('skb_under_panic')
  k.mem.setPointer(skb.$vaOf('data'), data)
  skb.len = skb.len + len
  return data
}

/** Drop bytes from the head of the data. @returns the new start */
export function skb_pull(k: Kernel, skb: sk_buff, len: number): Va {
  const data = skb_data(k, skb) + len
  skb.len = skb.len - len
  k.mem.setPointer(skb.$vaOf('data'), data)
  return data
}

/** Cut the data to `len` bytes. @see include/linux/skbuff.h:__skb_trim */
export function skb_trim(k: Kernel, skb: sk_buff, len: number): void {
  if (skb.len <= len) return
  skb.len = len
  setOffset(k, skb, 'tail', skb_data(k, skb) - headOf(k, skb) + len)
}

export const skb_headroom = (k: Kernel, skb: sk_buff): number => skb_data(k, skb) - headOf(k, skb)
export const skb_tailroom = (_k: Kernel, skb: sk_buff): number => Number(skb.end) - Number(skb.tail)
/** Bytes in the linear part. */
export const skb_headlen = (skb: sk_buff): number => skb.len - skb.data_len

export const skb_reset_mac_header = (k: Kernel, skb: sk_buff): void =>
  void (skb.mac_header = skb_headroom(k, skb))
export const skb_reset_network_header = (k: Kernel, skb: sk_buff): void =>
  void (skb.network_header = skb_headroom(k, skb))
export const skb_reset_transport_header = (k: Kernel, skb: sk_buff): void =>
  void (skb.transport_header = skb_headroom(k, skb))
export const skb_mac_header = (k: Kernel, skb: sk_buff): Va => headOf(k, skb) + skb.mac_header
export const skb_network_header = (k: Kernel, skb: sk_buff): Va => headOf(k, skb) + skb.network_header
export const skb_transport_header = (k: Kernel, skb: sk_buff): Va => headOf(k, skb) + skb.transport_header
export const ip_hdr = (k: Kernel, skb: sk_buff): iphdr => k.ref('iphdr', skb_network_header(k, skb))

/** @see include/linux/skbuff.h:skb_dst */
export function skb_dst(k: Kernel, skb: sk_buff): dst_entry | null {
  const value = skb._skb_refdst & ~SKB_DST_NOREF
  return value === 0n ? null : k.ref('dst_entry', value)
}
/** Give the buffer a reference the caller holds. */
export const skb_dst_set = (skb: sk_buff, dst: dst_entry): void => void (skb._skb_refdst = dst.$addr)
/** Lend the buffer a route without a reference: for the time of one softirq. */
export const skb_dst_set_noref = (skb: sk_buff, dst: dst_entry): void =>
  void (skb._skb_refdst = dst.$addr | SKB_DST_NOREF)
export const skb_dst_is_noref = (skb: sk_buff): boolean => (skb._skb_refdst & SKB_DST_NOREF) !== 0n

/** Give the route back. @see include/linux/skbuff.h:skb_dst_drop */
export function skb_dst_drop(k: Kernel, skb: sk_buff): void {
  if (skb._skb_refdst === 0n) return
  if (!skb_dst_is_noref(skb)) dst_release(k, skb_dst(k, skb))
  skb._skb_refdst = 0n
}

/** Let the destructor run: the buffer no longer belongs to its socket. @see include/linux/skbuff.h:skb_orphan */
export function skb_orphan(k: Kernel, skb: sk_buff): void {
  const { destructor } = skb
  if (destructor === 0n) return
  k.indirect<(k: Kernel, skb: sk_buff) => void>(destructor)(k, skb)
  skb.destructor = 0n
  skb.sk = null
}

/** A second head for the same data. @see net/core/skbuff.c:skb_clone */
export const skb_clone = kfunc('net/core/skbuff.c', function skb_clone(k: Kernel, skb: sk_buff): sk_buff {
  let n: sk_buff
  const fclones = skb.fclone === SKB_FCLONE_ORIG ? k.ref('sk_buff_fclones', skb) : undefined
  if (fclones !== undefined && fclones.fclone_ref.refs.counter === 1) {
    n = fclones.skb2
    fclones.fclone_ref.refs.counter = 2
    k.mem.fill(n.$va, 0, n.$size)
    copyHead(k, n, skb)
    n.fclone = SKB_FCLONE_CLONE
  } else {
    n = k.ref('sk_buff', kmem_cache_alloc(k, caches(k).head))
    copyHead(k, n, skb)
    n.fclone = SKB_FCLONE_UNAVAILABLE
  }
  n.cloned = 1
  n.nohdr = 0
  n.destructor = 0n
  n.sk = null
  n.users.refs.counter = 1
  skb.cloned = 1
  const shared = skb_shinfo(k, skb)
  shared.dataref.counter = shared.dataref.counter + 1
  return n
})

/** @see net/core/skbuff.c:__copy_skb_header, __skb_clone */
function copyHead(k: Kernel, to: sk_buff, from: sk_buff): void {
  k.mem.copy(to.$va, from.$va, from.$size)
  to.next = null
  to.prev = null
  const dst = skb_dst(k, from)
  if (dst !== null && !skb_dst_is_noref(from)) dst.__refcnt.counter = dst.__refcnt.counter + 1
}

export const skb_cloned = (k: Kernel, skb: sk_buff): boolean =>
  skb.cloned === 1 && (skb_shinfo(k, skb).dataref.counter & 0xffff) !== 1

/** A copy with data of its own. @see net/core/skbuff.c:skb_copy */
export const skb_copy = kfunc('net/core/skbuff.c', function skb_copy(k: Kernel, skb: sk_buff): sk_buff {
  const headroom = skb_headroom(k, skb)
  const n = __alloc_skb(k, skb_end_offset(k, skb), false)
  skb_reserve(k, n, headroom)
  skb_put(k, n, skb.len)
  k.mem.copy(headOf(k, n), headOf(k, skb), headroom + skb.len)
  const { copyStart, copyEnd } = layout(k)
  k.mem.copy(n.$va + copyStart, skb.$va + copyStart, copyEnd - copyStart)
  k.mem.copy(n.$vaOf('cb'), skb.$vaOf('cb'), 48)
  n.dev = skb.dev
  n.cloned = 0
  n.fclone = SKB_FCLONE_UNAVAILABLE
  return n
})

/** Drop a reference; the last one frees head and data. @see net/core/skbuff.c:consume_skb */
export const consume_skb = kfunc(
  'net/core/skbuff.c',
  function consume_skb(k: Kernel, skb: sk_buff | null): void {
    if (skb !== null && unref(skb)) __kfree_skb(k, skb)
  },
)

/** As {@link consume_skb}, for a packet that is being dropped. */
export const kfree_skb_reason = kfunc(
  'net/core/skbuff.c',
  function kfree_skb_reason(k: Kernel, skb: sk_buff | null): void {
    if (skb !== null && unref(skb)) __kfree_skb(k, skb)
  },
)
export const kfree_skb = (k: Kernel, skb: sk_buff | null): void => kfree_skb_reason(k, skb)

function unref(skb: sk_buff): boolean {
  const left = skb.users.refs.counter - 1
  skb.users.refs.counter = left
  return left === 0
}

/** @see net/core/skbuff.c:__kfree_skb */
export const __kfree_skb = kfunc('net/core/skbuff.c', function __kfree_skb(k: Kernel, skb: sk_buff): void {
  skb_dst_drop(k, skb)
  const { destructor } = skb
  if (destructor !== 0n) k.indirect<(k: Kernel, skb: sk_buff) => void>(destructor)(k, skb)
  skb_release_data(k, skb)
  kfree_skbmem(k, skb)
})

function skb_release_data(k: Kernel, skb: sk_buff): void {
  const shared = skb_shinfo(k, skb)
  const left = shared.dataref.counter - (skb.nohdr === 1 ? 0x10001 : 1)
  shared.dataref.counter = left
  if (left === 0) kfree(k, headOf(k, skb))
}

/** A head goes back to its cache; one of a pair only when its twin is gone too. @see net/core/skbuff.c:kfree_skbmem */
const kfree_skbmem = kfunc('net/core/skbuff.c', function kfree_skbmem(k: Kernel, skb: sk_buff): void {
  if (skb.fclone === SKB_FCLONE_UNAVAILABLE) {
    kmem_cache_free(k, caches(k).head, skb.$va)
    return
  }
  const orig =
    skb.fclone === SKB_FCLONE_ORIG ? skb.$va : skb.$va - k.types.offsetof('sk_buff_fclones', 'skb2')
  const pair = k.ref('sk_buff_fclones', orig)
  const left = pair.fclone_ref.refs.counter - 1
  pair.fclone_ref.refs.counter = left
  if (left === 0) kmem_cache_free(k, caches(k).fclone, orig)
})

// ---- queues of buffers -------------------------------------------------------------------------------------

export function skb_queue_head_init(list: sk_buff_head): void {
  const self = list.$cast<sk_buff>('sk_buff')
  list.next = self
  list.prev = self
  list.qlen = 0
}
export const skb_queue_empty = (k: Kernel, list: sk_buff_head): boolean =>
  k.mem.pointer(list.$va) === list.$va
/** The first buffer; null when the queue is empty. */
export const skb_peek = (k: Kernel, list: sk_buff_head): sk_buff | null => neighbour(k, list, list.$va)
export const skb_peek_tail = (k: Kernel, list: sk_buff_head): sk_buff | null =>
  neighbour(k, list, list.$va + k.mem.wordSize)
/** The buffer after `skb`; null at the end of the queue. */
export const skb_queue_next = (k: Kernel, list: sk_buff_head, skb: sk_buff): sk_buff | null =>
  neighbour(k, list, skb.$va)

function neighbour(k: Kernel, list: sk_buff_head, link: Va): sk_buff | null {
  const va = k.mem.pointer(link)
  return va === list.$va || va === 0 ? null : k.ref('sk_buff', va)
}

/** @see include/linux/skbuff.h:__skb_insert */
function insert(k: Kernel, skb: sk_buff, prev: Va, next: Va, list: sk_buff_head): void {
  const word = k.mem.wordSize
  k.mem.setPointer(skb.$va, next)
  k.mem.setPointer(skb.$va + word, prev)
  k.mem.setPointer(next + word, skb.$va)
  k.mem.setPointer(prev, skb.$va)
  list.qlen = list.qlen + 1
}
export const __skb_queue_tail = (k: Kernel, list: sk_buff_head, skb: sk_buff): void =>
  insert(k, skb, k.mem.pointer(list.$va + k.mem.wordSize), list.$va, list)
export const __skb_queue_head = (k: Kernel, list: sk_buff_head, skb: sk_buff): void =>
  insert(k, skb, list.$va, k.mem.pointer(list.$va), list)
export const __skb_queue_after = (k: Kernel, list: sk_buff_head, prev: sk_buff, skb: sk_buff): void =>
  insert(k, skb, prev.$va, k.mem.pointer(prev.$va), list)

/** @see include/linux/skbuff.h:__skb_unlink */
export function __skb_unlink(k: Kernel, skb: sk_buff, list: sk_buff_head): void {
  const word = k.mem.wordSize
  const next = k.mem.pointer(skb.$va)
  const prev = k.mem.pointer(skb.$va + word)
  list.qlen = list.qlen - 1
  k.mem.setPointer(skb.$va, 0)
  k.mem.setPointer(skb.$va + word, 0)
  k.mem.setPointer(next + word, prev)
  k.mem.setPointer(prev, next)
}

export function __skb_dequeue(k: Kernel, list: sk_buff_head): sk_buff | null {
  const skb = skb_peek(k, list)
  if (skb !== null) __skb_unlink(k, skb, list)
  return skb
}

/** Free everything queued. @see include/linux/skbuff.h:__skb_queue_purge */
export function __skb_queue_purge(k: Kernel, list: sk_buff_head): void {
  for (let skb = __skb_dequeue(k, list); skb !== null; skb = __skb_dequeue(k, list)) kfree_skb(k, skb)
}

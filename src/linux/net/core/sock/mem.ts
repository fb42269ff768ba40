/** What a socket's packets cost: bytes charged to the sock, pages charged to the protocol. */

import type { sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { PAGE_SIZE } from '../../../../abi/page.ts'
import { SK_MEM_RECV, SK_MEM_SEND, SOCK_USE_WRITE_QUEUE } from '../../../../abi/sock.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { atomic_add, refcount_add, refcount_sub_and_test } from '../../../lib/refcount.ts'
import { sk_prot, sk_rmem_alloc_get, sock_flag } from '../../../include/net/sock.ts'
import { __sk_free_last } from './alloc.ts'
import { sk_write_space } from './init.ts'

const FILE = 'net/core/sock.c'

/** Whole pages that `bytes` need. @see include/net/sock.h:sk_mem_pages */
export const sk_mem_pages = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE)

const sk_has_account = (sk: sock): boolean => sk_prot(sk).memory_allocated !== null

/** Pages this processor keeps ready before it touches the protocol's counter. @see include/net/sock.h:SK_MEMORY_PCPU_RESERVE */
function memoryAllocatedAdd(k: Kernel, sk: sock, pages: number): void {
  const perCpu = sk_prot(sk).per_cpu_fw_alloc
  if (perCpu === 0n) return
  const at = k.per_cpu_offset(k.cpu.id) + Number(perCpu)
  k.mem.setU32(at, (k.mem.u32(at) + pages) >>> 0)
}

/** May the sock hold `amt` pages more? @see net/core/sock.c:__sk_mem_raise_allocated */
export const __sk_mem_raise_allocated = kfunc(
  FILE,
  function __sk_mem_raise_allocated(k, sk: sock, size: number, amt: number, kind: number): boolean {
    memoryAllocatedAdd(k, sk, amt)
    if (kind === SK_MEM_RECV) {
      if (sk_rmem_alloc_get(sk) < sk.sk_rcvbuf) return true
    } else if (sk.sk_wmem_queued + size < sk.sk_sndbuf) return true
    // under the protocol's first limit nobody is refused
    return true
  },
)

/** Charge pages ahead of the bytes that need them. @see net/core/sock.c:__sk_mem_schedule */
export const __sk_mem_schedule = kfunc(
  FILE,
  function __sk_mem_schedule(k, sk: sock, size: number, kind: number): boolean {
    const amt = sk_mem_pages(size)
    sk.sk_forward_alloc = sk.sk_forward_alloc + amt * PAGE_SIZE
    const ok = __sk_mem_raise_allocated(k, sk, size, amt, kind)
    if (!ok) sk.sk_forward_alloc = sk.sk_forward_alloc - amt * PAGE_SIZE
    return ok
  },
)

/** @param amount pages @see net/core/sock.c:__sk_mem_reduce_allocated */
export const __sk_mem_reduce_allocated = kfunc(
  FILE,
  function __sk_mem_reduce_allocated(k, sk: sock, amount: number): void {
    memoryAllocatedAdd(k, sk, -amount)
  },
)

/** Give whole pages back. @see net/core/sock.c:__sk_mem_reclaim */
export const __sk_mem_reclaim = kfunc(FILE, function __sk_mem_reclaim(k, sk: sock, amount: number): void {
  const pages = Math.floor(amount / PAGE_SIZE)
  sk.sk_forward_alloc = sk.sk_forward_alloc - pages * PAGE_SIZE
  memoryAllocatedAdd(k, sk, -pages)
})

export function sk_wmem_schedule(k: Kernel, sk: sock, size: number): boolean {
  if (!sk_has_account(sk)) return true
  const delta = size - sk.sk_forward_alloc
  return delta <= 0 || __sk_mem_schedule(k, sk, delta, SK_MEM_SEND)
}

export function sk_rmem_schedule(k: Kernel, sk: sock, size: number): boolean {
  if (!sk_has_account(sk)) return true
  const delta = size - sk.sk_forward_alloc
  return delta <= 0 || __sk_mem_schedule(k, sk, delta, SK_MEM_RECV)
}

export function sk_mem_reclaim(k: Kernel, sk: sock): void {
  if (!sk_has_account(sk)) return
  const reclaimable = sk.sk_forward_alloc - sk.sk_reserved_mem
  if (reclaimable >= PAGE_SIZE) __sk_mem_reclaim(k, sk, reclaimable)
}

/** At the end of a sock: nothing is kept back. */
export const sk_mem_reclaim_final = (k: Kernel, sk: sock): void => {
  sk.sk_reserved_mem = 0
  sk_mem_reclaim(k, sk)
}

export function sk_mem_charge(sk: sock, size: number): void {
  if (sk_has_account(sk)) sk.sk_forward_alloc = sk.sk_forward_alloc - size
}

export function sk_mem_uncharge(k: Kernel, sk: sock, size: number): void {
  if (!sk_has_account(sk)) return
  sk.sk_forward_alloc = sk.sk_forward_alloc + size
  sk_mem_reclaim(k, sk)
}

export function sk_wmem_queued_add(sk: sock, n: number): void {
  sk.sk_wmem_queued = sk.sk_wmem_queued + n
}

export const sk_wmem_free_skb = (k: Kernel, sk: sock, skb: sk_buff): void => {
  sk_wmem_queued_add(sk, -skb.truesize)
  sk_mem_uncharge(k, sk, skb.truesize)
}

/** A received packet is the sock's now. @see net/core/sock.c:skb_set_owner_r */
export function skb_set_owner_r(k: Kernel, skb: sk_buff, sk: sock): void {
  skb.sk = sk
  skb.destructor = k.text(sock_rfree)
  atomic_add(skb.truesize, sk.sk_backlog.rmem_alloc)
  sk_mem_charge(sk, skb.truesize)
}

/** A packet on its way out counts until the device is done with it. @see net/core/sock.c:skb_set_owner_w */
export function skb_set_owner_w(k: Kernel, skb: sk_buff, sk: sock): void {
  skb.sk = sk
  skb.destructor = k.text(sock_wfree)
  skb.hash = sk.sk_txhash
  refcount_add(skb.truesize, sk.sk_wmem_alloc)
}

/** The received packet is gone. */
export const sock_rfree = kfunc(FILE, function sock_rfree(k, skb: sk_buff): void {
  const sk = skb.sk
  if (sk === null) return
  const len = skb.truesize
  atomic_add(-len, sk.sk_backlog.rmem_alloc)
  sk_mem_uncharge(k, sk, len)
})

/** The sent packet is gone; wake writers when there is room again. */
export const sock_wfree = kfunc(FILE, function sock_wfree(k, skb: sk_buff): void {
  const sk = skb.sk
  if (sk === null) return
  let len = skb.truesize
  if (!sock_flag(sk, SOCK_USE_WRITE_QUEUE)) {
    refcount_sub_and_test(len - 1, sk.sk_wmem_alloc)
    sk_write_space(k, sk)
    len = 1
  }
  if (refcount_sub_and_test(len, sk.sk_wmem_alloc)) __sk_free_last(k, sk)
})

/** As {@link sock_wfree}, for TCP's pure ACKs and resets, which nobody waits for. */
export const __sock_wfree = kfunc(FILE, function __sock_wfree(k, skb: sk_buff): void {
  const sk = skb.sk
  if (sk !== null && refcount_sub_and_test(skb.truesize, sk.sk_wmem_alloc)) __sk_free_last(k, sk)
})

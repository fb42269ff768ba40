/** Birth and death of a `struct sock`: allocation, the clone an incoming connection becomes, release of memory. */

import type { Va } from '../../../../base/addr.ts'
import type { kmem_cache, net, proto, sock } from '../../../../btf/vmlinux.ts'
import { SOCK_BINDPORT_LOCK, SOCK_DONE } from '../../../../abi/sock.ts'
import { SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, kmem_cache_create } from '../../../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../../../mm/slub.ts'
import { kfree, kmalloc } from '../../../mm/slab.ts'
import { list_add } from '../../../../structures/list.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { deref } from '../../../deref.ts'
import { init_waitqueue_head } from '../../../kernel/sched/wait.ts'
import {
  refcount_dec_and_test,
  refcount_inc,
  refcount_set,
  refcount_sub_and_test,
  atomic_set,
} from '../../../lib/refcount.ts'
import {
  sk_node_init,
  sk_prot,
  sk_set_socket,
  sk_tx_queue_clear,
  sock_orphan,
  sock_put_testzero,
  sock_reset_flag,
} from '../../../include/net/sock.ts'
import { skb_queue_head_init } from '../skbuff.ts'
import { to_sock } from '../../../include/net/casts.ts'
import { security_sk_alloc, security_sk_clone, security_sk_free } from '../../../security/security.ts'

const FILE = 'net/core/sock.c'

/**
 * The cache of a protocol's socks, named as the protocol is.
 *
 * @param prot `struct proto *` with name, obj_size and slab_flags set
 * @see net/core/sock.c:proto_register
 */
export function proto_register(k: Kernel, prot: proto): void {
  prot.slab = kmem_cache_create(k, prot.name.$string(), prot.obj_size, {
    flags: SLAB_HWCACHE_ALIGN | SLAB_ACCOUNT | prot.slab_flags,
  })
  list_add(k.mem, prot.node.$va, k.global('proto_list', 'list_head').$va)
}

/**
 * Memory for a sock. What an earlier sock left stays in a SLAB_TYPESAFE_BY_RCU object, so it is cleared here but
 * for the hash link, which a lockless reader may be following.
 */
export const sk_prot_alloc = kfunc(
  FILE,
  function sk_prot_alloc(k, prot: proto, zero: boolean, family: number): sock {
    const slab = prot.slab
    const size = prot.obj_size
    const sk = to_sock(k, slab === null ? kmalloc(k, size) : kmem_cache_alloc(k, slab))
    if (slab !== null && zero) sk_prot_clear_nulls(k, sk, size)
    security_sk_alloc(k, sk, family)
    sk_tx_queue_clear(sk)
    return sk
  },
)

function sk_prot_clear_nulls(k: Kernel, sk: sock, size: number): void {
  const next = sk.$offsetof('sk_node')
  const pprev = next + k.mem.wordSize
  k.mem.fill(sk.$va, 0, next)
  k.mem.fill(sk.$va + pprev, 0, size - pprev)
}

function sk_prot_free(k: Kernel, prot: proto, sk: sock): void {
  security_sk_free(k, sk)
  const slab: kmem_cache | null = prot.slab
  if (slab === null) kfree(k, sk)
  else kmem_cache_free(k, slab, sk.$va)
}

/**
 * A new sock, everything zero but what names its protocol and network.
 *
 * @param net    `struct net *`
 * @param family AF_…
 * @param prot   `struct proto *`
 * @param kern   the kernel's own socket: it does not hold the network
 * @see net/core/sock.c:sk_alloc
 */
export const sk_alloc = kfunc(
  FILE,
  function sk_alloc(k, net: net, family: number, prot: proto, kern: boolean): sock {
    const sk = sk_prot_alloc(k, prot, true, family)
    sk.sk_family = family
    sk.sk_prot = prot
    sk.sk_prot_creator = prot
    sk.sk_kern_sock = kern ? 1 : 0
    sock_lock_init(k, sk)
    sk.sk_net_refcnt = kern ? 0 : 1
    if (!kern) refcount_inc(net.ns.count)
    sk.sk_net = net
    refcount_set(sk.sk_wmem_alloc, 1)
    cgroup_sk_alloc(k, sk)
    sk_tx_queue_clear(sk)
    return sk
  },
)

export function sock_lock_init(k: Kernel, sk: sock): void {
  sk.sk_lock.owned = 0
  init_waitqueue_head(k, sk.sk_lock.wq)
}

/** Every simulated process is in the root cgroup. @see kernel/cgroup/cgroup.c:cgroup_sk_alloc */
function cgroup_sk_alloc(k: Kernel, sk: sock): void {
  const root = k.symbols.get('cgrp_dfl_root')
  if (root !== undefined)
    sk.sk_cgrp_data.cgroup =
      root + BigInt(k.types.has('cgroup_root', 'cgrp') ? k.types.offsetof('cgroup_root', 'cgrp') : 48)
  sk.sk_cgrp_data.prioidx = 1
}

/** The sock and what it holds go. @see net/core/sock.c:__sk_destruct */
function __sk_destruct(k: Kernel, sk: sock): void {
  if (sk.sk_destruct !== 0n) k.indirect<(k: Kernel, sk: sock) => void>(sk.sk_destruct)(k, sk)
  if (sk.sk_peer_cred !== null) sk.sk_peer_cred = null
  if (sk.sk_net_refcnt === 1) refcount_sub_and_test(1, deref(sk.sk_net).ns.count)
  sk_prot_free(k, deref(sk.sk_prot_creator), sk)
}

/**
 * @remarks SOCK_RCU_FREE waits for a grace period in the kernel; no simulated reader outlives the call, so the memory
 * goes at once
 */
export const sk_destruct = kfunc(FILE, function sk_destruct(k, sk: sock): void {
  __sk_destruct(k, sk)
})

const __sk_free = kfunc(FILE, function __sk_free(k, sk: sock): void {
  sk_destruct(k, sk)
})

/** Drop the reference transmission holds; the last one frees. @see net/core/sock.c:sk_free */
export const sk_free = kfunc(FILE, function sk_free(k, sk: sock): void {
  if (refcount_dec_and_test(sk.sk_wmem_alloc)) __sk_free(k, sk)
})

/** The last byte in flight is gone and so is every other reference. */
export const __sk_free_last = (k: Kernel, sk: sock): void => __sk_free(k, sk)

/** Undo an sk_clone_lock() before anybody saw the clone. */
export const sk_free_unlock_clone = kfunc(FILE, function sk_free_unlock_clone(k, sk: sock): void {
  // the destructor would act on what the parent owns
  sk.sk_destruct = 0n
  sk_free(k, sk)
})

/** Ungrab a sock. @see include/net/sock.h:sock_put */
export const sock_put = (k: Kernel, sk: sock): void => {
  if (sock_put_testzero(sk)) sk_free(k, sk)
}

/**
 * The listener's copy that becomes a connection: everything but the hash links, counters, queues, locks and
 * the link to a process. Born with two references (its table's and the caller's) and locked.
 *
 * @param sk `struct sock *`, the parent
 * @returns the clone, `null` when memory is short
 * @see net/core/sock.c:sk_clone_lock
 */
export const sk_clone_lock = kfunc(FILE, function sk_clone_lock(k, sk: sock): sock {
  const prot = sk_prot(sk)
  const newsk = sk_prot_alloc(k, prot, false, sk.sk_family)
  sock_copy(k, newsk, sk)
  newsk.sk_prot_creator = prot
  if (newsk.sk_net_refcnt === 1) refcount_inc(deref(newsk.sk_net).ns.count)
  sk_node_init(k, newsk.sk_node.$va)
  sock_lock_init(k, newsk)
  const { sk_backlog } = newsk
  sk_backlog.head = null
  sk_backlog.tail = null
  sk_backlog.len = 0
  atomic_set(sk_backlog.rmem_alloc, 0)
  // one, so that no packet that is still on its way frees the sock
  refcount_set(newsk.sk_wmem_alloc, 1)
  atomic_set(newsk.sk_omem_alloc, 0)
  sk_init_common(k, newsk)
  newsk.sk_dst_cache = null
  newsk.sk_dst_pending_confirm = 0
  newsk.sk_wmem_queued = 0
  newsk.sk_forward_alloc = 0
  newsk.sk_reserved_mem = 0
  atomic_set(newsk.sk_drops, 0)
  newsk.sk_send_head = null
  newsk.sk_userlocks = sk.sk_userlocks & ~SOCK_BINDPORT_LOCK
  atomic_set(newsk.sk_zckey, 0)
  sock_reset_flag(k, newsk, SOCK_DONE)
  newsk.sk_memcg = null
  newsk.sk_err = 0
  newsk.sk_err_soft = 0
  newsk.sk_priority = 0
  newsk.sk_incoming_cpu = k.cpu.id
  // the copy is complete before anybody can find it
  refcount_set(newsk.sk_refcnt, 2)
  sk_set_socket(newsk, null)
  sk_tx_queue_clear(newsk)
  newsk.sk_wq = null
  const allocated = prot.sockets_allocated
  if (allocated !== null) percpu_counter_add(k, allocated.$va, 1)
  return newsk
})

/** Bytes of a sock that a copy keeps: all but skc_dontcopy_begin … skc_dontcopy_end; the security blob stays the clone's. */
function sock_copy(k: Kernel, nsk: sock, osk: sock): void {
  const begin = osk.$offsetof('__sk_common.skc_dontcopy_begin')
  const end = osk.$offsetof('__sk_common.skc_dontcopy_end')
  const blob = nsk.sk_security
  k.mem.copy(nsk.$va, osk.$va, begin)
  k.mem.copy(nsk.$va + end, osk.$va + end, sk_prot(osk).obj_size - end)
  nsk.sk_security = blob
  security_sk_clone(k, osk, nsk)
}

/** Queues and locks, as empty ones. @see net/core/sock.c:sk_init_common */
export function sk_init_common(k: Kernel, sk: sock): void {
  skb_queue_head_init(sk.sk_receive_queue)
  skb_queue_head_init(sk.sk_write_queue)
  skb_queue_head_init(sk.sk_error_queue)
}

/** `percpu_counter`: the exact count alone is kept. @see lib/percpu_counter.c */
export function percpu_counter_add(k: Kernel, va: Va, n: number): void {
  const counter = k.ref('percpu_counter', va)
  counter.count = counter.count + BigInt(n)
}

/** The end of a sock that had no other: datagrams. @see net/core/sock.c:sk_common_release */
export const sk_common_release = kfunc(FILE, function sk_common_release(k, sk: sock): void {
  const { destroy, unhash } = sk_prot(sk)
  if (destroy !== 0n) k.indirect<(k: Kernel, sk: sock) => void>(destroy)(k, sk)
  if (unhash !== 0n) k.indirect<(k: Kernel, sk: sock) => void>(unhash)(k, sk)
  sock_orphan(k, sk)
  sock_put(k, sk)
})

/** Requests: connections that are half open, and the queue of those that wait to be accepted. @see include/net/request_sock.h */

import type { request_sock, request_sock_queue, sock } from '../../../btf/vmlinux.ts'
import { kmem_cache_free } from '../../mm/slub.ts'
import { kfree } from '../../mm/slab.ts'
import type { Kernel } from '../../kernel.ts'
import { deref } from '../../deref.ts'
import { atomic_dec, atomic_inc, atomic_read, refcount_dec_and_test } from '../../lib/refcount.ts'
import { sock_put } from '../../net/core/sock/alloc.ts'
import { sk_acceptq_removed } from './sock.ts'
import './macros.ts'

/** Half-open connections of a listener. */
export const reqsk_queue_len = (queue: request_sock_queue): number => atomic_read(queue.qlen)
export const reqsk_queue_len_young = (queue: request_sock_queue): number => atomic_read(queue.young)

export const reqsk_queue_empty = (queue: request_sock_queue): boolean => queue.rskq_accept_head === null

export function reqsk_queue_added(queue: request_sock_queue): void {
  atomic_inc(queue.young)
  atomic_inc(queue.qlen)
}

/** A request that was never retransmitted counts as young. */
export function reqsk_queue_removed(queue: request_sock_queue, req: request_sock): void {
  if (req.num_timeout === 0) atomic_dec(queue.young)
  atomic_dec(queue.qlen)
}

/** The connection that has waited longest. @see include/net/request_sock.h:reqsk_queue_remove */
export function reqsk_queue_remove(queue: request_sock_queue, parent: sock): request_sock | null {
  const req = queue.rskq_accept_head
  if (req === null) return null
  sk_acceptq_removed(parent)
  queue.rskq_accept_head = req.dl_next
  if (queue.rskq_accept_head === null) queue.rskq_accept_tail = null
  return req
}

/** Free a request, and with it its reference to the listener. @see include/net/request_sock.h:__reqsk_free */
export function reqsk_free(k: Kernel, req: request_sock): void {
  const ops = deref(req.rsk_ops)
  const { destructor } = ops
  if (destructor !== 0n) k.indirect<(k: Kernel, req: request_sock) => void>(destructor)(k, req)
  const listener = req.rsk_listener
  if (listener !== null) sock_put(k, listener)
  if (req.saved_syn !== null) kfree(k, req.saved_syn)
  kmem_cache_free(k, deref(ops.slab), req.$va)
}

export function reqsk_put(k: Kernel, req: request_sock): void {
  if (refcount_dec_and_test(req.rsk_refcnt)) reqsk_free(k, req)
}

/** How long until the SYN-ACK is sent again, in jiffies: doubled each time. @see include/net/request_sock.h:reqsk_timeout */
export const reqsk_timeout = (req: request_sock, maxTimeout: number): number =>
  Math.min(req.timeout * 2 ** req.num_timeout, maxTimeout)

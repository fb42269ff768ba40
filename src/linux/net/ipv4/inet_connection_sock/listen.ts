/** A listener: entering LISTEN, half-open requests and their timer, the accept queue, the end. */

import { htons } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { request_sock, sock, timer_list } from '../../../../btf/vmlinux.ts'
import { EADDRINUSE, EAGAIN, EINVAL } from '../../../../abi/errno.ts'
import { TASK_INTERRUPTIBLE } from '../../../../abi/sched.ts'
import { SOCK_RCU_FREE } from '../../../../abi/sock.ts'
import { TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV } from '../../../../abi/tcp_states.ts'
import { TCP_RTO_MAX } from '../../../../abi/tcp.ts'
import { hlist_nulls_del_init_rcu } from '../../../../structures/hlist_nulls.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { __local_bh_enable_ip, local_bh_disable } from '../../../kernel/softirq.ts'
import { DEFINE_WAIT, finish_wait, prepare_to_wait_exclusive } from '../../../kernel/sched/wait.ts'
import { signal_pending } from '../../../kernel/sched/core.ts'
import { del_timer, mod_timer, schedule_timeout, timer_setup } from '../../../kernel/time/timer.ts'
import { jiffies } from '../../../kernel/time/timekeeping.ts'
import { atomic_dec, refcount_set } from '../../../lib/refcount.ts'
import {
  sk_acceptq_added,
  sk_hashed,
  sk_prot,
  sock_hold,
  sock_net,
  sock_orphan,
  sock_rcvtimeo,
  sock_reset_flag,
  sock_intr_errno,
} from '../../../include/net/sock.ts'
import {
  reqsk_put,
  reqsk_queue_added,
  reqsk_queue_empty,
  reqsk_queue_len,
  reqsk_queue_len_young,
  reqsk_queue_remove,
  reqsk_queue_removed,
  reqsk_timeout,
} from '../../../include/net/request_sock.ts'
import { inet_csk, inet_rsk, inet_sk, req_to_sk } from '../../../include/net/casts.ts'
import { lock_sock, release_sock, sk_clone_lock, sk_dst_reset, sock_put } from '../../core/sock.ts'
import { reqsk_queue_alloc } from '../../core/request_sock.ts'
import { security_inet_csk_clone } from '../../../security/security.ts'
import { inet_ehash_insert } from '../inet_hashtables.ts'
import { inet_sk_state_store, inet_sk_set_state } from '../af_inet/state.ts'
import { tcp_orphan_count_inc } from '../tcp/orphan.ts'
import { inet_csk_destroy_sock } from './destroy.ts'

const FILE = 'net/ipv4/inet_connection_sock.c'

/**
 * Become a listener, and take the port a second time: SO_REUSEADDR counts for nothing between listeners.
 *
 * @returns 0 or -EADDRINUSE
 * @see net/ipv4/inet_connection_sock.c:inet_csk_listen_start
 */
export const inet_csk_listen_start = kfunc(FILE, function inet_csk_listen_start(k, sk: sock): number {
  const icsk = inet_csk(k, sk)
  const inet = inet_sk(k, sk)
  reqsk_queue_alloc(k, icsk.icsk_accept_queue)
  sk.sk_ack_backlog = 0
  inet_csk_delack_init(k, sk)
  inet_sk_state_store(k, sk, TCP_LISTEN)
  const err = k.indirect<(k: Kernel, sk: sock, port: number) => number>(sk_prot(sk).get_port)(
    k,
    sk,
    sk.sk_num,
  )
  if (err === 0) {
    inet.inet_sport = htons(sk.sk_num)
    sk_dst_reset(k, sk)
    const hashed = k.indirect<(k: Kernel, sk: sock) => number>(sk_prot(sk).hash)(k, sk)
    if (hashed === 0) return 0
  }
  inet_sk_set_state(k, sk, TCP_CLOSE)
  return -EADDRINUSE
})

/** @see include/net/inet_connection_sock.h:inet_csk_delack_init */
function inet_csk_delack_init(k: Kernel, sk: sock): void {
  const { icsk_ack } = inet_csk(k, sk)
  k.mem.fill(icsk_ack.$va, 0, icsk_ack.$size)
}

// ---- requests

/** Hash a new request, start its timer and count it. @returns false when its connection exists already */
const reqsk_queue_hash_req = (k: Kernel, req: request_sock): boolean => {
  const dup = { found: null as sock | null }
  if (!inet_ehash_insert(k, req_to_sk(k, req), null, dup)) return false
  timer_setup(k, req.rsk_timer, reqsk_timer_handler, TIMER_PINNED)
  mod_timer(k, req.rsk_timer, jiffies(k) + BigInt(req.timeout))
  // three: the table's, the timer's, the caller's
  refcount_set(req.rsk_refcnt, 3)
  return true
}
const TIMER_PINNED = 0x0010_0000

/** @see net/ipv4/inet_connection_sock.c:inet_csk_reqsk_queue_hash_add */
export const inet_csk_reqsk_queue_hash_add = kfunc(
  FILE,
  function inet_csk_reqsk_queue_hash_add(k, sk: sock, req: request_sock): boolean {
    if (!reqsk_queue_hash_req(k, req)) return false
    reqsk_queue_added(inet_csk(k, sk).icsk_accept_queue)
    return true
  },
)

/** Out of the table; when that was somebody else's doing, stopping the timer is left. @see reqsk_queue_unlink */
function reqsk_queue_unlink(k: Kernel, req: request_sock): boolean {
  const sk = req_to_sk(k, req)
  const found = sk_hashed(k, sk)
  // a request is not counted as a sock in use
  if (found) hlist_nulls_del_init_rcu(k.mem, sk.sk_node.$va)
  if (del_timer(k, req.rsk_timer)) reqsk_put(k, req)
  return found
}

/** As {@link inet_csk_reqsk_queue_drop}, where the compiler has it inlined. */
function reqskQueueDrop(k: Kernel, sk: sock, req: request_sock): boolean {
  const unlinked = reqsk_queue_unlink(k, req)
  if (!unlinked) return false
  reqsk_queue_removed(inet_csk(k, sk).icsk_accept_queue, req)
  reqsk_put(k, req)
  return true
}

/** Give a request up: table, timer and count. */
export const inet_csk_reqsk_queue_drop = kfunc(
  FILE,
  function inet_csk_reqsk_queue_drop(k, sk: sock, req: request_sock): boolean {
    return reqskQueueDrop(k, sk, req)
  },
)

/** As {@link inet_csk_reqsk_queue_drop}, and the caller's reference with it. */
export const inet_csk_reqsk_queue_drop_and_put = kfunc(
  FILE,
  function inet_csk_reqsk_queue_drop_and_put(k, sk: sock, req: request_sock): void {
    inet_csk_reqsk_queue_drop(k, sk, req)
    reqsk_put(k, req)
  },
)

/** Send the SYN-ACK once more. @see net/ipv4/inet_connection_sock.c:inet_rtx_syn_ack */
export const inet_rtx_syn_ack = kfunc(
  FILE,
  function inet_rtx_syn_ack(k, sk: sock, req: request_sock): number {
    const rtx = k.indirect<(k: Kernel, sk: sock, req: request_sock) => number>(deref(req.rsk_ops).rtx_syn_ack)
    const err = rtx(k, sk, req)
    if (err === 0) req.num_retrans = req.num_retrans + 1
    return err
  },
)

/** A crowded queue gives requests fewer tries. @see net/ipv4/inet_connection_sock.c:reqsk_timer_handler */
function triesLeft(sk: sock, icskLen: number, young: number, max: number): number {
  let tries = max
  if (icskLen << 1 > Math.max(8, sk.sk_max_ack_backlog)) {
    let y = young << 1
    while (tries > 2) {
      if (icskLen < y) break
      tries--
      y <<= 1
    }
  }
  return tries
}

/** The SYN-ACK went unanswered: again, or give up. */
export const reqsk_timer_handler = kfunc(FILE, function reqsk_timer_handler(k, timer: timer_list): void {
  const req = timer.$containerOf<request_sock>('request_sock', 'rsk_timer')
  const sk = deref(req.rsk_listener)
  const icsk = inet_csk(k, sk)
  const queue = icsk.icsk_accept_queue
  if (sk.sk_state !== TCP_LISTEN) {
    inet_csk_reqsk_queue_drop_and_put(k, sk, req)
    return
  }
  const max = icsk.icsk_syn_retries || sock_net(sk).ipv4.sysctl_tcp_synack_retries
  const thresh = triesLeft(sk, reqsk_queue_len(queue), reqsk_queue_len_young(queue), max)
  const { rskq_defer_accept: defer } = queue
  const acked = inet_rsk(k, req).acked === 1
  const expire = req.num_timeout >= thresh && (!acked || req.num_timeout >= Math.max(thresh, defer))
  const resend = !acked || req.num_timeout >= Math.max(0, defer - 1)
  // an ACK that met a full queue is asked for again
  if (!expire && (!resend || inet_rtx_syn_ack(k, sk, req) === 0 || acked)) {
    if (req.num_timeout === 0) atomic_dec(queue.young)
    req.num_timeout = req.num_timeout + 1
    mod_timer(k, req.rsk_timer, jiffies(k) + BigInt(reqsk_timeout(req, TCP_RTO_MAX)))
    return
  }
  inet_csk_reqsk_queue_drop_and_put(k, sk, req)
})

// ---- children

/**
 * The listener's clone, with the connection's addresses of the request.
 *
 * @returns the child in SYN_RECV
 * @see net/ipv4/inet_connection_sock.c:inet_csk_clone_lock
 */
export const inet_csk_clone_lock = kfunc(
  FILE,
  function inet_csk_clone_lock(k, sk: sock, req: request_sock): sock | null {
    const newsk = sk_clone_lock(k, sk)
    const newicsk = inet_csk(k, newsk)
    const newinet = inet_sk(k, newsk)
    const ireq = inet_rsk(k, req)
    inet_sk_set_state(k, newsk, TCP_SYN_RECV)
    newicsk.icsk_bind_hash = null
    newicsk.icsk_bind2_hash = null
    newinet.inet_dport = from(ireq, 'ir_rmt_port')
    newinet.inet_num = from(ireq, 'ir_num')
    newinet.inet_sport = from(ireq, 'ir_num').map((port) => htons(port))
    sock_reset_flag(k, newsk, SOCK_RCU_FREE)
    newsk.sk_mark = from(ireq, 'ir_mark')
    newsk.sk_cookie.counter = ireq.ir_cookie.counter
    newicsk.icsk_retransmits = 0
    newicsk.icsk_backoff = 0
    newicsk.icsk_probes_out = 0
    newicsk.icsk_probes_tstamp = 0
    const { icsk_accept_queue } = newicsk
    k.mem.fill(icsk_accept_queue.$va, 0, icsk_accept_queue.$size)
    security_inet_csk_clone(k, newsk, req)
    return newsk
  },
)

/** A child nobody will accept. @see net/ipv4/inet_connection_sock.c:inet_child_forget */
export const inet_child_forget = kfunc(
  FILE,
  function inet_child_forget(k, sk: sock, _req: request_sock, child: sock): void {
    k.indirect<(k: Kernel, sk: sock, flags: number) => number>(sk_prot(sk).disconnect)(k, child, 0)
    sock_orphan(k, child)
    tcp_orphan_count_inc(k)
    inet_csk_destroy_sock(k, child)
  },
)

/** As {@link inet_csk_reqsk_queue_add}, where the compiler has it inlined. */
function reqskQueueAdd(k: Kernel, sk: sock, req: request_sock, child: sock): sock | null {
  if (sk.sk_state !== TCP_LISTEN) {
    inet_child_forget(k, sk, req, child)
    return null
  }
  const queue = inet_csk(k, sk).icsk_accept_queue
  req.sk = child
  req.dl_next = null
  const tail = queue.rskq_accept_tail
  if (queue.rskq_accept_head === null) queue.rskq_accept_head = req
  else deref(tail).dl_next = req
  queue.rskq_accept_tail = req
  sk_acceptq_added(sk)
  return child
}

/**
 * Queue a finished connection for accept(): the request, which points at the child.
 * @returns the child, `null` when the listener closed meanwhile
 * @see net/ipv4/inet_connection_sock.c:inet_csk_reqsk_queue_add
 */
export const inet_csk_reqsk_queue_add = kfunc(
  FILE,
  function inet_csk_reqsk_queue_add(k, sk: sock, req: request_sock, child: sock): sock | null {
    return reqskQueueAdd(k, sk, req, child)
  },
)

/**
 * The handshake is complete: the request leaves the half-open count and joins the accept queue.
 *
 * @param own_req false when another ACK of the same connection was faster
 * @returns the child
 * @see net/ipv4/inet_connection_sock.c:inet_csk_complete_hashdance
 */
export const inet_csk_complete_hashdance = kfunc(
  FILE,
  function inet_csk_complete_hashdance(
    k,
    sk: sock,
    child: sock,
    req: request_sock,
    own_req: boolean,
  ): sock | null {
    if (own_req) {
      reqskQueueDrop(k, deref(req.rsk_listener), req)
      reqsk_queue_removed(inet_csk(k, deref(req.rsk_listener)).icsk_accept_queue, req)
      if (reqskQueueAdd(k, sk, req, child) !== null) return child
    }
    sock_put(k, child)
    return null
  },
)

// ---- accept

/** Sleep until the accept queue has something. @see net/ipv4/inet_connection_sock.c:inet_csk_wait_for_connect */
function* inet_csk_wait_for_connect(k: Kernel, sk: sock, timeo: bigint): Generator<unknown, number> {
  const { icsk_accept_queue } = inet_csk(k, sk)
  const wait = DEFINE_WAIT(k)
  const { wait: head } = deref(sk.sk_wq)
  let left = timeo
  let err = 0
  for (;;) {
    // exclusive: one connection wakes one process
    prepare_to_wait_exclusive(k, head, wait, TASK_INTERRUPTIBLE)
    release_sock(k, sk)
    if (reqsk_queue_empty(icsk_accept_queue)) left = yield* schedule_timeout(k, left)
    lock_sock(k, sk)
    err = 0
    if (!reqsk_queue_empty(icsk_accept_queue)) break
    err = -EINVAL
    if (sk.sk_state !== TCP_LISTEN) break
    err = sock_intr_errno(left)
    if (signal_pending(k.current)) break
    err = -EAGAIN
    if (left === 0n) break
  }
  finish_wait(k, head, wait)
  return err
}

/** What accept() passes through the layers: error number out. @see include/net/sock.h:inet_csk_accept */
export interface AcceptError {
  err: number
}

/**
 * Take the connection that has waited longest, or wait for one.
 *
 * @param flags  O_NONBLOCK does not wait
 * @param result `err` is filled when null is returned
 * @returns `struct sock *`, the child; its request is freed
 * @see net/ipv4/inet_connection_sock.c:inet_csk_accept
 */
export const inet_csk_accept = kfunc(
  FILE,
  function* inet_csk_accept(
    k,
    sk: sock,
    flags: number,
    result: AcceptError,
  ): Generator<unknown, sock | null> {
    const { icsk_accept_queue } = inet_csk(k, sk)
    lock_sock(k, sk)
    try {
      result.err = -EINVAL
      if (sk.sk_state !== TCP_LISTEN) return null
      if (reqsk_queue_empty(icsk_accept_queue)) {
        const timeo = sock_rcvtimeo(sk, (flags & O_NONBLOCK) !== 0)
        result.err = -EAGAIN
        if (timeo === 0n) return null
        result.err = yield* inet_csk_wait_for_connect(k, sk, timeo)
        if (result.err !== 0) return null
      }
      const req = deref(reqsk_queue_remove(icsk_accept_queue, sk))
      result.err = 0
      const newsk = req.sk
      reqsk_put(k, req)
      return newsk
    } finally {
      release_sock(k, sk)
    }
  },
  { locals: 40 },
)
const O_NONBLOCK = 0o4000

/**
 * The listener closes: connections nobody accepted are reset.
 * @see net/ipv4/inet_connection_sock.c:inet_csk_listen_stop
 */
export const inet_csk_listen_stop = kfunc(FILE, function inet_csk_listen_stop(k, sk: sock): void {
  const { icsk_accept_queue } = inet_csk(k, sk)
  for (;;) {
    const req = reqsk_queue_remove(icsk_accept_queue, sk)
    if (req === null) break
    const child = deref(req.sk)
    local_bh_disable(k)
    sock_hold(child)
    inet_child_forget(k, sk, req, child)
    reqsk_put(k, req)
    __local_bh_enable_ip(k)
    sock_put(k, child)
  }
})

/** sendmsg() and recvmsg() of TCP: bytes from the program into segments, bytes of segments to the program. */

import { after, before } from '../../../../base/u32.ts'
import type { msghdr, sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { EAGAIN, EFAULT, EINVAL, ENOTCONN, EPIPE } from '../../../../abi/errno.ts'
import {
  MSG_DONTWAIT,
  MSG_MORE,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_WAITALL,
  RCV_SHUTDOWN,
  SEND_SHUTDOWN,
} from '../../../../abi/socket.ts'
import { SOCK_DONE } from '../../../../abi/sock.ts'
import {
  ICSK_ACK_PUSHED,
  ICSK_ACK_PUSHED2,
  TCPHDR_ACK,
  TCPHDR_FIN,
  TCPHDR_PSH,
  TCPHDR_SYN,
  TCP_NAGLE_CORK,
  TCP_NAGLE_OFF,
} from '../../../../abi/tcp.ts'
import * as TCP from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { signal_pending } from '../../../kernel/sched/core.ts'
import { copy_from_iter, copy_to_iter, iov_iter_count } from '../../../lib/iov_iter.ts'
import {
  __kfree_skb,
  __skb_queue_tail,
  __skb_unlink,
  skb_data,
  skb_peek,
  skb_put,
  skb_queue_next,
  skb_tailroom,
} from '../../core/skbuff.ts'
import {
  lock_sock,
  release_sock,
  sk_mem_charge,
  sk_wait_data,
  sk_wmem_queued_add,
  sk_wmem_schedule,
} from '../../core/sock.ts'
import { sk_stream_error, sk_stream_wait_connect, sk_stream_wait_memory } from '../../core/stream.ts'
import { TCP_SKB_CB, inet_csk, tcp_sk } from '../../../include/net/casts.ts'
import {
  sock_error,
  sock_flag,
  sock_intr_errno,
  sock_rcvlowat,
  sock_rcvtimeo,
  sock_sndtimeo,
} from '../../../include/net/sock.ts'
import {
  inet_csk_ack_scheduled,
  inet_csk_in_pingpong_mode,
  tcp_receive_window,
  tcp_send_head,
  tcp_write_queue_tail,
} from '../../../include/net/tcp.ts'
import {
  __tcp_push_pending_frames,
  __tcp_select_window,
  tcp_current_mss,
  tcp_push_one,
  tcp_send_ack,
  tcp_stream_alloc_skb,
  __skb_header_release,
} from '../tcp_output.ts'
import { tcp_rate_check_app_limited } from '../tcp_rate.ts'

const FILE = 'net/ipv4/tcp.c'
const CHECKSUM_PARTIAL = 3

// ---- sending

/** A segment joins the queue, empty yet. */
const tcp_skb_entail = kfunc(FILE, function tcp_skb_entail(k, sk: sock, skb: sk_buff): void {
  const tp = tcp_sk(k, sk)
  const cb = TCP_SKB_CB(k, skb)
  cb.seq = tp.write_seq
  cb.end_seq = tp.write_seq
  cb.tcp_flags = TCPHDR_ACK
  skb.ip_summed = CHECKSUM_PARTIAL
  __skb_header_release(k, skb)
  __skb_queue_tail(k, sk.sk_write_queue, skb)
  sk_wmem_queued_add(sk, skb.truesize)
  sk_mem_charge(sk, skb.truesize)
})

/** The receiver shall not wait for more. */
const tcp_mark_push = kfunc(FILE, function tcp_mark_push(k, sk: sock, skb: sk_buff): void {
  const tp = tcp_sk(k, sk)
  const cb = TCP_SKB_CB(k, skb)
  cb.tcp_flags = cb.tcp_flags | TCPHDR_PSH
  tp.pushed_seq = tp.write_seq
})

/** The program has no more for now: push what there is. */
export const tcp_push = kfunc(
  FILE,
  function tcp_push(k, sk: sock, flags: number, mss: number, nonagle: number): void {
    const tp = tcp_sk(k, sk)
    const skb = tcp_write_queue_tail(k, sk)
    if (skb === null) return
    const force = after(tp.write_seq, (tp.pushed_seq + (tp.max_window >>> 1)) >>> 0)
    if ((flags & MSG_MORE) === 0 || force) tcp_mark_push(k, sk, skb)
    k.jump()
    __tcp_push_pending_frames(k, sk, mss, (flags & MSG_MORE) !== 0 ? TCP_NAGLE_CORK : nonagle)
  },
)

/** A segment with room: the last of the queue that was not sent yet, or a new one. @returns null when the buffer is full */
function segmentWithRoom(k: Kernel, sk: sock, mss: number): sk_buff | null {
  const tail = tcp_write_queue_tail(k, sk)
  if (tail !== null && tail.len < mss && skb_tailroom(k, tail) > 0) return tail
  if (sk.sk_wmem_queued >= sk.sk_sndbuf) return null
  const skb = tcp_stream_alloc_skb(k, sk, mss)
  tcp_skb_entail(k, sk, skb)
  return skb
}

/** As many bytes as fit into one segment. @returns bytes, 0 when the buffer is full, or -EFAULT */
function fillSegment(k: Kernel, sk: sock, msg: msghdr, mss: number): number {
  const skb = segmentWithRoom(k, sk, mss)
  if (skb === null) return 0
  const tp = tcp_sk(k, sk)
  const want = Math.min(iov_iter_count(msg.msg_iter), mss - skb.len, skb_tailroom(k, skb))
  if (!sk_wmem_schedule(k, sk, want)) return 0
  const { len } = skb
  const at = skb_put(k, skb, want)
  const copied = copy_from_iter(k, at, want, msg.msg_iter)
  if (copied < want) {
    skb.len = len + copied
    skb.tail = Number(skb.tail) - (want - copied)
    if (copied === 0) return -EFAULT
  }
  tp.write_seq = (tp.write_seq + copied) >>> 0
  const cb = TCP_SKB_CB(k, skb)
  if (len === 0) cb.tcp_flags = cb.tcp_flags & ~TCPHDR_PSH
  cb.end_seq = (cb.end_seq + copied) >>> 0
  cb.tcp_gso_segs = 1
  return copied
}

/** Nothing was written into the last segment: it goes. @see net/ipv4/tcp.c:tcp_remove_empty_skb */
function removeEmpty(k: Kernel, sk: sock): void {
  const tail = tcp_write_queue_tail(k, sk)
  if (tail === null || TCP_SKB_CB(k, tail).seq !== TCP_SKB_CB(k, tail).end_seq) return
  tail.destructor = 0n
  tail._skb_refdst = 0n
  __skb_unlink(k, tail, sk.sk_write_queue)
  sk_wmem_queued_add(sk, -tail.truesize)
  sk.sk_forward_alloc = sk.sk_forward_alloc + tail.truesize
  __kfree_skb(k, tail)
}

/**
 * @returns bytes taken, or a negative error number
 * @see net/ipv4/tcp.c:tcp_sendmsg_locked
 * @remarks payload lies in the buffers' linear part, not in page fragments
 */
export const tcp_sendmsg_locked = kfunc(
  FILE,
  function* tcp_sendmsg_locked(k, sk: sock, msg: msghdr, _size: number): Generator<unknown, number> {
    const tp = tcp_sk(k, sk)
    const flags = msg.msg_flags
    const timeo = { left: sock_sndtimeo(sk, (flags & MSG_DONTWAIT) !== 0) }
    let copied = 0
    let err = 0
    tcp_rate_check_app_limited(k, sk)
    if (((1 << sk.sk_state) & ~(TCP.TCPF_ESTABLISHED | TCP.TCPF_CLOSE_WAIT)) !== 0) {
      err = yield* sk_stream_wait_connect(k, sk, timeo)
      if (err !== 0) return sk_stream_error(k, sk, flags, err)
    }
    let mss = tcp_current_mss(k, sk)
    err = -EPIPE
    if (sk.sk_err === 0 && (sk.sk_shutdown & SEND_SHUTDOWN) === 0) {
      err = 0
      while (iov_iter_count(msg.msg_iter) > 0) {
        const n = fillSegment(k, sk, msg, mss)
        if (n < 0) {
          err = n
          break
        }
        copied += n
        const tail = tcp_write_queue_tail(k, sk)
        if (n > 0) {
          if (tail === null || tail.len < mss || (flags & MSG_OOB) !== 0) continue
          // half a window is waiting: do not hold it back
          if (after(tp.write_seq, (tp.pushed_seq + (tp.max_window >>> 1)) >>> 0)) {
            tcp_mark_push(k, sk, tail)
            __tcp_push_pending_frames(k, sk, mss, TCP_NAGLE_OFF)
          } else if (tcp_send_head(k, sk)?.$va === tail.$va) tcp_push_one(k, sk, mss)
          continue
        }
        if (copied > 0) tcp_push(k, sk, flags & ~MSG_MORE, mss, TCP_NAGLE_OFF)
        err = yield* sk_stream_wait_memory(k, sk, timeo)
        if (err !== 0) break
        mss = tcp_current_mss(k, sk)
      }
    }
    if (copied > 0) {
      tcp_push(k, sk, flags, mss, tp.nonagle)
      return copied
    }
    removeEmpty(k, sk)
    return err === 0 ? 0 : sk_stream_error(k, sk, flags, err)
  },
)

/** @see net/ipv4/tcp.c:tcp_sendmsg */
export const tcp_sendmsg = kfunc(
  FILE,
  function* tcp_sendmsg(k, sk: sock, msg: msghdr, size: number): Generator<unknown, number> {
    lock_sock(k, sk)
    const ret = yield* tcp_sendmsg_locked(k, sk, msg, size)
    release_sock(k, sk)
    return ret
  },
)

// ---- receiving

/** The program read: tell the sender about the room, if that helps it. */
export const tcp_cleanup_rbuf = kfunc(FILE, function tcp_cleanup_rbuf(k, sk: sock, copied: number): void {
  __tcp_cleanup_rbuf(k, sk, copied)
})
const __tcp_cleanup_rbuf = kfunc(FILE, function __tcp_cleanup_rbuf(k, sk: sock, copied: number): void {
  const tp = tcp_sk(k, sk)
  const { icsk_ack } = inet_csk(k, sk)
  let now = false
  if (inet_csk_ack_scheduled(k, sk)) {
    const pushed = (icsk_ack.pending & ICSK_ACK_PUSHED2) !== 0
    const once = (icsk_ack.pending & ICSK_ACK_PUSHED) !== 0 && !inet_csk_in_pingpong_mode(k, sk)
    const empty = sk.sk_backlog.rmem_alloc.counter === 0
    now = ((tp.rcv_nxt - tp.rcv_wup) | 0) > icsk_ack.rcv_mss || (copied > 0 && (pushed || (once && empty)))
  }
  if (copied > 0 && !now && (sk.sk_shutdown & RCV_SHUTDOWN) === 0) {
    const window = tcp_receive_window(tp)
    if (2 * window <= tp.window_clamp) {
      const fresh = __tcp_select_window(k, sk)
      if (fresh !== 0 && fresh >= 2 * window) now = true
    }
  }
  if (now) tcp_send_ack(k, sk)
})

/** The reader keeps up with the sender: let the buffer grow. @see net/ipv4/tcp_input.c:tcp_rcv_space_adjust */
export const tcp_rcv_space_adjust = kfunc(
  'net/ipv4/tcp_input.c',
  function tcp_rcv_space_adjust(k, sk: sock): void {
    const tp = tcp_sk(k, sk)
    const time = Number(tp.tcp_mstamp - tp.rcvq_space.time)
    if (time < tp.rcv_rtt_est.rtt_us >>> 3 || tp.rcv_rtt_est.rtt_us === 0) return
    const copied = (tp.copied_seq - tp.rcvq_space.seq) >>> 0
    if (copied > tp.rcvq_space.space) tp.rcvq_space.space = copied
    tp.rcvq_space.seq = tp.copied_seq
    tp.rcvq_space.time = tp.tcp_mstamp
  },
)

/** A segment that was read to its end. @see net/ipv4/tcp.c:tcp_eat_recv_skb */
function eat(k: Kernel, sk: sock, skb: sk_buff): void {
  __skb_unlink(k, skb, sk.sk_receive_queue)
  __kfree_skb(k, skb)
}

/** The segment that holds a sequence number, and where in it. */
function find(
  k: Kernel,
  sk: sock,
  seq: number,
): { skb: sk_buff; offset: number } | { skb: null; last: sk_buff | null } {
  let last: sk_buff | null = null
  const queue = sk.sk_receive_queue
  for (let skb = skb_peek(k, queue); skb !== null; skb = skb_queue_next(k, queue, skb)) {
    last = skb
    const cb = TCP_SKB_CB(k, skb)
    if (before(seq, cb.seq)) break
    const offset = (seq - cb.seq - ((cb.tcp_flags & TCPHDR_SYN) !== 0 ? 1 : 0)) >>> 0
    if (offset < skb.len || (cb.tcp_flags & TCPHDR_FIN) !== 0) return { skb, offset }
  }
  return { skb: null, last }
}

/** Why a read that got nothing must end. @returns undefined to wait, else what to return */
function endOfRead(k: Kernel, sk: sock, timeo: bigint): number | undefined {
  if (sock_flag(sk, SOCK_DONE)) return 0
  if (sk.sk_err !== 0) return sock_error(sk)
  if ((sk.sk_shutdown & RCV_SHUTDOWN) !== 0) return 0
  // a sock that was never connected
  if (sk.sk_state === TCP.TCP_CLOSE) return -ENOTCONN
  if (timeo === 0n) return -EAGAIN
  if (signal_pending(k.current)) return sock_intr_errno(timeo)
  return undefined
}

/** Having something, is it time to return it? */
const enough = (k: Kernel, sk: sock, timeo: bigint): boolean =>
  sk.sk_err !== 0 ||
  sk.sk_state === TCP.TCP_CLOSE ||
  (sk.sk_shutdown & RCV_SHUTDOWN) !== 0 ||
  timeo === 0n ||
  signal_pending(k.current)

/**
 * @returns bytes read, 0 at the end of the stream, or a negative error number
 * @see net/ipv4/tcp.c:tcp_recvmsg_locked
 */
export const tcp_recvmsg_locked = kfunc(
  FILE,
  function* tcp_recvmsg_locked(
    k,
    sk: sock,
    msg: msghdr,
    len: number,
    flags: number,
  ): Generator<unknown, number> {
    const tp = tcp_sk(k, sk)
    if (sk.sk_state === TCP.TCP_LISTEN) return -ENOTCONN
    if ((flags & MSG_OOB) !== 0) return -EINVAL
    const peek = (flags & MSG_PEEK) !== 0
    let timeo = sock_rcvtimeo(sk, (flags & MSG_DONTWAIT) !== 0)
    const target = sock_rcvlowat(sk, (flags & MSG_WAITALL) !== 0, len)
    let seq = tp.copied_seq
    let left = len
    let copied = 0
    while (left > 0) {
      const found = find(k, sk, seq)
      if (found.skb === null) {
        if (copied >= target && sk.sk_backlog.tail === null) break
        if (copied > 0) {
          if (enough(k, sk, timeo)) break
        } else {
          const end = endOfRead(k, sk, timeo)
          if (end !== undefined) {
            copied = end
            break
          }
        }
        if (copied >= target) {
          // only the backlog: let it in
          release_sock(k, sk)
          lock_sock(k, sk)
        } else {
          tcp_cleanup_rbuf(k, sk, copied)
          timeo = yield* sk_wait_data(k, sk, timeo, found.last)
        }
        continue
      }
      const { skb, offset } = found
      const cb = TCP_SKB_CB(k, skb)
      const used = Math.min(skb.len - offset, left)
      if (used > 0) {
        if (
          (flags & MSG_TRUNC) === 0 &&
          copy_to_iter(k, skb_data(k, skb) + offset, used, msg.msg_iter) < used
        ) {
          if (copied === 0) copied = -EFAULT
          break
        }
        seq = (seq + used) >>> 0
        if (!peek) tp.copied_seq = seq
        copied += used
        left -= used
        if (!peek) tcp_rcv_space_adjust(k, sk)
        if (used + offset < skb.len) continue
      }
      if ((cb.tcp_flags & TCPHDR_FIN) !== 0) {
        seq = (seq + 1) >>> 0
        if (!peek) {
          tp.copied_seq = seq
          eat(k, sk, skb)
        }
        break
      }
      if (!peek) eat(k, sk, skb)
    }
    if (copied >= 0) tcp_cleanup_rbuf(k, sk, copied)
    return copied
  },
)

/**
 * @param msg `struct msghdr *`, whose iterator takes the bytes
 * @see net/ipv4/tcp.c:tcp_recvmsg
 */
export const tcp_recvmsg = kfunc(
  FILE,
  function* tcp_recvmsg(k, sk: sock, msg: msghdr, len: number, flags: number): Generator<unknown, number> {
    lock_sock(k, sk)
    const ret = yield* tcp_recvmsg_locked(k, sk, msg, len, flags)
    release_sock(k, sk)
    return ret
  },
)

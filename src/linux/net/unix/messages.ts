/** Bytes and messages between UNIX sockets: a sender puts them right into the receiver's queue. */

import { toVa } from '../../../base/addr.ts'
import type { msghdr, sk_buff, sock, sockaddr_un, socket, wait_queue_entry } from '../../../btf/vmlinux.ts'
import * as E from '../../../abi/errno.ts'
import { TASK_INTERRUPTIBLE } from '../../../abi/sched.ts'
import { SOCK_DEAD } from '../../../abi/sock.ts'
import * as S from '../../../abi/socket.ts'
import { TCP_ESTABLISHED } from '../../../abi/tcp_states.ts'
import { deref } from '../../deref.ts'
import {
  sk_wmem_alloc_get,
  sock_error,
  sock_flag,
  sock_hold,
  sock_intr_errno,
  sock_rcvlowat,
  sock_rcvtimeo,
  sock_sndtimeo,
} from '../../include/net/sock.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { signal_pending } from '../../kernel/sched/core.ts'
import { send_sig } from '../../kernel/signal.ts'
import { DEFINE_WAIT, finish_wait, prepare_to_wait, wake_up_interruptible } from '../../kernel/sched/wait.ts'
import { schedule_timeout } from '../../kernel/time/timer.ts'
import { copy_from_iter_full } from '../../lib/iov_iter.ts'
import { security_unix_may_send } from '../../security/security.ts'
import {
  __skb_recv_datagram,
  skb_copy_datagram_iter,
  skb_free_datagram,
  type DatagramError,
} from '../core/datagram.ts'
import {
  __skb_queue_tail,
  __skb_unlink,
  consume_skb,
  kfree_skb,
  skb_peek,
  skb_peek_tail,
  skb_put,
} from '../core/skbuff.ts'
import { sk_data_ready, sock_put } from '../core/sock.ts'
import { sock_alloc_send_pskb } from '../ipv4/ip_output/append.ts'
import { unix_may_send, unix_recvq_full, unix_wait_for_peer } from './connect.ts'
import { unixDestructor } from './create.ts'
import { copyName, unix_find_other, unix_sk, unix_validate_addr } from './names.ts'

const FILE = 'net/unix/af_unix.c'
const SIGPIPE = 13
const INVALID_ID = 0xffff_ffff
/** Bytes of one buffer: what does not fit into it goes into the next. */
const CHUNK_MAX = 32 * 1024
/** Of the send buffer a message may not take, for its overhead. */
const OVERHEAD = 64
type Call = Generator<unknown, number>

const unixcb = (k: Kernel, skb: sk_buff) => k.ref('unix_skb_parms', skb.$vaOf('cb'))
/** Bytes that are not read yet. */
const unix_skb_len = (k: Kernel, skb: sk_buff): number => skb.len - unixcb(k, skb).consumed

/** Room in the send buffer, waited for. @returns 0 or a negative errno @see net/core/sock.c:sock_wait_for_wmem */
function* sock_wait_for_wmem(k: Kernel, sk: sock, wait: wait_queue_entry, timeo: bigint): Call {
  const { wait: head } = deref(sk.sk_wq)
  for (let left = timeo; sk_wmem_alloc_get(sk) >= sk.sk_sndbuf;) {
    if (left === 0n) return -E.EAGAIN
    if (signal_pending(k.current)) return sock_intr_errno(left)
    prepare_to_wait(k, head, wait, TASK_INTERRUPTIBLE)
    left = yield* schedule_timeout(k, left)
    finish_wait(k, head, wait)
    if (sk.sk_err !== 0 || (sk.sk_shutdown & S.SEND_SHUTDOWN) !== 0) break
  }
  return 0
}

/** A message's buffer, filled, its sender unnamed. @param wait of the caller's @returns the buffer or a negative errno */
function* fill(
  k: Kernel,
  sk: sock,
  msg: msghdr,
  wait: wait_queue_entry,
  size: number,
): Generator<unknown, sk_buff | number> {
  const nowait = (msg.msg_flags & S.MSG_DONTWAIT) !== 0
  const full = yield* sock_wait_for_wmem(k, sk, wait, sock_sndtimeo(sk, nowait))
  if (full !== 0) return full
  const skb = sock_alloc_send_pskb(k, sk, size, nowait)
  if (typeof skb === 'number') return skb
  const cb = unixcb(k, skb)
  cb.uid.val = INVALID_ID
  cb.gid.val = INVALID_ID
  skb.destructor = unixDestructor(k)
  if (copy_from_iter_full(k, skb_put(k, skb, size), size, msg.msg_iter)) return skb
  kfree_skb(k, skb)
  return -E.EFAULT
}

/** Nobody reads any more: SIGPIPE unless the program would not have it. */
function brokenPipe(k: Kernel, msg: msghdr, sent: number): number {
  if (sent > 0) return sent
  if ((msg.msg_flags & S.MSG_NOSIGNAL) === 0) send_sig(k, SIGPIPE, k.current, 0)
  return -E.EPIPE
}

const deaf = (other: sock): boolean =>
  sock_flag(other, SOCK_DEAD) || (other.sk_shutdown & S.RCV_SHUTDOWN) !== 0

/** @returns bytes sent, -ENOTCONN, -EPIPE, -EISCONN, -EAGAIN */
export const unix_stream_sendmsg = kfunc(
  FILE,
  function* unix_stream_sendmsg(k: Kernel, sock: socket, msg: msghdr, len: number): Call {
    const sk = deref(sock.sk)
    if ((msg.msg_flags & S.MSG_OOB) !== 0) return -E.EOPNOTSUPP
    if (msg.msg_namelen > 0) return sk.sk_state === TCP_ESTABLISHED ? -E.EISCONN : -E.EOPNOTSUPP
    const other = unix_sk(k, sk).peer
    if (other === null) return -E.ENOTCONN
    const wait = DEFINE_WAIT(k)
    let sent = 0
    while (sent < len) {
      if ((sk.sk_shutdown & S.SEND_SHUTDOWN) !== 0 || deaf(other)) return brokenPipe(k, msg, sent)
      const size = Math.min(len - sent, (sk.sk_sndbuf >> 1) - OVERHEAD, CHUNK_MAX)
      const skb = yield* fill(k, sk, msg, wait, size)
      if (typeof skb === 'number') return sent > 0 ? sent : skb === -E.EPIPE ? brokenPipe(k, msg, 0) : skb
      // the peer may have gone while this slept
      if (deaf(other)) {
        kfree_skb(k, skb)
        return brokenPipe(k, msg, sent)
      }
      __skb_queue_tail(k, other.sk_receive_queue, skb)
      sk_data_ready(k, other)
      sent += size
    }
    return sent
  },
  { locals: 40 },
)

/** Sleep until there is more. @returns jiffies left @see net/unix/af_unix.c:unix_stream_data_wait */
function* unix_stream_data_wait(
  k: Kernel,
  sk: sock,
  wait: wait_queue_entry,
  timeo: bigint,
  last: sk_buff | null,
): Generator<unknown, bigint> {
  const { wait: head } = deref(sk.sk_wq)
  let left = timeo
  const more = (): boolean =>
    (skb_peek_tail(k, sk.sk_receive_queue)?.$va ?? 0) !== (last?.$va ?? 0) ||
    sk.sk_err !== 0 ||
    (sk.sk_shutdown & S.RCV_SHUTDOWN) !== 0 ||
    signal_pending(k.current)
  prepare_to_wait(k, head, wait, TASK_INTERRUPTIBLE)
  if (!more()) left = yield* schedule_timeout(k, left)
  finish_wait(k, head, wait)
  return left
}

/**
 * @returns bytes read, 0 at the end, or a negative errno
 * @see net/unix/af_unix.c:unix_stream_read_generic
 */
const unix_stream_read_generic = kfunc(
  FILE,
  function* unix_stream_read_generic(k: Kernel, sk: sock, msg: msghdr, size: number, flags: number): Call {
    if (sk.sk_state !== TCP_ESTABLISHED) return -E.EINVAL
    if ((flags & S.MSG_OOB) !== 0) return -E.EOPNOTSUPP
    const target = sock_rcvlowat(sk, (flags & S.MSG_WAITALL) !== 0, size)
    let timeo = sock_rcvtimeo(sk, (flags & S.MSG_DONTWAIT) !== 0)
    const wait = DEFINE_WAIT(k)
    let copied = 0
    while (copied < size) {
      const skb = skb_peek(k, sk.sk_receive_queue)
      if (skb === null) {
        if (copied >= target) break
        const end = endOfStream(sk, timeo)
        if (end !== undefined) return copied > 0 ? copied : end
        timeo = yield* unix_stream_data_wait(k, sk, wait, timeo, null)
        if (signal_pending(k.current)) return copied > 0 ? copied : sock_intr_errno(timeo)
        continue
      }
      const cb = unixcb(k, skb)
      const chunk = Math.min(unix_skb_len(k, skb), size - copied)
      if (skb_copy_datagram_iter(k, skb, cb.consumed, msg.msg_iter, chunk) !== 0)
        return copied > 0 ? copied : -E.EFAULT
      copied += chunk
      if ((flags & S.MSG_PEEK) !== 0) break
      cb.consumed = cb.consumed + chunk
      if (unix_skb_len(k, skb) > 0) break
      __skb_unlink(k, skb, sk.sk_receive_queue)
      consume_skb(k, skb)
    }
    return copied
  },
  { locals: 40 },
)

function endOfStream(sk: sock, timeo: bigint): number | undefined {
  const error = sock_error(sk)
  if (error !== 0) return error
  if ((sk.sk_shutdown & S.RCV_SHUTDOWN) !== 0) return 0
  return timeo === 0n ? -E.EAGAIN : undefined
}

export const unix_stream_recvmsg = kfunc(
  FILE,
  function* unix_stream_recvmsg(k: Kernel, sock: socket, msg: msghdr, size: number, flags: number): Call {
    return yield* unix_stream_read_generic(k, deref(sock.sk), msg, size, flags)
  },
)

/** The receiver of a message: by its name, or the peer; held. @returns a negative errno when there is none */
function receiver(k: Kernel, sk: sock, msg: msghdr): sock | number {
  if (msg.msg_namelen > 0) {
    const addr: sockaddr_un = k.ref('sockaddr_un', toVa(msg.msg_name, k.mem.wordSize))
    const err = unix_validate_addr(addr, msg.msg_namelen)
    return err !== 0 ? err : unix_find_other(k, addr, msg.msg_namelen, sk.sk_type)
  }
  const { peer } = unix_sk(k, sk)
  if (peer === null) return -E.ENOTCONN
  sock_hold(peer)
  return peer
}

/** @returns bytes sent, or -ENOTCONN, -ECONNREFUSED, -EMSGSIZE, -EPERM, -EAGAIN, -EPIPE */
export const unix_dgram_sendmsg = kfunc(
  FILE,
  function* unix_dgram_sendmsg(k: Kernel, sock: socket, msg: msghdr, len: number): Call {
    const sk = deref(sock.sk)
    if ((msg.msg_flags & S.MSG_OOB) !== 0) return -E.EOPNOTSUPP
    if (len > sk.sk_sndbuf - 32) return -E.EMSGSIZE
    const other = receiver(k, sk, msg)
    if (typeof other === 'number') return other
    try {
      const skb = yield* fill(k, sk, msg, DEFINE_WAIT(k), len)
      if (typeof skb === 'number') return skb
      const refused = yield* mayQueue(k, sk, other, msg)
      if (refused !== 0) {
        kfree_skb(k, skb)
        return refused
      }
      __skb_queue_tail(k, other.sk_receive_queue, skb)
      sk_data_ready(k, other)
      return len
    } finally {
      sock_put(k, other)
    }
  },
  { locals: 40 },
)

/** @returns 0, or why the receiver does not get it */
function* mayQueue(k: Kernel, sk: sock, other: sock, msg: msghdr): Call {
  if (!unix_may_send(k, sk, other)) return -E.EPERM
  if (sock_flag(other, SOCK_DEAD)) {
    const u = unix_sk(k, sk)
    if (u.peer?.$va === other.$va) {
      u.peer = null
      sock_put(k, other)
    }
    return -E.ECONNREFUSED
  }
  if ((other.sk_shutdown & S.RCV_SHUTDOWN) !== 0) return -E.EPIPE
  const denied = security_unix_may_send(k, deref(sk.sk_socket), deref(other.sk_socket))
  if (denied !== 0) return denied
  let timeo = sock_sndtimeo(sk, (msg.msg_flags & S.MSG_DONTWAIT) !== 0)
  const mutual = unix_sk(k, other).peer?.$va === sk.$va
  while (!mutual && unix_recvq_full(other)) {
    if (timeo === 0n) return -E.EAGAIN
    timeo = yield* unix_wait_for_peer(k, other, timeo)
    if (signal_pending(k.current)) return sock_intr_errno(timeo)
    if (sock_flag(other, SOCK_DEAD)) return -E.ECONNREFUSED
  }
  return 0
}

/** @returns bytes of one message, or a negative errno @see net/unix/af_unix.c:__unix_dgram_recvmsg */
export const __unix_dgram_recvmsg = kfunc(
  FILE,
  function* __unix_dgram_recvmsg(k: Kernel, sk: sock, msg: msghdr, size: number, flags: number): Call {
    if ((flags & S.MSG_OOB) !== 0) return -E.EOPNOTSUPP
    const result: DatagramError = { err: 0 }
    const skb = yield* __skb_recv_datagram(k, sk, sk.sk_receive_queue, flags, result)
    if (skb === null) return result.err
    wake_up_interruptible(k, unix_sk(k, sk).peer_wq.wait)
    if (msg.msg_name !== 0n && skb.sk !== null)
      msg.msg_namelen = copyName(k, toVa(msg.msg_name, k.mem.wordSize), skb.sk)
    const copied = Math.min(size, skb.len)
    if (copied < skb.len) msg.msg_flags = msg.msg_flags | S.MSG_TRUNC
    const whole = skb.len
    const err = skb_copy_datagram_iter(k, skb, 0, msg.msg_iter, copied)
    skb_free_datagram(k, sk, skb)
    if (err !== 0) return err
    return (flags & S.MSG_TRUNC) !== 0 ? whole : copied
  },
)

export const unix_dgram_recvmsg = kfunc(
  FILE,
  function* unix_dgram_recvmsg(k: Kernel, sock: socket, msg: msghdr, size: number, flags: number): Call {
    return yield* __unix_dgram_recvmsg(k, deref(sock.sk), msg, size, flags)
  },
)

/** poll() and socket options of TCP, and work put off until a sock is released. */

import type { StructRef } from '../../../../btf/ref.ts'
import type { file, sock, socket } from '../../../../btf/vmlinux.ts'
import { EFAULT, EINVAL, ENOPROTOOPT } from '../../../../abi/errno.ts'
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  EPOLLRDNORM,
  EPOLLWRNORM,
} from '../../../../abi/poll.ts'
import { RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SOCK_NOSPACE, SOL_TCP } from '../../../../abi/socket.ts'
import * as T from '../../../../abi/tcp.ts'
import * as TCP from '../../../../abi/tcp_states.ts'
import { HZ } from '../../../../abi/param.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import type { UserPtr } from '../../../lib/usercopy.ts'
import { poll_wait } from '../../../fs/poll_wait.ts'
import { __sock_put, sk_stream_is_writeable } from '../../../include/net/sock.ts'
import { inet_csk, tcp_sk } from '../../../include/net/casts.ts'
import { reqsk_queue_empty } from '../../../include/net/request_sock.ts'
import { inet_csk_exit_pingpong_mode } from '../../../include/net/tcp.ts'
import { getUserInt, lock_sock, putUserInts, release_sock } from '../../core/sock.ts'
import { tcp_delack_timer_handler, tcp_write_timer_handler } from '../tcp_timer.ts'
import { tcp_push_pending_frames } from '../tcp_output.ts'

const FILE = 'net/ipv4/tcp.c'

/** @returns EPOLL bits @see net/ipv4/tcp.c:tcp_poll */
export const tcp_poll = kfunc(
  FILE,
  function tcp_poll(k, file: file, sock: socket, wait: StructRef | null): number {
    const sk = deref(sock.sk)
    const tp = tcp_sk(k, sk)
    poll_wait(k, file, sock.wq.wait, wait)
    const state = sk.sk_state
    if (state === TCP.TCP_LISTEN) {
      return reqsk_queue_empty(inet_csk(k, sk).icsk_accept_queue) ? 0 : EPOLLIN | EPOLLRDNORM
    }
    const shutdown = sk.sk_shutdown
    let mask = 0
    if (shutdown === SHUTDOWN_MASK || state === TCP.TCP_CLOSE) mask |= EPOLLHUP
    if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP
    if (state !== TCP.TCP_SYN_SENT && state !== TCP.TCP_SYN_RECV) {
      if (((tp.rcv_nxt - tp.copied_seq) | 0) >= sk.sk_rcvlowat) mask |= EPOLLIN | EPOLLRDNORM
      if ((shutdown & SEND_SHUTDOWN) !== 0) mask |= EPOLLOUT | EPOLLWRNORM
      else if (sk_stream_is_writeable(sk)) mask |= EPOLLOUT | EPOLLWRNORM
      else sock.flags = sock.flags | BigInt(1 << SOCK_NOSPACE)
    }
    if (sk.sk_err !== 0) mask |= EPOLLERR
    return mask
  },
)

function setOption(k: Kernel, sk: sock, name: number, val: number): number {
  const tp = tcp_sk(k, sk)
  const icsk = inet_csk(k, sk)
  switch (name) {
    case T.TCP_NODELAY:
      if (val === 0) tp.nonagle = tp.nonagle & ~T.TCP_NAGLE_OFF
      else {
        tp.nonagle = tp.nonagle | T.TCP_NAGLE_OFF | T.TCP_NAGLE_PUSH
        tcp_push_pending_frames(k, sk)
      }
      return 0
    case T.TCP_CORK:
      if (val !== 0) tp.nonagle = tp.nonagle | T.TCP_NAGLE_CORK
      else {
        tp.nonagle = tp.nonagle & ~T.TCP_NAGLE_CORK
        tcp_push_pending_frames(k, sk)
      }
      return 0
    case T.TCP_MAXSEG:
      if (val !== 0 && (val < 88 || val > 32767)) return -EINVAL
      tp.rx_opt.user_mss = val
      return 0
    case T.TCP_KEEPIDLE:
      if (val < 1 || val > 32767) return -EINVAL
      tp.keepalive_time = val * HZ
      return 0
    case T.TCP_KEEPINTVL:
      if (val < 1 || val > 32767) return -EINVAL
      tp.keepalive_intvl = val * HZ
      return 0
    case T.TCP_KEEPCNT:
      if (val < 1 || val > 127) return -EINVAL
      tp.keepalive_probes = val
      return 0
    case T.TCP_SYNCNT:
      if (val < 1 || val > 127) return -EINVAL
      icsk.icsk_syn_retries = val
      return 0
    case T.TCP_LINGER2:
      tp.linger2 = val < 0 ? -1 : val * HZ
      return 0
    case T.TCP_DEFER_ACCEPT:
      icsk.icsk_accept_queue.rskq_defer_accept = secs_to_retrans(val)
      return 0
    case T.TCP_QUICKACK:
      if (val === 0) icsk.icsk_ack.pingpong = 1
      else inet_csk_exit_pingpong_mode(k, sk)
      return 0
    case T.TCP_USER_TIMEOUT:
      if (val < 0) return -EINVAL
      icsk.icsk_user_timeout = Math.ceil((val * HZ) / 1000)
      return 0
    default:
      return -ENOPROTOOPT
  }
}

/** How many retransmissions of the SYN-ACK fit into so many seconds. @see net/ipv4/tcp.c:secs_to_retrans */
function secs_to_retrans(seconds: number): number {
  let tries = 0
  for (let period = 1, timeout = 1; seconds > 0 && tries < 255;) {
    tries++
    if (seconds <= period) break
    timeout = Math.min(timeout << 1, 120)
    period += timeout
  }
  return tries
}

/** @see net/ipv4/tcp.c:tcp_setsockopt */
export const tcp_setsockopt = kfunc(
  FILE,
  function tcp_setsockopt(k, sk: sock, level: number, name: number, optval: UserPtr, optlen: number): number {
    if (level !== SOL_TCP) return sk_setsockopt_ip(k, sk, level, name, optval, optlen)
    if (optlen < 4) return -EINVAL
    const val = getUserInt(k, optval)
    if (val === undefined) return -EFAULT
    lock_sock(k, sk)
    const ret = setOption(k, sk, name, val)
    release_sock(k, sk)
    return ret
  },
)

type Setsockopt = (
  k: Kernel,
  sk: sock,
  level: number,
  name: number,
  optval: UserPtr,
  optlen: number,
) => number

/** Options of the network layer below. */
function sk_setsockopt_ip(
  k: Kernel,
  sk: sock,
  level: number,
  name: number,
  optval: UserPtr,
  optlen: number,
): number {
  const { setsockopt } = deref(inet_csk(k, sk).icsk_af_ops)
  return setsockopt === 0n
    ? -ENOPROTOOPT
    : k.indirect<Setsockopt>(setsockopt)(k, sk, level, name, optval, optlen)
}

/** @see net/ipv4/tcp.c:tcp_getsockopt */
export const tcp_getsockopt = kfunc(
  FILE,
  function tcp_getsockopt(
    k,
    sk: sock,
    level: number,
    name: number,
    optval: UserPtr,
    optlen: UserPtr,
  ): number {
    const tp = tcp_sk(k, sk)
    const icsk = inet_csk(k, sk)
    if (level !== SOL_TCP) return -ENOPROTOOPT
    const values: Readonly<Record<number, number>> = {
      [T.TCP_NODELAY]: tp.nonagle & T.TCP_NAGLE_OFF,
      [T.TCP_CORK]: (tp.nonagle & T.TCP_NAGLE_CORK) !== 0 ? 1 : 0,
      [T.TCP_MAXSEG]: tp.mss_cache,
      [T.TCP_SYNCNT]: icsk.icsk_syn_retries,
      [T.TCP_QUICKACK]: icsk.icsk_ack.pingpong === 0 ? 1 : 0,
      [T.TCP_LINGER2]: Math.floor(tp.linger2 / HZ),
    }
    const value = values[name]
    if (value === undefined) return -ENOPROTOOPT
    const err = putUserInts(k, optval, value)
    return err !== 0 ? err : putUserInts(k, optlen, 4)
  },
)

/** Timers that found the sock busy did nothing but say so: now it is done. @see net/ipv4/tcp_output.c:tcp_release_cb */
export const tcp_release_cb = kfunc('net/ipv4/tcp_output.c', function tcp_release_cb(k, sk: sock): void {
  const flags = sk.sk_tsq_flags
  if (flags === 0n) return
  const deferred = BigInt((1 << T.TCP_WRITE_TIMER_DEFERRED) | (1 << T.TCP_DELACK_TIMER_DEFERRED))
  sk.sk_tsq_flags = flags & ~deferred
  if ((flags & BigInt(1 << T.TCP_WRITE_TIMER_DEFERRED)) !== 0n) {
    tcp_write_timer_handler(k, sk)
    __sock_put(sk)
  }
  if ((flags & BigInt(1 << T.TCP_DELACK_TIMER_DEFERRED)) !== 0n) {
    tcp_delack_timer_handler(k, sk)
    __sock_put(sk)
  }
})

/** Is there room for the program to write more? @see net/ipv4/tcp_ipv4.c:tcp_stream_memory_free */
export const tcp_stream_memory_free = kfunc(
  'net/ipv4/tcp_ipv4.c',
  function tcp_stream_memory_free(_k, sk: sock): boolean {
    return sk.sk_wmem_queued < sk.sk_sndbuf
  },
)

/** bind, listen, accept, connect, names, messages, shutdown of AF_INET sockets. */

import { htons, ntohs } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { msghdr, sock, sockaddr_in, socket } from '../../../../btf/vmlinux.ts'
import { SourceKind, Sourced } from '../../../../memory/memory.ts'
import * as E from '../../../../abi/errno.ts'
import { O_NONBLOCK } from '../../../../abi/fcntl.ts'
import { PROT_SOCK, ipv4_is_lbcast, ipv4_is_multicast } from '../../../../abi/in.ts'
import { RTN_LOCAL } from '../../../../abi/if.ts'
import { SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK } from '../../../../abi/sock.ts'
import * as S from '../../../../abi/socket.ts'
import * as TCP from '../../../../abi/tcp_states.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import {
  DEFINE_WAIT,
  add_wait_queue,
  remove_wait_queue,
  woken_wake_function,
} from '../../../kernel/sched/wait.ts'
import { wait_woken } from '../../../kernel/sched/wait_woken.ts'
import { signal_pending } from '../../../kernel/sched/core.ts'
import { TASK_INTERRUPTIBLE } from '../../../../abi/sched.ts'
import { sleepable } from '../../../sleepable.ts'
import { security_sock_graft } from '../../../security/security.ts'
import type { Sockaddr } from '../../../include/net/proto_ops.ts'
import { lock_sock, release_sock, sk_dst_reset, sk_state_change } from '../../core/sock.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import {
  sk_prot,
  sk_set_socket,
  sock_error,
  sock_intr_errno,
  sock_sndtimeo,
} from '../../../include/net/sock.ts'
import { inet_csk_listen_start, type AcceptError } from '../inet_connection_sock.ts'
import { inet_addr_type } from '../route.ts'

const FILE = 'net/ipv4/af_inet.c'
type Get = (k: Kernel, sk: sock, port: number) => number

/** A value of the program's address argument. */
const argument = <T extends number>(value: T, index: number): Sourced<T> =>
  new Sourced(value, SourceKind.Syscall, index)

/** @see net/ipv4/af_inet.c:inet_autobind */
export const inet_autobind = kfunc(FILE, function inet_autobind(k, sk: sock): number {
  lock_sock(k, sk)
  const unbound = sk.sk_num === 0
  const taken = unbound && k.indirect<Get>(sk_prot(sk).get_port)(k, sk, 0) !== 0
  if (unbound && !taken) inet_sk(k, sk).inet_sport = htons(sk.sk_num)
  release_sock(k, sk)
  return taken ? -E.EAGAIN : 0
})

const capable = (k: Kernel): boolean => deref(k.current.cred).euid.val === 0

/** @returns 0, -EADDRNOTAVAIL, -EACCES, -EINVAL, -EADDRINUSE @see net/ipv4/af_inet.c:__inet_bind */
export const __inet_bind = kfunc(FILE, function __inet_bind(k, sk: sock, addr: sockaddr_in): number {
  const inet = inet_sk(k, sk)
  if (addr.sin_family !== S.AF_INET) {
    // AF_UNSPEC with no address was accepted once
    if (addr.sin_family !== S.AF_UNSPEC || addr.sin_addr.s_addr !== 0) return -E.EAFNOSUPPORT
  }
  const address = addr.sin_addr.s_addr
  const type = address === 0 ? RTN_LOCAL : inet_addr_type(k, address)
  const multi = ipv4_is_multicast(address) || ipv4_is_lbcast(address)
  if (!multi && type !== RTN_LOCAL) return -E.EADDRNOTAVAIL
  const snum = ntohs(addr.sin_port)
  if (snum !== 0 && snum < PROT_SOCK && !capable(k)) return -E.EACCES
  lock_sock(k, sk)
  try {
    if (sk.sk_state !== TCP.TCP_CLOSE || sk.sk_num !== 0) return -E.EINVAL
    const bound = argument(address, 1)
    sk.sk_rcv_saddr = bound
    inet.inet_saddr = multi ? 0 : bound
    if (k.indirect<Get>(sk_prot(sk).get_port)(k, sk, snum) !== 0) {
      inet.inet_saddr = 0
      sk.sk_rcv_saddr = 0
      return -E.EADDRINUSE
    }
    if (sk.sk_rcv_saddr !== 0) sk.sk_userlocks = sk.sk_userlocks | SOCK_BINDADDR_LOCK
    if (snum !== 0) sk.sk_userlocks = sk.sk_userlocks | SOCK_BINDPORT_LOCK
    inet.inet_sport = snum === 0 ? htons(sk.sk_num) : argument(htons(sk.sk_num), 1)
    inet.inet_daddr = 0
    inet.inet_dport = 0
    sk_dst_reset(k, sk)
    return 0
  } finally {
    release_sock(k, sk)
  }
})

/** @see net/ipv4/af_inet.c:inet_bind */
export const inet_bind = kfunc(
  FILE,
  function inet_bind(k, sock: socket, uaddr: Sockaddr, len: number): number {
    if (len < 16) return -E.EINVAL
    return __inet_bind(k, deref(sock.sk), uaddr.$cast<sockaddr_in>('sockaddr_in'))
  },
)

/** @see net/ipv4/af_inet.c:inet_listen */
export const inet_listen = kfunc(FILE, function inet_listen(k, sock: socket, backlog: number): number {
  const sk = deref(sock.sk)
  lock_sock(k, sk)
  try {
    if (sock.state !== S.SS_UNCONNECTED || sock.type !== S.SOCK_STREAM) return -E.EINVAL
    const old = sk.sk_state
    if (((1 << old) & (TCP.TCPF_CLOSE | TCP.TCPF_LISTEN)) === 0) return -E.EINVAL
    sk.sk_max_ack_backlog = argument(backlog, 1)
    return old === TCP.TCP_LISTEN ? 0 : inet_csk_listen_start(k, sk)
  } finally {
    release_sock(k, sk)
  }
})

/** The child becomes the new socket's. @see include/net/sock.h:sock_graft */
export function sock_graft(k: Kernel, sk: sock, parent: socket): void {
  sk.sk_wq = parent.wq
  parent.sk = sk
  sk_set_socket(sk, parent)
  const inode = parent.$containerOf<import('../../../../btf/vmlinux.ts').socket_alloc>(
    'socket_alloc',
    'socket',
  ).vfs_inode
  sk.sk_uid.val = from(inode.i_uid, 'val')
  security_sock_graft(k, sk, parent)
}

/** The listener's sockets can send without copying, and so can what it accepts. */
const SUPPORT_ZC = BigInt(1 << S.SOCK_SUPPORT_ZC)

export const __inet_accept = kfunc(
  FILE,
  function __inet_accept(k, sock: socket, newsock: socket, newsk: sock): void {
    newsock.flags = newsock.flags | (sock.flags & SUPPORT_ZC)
    sock_graft(k, newsk, newsock)
    newsock.state = S.SS_CONNECTED
  },
)

/** @returns 0 or a negative error number @see net/ipv4/af_inet.c:inet_accept */
export const inet_accept = kfunc(
  FILE,
  function* inet_accept(
    k,
    sock: socket,
    newsock: socket,
    flags: number,
    _kern: boolean,
  ): Generator<unknown, number> {
    const sk1 = deref(sock.sk)
    const result: AcceptError = { err: -E.EINVAL }
    type Accept = (
      k: Kernel,
      sk: sock,
      flags: number,
      result: AcceptError,
    ) => Generator<unknown, sock | null> | sock | null
    const sk2 = yield* sleepable(k.indirect<Accept>(sk_prot(sk1).accept)(k, sk1, flags, result))
    if (sk2 === null) return result.err
    lock_sock(k, sk2)
    __inet_accept(k, sock, newsock, sk2)
    release_sock(k, sk2)
    return 0
  },
)

// ---- connect

/** Wait for the handshake. @returns jiffies left @see net/ipv4/af_inet.c:inet_wait_for_connect */
function* inet_wait_for_connect(k: Kernel, sk: sock, timeo: bigint): Generator<unknown, bigint> {
  const wait = DEFINE_WAIT(k, woken_wake_function)
  const { wait: head } = deref(sk.sk_wq)
  let left = timeo
  add_wait_queue(k, head, wait)
  sk.sk_write_pending = sk.sk_write_pending + WRITE_BIAS
  while (((1 << sk.sk_state) & (TCP.TCPF_SYN_SENT | TCP.TCPF_SYN_RECV)) !== 0) {
    release_sock(k, sk)
    left = yield* wait_woken(k, wait, TASK_INTERRUPTIBLE, left)
    lock_sock(k, sk)
    if (signal_pending(k.current) || left === 0n) break
  }
  remove_wait_queue(k, head, wait)
  sk.sk_write_pending = sk.sk_write_pending - WRITE_BIAS
  return left
}
/** Nothing is waiting to be written: the handshake's last ACK need not wait for data. */
const WRITE_BIAS = 0

type Connect = (k: Kernel, sk: sock, addr: Sockaddr, len: number) => number

/**
 * Start connecting, and unless O_NONBLOCK wait for the outcome.
 *
 * @returns 0, -EINPROGRESS, -EALREADY, -EISCONN, or what ended the attempt
 * @see net/ipv4/af_inet.c:__inet_stream_connect
 */
export const __inet_stream_connect = kfunc(
  FILE,
  function* __inet_stream_connect(
    k,
    sock: socket,
    uaddr: Sockaddr,
    len: number,
    flags: number,
  ): Generator<unknown, number> {
    const sk = deref(sock.sk)
    let err: number
    if (len >= 2 && k.mem.u16(uaddr.$va) === S.AF_UNSPEC) {
      const done = k.indirect<(k: Kernel, sk: sock, flags: number) => number>(sk_prot(sk).disconnect)(
        k,
        sk,
        flags,
      )
      sock.state = done !== 0 ? S.SS_DISCONNECTING : S.SS_UNCONNECTED
      return done
    }
    switch (sock.state) {
      case S.SS_CONNECTED:
        return -E.EISCONN
      case S.SS_CONNECTING:
        err = -E.EALREADY
        break
      case S.SS_UNCONNECTED:
        if (sk.sk_state !== TCP.TCP_CLOSE) return -E.EISCONN
        err = k.indirect<Connect>(sk_prot(sk).connect)(k, sk, uaddr, len)
        if (err < 0) return err
        sock.state = S.SS_CONNECTING
        err = -E.EINPROGRESS
        break
      default:
        return -E.EINVAL
    }
    const timeo = sock_sndtimeo(sk, (flags & O_NONBLOCK) !== 0)
    if (((1 << sk.sk_state) & (TCP.TCPF_SYN_SENT | TCP.TCPF_SYN_RECV)) !== 0) {
      if (timeo === 0n) return err
      const left = yield* inet_wait_for_connect(k, sk, timeo)
      const pending = ((1 << sk.sk_state) & (TCP.TCPF_SYN_SENT | TCP.TCPF_SYN_RECV)) !== 0
      if (pending && left === 0n) return err
      if (signal_pending(k.current)) return sock_intr_errno(left)
    }
    // refused, reset or timed out
    if (sk.sk_state === TCP.TCP_CLOSE) {
      err = sock_error(sk) || -E.ECONNABORTED
      sock.state = S.SS_UNCONNECTED
      if (
        k.indirect<(k: Kernel, sk: sock, flags: number) => number>(sk_prot(sk).disconnect)(k, sk, flags) !== 0
      ) {
        sock.state = S.SS_DISCONNECTING
      }
      return err
    }
    sock.state = S.SS_CONNECTED
    return 0
  },
  { locals: 40 },
)

/** @see net/ipv4/af_inet.c:inet_stream_connect */
export const inet_stream_connect = kfunc(
  FILE,
  function* inet_stream_connect(
    k,
    sock: socket,
    uaddr: Sockaddr,
    len: number,
    flags: number,
  ): Generator<unknown, number> {
    const sk = deref(sock.sk)
    lock_sock(k, sk)
    const err = yield* __inet_stream_connect(k, sock, uaddr, len, flags)
    release_sock(k, sk)
    return err
  },
)

/** A datagram socket's peer. @see net/ipv4/af_inet.c:inet_dgram_connect */
export const inet_dgram_connect = kfunc(
  FILE,
  function inet_dgram_connect(k, sock: socket, uaddr: Sockaddr, len: number, flags: number): number {
    const sk = deref(sock.sk)
    if (len < 2) return -E.EINVAL
    if (k.mem.u16(uaddr.$va) === S.AF_UNSPEC) {
      return k.indirect<(k: Kernel, sk: sock, flags: number) => number>(sk_prot(sk).disconnect)(k, sk, flags)
    }
    if (sk.sk_num === 0 && inet_autobind(k, sk) !== 0) return -E.EAGAIN
    return k.indirect<Connect>(sk_prot(sk).connect)(k, sk, uaddr, len)
  },
)

// ---- names and messages

/** @param peer 0 own name; else the peer's @returns bytes of address @see net/ipv4/af_inet.c:inet_getname */
export const inet_getname = kfunc(
  FILE,
  function inet_getname(k, sock: socket, uaddr: Sockaddr, peer: number): number {
    const sk = deref(sock.sk)
    const inet = inet_sk(k, sk)
    const sin = uaddr.$cast<sockaddr_in>('sockaddr_in')
    if (peer !== 0) {
      const gone = ((1 << sk.sk_state) & (TCP.TCPF_CLOSE | TCP.TCPF_SYN_SENT)) !== 0
      if (inet.inet_dport === 0 || (gone && peer === 1)) return -E.ENOTCONN
    }
    sin.sin_family = S.AF_INET
    if (peer !== 0) {
      sin.sin_port = from(inet, 'inet_dport')
      sin.sin_addr.s_addr = from(inet, 'inet_daddr')
    } else {
      sin.sin_port = from(inet, 'inet_sport')
      sin.sin_addr.s_addr = sk.sk_rcv_saddr !== 0 ? from(inet, 'inet_rcv_saddr') : from(inet, 'inet_saddr')
    }
    k.mem.fill(sin.$va + 8, 0, 8)
    return 16
  },
)

type Message = (
  k: Kernel,
  sk: sock,
  msg: msghdr,
  size: number,
  flags?: number,
  addrlen?: { len: number },
) => Generator<unknown, number> | number

/** @see net/ipv4/af_inet.c:inet_sendmsg */
export const inet_sendmsg = kfunc(
  FILE,
  function* inet_sendmsg(k, sock: socket, msg: msghdr, size: number): Generator<unknown, number> {
    const sk = deref(sock.sk)
    if (sk.sk_num === 0 && sk_prot(sk).no_autobind === 0 && inet_autobind(k, sk) !== 0) return -E.EAGAIN
    k.jump()
    return yield* sleepable(k.indirect<Message>(sk_prot(sk).sendmsg)(k, sk, msg, size))
  },
)

/** @see net/ipv4/af_inet.c:inet_recvmsg */
export const inet_recvmsg = kfunc(
  FILE,
  function* inet_recvmsg(
    k,
    sock: socket,
    msg: msghdr,
    size: number,
    flags: number,
  ): Generator<unknown, number> {
    const sk = deref(sock.sk)
    const addrlen = { len: 0 }
    const got = yield* sleepable(k.indirect<Message>(sk_prot(sk).recvmsg)(k, sk, msg, size, flags, addrlen))
    if (got >= 0) msg.msg_namelen = addrlen.len
    return got
  },
)

/** @param how SHUT_RD, SHUT_WR, SHUT_RDWR @see net/ipv4/af_inet.c:inet_shutdown */
export const inet_shutdown = kfunc(FILE, function inet_shutdown(k, sock: socket, how: number): number {
  const sk = deref(sock.sk)
  const which = how + 1
  if ((which & ~S.SHUTDOWN_MASK) !== 0 || which === 0) return -E.EINVAL
  lock_sock(k, sk)
  let err = 0
  if (sock.state === S.SS_CONNECTING) {
    const early = ((1 << sk.sk_state) & (TCP.TCPF_SYN_SENT | TCP.TCPF_SYN_RECV | TCP.TCPF_CLOSE)) !== 0
    sock.state = early ? S.SS_DISCONNECTING : S.SS_CONNECTED
  }
  switch (sk.sk_state) {
    case TCP.TCP_CLOSE:
      err = -E.ENOTCONN
      break
    case TCP.TCP_LISTEN:
    case TCP.TCP_SYN_SENT:
      if (sk.sk_state === TCP.TCP_LISTEN && (which & S.RCV_SHUTDOWN) === 0) break
      err = k.indirect<(k: Kernel, sk: sock, flags: number) => number>(sk_prot(sk).disconnect)(k, sk, 0)
      sock.state = err !== 0 ? S.SS_DISCONNECTING : S.SS_UNCONNECTED
      break
    default: {
      sk.sk_shutdown = sk.sk_shutdown | which
      const { shutdown } = sk_prot(sk)
      if (shutdown !== 0n) k.indirect<(k: Kernel, sk: sock, how: number) => void>(shutdown)(k, sk, which)
    }
  }
  sk_state_change(k, sk)
  release_sock(k, sk)
  return err
})

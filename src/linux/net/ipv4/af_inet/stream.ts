/** listen, connect, accept, shutdown and the data calls of IPv4's stream sockets. @see net/ipv4/af_inet.c */

import type { msghdr, sock, sockaddr, socket } from '../../../../btf/vmlinux.ts'
import {
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENOTCONN,
} from '../../../../abi/errno.ts'
import { O_NONBLOCK } from '../../../../abi/fcntl.ts'
import { TASK_INTERRUPTIBLE } from '../../../../abi/sched.ts'
import {
  AF_UNSPEC,
  SEND_SHUTDOWN,
  SHUTDOWN_MASK,
  SOCK_STREAM,
  SS_CONNECTED,
  SS_CONNECTING,
  SS_DISCONNECTING,
  SS_UNCONNECTED,
} from '../../../../abi/socket.ts'
import { TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT } from '../../../../abi/tcp_states.ts'
import { deref } from '../../../deref.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import type {
  ProtoAccept,
  ProtoConnect,
  ProtoDisconnect,
  ProtoGetPort,
  ProtoRecvmsg,
  ProtoSendmsg,
  ProtoShutdown,
} from '../../../include/net/proto.ts'
import type { Sockaddr } from '../../../include/net/proto_ops.ts'
import { sk_prot, sk_sleep, sock_error, sock_intr_errno, sock_sndtimeo } from '../../../include/net/sock.ts'
import { kfunc } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { signal_pending } from '../../../kernel/sched/core.ts'
import { DEFINE_WAIT, finish_wait, prepare_to_wait } from '../../../kernel/sched/wait.ts'
import { schedule_timeout } from '../../../kernel/time/timer.ts'
import { security_sock_graft } from '../../../security/security.ts'
import { sleepable } from '../../../sleepable.ts'
import { callSock } from '../../core/sock/init.ts'
import { lock_sock, release_sock } from '../../core/sock/lock.ts'
import { inet_csk_listen_start } from '../inet_connection_sock/listen.ts'
import type { AcceptError } from '../inet_connection_sock/listen.ts'
import { htons } from '../../../../base/u32.ts'
import { SOCK_INODE } from '../../socket/sockfs.ts'

const FILE = 'net/ipv4/af_inet.c'
type Call = Generator<unknown, number>

/** @see net/ipv4/af_inet.c:inet_listen */
export const inet_listen = kfunc(
  FILE,
  function inet_listen(k: Kernel, sock: socket, backlog: number): number {
    const sk = deref(sock.sk)
    lock_sock(k, sk)
    try {
      if (sock.state !== SS_UNCONNECTED || sock.type !== SOCK_STREAM) return -EINVAL
      const old = sk.sk_state
      if (old !== TCP_CLOSE && old !== TCP_LISTEN) return -EINVAL
      sk.sk_max_ack_backlog = backlog
      return old === TCP_LISTEN ? 0 : inet_csk_listen_start(k, sk)
    } finally {
      release_sock(k, sk)
    }
  },
)

/** Wait until the handshake is over or `timeo` jiffies are. @returns the jiffies left */
const inet_wait_for_connect = kfunc(
  FILE,
  function* inet_wait_for_connect(k: Kernel, sk: sock, timeo: bigint): Generator<unknown, bigint> {
    const wait = DEFINE_WAIT(k)
    const head = k.ref('wait_queue_head', sk_sleep(sk))
    let left = timeo
    prepare_to_wait(k, head, wait, TASK_INTERRUPTIBLE)
    sk.sk_write_pending = sk.sk_write_pending + 1
    while (sk.sk_state === TCP_SYN_SENT || sk.sk_state === TCP_SYN_RECV) {
      release_sock(k, sk)
      left = yield* schedule_timeout(k, left)
      lock_sock(k, sk)
      if (signal_pending(k.current) || left === 0n) break
      prepare_to_wait(k, head, wait, TASK_INTERRUPTIBLE)
    }
    finish_wait(k, head, wait)
    sk.sk_write_pending = sk.sk_write_pending - 1
    return left
  },
  { locals: 40 },
)

/** @see net/ipv4/af_inet.c:__inet_stream_connect */
export const __inet_stream_connect = kfunc(
  FILE,
  function* __inet_stream_connect(
    k: Kernel,
    sock: socket,
    uaddr: Sockaddr,
    len: number,
    flags: number,
  ): Call {
    const sk = deref(sock.sk)
    if (len < 2) return -EINVAL
    if (uaddr.$cast<sockaddr>('sockaddr').sa_family === AF_UNSPEC) {
      const error = k.indirect<ProtoDisconnect>(sk_prot(sk).disconnect)(k, sk, flags)
      sock.state = error !== 0 ? SS_DISCONNECTING : SS_UNCONNECTED
      return error
    }
    let pending = -EALREADY
    switch (sock.state) {
      case SS_CONNECTED:
        return -EISCONN
      case SS_CONNECTING:
        break
      case SS_UNCONNECTED: {
        if (sk.sk_state !== TCP_CLOSE) return -EISCONN
        const error = k.indirect<ProtoConnect>(sk_prot(sk).connect)(k, sk, uaddr, len)
        if (error < 0) return error
        sock.state = SS_CONNECTING
        pending = -EINPROGRESS
        break
      }
      default:
        return -EINVAL
    }
    const timeo = sock_sndtimeo(sk, (flags & O_NONBLOCK) !== 0)
    if (sk.sk_state === TCP_SYN_SENT || sk.sk_state === TCP_SYN_RECV) {
      if (timeo === 0n) return pending
      const left = yield* inet_wait_for_connect(k, sk, timeo)
      if (left === 0n) return pending
      if (signal_pending(k.current) && stateOf(sk) !== TCP_CLOSE) return sock_intr_errno(timeo)
    }
    if (stateOf(sk) === TCP_CLOSE) return refused(k, sock, sk, flags)
    sock.state = SS_CONNECTED
    return 0
  },
)

/** Read again: what happened while this task slept is not what it saw before. */
const stateOf = (sk: sock): number => sk.sk_state

/** The connection never came to be. */
function refused(k: Kernel, sock: socket, sk: sock, flags: number): number {
  const error = sock_error(sk) || -ECONNABORTED
  sock.state = SS_UNCONNECTED
  if (k.indirect<ProtoDisconnect>(sk_prot(sk).disconnect)(k, sk, flags) !== 0) sock.state = SS_DISCONNECTING
  return error
}

/** @returns 0, or a negative errno: ECONNREFUSED, ETIMEDOUT, EINPROGRESS, EISCONN … */
export const inet_stream_connect = kfunc(
  FILE,
  function* inet_stream_connect(k: Kernel, sock: socket, uaddr: Sockaddr, len: number, flags: number): Call {
    const sk = deref(sock.sk)
    lock_sock(k, sk)
    const error = yield* __inet_stream_connect(k, sock, uaddr, len, flags)
    release_sock(k, sk)
    return error
  },
)

/**
 * Tie an accepted sock to its socket: from here the file leads to it.
 * @see include/net/sock.h:sock_graft
 */
export function sock_graft(k: Kernel, sk: sock, parent: socket): void {
  sk.sk_wq = k.ref('socket_wq', parent.$vaOf('wq'))
  parent.sk = sk
  sk.sk_socket = parent
  sk.sk_uid.val = SOCK_INODE(k, parent).i_uid.val
  security_sock_graft(k, sk, parent)
}

/** @see net/ipv4/af_inet.c:inet_accept */
export const inet_accept = kfunc(
  FILE,
  function* inet_accept(k: Kernel, sock: socket, newsock: socket, flags: number, kern: boolean): Call {
    const sk1 = deref(sock.sk)
    const result: AcceptError = { err: -EINVAL }
    const accept = k.indirect<ProtoAccept>(sk_prot(sk1).accept)
    const sk2 = yield* sleepable(accept(k, sk1, flags, result, kern))
    if (sk2 === null) return result.err
    lock_sock(k, sk2)
    sock_graft(k, sk2, newsock)
    newsock.state = SS_CONNECTED
    release_sock(k, sk2)
    return 0
  },
)

/** A socket that sends without having been bound gets a port now. @see net/ipv4/af_inet.c:inet_send_prepare */
export function inet_send_prepare(k: Kernel, sk: sock): number {
  const inet = inet_sk(k, sk)
  const prot = sk_prot(sk)
  if (inet.inet_num !== 0 || prot.no_autobind === 1 || prot.get_port === 0n) return 0
  lock_sock(k, sk)
  let error = 0
  if (k.indirect<ProtoGetPort>(prot.get_port)(k, sk, 0) !== 0) error = -EAGAIN
  else inet.inet_sport = htons(inet.inet_num)
  release_sock(k, sk)
  return error
}

export const inet_sendmsg = kfunc(
  FILE,
  function* inet_sendmsg(k: Kernel, sock: socket, msg: msghdr, size: number): Call {
    const sk = deref(sock.sk)
    const error = inet_send_prepare(k, sk)
    if (error !== 0) return error
    return yield* sleepable(k.indirect<ProtoSendmsg>(sk_prot(sk).sendmsg)(k, sk, msg, size))
  },
)

export const inet_recvmsg = kfunc(
  FILE,
  function* inet_recvmsg(k: Kernel, sock: socket, msg: msghdr, size: number, flags: number): Call {
    const sk = deref(sock.sk)
    const addrlen = { len: 0 }
    const got = yield* sleepable(
      k.indirect<ProtoRecvmsg>(sk_prot(sk).recvmsg)(k, sk, msg, size, flags, addrlen),
    )
    if (got >= 0) msg.msg_namelen = addrlen.len
    return got
  },
)

/** @param how SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2 */
export const inet_shutdown = kfunc(
  FILE,
  function inet_shutdown(k: Kernel, sock: socket, how: number): number {
    const sk = deref(sock.sk)
    const mask = how + 1
    if ((mask & ~SHUTDOWN_MASK) !== 0 || mask === 0) return -EINVAL
    lock_sock(k, sk)
    try {
      if (sock.state === SS_CONNECTING) {
        sock.state =
          sk.sk_state === TCP_SYN_SENT || sk.sk_state === TCP_CLOSE ? SS_DISCONNECTING : SS_CONNECTED
      }
      if (sk.sk_state === TCP_CLOSE) return -ENOTCONN
      if (sk.sk_state === TCP_LISTEN && (mask & SEND_SHUTDOWN) === mask) return 0
      sk.sk_shutdown = sk.sk_shutdown | mask
      const { shutdown } = sk_prot(sk)
      if (shutdown !== 0n) k.indirect<ProtoShutdown>(shutdown)(k, sk, mask)
      callSock(k, sk.sk_state_change, sk)
      return 0
    } finally {
      release_sock(k, sk)
    }
  },
)

/** Connections of UNIX sockets: listen, connect, accept, names, shutdown, poll. */

import type { StructRef } from '../../../btf/ref.ts'
import type { file, sk_buff, sock, sockaddr_un, socket } from '../../../btf/vmlinux.ts'
import * as E from '../../../abi/errno.ts'
import { O_NONBLOCK } from '../../../abi/fcntl.ts'
import * as P from '../../../abi/poll.ts'
import * as S from '../../../abi/socket.ts'
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from '../../../abi/tcp_states.ts'
import { TASK_INTERRUPTIBLE } from '../../../abi/sched.ts'
import { deref } from '../../deref.ts'
import { dget } from '../../fs/dcache.ts'
import { mntget } from '../../fs/namespace.ts'
import { poll_wait } from '../../fs/poll_wait.ts'
import type { Sockaddr } from '../../include/net/proto_ops.ts'
import { sock_hold, sock_intr_errno, sock_sndtimeo } from '../../include/net/sock.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { signal_pending } from '../../kernel/sched/core.ts'
import {
  DEFINE_WAIT,
  finish_wait,
  prepare_to_wait_exclusive,
  wake_up_interruptible,
} from '../../kernel/sched/wait.ts'
import { schedule_timeout } from '../../kernel/time/timer.ts'
import { refcount_inc } from '../../lib/refcount.ts'
import { security_unix_may_send, security_unix_stream_connect } from '../../security/security.ts'
import { __skb_recv_datagram, skb_free_datagram, type DatagramError } from '../core/datagram.ts'
import { __skb_queue_tail, alloc_skb, skb_queue_empty } from '../core/skbuff.ts'
import { sk_data_ready, sk_state_change, skb_set_owner_w, sock_put } from '../core/sock.ts'
import { sock_graft } from '../ipv4/af_inet.ts'
import { init_net } from '../core/net_namespace.ts'
import { copy_peercred, init_peercred, unix_create1, unix_writable } from './create.ts'
import { bindName, copyName, unix_find_other, unix_sk, unix_validate_addr } from './names.ts'

const FILE = 'net/unix/af_unix.c'
type Call = Generator<unknown, number>

const sun = (addr: Sockaddr): sockaddr_un => addr.$cast<sockaddr_un>('sockaddr_un')

export const unix_bind = kfunc(
  FILE,
  function unix_bind(k: Kernel, sock: socket, uaddr: Sockaddr, len: number): number {
    return bindName(k, deref(sock.sk), sun(uaddr), len)
  },
)

/** @returns 0, -EOPNOTSUPP, -EINVAL */
export const unix_listen = kfunc(
  FILE,
  function unix_listen(k: Kernel, sock: socket, backlog: number): number {
    if (sock.type !== S.SOCK_STREAM && sock.type !== S.SOCK_SEQPACKET) return -E.EOPNOTSUPP
    const sk = deref(sock.sk)
    const u = unix_sk(k, sk)
    if (u.addr === null) return -E.EINVAL
    if (sk.sk_state !== TCP_CLOSE && sk.sk_state !== TCP_LISTEN) return -E.EINVAL
    if (backlog > sk.sk_max_ack_backlog) wake_up_interruptible(k, u.peer_wq.wait)
    sk.sk_max_ack_backlog = backlog
    sk.sk_state = TCP_LISTEN
    init_peercred(k, sk)
    return 0
  },
)

/** More connections or messages waiting than the receiver wants? @see net/unix/af_unix.c:unix_recvq_full */
export const unix_recvq_full = (sk: sock): boolean => sk.sk_receive_queue.qlen > sk.sk_max_ack_backlog

/** Sleep until the receiver has taken something. @returns jiffies left @see net/unix/af_unix.c:unix_wait_for_peer */
export const unix_wait_for_peer = kfunc(
  FILE,
  function* unix_wait_for_peer(k: Kernel, other: sock, timeo: bigint): Generator<unknown, bigint> {
    const wait = DEFINE_WAIT(k)
    const { wait: head } = unix_sk(k, other).peer_wq
    prepare_to_wait_exclusive(k, head, wait, TASK_INTERRUPTIBLE)
    const left = unix_recvq_full(other) ? yield* schedule_timeout(k, timeo) : timeo
    finish_wait(k, head, wait)
    return left
  },
  { locals: 40 },
)

/** The listener that can take a connection now, held; waited for when its queue is full. @returns a negative errno */
function* roomFor(
  k: Kernel,
  addr: sockaddr_un,
  len: number,
  type: number,
  timeo: bigint,
): Generator<unknown, sock | number> {
  for (let left = timeo; ;) {
    const other = unix_find_other(k, addr, len, type)
    if (typeof other === 'number') return other
    if (other.sk_state !== TCP_LISTEN || (other.sk_shutdown & S.RCV_SHUTDOWN) !== 0) {
      sock_put(k, other)
      return -E.ECONNREFUSED
    }
    if (!unix_recvq_full(other)) return other
    if (left === 0n) {
      sock_put(k, other)
      return -E.EAGAIN
    }
    left = yield* unix_wait_for_peer(k, other, left)
    sock_put(k, other)
    if (signal_pending(k.current)) return sock_intr_errno(left)
  }
}

/** A message of one byte that stands for a connection: its owner is the other end's sock. @see net/core/sock.c:sock_wmalloc */
const sock_wmalloc = kfunc(
  'net/core/sock.c',
  function sock_wmalloc(k: Kernel, sk: sock, size: number): sk_buff {
    const skb = alloc_skb(k, size)
    skb_set_owner_w(k, skb, sk)
    return skb
  },
)

/** @returns 0, -ECONNREFUSED, -ENOENT, -EAGAIN, -EISCONN, -EINVAL, -EPROTOTYPE */
export const unix_stream_connect = kfunc(
  FILE,
  function* unix_stream_connect(k: Kernel, sock: socket, uaddr: Sockaddr, len: number, flags: number): Call {
    const sk = deref(sock.sk)
    const err = unix_validate_addr(sun(uaddr), len)
    if (err !== 0) return err
    const timeo = sock_sndtimeo(sk, (flags & O_NONBLOCK) !== 0)
    const other = yield* roomFor(k, sun(uaddr), len, sk.sk_type, timeo)
    if (typeof other === 'number') return other
    const refused = sk.sk_state === TCP_CLOSE ? 0 : sk.sk_state === TCP_ESTABLISHED ? -E.EISCONN : -E.EINVAL
    if (refused !== 0) {
      sock_put(k, other)
      return refused
    }
    const newsk = unix_create1(k, init_net(k), null, false, sock.type)
    const skb = sock_wmalloc(k, newsk, 1)
    const denied = security_unix_stream_connect(k, sk, other, newsk)
    if (denied !== 0) {
      sock_put(k, other)
      return denied
    }
    pair(k, sk, other, newsk)
    sock.state = S.SS_CONNECTED
    __skb_queue_tail(k, other.sk_receive_queue, skb)
    sk_data_ready(k, other)
    sock_put(k, other)
    return 0
  },
)

/** The new end is the listener's: its name, its path, the client's credentials. */
function pair(k: Kernel, sk: sock, other: sock, newsk: sock): void {
  const [newu, otheru] = [unix_sk(k, newsk), unix_sk(k, other)]
  sock_hold(sk)
  newu.peer = sk
  newsk.sk_state = TCP_ESTABLISHED
  newsk.sk_type = sk.sk_type
  init_peercred(k, newsk)
  newsk.sk_wq = newu.peer_wq
  newu.listener = other
  if (otheru.addr !== null) {
    refcount_inc(otheru.addr.refcnt)
    newu.addr = otheru.addr
  }
  const { dentry, mnt } = otheru.path
  if (dentry !== null) {
    newu.path.dentry = dget(dentry)
    newu.path.mnt = mntget(k, mnt)
  }
  copy_peercred(sk, other)
  sk.sk_state = TCP_ESTABLISHED
  sock_hold(newsk)
  unix_sk(k, sk).peer = newsk
}

/** @returns 0, -EOPNOTSUPP, -EINVAL, -EAGAIN */
export const unix_accept = kfunc(
  FILE,
  function* unix_accept(k: Kernel, sock: socket, newsock: socket, flags: number, _kern: boolean): Call {
    const sk = deref(sock.sk)
    if (sock.type !== S.SOCK_STREAM && sock.type !== S.SOCK_SEQPACKET) return -E.EOPNOTSUPP
    if (sk.sk_state !== TCP_LISTEN) return -E.EINVAL
    const result: DatagramError = { err: 0 }
    const wait = (flags & O_NONBLOCK) !== 0 ? S.MSG_DONTWAIT : 0
    const skb = yield* __skb_recv_datagram(k, sk, sk.sk_receive_queue, wait, result)
    // the listener was shut down
    if (skb === null) return result.err === 0 ? -E.EINVAL : result.err
    const tsk = deref(skb.sk)
    skb_free_datagram(k, sk, skb)
    wake_up_interruptible(k, unix_sk(k, sk).peer_wq.wait)
    newsock.state = S.SS_CONNECTED
    unix_sk(k, tsk).listener = null
    sock_graft(k, tsk, newsock)
    return 0
  },
)

/** @param peer 0 own name, else the peer's @returns bytes of address, or -ENOTCONN */
export const unix_getname = kfunc(
  FILE,
  function unix_getname(k: Kernel, sock: socket, uaddr: Sockaddr, peer: number): number {
    const sk = deref(sock.sk)
    const whose = peer === 0 ? sk : unix_sk(k, sk).peer
    return whose === null ? -E.ENOTCONN : copyName(k, uaddr.$va, whose)
  },
)

/** May the one send to the other? A connected datagram socket hears its peer alone. @see net/unix/af_unix.c:unix_may_send */
export const unix_may_send = (k: Kernel, sk: sock, other: sock): boolean => {
  const { peer } = unix_sk(k, other)
  return peer === null || peer.$va === sk.$va
}

/** A default destination for messages; AF_UNSPEC takes it back. @returns 0, -EPERM, -ECONNREFUSED … */
export const unix_dgram_connect = kfunc(
  FILE,
  function unix_dgram_connect(k: Kernel, sock: socket, uaddr: Sockaddr, len: number): number {
    const sk = deref(sock.sk)
    const u = unix_sk(k, sk)
    let other: sock | null = null
    if (k.mem.u16(uaddr.$va) !== S.AF_UNSPEC) {
      const err = unix_validate_addr(sun(uaddr), len)
      if (err !== 0) return err
      const found = unix_find_other(k, sun(uaddr), len, sock.type)
      if (typeof found === 'number') return found
      other = found
      const refused = unix_may_send(k, sk, other)
        ? security_unix_may_send(k, sock, deref(other.sk_socket))
        : -E.EPERM
      if (refused !== 0) {
        sock_put(k, other)
        return refused
      }
      sk.sk_state = TCP_ESTABLISHED
      other.sk_state = TCP_ESTABLISHED
    } else sk.sk_state = TCP_CLOSE
    const old = u.peer
    u.peer = other
    if (old !== null) sock_put(k, old)
    return 0
  },
)

/** @param how SHUT_… @returns 0 or -EINVAL */
export const unix_shutdown = kfunc(
  FILE,
  function unix_shutdown(k: Kernel, sock: socket, how: number): number {
    if (how < S.SHUT_RD || how > S.SHUT_RDWR) return -E.EINVAL
    const mode = how + 1
    const sk = deref(sock.sk)
    sk.sk_shutdown = sk.sk_shutdown | mode
    const { peer } = unix_sk(k, sk)
    if (peer !== null && (sk.sk_type === S.SOCK_STREAM || sk.sk_type === S.SOCK_SEQPACKET)) {
      const theirs =
        ((mode & S.RCV_SHUTDOWN) !== 0 ? S.SEND_SHUTDOWN : 0) |
        ((mode & S.SEND_SHUTDOWN) !== 0 ? S.RCV_SHUTDOWN : 0)
      peer.sk_shutdown = peer.sk_shutdown | theirs
      if (peer.sk_shutdown === S.SHUTDOWN_MASK || (theirs & S.RCV_SHUTDOWN) !== 0) sk_state_change(k, peer)
    }
    return 0
  },
)

/** @returns EPOLL bits */
export const unix_poll = kfunc(
  FILE,
  function unix_poll(k: Kernel, file: file, sock: socket, wait: StructRef | null): number {
    const sk = deref(sock.sk)
    poll_wait(k, file, deref(sk.sk_wq).wait, wait)
    const { sk_shutdown: shutdown } = sk
    let mask = 0
    if (sk.sk_err !== 0) mask |= P.EPOLLERR
    if (shutdown === S.SHUTDOWN_MASK) mask |= P.EPOLLHUP
    if ((shutdown & S.RCV_SHUTDOWN) !== 0) mask |= P.EPOLLRDHUP | P.EPOLLIN | P.EPOLLRDNORM
    if (!skb_queue_empty(k, sk.sk_receive_queue)) mask |= P.EPOLLIN | P.EPOLLRDNORM
    if (sk.sk_type !== S.SOCK_DGRAM && sk.sk_state === TCP_CLOSE) mask |= P.EPOLLHUP
    return unix_writable(sk) ? mask | P.EPOLLOUT | P.EPOLLWRNORM | P.EPOLLWRBAND : mask
  },
)

/**
 * Sockets of the kernel's own: no file, no descriptor, no reference to the network namespace. Addresses and messages
 * lie in kernel memory.
 *
 * @see net/socket.c:sock_create_kern
 */

import type { Va } from '../../../base/addr.ts'
import type { msghdr, net, sockaddr_in, socket } from '../../../btf/vmlinux.ts'
import { ITER_DEST, ITER_SOURCE } from '../../../abi/uio.ts'
import { deref } from '../../deref.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { try_module_get } from '../../kernel/module/main.ts'
import type {
  Accept,
  Bind,
  Connect,
  Getname,
  Listen,
  Shutdown,
  Sockaddr,
} from '../../include/net/proto_ops.ts'
import { iov_iter_kvec } from '../../lib/iov_iter.ts'
import { security_socket_create, security_socket_post_create } from '../../security/security.ts'
import { sleepable } from '../../sleepable.ts'
import { __sock_create, type SocketOrError } from './create.ts'
import { sock_recvmsg, sock_sendmsg } from './messages.ts'
import { sock_alloc, sock_release } from './sockfs.ts'

const FILE = 'net/socket.c'
type Call = Generator<unknown, number>

/** As socket(2), for a process of this one's rights. @returns the socket or a negative errno */
export const sock_create = kfunc(
  FILE,
  function* sock_create(
    k: Kernel,
    family: number,
    type: number,
    protocol: number,
  ): Generator<unknown, SocketOrError> {
    return yield* __sock_create(k, family, type, protocol, 0)
  },
)

/** A socket for the kernel: `sk_kern_sock` set, no reference to `net`. @returns the socket or a negative errno */
export const sock_create_kern = kfunc(
  FILE,
  function* sock_create_kern(
    k: Kernel,
    _net: net,
    family: number,
    type: number,
    protocol: number,
  ): Generator<unknown, SocketOrError> {
    return yield* __sock_create(k, family, type, protocol, 1)
  },
)

/** A socket without a sock, for accept() to fill. @returns the socket or a negative errno */
export const sock_create_lite = kfunc(
  FILE,
  function* sock_create_lite(
    k: Kernel,
    family: number,
    type: number,
    protocol: number,
  ): Generator<unknown, SocketOrError> {
    const refused = security_socket_create(k, family, type, protocol, 1)
    if (refused !== 0) return refused
    const sock = sock_alloc(k)
    sock.type = type
    const err = security_socket_post_create(k, sock, family, type, protocol, 1)
    if (err === 0) return sock
    yield* sock_release(k, sock)
    return err
  },
)

export const kernel_bind = kfunc(
  FILE,
  function* kernel_bind(k: Kernel, sock: socket, addr: Sockaddr, len: number): Call {
    return yield* sleepable(k.indirect<Bind>(deref(sock.ops).bind)(k, sock, addr, len))
  },
)
export const kernel_listen = kfunc(
  FILE,
  function* kernel_listen(k: Kernel, sock: socket, backlog: number): Call {
    return yield* sleepable(k.indirect<Listen>(deref(sock.ops).listen)(k, sock, backlog))
  },
)
export const kernel_connect = kfunc(
  FILE,
  function* kernel_connect(k: Kernel, sock: socket, addr: Sockaddr, len: number, flags: number): Call {
    return yield* sleepable(k.indirect<Connect>(deref(sock.ops).connect)(k, sock, addr, len, flags))
  },
)

/** The next connection, waited for unless O_NONBLOCK. @returns its socket or a negative errno */
export const kernel_accept = kfunc(
  FILE,
  function* kernel_accept(k: Kernel, sock: socket, flags: number): Generator<unknown, SocketOrError> {
    const sk = deref(sock.sk)
    const newsock = yield* sock_create_lite(k, sk.sk_family, sk.sk_type, sk.sk_protocol)
    if (typeof newsock === 'number') return newsock
    const err = yield* sleepable(k.indirect<Accept>(deref(sock.ops).accept)(k, sock, newsock, flags, true))
    if (err < 0) {
      yield* sock_release(k, newsock)
      return err
    }
    newsock.ops = sock.ops
    try_module_get(sock.ops?.owner ?? null)
    return newsock
  },
)

/** @returns bytes of address, or a negative errno */
export const kernel_getsockname = kfunc(
  FILE,
  function kernel_getsockname(k: Kernel, sock: socket, addr: Sockaddr): number {
    return k.indirect<Getname>(deref(sock.ops).getname)(k, sock, addr, 0)
  },
)
/** @returns bytes of address, or a negative errno: -ENOTCONN */
export const kernel_getpeername = kfunc(
  FILE,
  function kernel_getpeername(k: Kernel, sock: socket, addr: Sockaddr): number {
    return k.indirect<Getname>(deref(sock.ops).getname)(k, sock, addr, 1)
  },
)

export const kernel_sock_shutdown = kfunc(
  FILE,
  function* kernel_sock_shutdown(k: Kernel, sock: socket, how: number): Call {
    return yield* sleepable(k.indirect<Shutdown>(deref(sock.ops).shutdown)(k, sock, how))
  },
)

/**
 * @param vec  `struct kvec *`, `num` of them: buffers in kernel memory, `size` bytes in all
 * @returns bytes sent, or a negative errno
 */
export const kernel_sendmsg = kfunc(
  FILE,
  function* kernel_sendmsg(k: Kernel, sock: socket, msg: msghdr, vec: Va, num: number, size: number): Call {
    iov_iter_kvec(k, msg.msg_iter, ITER_SOURCE, vec, num, size)
    return yield* sock_sendmsg(k, sock, msg)
  },
)

/** As {@link kernel_sendmsg}; @returns bytes received, 0 at the end of a stream, or a negative errno */
export const kernel_recvmsg = kfunc(
  FILE,
  function* kernel_recvmsg(
    k: Kernel,
    sock: socket,
    msg: msghdr,
    vec: Va,
    num: number,
    size: number,
    flags: number,
  ): Call {
    msg.msg_control_is_user = 0
    iov_iter_kvec(k, msg.msg_iter, ITER_DEST, vec, num, size)
    return yield* sock_recvmsg(k, sock, msg, flags)
  },
)

/** Fill a `struct sockaddr_in` in kernel memory. @param address,port as in memory: network order */
export function fill_sockaddr_in(sin: sockaddr_in, address: number, port: number): sockaddr_in {
  sin.sin_family = 2
  sin.sin_port = port
  sin.sin_addr.s_addr = address
  return sin
}

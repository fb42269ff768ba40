/**
 * Messages in and out of a socket: the security hook first, then the protocol.
 *
 * @see net/socket.c:sock_recvmsg, sock_sendmsg
 */

import type { msghdr, socket } from '../../../btf/vmlinux.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { iov_iter_count } from '../../lib/iov_iter.ts'
import type { Recvmsg, Sendmsg } from '../../include/net/proto_ops.ts'
import { security_socket_recvmsg, security_socket_sendmsg } from '../../security/security.ts'
import { sleepable } from '../../sleepable.ts'

const FILE = 'net/socket.c'

/**
 * @returns bytes received, 0 at the end of the stream, or a negative errno: the hook's own when it refuses, with
 *   no protocol code having run
 * @see net/socket.c:sock_recvmsg
 */
export const sock_recvmsg = kfunc(
  FILE,
  function* sock_recvmsg(k: Kernel, sock: socket, msg: msghdr, flags: number): Generator<unknown, number> {
    const size = iov_iter_count(msg.msg_iter)
    const refused = security_socket_recvmsg(k, sock, msg, size, flags)
    if (refused !== 0) return refused
    const recvmsg = sock.ops?.recvmsg ?? 0n
    k.jump()
    return yield* sleepable(k.indirect<Recvmsg>(recvmsg)(k, sock, msg, size, flags))
  },
)

/** @returns bytes taken, or a negative errno */
export const __sock_sendmsg = kfunc(
  FILE,
  function* __sock_sendmsg(k: Kernel, sock: socket, msg: msghdr): Generator<unknown, number> {
    const size = iov_iter_count(msg.msg_iter)
    const refused = security_socket_sendmsg(k, sock, msg, size)
    if (refused !== 0) return refused
    const sendmsg = sock.ops?.sendmsg ?? 0n
    return yield* sleepable(k.indirect<Sendmsg>(sendmsg)(k, sock, msg, size))
  },
)
export const sock_sendmsg = __sock_sendmsg

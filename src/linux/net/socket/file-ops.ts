/** A socket as a file: read, write, poll, the last close. @see net/socket.c:socket_file_ops */

import { toVa } from '../../../base/addr.ts'
import type { StructRef } from '../../../btf/ref.ts'
import type { file, inode, iov_iter, kiocb, socket } from '../../../btf/vmlinux.ts'
import { O_NONBLOCK } from '../../../abi/fcntl.ts'
import { MSG_DONTWAIT } from '../../../abi/socket.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import type { PollSocket } from '../../include/net/proto_ops.ts'
import { iov_iter_count } from '../../lib/iov_iter.ts'
import { sock_recvmsg, sock_sendmsg } from './messages.ts'
import { SOCKET_I, __sock_release } from './sockfs.ts'

const FILE = 'net/socket.c'

/** The socket behind a file that is known to be one. */
export const sock_of = (k: Kernel, file: file): socket =>
  k.ref('socket', toVa(file.private_data, k.mem.wordSize))

/** read(2) on a socket is recv(2) without flags. @see net/socket.c:sock_read_iter */
export const sock_read_iter = kfunc(
  FILE,
  function* sock_read_iter(k: Kernel, iocb: kiocb, to: iov_iter): Generator<unknown, number> {
    const file = iocb.ki_filp as file
    const msg = k.local('msghdr')
    msg.msg_iter = to
    msg.msg_iocb = iocb
    if (iov_iter_count(to) === 0) return 0
    const flags = (file.f_flags & O_NONBLOCK) !== 0 ? MSG_DONTWAIT : 0
    msg.msg_flags = flags
    const result = yield* sock_recvmsg(k, sock_of(k, file), msg, flags)
    k.mem.copy(to.$va, msg.msg_iter.$va, to.$size)
    return result
  },
  { locals: 104 },
)

/** @see net/socket.c:sock_write_iter */
export const sock_write_iter = kfunc(
  FILE,
  function* sock_write_iter(k: Kernel, iocb: kiocb, from: iov_iter): Generator<unknown, number> {
    const file = iocb.ki_filp as file
    const msg = k.local('msghdr')
    msg.msg_iter = from
    msg.msg_iocb = iocb
    if ((file.f_flags & O_NONBLOCK) !== 0) msg.msg_flags = MSG_DONTWAIT
    const result = yield* sock_sendmsg(k, sock_of(k, file), msg)
    k.mem.copy(from.$va, msg.msg_iter.$va, from.$size)
    return result
  },
  { locals: 104 },
)

/** @returns EPOLL bits; the waiter is on the socket's queue afterwards. @see net/socket.c:sock_poll */
export const sock_poll = kfunc(
  FILE,
  function sock_poll(k: Kernel, file: file, wait: StructRef | null): number {
    const sock = sock_of(k, file)
    const poll = sock.ops?.poll ?? 0n
    return poll === 0n ? 0 : k.indirect<PollSocket>(poll)(k, file, sock, wait)
  },
)

/** @see net/socket.c:sock_close */
export const sock_close = kfunc(FILE, function* sock_close(k: Kernel, inode: inode, _file: file): Generator<
  unknown,
  number
> {
  yield* __sock_release(k, SOCKET_I(k, inode), inode)
  return 0
})

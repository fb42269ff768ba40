/** socket(2), and finding a socket by its descriptor. @see net/socket.c:__sys_socket */

import { toVa } from '../../../base/addr.ts'
import type { net_proto_family, pt_regs, socket } from '../../../btf/vmlinux.ts'
import { EAFNOSUPPORT, EBADF, EINVAL, ENOTSOCK } from '../../../abi/errno.ts'
import { O_CLOEXEC, O_NONBLOCK } from '../../../abi/fcntl.ts'
import { syscall_int } from '../../arch/x86/entry/common.ts'
import { fd_install, fdget, fdput, get_unused_fd_flags } from '../../fs/file.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import type { Create } from '../../include/net/proto_ops.ts'
import { security_socket_create, security_socket_post_create } from '../../security/security.ts'
import { sleepable } from '../../sleepable.ts'
import { init_net } from '../core/net_namespace.ts'
import { sock_of } from './file-ops.ts'
import { sock_alloc, sock_alloc_file, sock_release } from './sockfs.ts'

const FILE = 'net/socket.c'
const NPROTO = 46
const SOCK_TYPE_MASK = 0xf
const SOCK_MAX = 11
/** Flags of accept4() and socket() beside the type. */
export const SOCK_FLAGS = O_CLOEXEC | O_NONBLOCK

/** A protocol family takes its place in `net_families`. @see net/socket.c:sock_register */
export function sock_register(k: Kernel, ops: net_proto_family): void {
  k.mem.setPointer(toVa(k.sym('net_families'), k.mem.wordSize) + ops.family * k.mem.wordSize, ops.$va)
}

/** Either a socket or a negative errno. */
export type SocketOrError = socket | number

/** @see net/socket.c:__sock_create */
export const __sock_create = kfunc(
  FILE,
  function* __sock_create(
    k: Kernel,
    family: number,
    type: number,
    protocol: number,
    kern: number,
  ): Generator<unknown, SocketOrError> {
    if (family < 0 || family >= NPROTO) return -EAFNOSUPPORT
    if (type < 0 || type >= SOCK_MAX) return -EINVAL
    const refused = security_socket_create(k, family, type, protocol, kern)
    if (refused !== 0) return refused
    const sock = sock_alloc(k)
    sock.type = type
    const pf = k.mem.pointer(toVa(k.sym('net_families'), k.mem.wordSize) + family * k.mem.wordSize)
    const create = pf === 0 ? 0n : k.ref('net_proto_family', pf).create
    let error =
      create === 0n
        ? -EAFNOSUPPORT
        : yield* sleepable(k.indirect<Create>(create)(k, init_net(k), sock, protocol, kern))
    if (error === 0) error = security_socket_post_create(k, sock, family, type, protocol, kern)
    if (error === 0) return sock
    if (create === 0n) sock.ops = null
    yield* sock_release(k, sock)
    return error
  },
)

/** @see net/socket.c:__sys_socket */
export const __sys_socket = kfunc(
  FILE,
  function* __sys_socket(
    k: Kernel,
    family: number,
    type: number,
    protocol: number,
  ): Generator<unknown, number> {
    if ((type & ~SOCK_TYPE_MASK & ~SOCK_FLAGS) !== 0) return -EINVAL
    const sock = yield* __sock_create(k, family, type & SOCK_TYPE_MASK, protocol, 0)
    if (typeof sock === 'number') return sock
    return yield* sock_map_fd(k, sock, type & SOCK_FLAGS)
  },
)

function* sock_map_fd(k: Kernel, sock: socket, flags: number): Generator<unknown, number> {
  const fd = get_unused_fd_flags(k, flags)
  if (fd < 0) {
    yield* sock_release(k, sock)
    return fd
  }
  fd_install(k, fd, sock_alloc_file(k, sock, flags, null))
  return fd
}

export const __x64_sys_socket = kfunc(FILE, function* __x64_sys_socket(k: Kernel, regs: pt_regs): Generator<
  unknown,
  number
> {
  return yield* __sys_socket(k, syscall_int(regs, 0), syscall_int(regs, 1), syscall_int(regs, 2))
})

/**
 * Do something with the socket at a descriptor.
 * @returns what `body` answers, -EBADF, -ENOTSOCK
 * @see net/socket.c:sockfd_lookup_light
 */
export function* with_socket(
  k: Kernel,
  fd: number,
  body: (sock: socket) => Generator<unknown, number>,
): Generator<unknown, number> {
  const found = fdget(k, fd)
  if (found.file === null) return -EBADF
  try {
    if (k.mem.word(found.file.$vaOf('f_op')) !== k.sym('socket_file_ops')) return -ENOTSOCK
    return yield* body(sock_of(k, found.file))
  } finally {
    fdput(k, found)
  }
}

/** bind, listen, connect, accept, names, options, shutdown. @see net/socket.c */

import type { file, pt_regs, socket } from '../../../btf/vmlinux.ts'
import { EINVAL } from '../../../abi/errno.ts'
import { syscall_arg, syscall_int } from '../../arch/x86/entry/common.ts'
import { deref } from '../../deref.ts'
import { fd_install, get_unused_fd_flags, put_unused_fd } from '../../fs/file.ts'
import { fput } from '../../fs/file_table.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import type {
  Accept,
  Bind,
  Connect,
  Getname,
  Getsockopt,
  Listen,
  Setsockopt,
  Shutdown,
} from '../../include/net/proto_ops.ts'
import type { UserPtr } from '../../lib/usercopy.ts'
import {
  security_socket_accept,
  security_socket_bind,
  security_socket_connect,
  security_socket_getpeername,
  security_socket_getsockname,
  security_socket_getsockopt,
  security_socket_listen,
  security_socket_setsockopt,
  security_socket_shutdown,
} from '../../security/security.ts'
import { sleepable } from '../../sleepable.ts'
import { init_net } from '../core/net_namespace.ts'
import { sk_getsockopt, sock_setsockopt } from '../core/sock/options.ts'
import { STORAGE, move_addr_to_kernel, move_addr_to_user } from './address.ts'
import { SOCK_FLAGS, with_socket } from './create.ts'
import { protocolName, sock_alloc, sock_alloc_file } from './sockfs.ts'

const FILE = 'net/socket.c'
const SOL_SOCKET = 1
/** A sockaddr_storage on the stack. */
const ADDRESS = { locals: 128 }
type Call = Generator<unknown, number>

export const __sys_bind = kfunc(
  FILE,
  function* __sys_bind(k: Kernel, fd: number, addr: UserPtr, len: number): Call {
    return yield* with_socket(k, fd, function* (sock) {
      const address = k.local(STORAGE)
      const error = move_addr_to_kernel(k, addr, len, address.$va)
      if (error !== 0) return error
      const refused = security_socket_bind(k, sock, address, len)
      if (refused !== 0) return refused
      return yield* sleepable(k.indirect<Bind>(deref(sock.ops).bind)(k, sock, address, len))
    })
  },
  ADDRESS,
)

export const __sys_listen = kfunc(FILE, function* __sys_listen(k: Kernel, fd: number, backlog: number): Call {
  return yield* with_socket(k, fd, function* (sock) {
    const most = init_net(k).core.sysctl_somaxconn
    const capped = backlog >>> 0 > most ? most : backlog
    const refused = security_socket_listen(k, sock, capped)
    if (refused !== 0) return refused
    return yield* sleepable(k.indirect<Listen>(deref(sock.ops).listen)(k, sock, capped))
  })
})

export const __sys_connect = kfunc(
  FILE,
  function* __sys_connect(k: Kernel, fd: number, addr: UserPtr, len: number): Call {
    return yield* with_socket(k, fd, function* (sock) {
      const address = k.local(STORAGE)
      const error = move_addr_to_kernel(k, addr, len, address.$va)
      if (error !== 0) return error
      const refused = security_socket_connect(k, sock, address, len)
      if (refused !== 0) return refused
      const flags = deref(sock.file).f_flags
      return yield* sleepable(k.indirect<Connect>(deref(sock.ops).connect)(k, sock, address, len, flags))
    })
  },
  ADDRESS,
)

/**
 * The file of the connection that will be accepted is made before anything is waited for.
 * @returns the file, or a negative errno
 * @see net/socket.c:do_accept
 */
export const do_accept = kfunc(
  FILE,
  function* do_accept(
    k: Kernel,
    listener: socket,
    fileFlags: number,
    addr: UserPtr,
    addrlen: UserPtr,
    flags: number,
  ): Generator<unknown, file | number> {
    const newsock = sock_alloc(k)
    newsock.type = listener.type
    newsock.ops = listener.ops
    const newfile = sock_alloc_file(k, newsock, flags, protocolName(k, listener))
    let error = security_socket_accept(k, listener, newsock)
    if (error === 0) {
      const accept = k.indirect<Accept>(deref(listener.ops).accept)
      error = yield* sleepable(accept(k, listener, newsock, fileFlags, false))
    }
    if (error === 0 && addr !== 0 && addr !== 0n) {
      const address = k.local(STORAGE)
      const len = k.indirect<Getname>(deref(newsock.ops).getname)(k, newsock, address, 2)
      error = len < 0 ? len : move_addr_to_user(k, address.$va, len, addr, addrlen)
    }
    if (error === 0) return newfile
    fput(k, newfile)
    return error
  },
  ADDRESS,
)

export const __sys_accept4_file = kfunc(
  FILE,
  function* __sys_accept4_file(
    k: Kernel,
    sock: socket,
    addr: UserPtr,
    addrlen: UserPtr,
    flags: number,
  ): Call {
    const newfd = get_unused_fd_flags(k, flags)
    if (newfd < 0) return newfd
    const newfile = yield* do_accept(k, sock, deref(sock.file).f_flags, addr, addrlen, flags)
    if (typeof newfile === 'number') {
      put_unused_fd(k, newfd)
      return newfile
    }
    fd_install(k, newfd, newfile)
    return newfd
  },
)

export const __sys_accept4 = kfunc(
  FILE,
  function* __sys_accept4(k: Kernel, fd: number, addr: UserPtr, addrlen: UserPtr, flags: number): Call {
    if ((flags & ~SOCK_FLAGS) !== 0) return -EINVAL
    return yield* with_socket(k, fd, (sock) => __sys_accept4_file(k, sock, addr, addrlen, flags))
  },
)

/** @param peer 0: this end; 1: the other end, which must be connected */
const name = (k: Kernel, fd: number, addr: UserPtr, addrlen: UserPtr, peer: 0 | 1): Call =>
  with_socket(k, fd, function* (sock) {
    const refused = peer === 1 ? security_socket_getpeername(k, sock) : security_socket_getsockname(k, sock)
    if (refused !== 0) return refused
    const address = k.local(STORAGE)
    const len = yield* sleepable(k.indirect<Getname>(deref(sock.ops).getname)(k, sock, address, peer))
    return len < 0 ? len : move_addr_to_user(k, address.$va, len, addr, addrlen)
  })

export const __sys_getsockname = kfunc(
  FILE,
  function* __sys_getsockname(k: Kernel, fd: number, addr: UserPtr, addrlen: UserPtr): Call {
    return yield* name(k, fd, addr, addrlen, 0)
  },
  ADDRESS,
)
export const __sys_getpeername = kfunc(
  FILE,
  function* __sys_getpeername(k: Kernel, fd: number, addr: UserPtr, addrlen: UserPtr): Call {
    return yield* name(k, fd, addr, addrlen, 1)
  },
  ADDRESS,
)

export const __sys_setsockopt = kfunc(
  FILE,
  function* __sys_setsockopt(
    k: Kernel,
    fd: number,
    level: number,
    optname: number,
    value: UserPtr,
    len: number,
  ): Call {
    return yield* with_socket(k, fd, function* (sock) {
      if (len < 0) return -EINVAL
      const refused = security_socket_setsockopt(k, sock, level, optname)
      if (refused !== 0) return refused
      if (level === SOL_SOCKET) return sock_setsockopt(k, sock, level, optname, Number(value), len)
      return yield* sleepable(
        k.indirect<Setsockopt>(deref(sock.ops).setsockopt)(k, sock, level, optname, value, len),
      )
    })
  },
)

export const __sys_getsockopt = kfunc(
  FILE,
  function* __sys_getsockopt(
    k: Kernel,
    fd: number,
    level: number,
    optname: number,
    value: UserPtr,
    len: UserPtr,
  ): Call {
    return yield* with_socket(k, fd, function* (sock) {
      const refused = security_socket_getsockopt(k, sock, level, optname)
      if (refused !== 0) return refused
      if (level === SOL_SOCKET)
        return sk_getsockopt(k, deref(sock.sk), level, optname, Number(value), Number(len))
      return yield* sleepable(
        k.indirect<Getsockopt>(deref(sock.ops).getsockopt)(k, sock, level, optname, value, len),
      )
    })
  },
)

export const __sys_shutdown = kfunc(FILE, function* __sys_shutdown(k: Kernel, fd: number, how: number): Call {
  return yield* with_socket(k, fd, function* (sock) {
    const refused = security_socket_shutdown(k, sock, how)
    if (refused !== 0) return refused
    return yield* sleepable(k.indirect<Shutdown>(deref(sock.ops).shutdown)(k, sock, how))
  })
})

export const __x64_sys_bind = kfunc(FILE, function* __x64_sys_bind(k: Kernel, regs: pt_regs): Call {
  return yield* __sys_bind(k, syscall_int(regs, 0), syscall_arg(regs, 1), syscall_int(regs, 2))
})
export const __x64_sys_listen = kfunc(FILE, function* __x64_sys_listen(k: Kernel, regs: pt_regs): Call {
  return yield* __sys_listen(k, syscall_int(regs, 0), syscall_int(regs, 1))
})
export const __x64_sys_connect = kfunc(FILE, function* __x64_sys_connect(k: Kernel, regs: pt_regs): Call {
  return yield* __sys_connect(k, syscall_int(regs, 0), syscall_arg(regs, 1), syscall_int(regs, 2))
})
export const __x64_sys_accept = kfunc(FILE, function* __x64_sys_accept(k: Kernel, regs: pt_regs): Call {
  return yield* __sys_accept4(k, syscall_int(regs, 0), syscall_arg(regs, 1), syscall_arg(regs, 2), 0)
})
export const __x64_sys_accept4 = kfunc(FILE, function* __x64_sys_accept4(k: Kernel, regs: pt_regs): Call {
  const flags = syscall_int(regs, 3)
  return yield* __sys_accept4(k, syscall_int(regs, 0), syscall_arg(regs, 1), syscall_arg(regs, 2), flags)
})
export const __x64_sys_getsockname = kfunc(
  FILE,
  function* __x64_sys_getsockname(k: Kernel, regs: pt_regs): Call {
    return yield* __sys_getsockname(k, syscall_int(regs, 0), syscall_arg(regs, 1), syscall_arg(regs, 2))
  },
)
export const __x64_sys_getpeername = kfunc(
  FILE,
  function* __x64_sys_getpeername(k: Kernel, regs: pt_regs): Call {
    return yield* __sys_getpeername(k, syscall_int(regs, 0), syscall_arg(regs, 1), syscall_arg(regs, 2))
  },
)
export const __x64_sys_setsockopt = kfunc(
  FILE,
  function* __x64_sys_setsockopt(k: Kernel, regs: pt_regs): Call {
    const [fd, level, optname] = [syscall_int(regs, 0), syscall_int(regs, 1), syscall_int(regs, 2)]
    return yield* __sys_setsockopt(k, fd, level, optname, syscall_arg(regs, 3), syscall_int(regs, 4))
  },
)
export const __x64_sys_getsockopt = kfunc(
  FILE,
  function* __x64_sys_getsockopt(k: Kernel, regs: pt_regs): Call {
    const [fd, level, optname] = [syscall_int(regs, 0), syscall_int(regs, 1), syscall_int(regs, 2)]
    return yield* __sys_getsockopt(k, fd, level, optname, syscall_arg(regs, 3), syscall_arg(regs, 4))
  },
)
export const __x64_sys_shutdown = kfunc(FILE, function* __x64_sys_shutdown(k: Kernel, regs: pt_regs): Call {
  return yield* __sys_shutdown(k, syscall_int(regs, 0), syscall_int(regs, 1))
})

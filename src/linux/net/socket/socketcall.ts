/**
 * socketcall(2): every call on sockets through one number, its arguments in an array in user memory. What i386 has
 * had from the beginning, and what 32-bit programs therefore bring to a 64-bit kernel.
 *
 * @see net/socket.c:__do_sys_socketcall, net/compat.c:__do_compat_sys_socketcall
 */

import type { pt_regs } from '../../../btf/vmlinux.ts'
import { EFAULT, EINVAL, EOPNOTSUPP } from '../../../abi/errno.ts'
import * as call from '../../../abi/socket.ts'
import { ia32_regs, syscall_arg, syscall_int } from '../../arch/x86/entry/arguments.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { copy_from_user, type UserPtr } from '../../lib/usercopy.ts'
import {
  __sys_accept4,
  __sys_bind,
  __sys_connect,
  __sys_getpeername,
  __sys_getsockname,
  __sys_getsockopt,
  __sys_listen,
  __sys_setsockopt,
  __sys_shutdown,
} from './calls.ts'
import { __sys_socket } from './create.ts'
import { __sys_socketpair } from './pair.ts'
import { __sys_recvfrom, __sys_recvmsg, __sys_sendmsg, __sys_sendto } from './transfer.ts'

type Call = Generator<unknown, number>

/**
 * Exactly as many words as the call takes are read from user memory, and the call is made.
 *
 * @param nr   SYS_SOCKET and its like
 * @param args `unsigned long __user *` of the program's word size
 * @param word bytes of that word
 * @param form MSG_CMSG_COMPAT: messages are those of a 32-bit program on a 64-bit kernel
 * @returns the call's result; -EINVAL for a number that is none, -EFAULT when the words cannot be read
 */
export function* socketcall(k: Kernel, nr: number, args: UserPtr, word: 4 | 8, form = 0): Call {
  if (nr < call.SYS_SOCKET || nr > call.SYS_SENDMMSG) return -EINVAL
  const bytes = new Uint8Array((call.SOCKETCALL_NARGS[nr] ?? 0) * word)
  if (copy_from_user(k, bytes, args, bytes.length) !== 0) return -EFAULT
  const view = new DataView(bytes.buffer)
  const a: bigint[] = []
  for (let at = 0; at < bytes.length; at += word)
    a.push(word === 4 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true))
  return yield* make(k, nr, a, form)
}

/** @see net/socket.c:__do_sys_socketcall */
function* make(k: Kernel, nr: number, a: readonly bigint[], form: number): Call {
  const int = (i: number): number => Number(BigInt.asIntN(32, a[i] ?? 0n))
  const ptr = (i: number): bigint => a[i] ?? 0n
  const size = (i: number): number => Number(a[i] ?? 0n)
  switch (nr) {
    case call.SYS_SOCKET:
      return yield* __sys_socket(k, int(0), int(1), int(2))
    case call.SYS_BIND:
      return yield* __sys_bind(k, int(0), ptr(1), int(2))
    case call.SYS_CONNECT:
      return yield* __sys_connect(k, int(0), ptr(1), int(2))
    case call.SYS_LISTEN:
      return yield* __sys_listen(k, int(0), int(1))
    case call.SYS_ACCEPT:
      return yield* __sys_accept4(k, int(0), ptr(1), ptr(2), 0)
    case call.SYS_GETSOCKNAME:
      return yield* __sys_getsockname(k, int(0), ptr(1), ptr(2))
    case call.SYS_GETPEERNAME:
      return yield* __sys_getpeername(k, int(0), ptr(1), ptr(2))
    case call.SYS_SOCKETPAIR:
      return yield* __sys_socketpair(k, int(0), int(1), int(2), ptr(3))
    case call.SYS_SEND:
      return yield* __sys_sendto(k, int(0), ptr(1), size(2), int(3), 0, 0)
    case call.SYS_SENDTO:
      return yield* __sys_sendto(k, int(0), ptr(1), size(2), int(3), ptr(4), int(5))
    case call.SYS_RECV:
      return yield* __sys_recvfrom(k, int(0), ptr(1), size(2), int(3), 0, 0)
    case call.SYS_RECVFROM:
      return yield* __sys_recvfrom(k, int(0), ptr(1), size(2), int(3), ptr(4), ptr(5))
    case call.SYS_SHUTDOWN:
      return yield* __sys_shutdown(k, int(0), int(1))
    case call.SYS_SETSOCKOPT:
      return yield* __sys_setsockopt(k, int(0), int(1), int(2), ptr(3), int(4))
    case call.SYS_GETSOCKOPT:
      return yield* __sys_getsockopt(k, int(0), int(1), int(2), ptr(3), ptr(4))
    case call.SYS_SENDMSG:
      return yield* __sys_sendmsg(k, int(0), ptr(1), int(2) | form)
    case call.SYS_RECVMSG:
      return yield* __sys_recvmsg(k, int(0), ptr(1), int(2) | form)
    case call.SYS_ACCEPT4:
      return yield* __sys_accept4(k, int(0), ptr(1), ptr(2), int(3))
    default:
      return -EOPNOTSUPP
  }
}

/** @see net/compat.c:__do_compat_sys_socketcall */
const __do_compat_sys_socketcall = kfunc(
  'net/compat.c',
  function* __do_compat_sys_socketcall(k, nr: number, args: UserPtr): Call {
    return yield* socketcall(k, nr, args, 4, call.MSG_CMSG_COMPAT)
  },
)

/** socketcall(call, args) of an i386 kernel. */
export const sys_socketcall = kfunc('net/socket.c', function* sys_socketcall(k, regs: pt_regs): Call {
  return yield* socketcall(k, syscall_int(regs, 0), syscall_arg(regs, 1), k.mem.wordSize)
})

/** socketcall(call, args) of a 32-bit program on a 64-bit kernel. */
export const __ia32_compat_sys_socketcall = kfunc(
  'net/compat.c',
  function* __ia32_compat_sys_socketcall(k, regs: pt_regs): Call {
    const narrow = ia32_regs(regs)
    return yield* __do_compat_sys_socketcall(k, syscall_int(narrow, 0), syscall_arg(narrow, 1))
  },
  { sibling: true },
)

/** sendmsg(fd, msg, flags) of its own number, which 32-bit programs have had since 4.3. */
export const __ia32_compat_sys_sendmsg = kfunc(
  'net/compat.c',
  function* __ia32_compat_sys_sendmsg(k, regs: pt_regs): Call {
    const narrow = ia32_regs(regs)
    const flags = syscall_int(narrow, 2) | call.MSG_CMSG_COMPAT
    return yield* __sys_sendmsg(k, syscall_int(narrow, 0), syscall_arg(narrow, 1), flags)
  },
)

/** recvmsg(fd, msg, flags) */
export const __ia32_compat_sys_recvmsg = kfunc(
  'net/compat.c',
  function* __ia32_compat_sys_recvmsg(k, regs: pt_regs): Call {
    const narrow = ia32_regs(regs)
    const flags = syscall_int(narrow, 2) | call.MSG_CMSG_COMPAT
    return yield* __sys_recvmsg(k, syscall_int(narrow, 0), syscall_arg(narrow, 1), flags)
  },
)

/** sendto, recvfrom, sendmsg, recvmsg. @see net/socket.c:__sys_recvfrom */

import { toVa, type Va } from '../../../base/addr.ts'
import type { file, msghdr, pt_regs, socket } from '../../../btf/vmlinux.ts'
import { EFAULT, EINVAL, EMSGSIZE, MAX_ERRNO } from '../../../abi/errno.ts'
import { O_NONBLOCK } from '../../../abi/fcntl.ts'
import { ITER_DEST, ITER_SOURCE } from '../../../abi/uio.ts'
import { MSG_CMSG_COMPAT, MSG_DONTWAIT } from '../../../abi/socket.ts'
import { syscall_arg, syscall_int } from '../../arch/x86/entry/common.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { import_single_range, iov_iter_init } from '../../lib/iov_iter.ts'
import { copy_from_user, copy_to_user, type UserPtr } from '../../lib/usercopy.ts'
import { kfree } from '../../mm/slab.ts'
import { compatName, get_compat_msghdr, put_compat_flags } from '../compat.ts'
import { STORAGE, move_addr_to_kernel, move_addr_to_user } from './address.ts'
import { with_socket } from './create.ts'
import { sock_recvmsg, sock_sendmsg } from './messages.ts'

const FILE = 'net/socket.c'
/** A message header, an I/O vector and an address on the stack. */
const LOCALS = { locals: 104 + 16 + 128 }
const UIO_MAXIOV = 1024
type Call = Generator<unknown, number>

/** MSG_DONTWAIT where the descriptor is non-blocking. */
const withMode = (sock: socket, flags: number): number =>
  ((sock.file as file).f_flags & O_NONBLOCK) !== 0 ? flags | MSG_DONTWAIT : flags

const isNull = (at: UserPtr): boolean => at === 0 || at === 0n

export const __sys_sendto = kfunc(
  FILE,
  function* __sys_sendto(
    k: Kernel,
    fd: number,
    buf: bigint,
    len: number,
    flags: number,
    addr: UserPtr,
    addrlen: number,
  ): Call {
    return yield* with_socket(k, fd, function* (sock) {
      const msg = k.local('msghdr')
      import_single_range(k, ITER_SOURCE, buf, len, k.local('iovec'), msg.msg_iter)
      if (!isNull(addr)) {
        const address = k.local(STORAGE)
        const error = move_addr_to_kernel(k, addr, addrlen, address.$va)
        if (error < 0) return error
        msg.msg_name = address.$addr
        msg.msg_namelen = addrlen
      }
      msg.msg_flags = withMode(sock, flags)
      return yield* sock_sendmsg(k, sock, msg)
    })
  },
  LOCALS,
)

export const __sys_recvfrom = kfunc(
  FILE,
  function* __sys_recvfrom(
    k: Kernel,
    fd: number,
    buf: bigint,
    size: number,
    flags: number,
    addr: UserPtr,
    addrlen: UserPtr,
  ): Call {
    return yield* with_socket(k, fd, function* (sock) {
      const msg = k.local('msghdr')
      import_single_range(k, ITER_DEST, buf, size, k.local('iovec'), msg.msg_iter)
      const address = k.local(STORAGE)
      if (!isNull(addr)) msg.msg_name = address.$addr
      const got = yield* sock_recvmsg(k, sock, msg, withMode(sock, flags))
      if (got < 0 || isNull(addr)) return got
      const error = move_addr_to_user(k, address.$va, msg.msg_namelen, addr, addrlen)
      return error < 0 ? error : got
    })
  },
  LOCALS,
)

/**
 * The program's `struct user_msghdr` into the kernel's: its buffers, and room for an address, filled when sending.
 * @returns 0 or a negative errno
 */
function importMessage(k: Kernel, user: UserPtr, msg: msghdr, direction: number): number {
  const raw = k.local('user_msghdr')
  if (copy_from_user(k, raw.$va, user, raw.$size) !== 0) return -EFAULT
  const count = Number(raw.msg_iovlen)
  if (count > UIO_MAXIOV) return -EMSGSIZE
  // the vectors stay in user memory: what they describe is looked at piece by piece
  const vectors = k.ref('iovec', k.mem.pointer(raw.$vaOf('msg_iov')))
  let total = 0
  for (let i = 0; i < count; i++) total += Number(vectors.$index(i).iov_len)
  iov_iter_init(k, msg.msg_iter, direction, vectors, count, total)
  if (raw.msg_name === 0n) return 0
  const address = k.local(STORAGE)
  msg.msg_name = address.$addr
  if (direction === ITER_DEST) return 0
  msg.msg_namelen = raw.msg_namelen
  return move_addr_to_kernel(k, raw.msg_name, raw.msg_namelen, address.$va)
}

/** Forms of a message: the machine's own, and that of a 32-bit program on a 64-bit kernel. */
const isCompat = (flags: number): boolean => (flags & MSG_CMSG_COMPAT) !== 0

/** As {@link importMessage}, from a 32-bit program's. @returns the vectors to free, or a negative errno */
function importCompat(k: Kernel, user: UserPtr, msg: msghdr, direction: number): Va {
  const said = get_compat_msghdr(k, user, msg, direction)
  if (typeof said === 'number') return said
  if (said.name === 0n) return said.vectors
  const address = k.local(STORAGE)
  msg.msg_name = address.$addr
  if (direction === ITER_DEST) return said.vectors
  msg.msg_namelen = said.namelen
  const error = move_addr_to_kernel(k, said.name, said.namelen, address.$va)
  if (error === 0) return said.vectors
  kfree(k, said.vectors)
  return error
}

/** An errno, not an address: both are negative. */
const isErrno = (va: Va): boolean => va < 0 && va >= -MAX_ERRNO

/** What the program learns of a message: where it came from, and what became of it. @returns 0 or -EFAULT */
function exportMessage(k: Kernel, user: UserPtr, msg: msghdr, compat = false): number {
  if (compat) return exportCompat(k, user, msg)
  const raw = k.ref('user_msghdr', toVa(BigInt(user), k.mem.wordSize))
  if (msg.msg_name !== 0n) {
    const name = k.mem.word(raw.$vaOf('msg_name'))
    const from = toVa(msg.msg_name, k.mem.wordSize)
    const error = move_addr_to_user(k, from, msg.msg_namelen, name, raw.$vaOf('msg_namelen'))
    if (error !== 0) return error
  }
  return copy_to_user(k, raw.$vaOf('msg_flags'), k.mem.read(msg.$vaOf('msg_flags'), 4), 4) === 0 ? 0 : -EFAULT
}

function exportCompat(k: Kernel, user: UserPtr, msg: msghdr): number {
  if (msg.msg_name !== 0n) {
    const { name, length } = compatName(k, user)
    const error = move_addr_to_user(k, toVa(msg.msg_name, k.mem.wordSize), msg.msg_namelen, name, length)
    if (error !== 0) return error
  }
  return put_compat_flags(k, user, msg)
}

export const __sys_sendmsg = kfunc(
  FILE,
  function* __sys_sendmsg(k: Kernel, fd: number, user: UserPtr, flags: number): Call {
    return yield* with_socket(k, fd, function* (sock) {
      const msg = k.local('msghdr')
      if (isCompat(flags)) {
        const vectors = importCompat(k, user, msg, ITER_SOURCE)
        if (isErrno(vectors)) return vectors
        msg.msg_flags = withMode(sock, flags & ~MSG_CMSG_COMPAT)
        const sent = yield* sock_sendmsg(k, sock, msg)
        kfree(k, vectors)
        return sent
      }
      const error = importMessage(k, user, msg, ITER_SOURCE)
      if (error !== 0) return error
      msg.msg_flags = withMode(sock, flags)
      return yield* sock_sendmsg(k, sock, msg)
    })
  },
  { locals: 104 + 56 + 128 },
)

const ____sys_recvmsg = kfunc(
  FILE,
  function* ____sys_recvmsg(k: Kernel, sock: socket, user: UserPtr, flags: number): Call {
    const msg = k.local('msghdr')
    const compat = isCompat(flags)
    const held = compat ? importCompat(k, user, msg, ITER_DEST) : importMessage(k, user, msg, ITER_DEST)
    if (isErrno(held)) return held
    const got = yield* sock_recvmsg(k, sock, msg, withMode(sock, flags & ~MSG_CMSG_COMPAT))
    if (compat) kfree(k, held)
    const told = got < 0 ? 0 : exportMessage(k, user, msg, compat)
    return told < 0 ? told : got
  },
  { locals: 104 + 56 + 128 },
)

export const __sys_recvmsg = kfunc(
  FILE,
  function* __sys_recvmsg(k: Kernel, fd: number, user: UserPtr, flags: number): Call {
    return yield* with_socket(k, fd, (sock) => ____sys_recvmsg(k, sock, user, flags))
  },
)

export const __x64_sys_sendto = kfunc(FILE, function* __x64_sys_sendto(k: Kernel, regs: pt_regs): Call {
  const [fd, buf, len] = [syscall_int(regs, 0), syscall_arg(regs, 1), Number(syscall_arg(regs, 2))]
  return yield* __sys_sendto(
    k,
    fd,
    buf,
    len,
    syscall_int(regs, 3),
    syscall_arg(regs, 4),
    syscall_int(regs, 5),
  )
})
export const __x64_sys_recvfrom = kfunc(FILE, function* __x64_sys_recvfrom(k: Kernel, regs: pt_regs): Call {
  const [fd, buf, len] = [syscall_int(regs, 0), syscall_arg(regs, 1), Number(syscall_arg(regs, 2))]
  return yield* __sys_recvfrom(
    k,
    fd,
    buf,
    len,
    syscall_int(regs, 3),
    syscall_arg(regs, 4),
    syscall_arg(regs, 5),
  )
})
export const __x64_sys_sendmsg = kfunc(FILE, function* __x64_sys_sendmsg(k: Kernel, regs: pt_regs): Call {
  const flags = syscall_int(regs, 2)
  // the kernel's own mark
  if (isCompat(flags)) return -EINVAL
  return yield* __sys_sendmsg(k, syscall_int(regs, 0), syscall_arg(regs, 1), flags)
})
export const __x64_sys_recvmsg = kfunc(FILE, function* __x64_sys_recvmsg(k: Kernel, regs: pt_regs): Call {
  const flags = syscall_int(regs, 2)
  // the kernel's own mark
  if (isCompat(flags)) return -EINVAL
  return yield* __sys_recvmsg(k, syscall_int(regs, 0), syscall_arg(regs, 1), flags)
})

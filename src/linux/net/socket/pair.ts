/** socketpair(2): two sockets connected with each other. @see net/socket.c:__sys_socketpair */

import type { pt_regs, socket } from '../../../btf/vmlinux.ts'
import { EFAULT, EINVAL } from '../../../abi/errno.ts'
import { syscall_arg, syscall_int } from '../../arch/x86/entry/common.ts'
import { deref } from '../../deref.ts'
import { fd_install, get_unused_fd_flags, put_unused_fd } from '../../fs/file.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { copy_to_user, type UserPtr } from '../../lib/usercopy.ts'
import { security_socket_socketpair } from '../../security/security.ts'
import { sleepable, type MaySleep } from '../../sleepable.ts'
import { SOCK_FLAGS, __sock_create } from './create.ts'
import { sock_alloc_file, sock_release } from './sockfs.ts'

const FILE = 'net/socket.c'
const SOCK_TYPE_MASK = 0xf
type Call = Generator<unknown, number>
type Socketpair = (k: Kernel, one: socket, other: socket) => MaySleep<number>

/** Both sockets, tied. @returns a negative errno when that cannot be */
function* pairOf(
  k: Kernel,
  family: number,
  type: number,
  protocol: number,
): Generator<unknown, readonly [socket, socket] | number> {
  const one = yield* __sock_create(k, family, type, protocol, 0)
  if (typeof one === 'number') return one
  const other = yield* __sock_create(k, family, type, protocol, 0)
  if (typeof other === 'number') {
    yield* sock_release(k, one)
    return other
  }
  let err = security_socket_socketpair(k, one, other)
  if (err === 0) err = yield* sleepable(k.indirect<Socketpair>(deref(one.ops).socketpair)(k, one, other))
  if (err >= 0) return [one, other]
  yield* sock_release(k, one)
  yield* sock_release(k, other)
  return err
}

export const __sys_socketpair = kfunc(
  FILE,
  function* __sys_socketpair(k: Kernel, family: number, type: number, protocol: number, to: UserPtr): Call {
    const flags = type & ~SOCK_TYPE_MASK
    if ((flags & ~SOCK_FLAGS) !== 0) return -EINVAL
    const fds: number[] = []
    for (let i = 0; i < 2; i++) {
      const fd = get_unused_fd_flags(k, flags)
      if (fd >= 0) fds.push(fd)
      else {
        fds.forEach((each) => put_unused_fd(k, each))
        return fd
      }
    }
    const bytes = new Uint8Array(new Int32Array(fds).buffer)
    const err = copy_to_user(k, to, bytes, bytes.length) === 0 ? 0 : -EFAULT
    const pair = err === 0 ? yield* pairOf(k, family, type & SOCK_TYPE_MASK, protocol) : err
    if (typeof pair === 'number') {
      fds.forEach((each) => put_unused_fd(k, each))
      return pair
    }
    pair.forEach((sock, i) => fd_install(k, fds[i] as number, sock_alloc_file(k, sock, flags, null)))
    return 0
  },
)

export const __x64_sys_socketpair = kfunc(
  FILE,
  function* __x64_sys_socketpair(k: Kernel, regs: pt_regs): Call {
    const [family, type, protocol] = [syscall_int(regs, 0), syscall_int(regs, 1), syscall_int(regs, 2)]
    return yield* __sys_socketpair(k, family, type, protocol, syscall_arg(regs, 3))
  },
)

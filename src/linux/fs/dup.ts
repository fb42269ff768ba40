/** Descriptors closed and doubled: close, dup, dup2, dup3. @see fs/file.c, fs/open.c */

import type { pt_regs } from '../../btf/vmlinux.ts'
import {
  EBADF,
  EINTR,
  EINVAL,
  EMFILE,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOHAND,
  ERESTARTNOINTR,
  ERESTARTSYS,
} from '../../abi/errno.ts'
import { O_CLOEXEC } from '../../abi/fcntl.ts'
import { syscall_int } from '../arch/x86/entry/common.ts'
import { kfunc } from '../kfunc.ts'
import { close_fd, do_dup2, fd_install, get_unused_fd_flags, lookup_fd, rlimit } from './file.ts'
import { get_file } from './file_table.ts'

const RLIMIT_NOFILE = 7
/** A close that was interrupted has closed all the same: it must not be restarted. */
const RESTARTS: readonly number[] = [-ERESTARTSYS, -ERESTARTNOINTR, -ERESTARTNOHAND, -ERESTART_RESTARTBLOCK]

/** close(fd) @see fs/open.c */
export const __x64_sys_close = kfunc('fs/open.c', function* __x64_sys_close(k, regs: pt_regs): Generator<
  unknown,
  number
> {
  const result = yield* close_fd(k, syscall_int(regs, 0))
  return RESTARTS.includes(result) ? -EINTR : result
})

/** dup(fd) @see fs/file.c */
export const __x64_sys_dup = kfunc('fs/file.c', function __x64_sys_dup(k, regs: pt_regs): number {
  const file = lookup_fd(k, syscall_int(regs, 0))
  if (file === null) return -EBADF
  const fd = get_unused_fd_flags(k, 0)
  if (fd >= 0) fd_install(k, fd, get_file(file))
  return fd
})

const ksys_dup3 = kfunc(
  'fs/file.c',
  function* ksys_dup3(k, oldfd: number, newfd: number, flags: number): Generator<unknown, number> {
    if ((flags & ~O_CLOEXEC) !== 0 || oldfd === newfd) return -EINVAL
    if (newfd < 0 || BigInt(newfd) >= rlimit(k.current, RLIMIT_NOFILE)) return -EBADF
    const file = lookup_fd(k, oldfd)
    if (file === null) return -EBADF
    const fd = yield* do_dup2(k, file, newfd, flags)
    return fd === -EMFILE ? -EBADF : fd
  },
)

/** dup3(oldfd, newfd, flags) @see fs/file.c */
export const __x64_sys_dup3 = kfunc(
  'fs/file.c',
  function* __x64_sys_dup3(k, regs: pt_regs): Generator<unknown, number> {
    return yield* ksys_dup3(k, syscall_int(regs, 0), syscall_int(regs, 1), syscall_int(regs, 2))
  },
  { sibling: true },
)

/** dup2(oldfd, newfd): the same number twice is no error. @see fs/file.c */
export const __x64_sys_dup2 = kfunc('fs/file.c', function* __x64_sys_dup2(k, regs: pt_regs): Generator<
  unknown,
  number
> {
  const oldfd = syscall_int(regs, 0)
  const newfd = syscall_int(regs, 1)
  if (oldfd === newfd) return lookup_fd(k, oldfd) === null ? -EBADF : oldfd
  return yield* ksys_dup3(k, oldfd, newfd, 0)
})

/** fcntl: flags of descriptors and of open files. @see fs/fcntl.c */

import type { file, pt_regs } from '../../btf/vmlinux.ts'
import { EBADF, EINVAL } from '../../abi/errno.ts'
import {
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  FASYNC,
  FMODE_PATH,
  O_APPEND,
  O_CLOEXEC,
  O_DIRECT,
  O_NOATIME,
  O_NONBLOCK,
} from '../../abi/fcntl.ts'
import { syscall_arg, syscall_int } from '../arch/x86/entry/common.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { security_file_fcntl } from '../security/security/file.ts'
import { f_dupfd, get_close_on_exec, lookup_fd, rlimit, set_close_on_exec } from './file.ts'

const FILE = 'fs/fcntl.c'
const RLIMIT_NOFILE = 7
const SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME
/** What an O_PATH descriptor can be asked. @see fs/fcntl.c:check_fcntl_cmd */
const PATH_COMMANDS: readonly number[] = [F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL]

/** @see fs/fcntl.c:setfl @remarks no signal-driven input and output: O_ASYNC is stored, nobody is told */
function setfl(filp: file, arg: number): number {
  filp.f_flags = (arg & (SETFL_MASK | FASYNC)) | (filp.f_flags & ~(SETFL_MASK | FASYNC))
  return 0
}

function duplicate(k: Kernel, filp: file, arg: number, flags: number): number {
  if (arg < 0 || BigInt(arg) >= rlimit(k.current, RLIMIT_NOFILE)) return -EINVAL
  return f_dupfd(k, arg, filp, flags)
}

/** @returns what the command gives, or -errno @see fs/fcntl.c:do_fcntl */
const do_fcntl = kfunc(FILE, function do_fcntl(k, fd: number, cmd: number, arg: number, filp: file): number {
  switch (cmd) {
    case F_DUPFD:
      return duplicate(k, filp, arg, 0)
    case F_DUPFD_CLOEXEC:
      return duplicate(k, filp, arg, O_CLOEXEC)
    case F_GETFD:
      return get_close_on_exec(k, fd) ? FD_CLOEXEC : 0
    case F_SETFD:
      set_close_on_exec(k, fd, (arg & FD_CLOEXEC) !== 0)
      return 0
    case F_GETFL:
      return filp.f_flags
    case F_SETFL:
      return setfl(filp, arg)
    default:
      return -EINVAL
  }
})

/** fcntl(fd, cmd, arg) @see fs/fcntl.c */
export const __x64_sys_fcntl = kfunc(FILE, function __x64_sys_fcntl(k, regs: pt_regs): number {
  const fd = syscall_int(regs, 0)
  const cmd = syscall_int(regs, 1)
  const filp = lookup_fd(k, fd)
  if (filp === null) return -EBADF
  if ((filp.f_mode & FMODE_PATH) !== 0 && !PATH_COMMANDS.includes(cmd)) return -EBADF
  const refused = security_file_fcntl(k, filp, cmd, syscall_arg(regs, 2))
  return refused !== 0 ? refused : do_fcntl(k, fd, cmd, syscall_int(regs, 2), filp)
})

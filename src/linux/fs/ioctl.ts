/** ioctl(2): what every file knows, and what its operations do. @see fs/ioctl.c */

import type { file, pt_regs } from '../../btf/vmlinux.ts'
import { EBADF, EFAULT, ENOTTY } from '../../abi/errno.ts'
import { O_NONBLOCK } from '../../abi/fcntl.ts'
import { syscall_arg, syscall_int } from '../arch/x86/entry/common.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { get_user } from '../lib/usercopy.ts'
import { security_file_ioctl } from '../security/security/file.ts'
import { sleepable, type MaySleep } from '../sleepable.ts'
import { fdget, fdput, set_close_on_exec } from './file.ts'

const FILE = 'fs/ioctl.c'
const FIONCLEX = 0x5450
const FIOCLEX = 0x5451
const FIONBIO = 0x5421
/** A driver's way to say that the command is none of its. */
const ENOIOCTLCMD = 515

/** `file_operations.unlocked_ioctl` */
export type Ioctl = (k: Kernel, file: file, cmd: number, arg: bigint) => MaySleep<number>

/** @returns what the file's operations answer, -ENOTTY @see fs/ioctl.c:vfs_ioctl */
export const vfs_ioctl = kfunc(
  FILE,
  function* vfs_ioctl(k: Kernel, file: file, cmd: number, arg: bigint): Generator<unknown, number> {
    const ioctl = file.f_op?.unlocked_ioctl ?? 0n
    if (ioctl === 0n || k.codeAt(ioctl) === undefined) return -ENOTTY
    const error = yield* sleepable(k.indirect<Ioctl>(ioctl)(k, file, cmd, arg))
    return error === -ENOIOCTLCMD ? -ENOTTY : error
  },
)

/** Commands for any file. @returns undefined when it is none of them @see fs/ioctl.c:do_vfs_ioctl */
function do_vfs_ioctl(k: Kernel, file: file, fd: number, cmd: number, arg: bigint): number | undefined {
  switch (cmd) {
    case FIOCLEX:
    case FIONCLEX:
      set_close_on_exec(k, fd, cmd === FIOCLEX)
      return 0
    case FIONBIO: {
      const on = get_user(k, arg, 4)
      if (on === undefined) return -EFAULT
      file.f_flags = on === 0n ? file.f_flags & ~O_NONBLOCK : file.f_flags | O_NONBLOCK
      return 0
    }
    default:
      return undefined
  }
}

export const __x64_sys_ioctl = kfunc(FILE, function* __x64_sys_ioctl(k: Kernel, regs: pt_regs): Generator<
  unknown,
  number
> {
  const [fd, cmd, arg] = [syscall_int(regs, 0), syscall_int(regs, 1) >>> 0, syscall_arg(regs, 2)]
  const found = fdget(k, fd)
  if (found.file === null) return -EBADF
  try {
    const refused = security_file_ioctl(k, found.file, cmd, arg)
    if (refused !== 0) return refused
    return do_vfs_ioctl(k, found.file, fd, cmd, arg) ?? (yield* vfs_ioctl(k, found.file, cmd, arg))
  } finally {
    fdput(k, found)
  }
})

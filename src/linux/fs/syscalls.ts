/** System calls on names: open, chdir, unlink. @see fs/open.c, fs/namei.c */

import type { pt_regs } from '../../btf/vmlinux.ts'
import { EFAULT, ENOENT, ENOTDIR, ERANGE } from '../../abi/errno.ts'
import { O_CREAT, O_TRUNC, O_WRONLY } from '../../abi/fcntl.ts'
import { S_IFDIR, S_IFMT } from '../../abi/stat.ts'
import { syscall_arg, syscall_int } from '../arch/x86/entry/common.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { copy_to_user, strncpy_from_user } from '../lib/usercopy.ts'
import { placeOf, set_fs_pwd } from './fs_struct.ts'
import { d_path, do_unlinkat, path_lookupat } from './namei.ts'
import { do_sys_openat2 } from './open.ts'

const PATH_MAX = 4096
type Call = Generator<unknown, number>

/** A path argument. @returns undefined: -EFAULT */
const getname = (k: Kernel, regs: pt_regs, index: number): string | undefined =>
  strncpy_from_user(k, syscall_arg(regs, index), PATH_MAX)

function* openAt(k: Kernel, path: string | undefined, flags: number, mode: number): Call {
  if (path === undefined) return -EFAULT
  if (path === '') return -ENOENT
  return yield* do_sys_openat2(k, path, flags, mode)
}

export const __x64_sys_open = kfunc('fs/open.c', function* __x64_sys_open(k, regs: pt_regs): Call {
  return yield* openAt(k, getname(k, regs, 0), syscall_int(regs, 1), syscall_int(regs, 2))
})
export const __x64_sys_openat = kfunc('fs/open.c', function* __x64_sys_openat(k, regs: pt_regs): Call {
  return yield* openAt(k, getname(k, regs, 1), syscall_int(regs, 2), syscall_int(regs, 3))
})
export const __x64_sys_creat = kfunc('fs/open.c', function* __x64_sys_creat(k, regs: pt_regs): Call {
  return yield* openAt(k, getname(k, regs, 0), O_CREAT | O_WRONLY | O_TRUNC, syscall_int(regs, 1))
})

export const __x64_sys_chdir = kfunc('fs/open.c', function __x64_sys_chdir(k, regs: pt_regs): number {
  const path = getname(k, regs, 0)
  return path === undefined ? -EFAULT : ksys_chdir(k, path)
})

/** @returns 0 or -errno @see fs/open.c:ksys_chdir */
export const ksys_chdir = kfunc('fs/open.c', function ksys_chdir(k, path: string): number {
  const found = path_lookupat(k, path)
  if (typeof found === 'number') return found
  if ((deref(found.dentry.d_inode).i_mode & S_IFMT) !== S_IFDIR) return -ENOTDIR
  set_fs_pwd(k, deref(k.current.$ref('fs')), found)
  return 0
})

export const __x64_sys_getcwd = kfunc('fs/d_path.c', function __x64_sys_getcwd(k, regs: pt_regs): number {
  const bytes = Buffer.from(`${d_path(k, placeOf(deref(k.current.$ref('fs')), 'pwd'))}\0`)
  if (BigInt(bytes.length) > syscall_arg(regs, 1)) return -ERANGE
  return copy_to_user(k, syscall_arg(regs, 0), bytes, bytes.length) === 0 ? bytes.length : -EFAULT
})

export const __x64_sys_unlink = kfunc('fs/namei.c', function __x64_sys_unlink(k, regs: pt_regs): number {
  const path = getname(k, regs, 0)
  return path === undefined ? -EFAULT : do_unlinkat(k, path)
})

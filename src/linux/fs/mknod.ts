/** mknod(2): device nodes, pipes and files by name. @see fs/namei.c:do_mknodat */

import type { pt_regs } from '../../btf/vmlinux.ts'
import { EEXIST, EFAULT, EINVAL, ENOENT, EPERM } from '../../abi/errno.ts'
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from '../../abi/stat.ts'
import { syscall_arg, syscall_int } from '../arch/x86/entry/common.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { strncpy_from_user } from '../lib/usercopy.ts'
import { path_lookupat, path_parentat, vfs_mknod } from './namei.ts'

const FILE = 'fs/namei.c'
const PATH_MAX = 4096

/** A device number as user space packs it. @see include/linux/kdev_t.h:new_decode_dev */
const new_decode_dev = (dev: number): number => {
  const major = (dev & 0xfff00) >>> 8
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00)
  return ((major << 20) | minor) >>> 0
}

/** @returns 0, -EEXIST, -ENOENT, -EPERM, -EINVAL @see fs/namei.c:do_mknodat */
export const do_mknodat = kfunc(
  FILE,
  function do_mknodat(k: Kernel, path: string, mode: number, dev: number): number {
    const kind = (mode & S_IFMT) === 0 ? S_IFREG : mode & S_IFMT
    if (![S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK].includes(kind)) return -EINVAL
    if (path === '') return -ENOENT
    if (typeof path_lookupat(k, path) !== 'number') return -EEXIST
    const target = path_parentat(k, path)
    if (typeof target === 'number') return target
    const device = kind === S_IFCHR || kind === S_IFBLK
    if (device && deref(k.current.cred).euid.val !== 0) return -EPERM
    const umask = Number(deref(k.current.$ref('fs')).$int('umask'))
    const permissions = mode & ~umask & 0o7777
    vfs_mknod(k, target.parent, target.last, kind | permissions, device ? new_decode_dev(dev) : 0)
    return 0
  },
)

const mknod = (k: Kernel, regs: pt_regs, first: number): number => {
  const path = strncpy_from_user(k, syscall_arg(regs, first), PATH_MAX)
  const [mode, dev] = [syscall_int(regs, first + 1), syscall_int(regs, first + 2)]
  return path === undefined ? -EFAULT : do_mknodat(k, path, mode & 0xffff, dev)
}

export const __x64_sys_mknod = kfunc(FILE, function __x64_sys_mknod(k: Kernel, regs: pt_regs): number {
  return mknod(k, regs, 0)
})
export const __x64_sys_mknodat = kfunc(FILE, function __x64_sys_mknodat(k: Kernel, regs: pt_regs): number {
  return mknod(k, regs, 1)
})

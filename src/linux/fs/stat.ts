/** What is known of files by name or descriptor: stat, readlink, access. @see fs/stat.c, fs/open.c */

import type { inode, pt_regs } from '../../btf/vmlinux.ts'
import { EACCES, EBADF, EFAULT, EINVAL, ENOENT, EROFS } from '../../abi/errno.ts'
import { S_IFLNK, S_IFMT } from '../../abi/stat.ts'
import { syscall_arg, syscall_int } from '../arch/x86/entry/common.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { copy_to_user, strncpy_from_user } from '../lib/usercopy.ts'
import { lookup_fd } from './file.ts'
import { LOOKUP_FOLLOW, path_lookupat, vfs_get_link } from './namei.ts'

const PATH_MAX = 4096
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_EMPTY_PATH = 0x1000
const BLOCK = 4096n

/** Writes what a file is to user memory. @returns 0 or -EFAULT */
export type StatWriter = (k: Kernel, inode: inode, to: bigint) => number

/** `struct stat` of x86-64: offset, size and value of each member. @see arch/x86/include/uapi/asm/stat.h */
function cp_new_stat(k: Kernel, inode: inode, to: bigint): number {
  const bytes = Buffer.alloc(144)
  const put = (at: number, value: bigint): void => void bytes.writeBigUInt64LE(BigInt.asUintN(64, value), at)
  const dev = deref(inode.i_sb).s_dev
  put(0, encodeDev(dev))
  put(8, inode.i_ino)
  put(16, inode.$int('__i_nlink'))
  bytes.writeUInt32LE(inode.i_mode, 24)
  bytes.writeUInt32LE(inode.i_uid.val, 28)
  bytes.writeUInt32LE(inode.i_gid.val, 32)
  put(40, encodeDev(inode.i_rdev))
  put(48, inode.i_size)
  put(56, BLOCK)
  put(64, (inode.i_size + 511n) / 512n)
  ;['i_atime', 'i_mtime', 'i_ctime'].forEach((time, i) => {
    put(72 + i * 16, inode.$int(`${time}.tv_sec`))
    put(80 + i * 16, inode.$int(`${time}.tv_nsec`))
  })
  return copy_to_user(k, to, bytes, bytes.length) === 0 ? 0 : -EFAULT
}

/** Major and minor as user space has them. @see include/linux/kdev_t.h:new_encode_dev */
export function encodeDev(dev: number): bigint {
  const [major, minor] = [dev >>> 20, dev & 0xfffff]
  return BigInt(((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0)
}

/** @returns 0 or -errno @see fs/stat.c:vfs_statx */
const vfs_statx = kfunc(
  'fs/stat.c',
  function vfs_statx(k, path: string, flags: number, to: bigint, write: StatWriter): number {
    const found = path_lookupat(k, path, (flags & AT_SYMLINK_NOFOLLOW) === 0 ? LOOKUP_FOLLOW : 0)
    return typeof found === 'number' ? found : write(k, deref(found.dentry.d_inode), to)
  },
)

export const vfs_fstat = kfunc(
  'fs/stat.c',
  function vfs_fstat(k, fd: number, to: bigint, write: StatWriter = cp_new_stat): number {
    const file = lookup_fd(k, fd)
    return file === null ? -EBADF : write(k, deref(file.f_inode), to)
  },
)

export const pathArg = (k: Kernel, regs: pt_regs, index: number): string | undefined =>
  strncpy_from_user(k, syscall_arg(regs, index), PATH_MAX)

export function statAt(
  k: Kernel,
  path: string | undefined,
  flags: number,
  to: bigint,
  write: StatWriter = cp_new_stat,
): number {
  if (path === undefined) return -EFAULT
  return path === '' ? -ENOENT : vfs_statx(k, path, flags, to, write)
}

export const __x64_sys_newstat = kfunc('fs/stat.c', function __x64_sys_newstat(k, regs: pt_regs): number {
  return statAt(k, pathArg(k, regs, 0), 0, syscall_arg(regs, 1))
})
export const __x64_sys_newlstat = kfunc('fs/stat.c', function __x64_sys_newlstat(k, regs: pt_regs): number {
  return statAt(k, pathArg(k, regs, 0), AT_SYMLINK_NOFOLLOW, syscall_arg(regs, 1))
})
export const __x64_sys_newfstat = kfunc('fs/stat.c', function __x64_sys_newfstat(k, regs: pt_regs): number {
  return vfs_fstat(k, syscall_int(regs, 0), syscall_arg(regs, 1))
})
/** newfstatat(dfd, path, statbuf, flags) @remarks paths are relative to the working directory alone */
export const __x64_sys_newfstatat = kfunc(
  'fs/stat.c',
  function __x64_sys_newfstatat(k, regs: pt_regs): number {
    const flags = syscall_int(regs, 3)
    const path = pathArg(k, regs, 1)
    if (path === '' && (flags & AT_EMPTY_PATH) !== 0)
      return vfs_fstat(k, syscall_int(regs, 0), syscall_arg(regs, 2))
    return statAt(k, path, flags, syscall_arg(regs, 2))
  },
)

/** @returns length of the link, or -errno @see fs/stat.c:do_readlinkat */
const do_readlinkat = kfunc(
  'fs/stat.c',
  function do_readlinkat(k, path: string | undefined, buf: bigint, size: number): number {
    if (path === undefined) return -EFAULT
    if (size <= 0) return -EINVAL
    const found = path_lookupat(k, path, 0)
    if (typeof found === 'number') return found
    const inode = deref(found.dentry.d_inode)
    if ((inode.i_mode & S_IFMT) !== S_IFLNK) return -EINVAL
    const link = vfs_get_link(k, found.dentry)
    if (typeof link === 'number') return link
    const bytes = Buffer.from(link, 'utf8').subarray(0, size)
    return copy_to_user(k, buf, bytes, bytes.length) === 0 ? bytes.length : -EFAULT
  },
)
export const __x64_sys_readlink = kfunc('fs/stat.c', function __x64_sys_readlink(k, regs: pt_regs): number {
  return do_readlinkat(k, pathArg(k, regs, 0), syscall_arg(regs, 1), syscall_int(regs, 2))
})
export const __x64_sys_readlinkat = kfunc(
  'fs/stat.c',
  function __x64_sys_readlinkat(k, regs: pt_regs): number {
    return do_readlinkat(k, pathArg(k, regs, 1), syscall_arg(regs, 2), syscall_int(regs, 3))
  },
)

const W_OK = 2

/** @param mode R_OK 4, W_OK 2, X_OK 1 @returns 0 or -errno @see fs/open.c:do_faccessat */
const do_faccessat = kfunc(
  'fs/open.c',
  function do_faccessat(k, path: string | undefined, mode: number): number {
    if (path === undefined) return -EFAULT
    const found = path_lookupat(k, path, LOOKUP_FOLLOW)
    if (typeof found === 'number') return found
    const inode = deref(found.dentry.d_inode)
    const { uid, gid } = deref(k.current.cred)
    if (uid.val === 0) return (mode & 1) !== 0 && (inode.i_mode & 0o111) === 0 ? -EACCES : 0
    const shift = inode.i_uid.val === uid.val ? 6 : inode.i_gid.val === gid.val ? 3 : 0
    const missing = mode & ~(inode.i_mode >>> shift) & 7
    return missing === 0
      ? 0
      : (missing & W_OK) !== 0 && deref(inode.i_sb).s_flags % 2n === 1n
        ? -EROFS
        : -EACCES
  },
)
export const __x64_sys_access = kfunc('fs/open.c', function __x64_sys_access(k, regs: pt_regs): number {
  return do_faccessat(k, pathArg(k, regs, 0), syscall_int(regs, 1))
})
export const __x64_sys_faccessat = kfunc('fs/open.c', function __x64_sys_faccessat(k, regs: pt_regs): number {
  return do_faccessat(k, pathArg(k, regs, 1), syscall_int(regs, 2))
})

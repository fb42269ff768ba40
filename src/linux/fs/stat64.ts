/**
 * stat(2) of 32-bit programs, with 64-bit sizes: on an i386 kernel and, for such programs, on an x86-64 one.
 * @see fs/stat.c:cp_new_stat64, arch/x86/kernel/sys_ia32.c:cp_stat64
 */

import type { inode, pt_regs } from '../../btf/vmlinux.ts'
import { EFAULT } from '../../abi/errno.ts'
import { ia32_regs, syscall_arg, syscall_int } from '../arch/x86/entry/arguments.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc, kfuncAs } from '../kfunc.ts'
import { copy_to_user } from '../lib/usercopy.ts'
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, encodeDev, pathArg, statAt, vfs_fstat } from './stat.ts'

const STAT64_BYTES = 96
const BLOCK = 4096

/** `struct stat64` of i386: offset, size and value of each member. @see arch/x86/include/uapi/asm/stat.h */
function cp_new_stat64(k: Kernel, inode: inode, to: bigint): number {
  const bytes = Buffer.alloc(STAT64_BYTES)
  const u32 = (at: number, value: bigint | number): void =>
    void bytes.writeUInt32LE(Number(BigInt.asUintN(32, BigInt(value))), at)
  const u64 = (at: number, value: bigint): void => void bytes.writeBigUInt64LE(BigInt.asUintN(64, value), at)
  u64(0, encodeDev(deref(inode.i_sb).s_dev))
  u32(12, inode.i_ino)
  u32(16, inode.i_mode)
  u32(20, inode.$int('__i_nlink'))
  u32(24, inode.i_uid.val)
  u32(28, inode.i_gid.val)
  u64(32, encodeDev(inode.i_rdev))
  u64(44, inode.i_size)
  u32(52, BLOCK)
  u64(56, (inode.i_size + 511n) / 512n)
  ;['i_atime', 'i_mtime', 'i_ctime'].forEach((time, i) => {
    u32(64 + i * 8, inode.$int(`${time}.tv_sec`))
    u32(68 + i * 8, inode.$int(`${time}.tv_nsec`))
  })
  u64(88, inode.i_ino)
  return copy_to_user(k, to, bytes, bytes.length) === 0 ? 0 : -EFAULT
}

const sys_stat64 = kfunc('fs/stat.c', function sys_stat64(k, regs: pt_regs): number {
  return statAt(k, pathArg(k, regs, 0), 0, syscall_arg(regs, 1), cp_new_stat64)
})
const sys_lstat64 = kfunc('fs/stat.c', function sys_lstat64(k, regs: pt_regs): number {
  return statAt(k, pathArg(k, regs, 0), AT_SYMLINK_NOFOLLOW, syscall_arg(regs, 1), cp_new_stat64)
})
const sys_fstat64 = kfunc('fs/stat.c', function sys_fstat64(k, regs: pt_regs): number {
  return vfs_fstat(k, syscall_int(regs, 0), syscall_arg(regs, 1), cp_new_stat64)
})
/** fstatat64(dfd, path, statbuf, flags) */
const sys_fstatat64 = kfunc('fs/stat.c', function sys_fstatat64(k, regs: pt_regs): number {
  const flags = syscall_int(regs, 3)
  const path = pathArg(k, regs, 1)
  if (path === '' && (flags & AT_EMPTY_PATH) !== 0)
    return vfs_fstat(k, syscall_int(regs, 0), syscall_arg(regs, 2), cp_new_stat64)
  return statAt(k, path, flags, syscall_arg(regs, 2), cp_new_stat64)
})

for (const handler of [sys_stat64, sys_lstat64, sys_fstat64, sys_fstatat64]) {
  const call = handler.kfunc.name.slice('sys_'.length)
  kfuncAs(`__ia32_compat_sys_ia32_${call}`, handler, (regs): [pt_regs] => [ia32_regs(regs)])
}

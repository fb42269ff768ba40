/** Hooks of files, inodes and paths. @see security/security.c */

import type { dentry, file, inode, path, super_block, vm_area_struct } from '../../../btf/vmlinux.ts'
import { kfunc } from '../../kfunc.ts'
import { lsm_file_alloc, lsm_file_free, lsm_inode_alloc, lsm_inode_free } from './blob.ts'
import { call_int_hook, call_void_hook, intHook } from './call.ts'

const FILE = 'security/security.c'

/** The modules' blob of a new file. @returns 0 or -errno @see security/security.c:security_file_alloc */
export const security_file_alloc = kfunc(FILE, function security_file_alloc(k, file: file): number {
  lsm_file_alloc(k, file)
  const rc = call_int_hook(k, 'file_alloc_security', [file])
  if (rc !== 0) security_file_free(k, file)
  return rc
})

/** @see security/security.c:security_file_free */
export const security_file_free = kfunc(FILE, function security_file_free(k, file: file): void {
  call_void_hook(k, 'file_free_security', [file])
  const blob = file.f_security
  if (blob === 0n) return
  file.f_security = 0n
  lsm_file_free(k, blob)
})

/** The modules' blob of a new inode. @returns 0 or -errno @see security/security.c:security_inode_alloc */
export const security_inode_alloc = kfunc(FILE, function security_inode_alloc(k, inode: inode): number {
  lsm_inode_alloc(k, inode)
  const rc = call_int_hook(k, 'inode_alloc_security', [inode])
  if (rc !== 0) security_inode_free(k, inode)
  return rc
})

/**
 * @see security/security.c:security_inode_free
 * @remarks the blob goes at once, not after a grace period: there is no reader in between here.
 */
export const security_inode_free = kfunc(FILE, function security_inode_free(k, inode: inode): void {
  call_void_hook(k, 'inode_free_security', [inode])
  const blob = inode.i_security
  if (blob === 0n) return
  inode.i_security = 0n
  lsm_inode_free(k, blob)
})

export const security_file_permission = intHook<[file: file, mask: number]>('file_permission')
export const security_file_ioctl = intHook<[file: file, cmd: number, arg: bigint]>('file_ioctl')
export const security_file_fcntl = intHook<[file: file, cmd: number, arg: bigint]>('file_fcntl')
export const security_file_lock = intHook<[file: file, cmd: number]>('file_lock')
export const security_file_receive = intHook<[file: file]>('file_receive')
export const security_file_open = intHook<[file: file]>('file_open')
export const security_file_mprotect =
  intHook<[vma: vm_area_struct, reqprot: number, prot: number]>('file_mprotect')
export const security_path_truncate = intHook<[path: path]>('path_truncate')
export const security_mmap_addr = intHook<[addr: bigint]>('mmap_addr')
export const security_mmap_file =
  intHook<[file: file | null, reqprot: number, prot: number, flags: number]>('mmap_file')
export const security_inode_permission = intHook<[inode: inode, mask: number]>('inode_permission')
export const security_inode_getattr = intHook<[path: path]>('inode_getattr')
export const security_path_mknod =
  intHook<[dir: path, dentry: dentry, mode: number, dev: number]>('path_mknod')
export const security_path_unlink = intHook<[dir: path, dentry: dentry]>('path_unlink')
export const security_sb_alloc = intHook<[sb: super_block]>('sb_alloc_security')

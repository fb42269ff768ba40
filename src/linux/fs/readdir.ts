/**
 * What a directory holds: getdents64.
 *
 * @see fs/readdir.c, fs/libfs.c:dcache_readdir
 * @remarks directories of file systems that live in the cache are listed from it; where a file system makes its entries
 * when they are looked up, its `iterate_shared` lists them
 */

import type { dentry, file, pt_regs } from '../../btf/vmlinux.ts'
import { EBADF, EFAULT, EINVAL, ENOTDIR } from '../../abi/errno.ts'
import { S_IFDIR, S_IFMT } from '../../abi/stat.ts'
import { list_for_each_entry } from '../../structures/list.ts'
import { syscall_arg, syscall_int } from '../arch/x86/entry/common.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { copy_to_user } from '../lib/usercopy.ts'
import { nameOf } from './dcache.ts'
import { lookup_fd } from './file.ts'

/** An entry as a directory lists it. */
export interface DirEntry {
  readonly name: string
  readonly ino: bigint
  /** of its inode; type bits are what matters */
  readonly mode: number
}

/** `file_operations.iterate_shared` */
export type Iterate = (k: Kernel, file: file) => readonly DirEntry[]

/** Bytes of `struct linux_dirent64` before the name. */
const HEADER = 19

/** Entries of the cache. @see fs/libfs.c:dcache_readdir */
function dcache_readdir(k: Kernel, dir: dentry): DirEntry[] {
  const found: DirEntry[] = []
  for (const child of list_for_each_entry(k.types, k.mem, dir.d_subdirs.$va, 'dentry', 'd_child')) {
    const inode = child.d_inode
    if (inode !== null) found.push({ name: nameOf(k, child), ino: inode.i_ino, mode: inode.i_mode })
  }
  return found
}

/** Everything a directory lists, in the order it lists it. @see fs/readdir.c:iterate_dir */
function entriesOf(k: Kernel, file: file): DirEntry[] {
  const dentry = deref(file.f_path.dentry)
  const inode = deref(dentry.d_inode)
  const parent = deref(deref(dentry.d_parent).d_inode)
  const dots = [
    { name: '.', ino: inode.i_ino, mode: S_IFDIR },
    { name: '..', ino: parent.i_ino, mode: S_IFDIR },
  ]
  const op = file.f_op?.iterate_shared ?? 0n
  const own =
    op !== 0n && k.codeAt(op) !== undefined ? k.indirect<Iterate>(op)(k, file) : dcache_readdir(k, dentry)
  return [...dots, ...own]
}

export const __x64_sys_getdents64 = kfunc(
  'fs/readdir.c',
  function __x64_sys_getdents64(k, regs: pt_regs): number {
    const file = lookup_fd(k, syscall_int(regs, 0))
    if (file === null) return -EBADF
    if ((deref(file.f_inode).i_mode & S_IFMT) !== S_IFDIR) return -ENOTDIR
    const [to, room] = [syscall_arg(regs, 1), syscall_int(regs, 2)]
    const entries = entriesOf(k, file)
    const records: Buffer[] = []
    let size = 0
    let at = Number(file.f_pos)
    for (; at < entries.length; at++) {
      const record = dirent64(entries[at] as DirEntry, at + 1)
      if (size + record.length > room) break
      records.push(record)
      size += record.length
    }
    if (size === 0 && at < entries.length) return -EINVAL
    if (copy_to_user(k, to, Buffer.concat(records), size) > 0) return -EFAULT
    file.f_pos = BigInt(at)
    return size
  },
)

/** @see include/linux/dirent.h:linux_dirent64 */
function dirent64({ name, ino, mode }: DirEntry, next: number): Buffer {
  const text = Buffer.from(`${name}\0`, 'utf8')
  const record = Buffer.alloc(Math.ceil((HEADER + text.length) / 8) * 8)
  record.writeBigUInt64LE(ino, 0)
  record.writeBigUInt64LE(BigInt(next), 8)
  record.writeUInt16LE(record.length, 16)
  record.writeUInt8((mode & S_IFMT) >>> 12, 18)
  text.copy(record, HEADER)
  return record
}

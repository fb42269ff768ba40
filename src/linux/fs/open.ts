/** Opening files by name. @see fs/open.c */

import type { file, file_operations, inode } from '../../btf/vmlinux.ts'
import { EEXIST, EISDIR, ENOENT, ENOTDIR, ENXIO } from '../../abi/errno.ts'
import {
  FMODE_LSEEK,
  FMODE_PREAD,
  FMODE_PWRITE,
  FMODE_WRITE,
  FMODE_WRITER,
  O_ACCMODE,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_TRUNC,
} from '../../abi/fcntl.ts'
import { S_IFDIR, S_IFMT, S_IFREG } from '../../abi/stat.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { security_file_open } from '../security/security/file.ts'
import { sleepable, type MaySleep } from '../sleepable.ts'
import { dget } from './dcache.ts'
import { alloc_empty_file, finishMode, fput } from './file_table.ts'
import { fd_install, get_unused_fd_flags, put_unused_fd } from './file.ts'
import type { Place } from './fs_struct.ts'
import { mntget } from './namespace.ts'
import { path_lookupat, path_parentat, vfs_mknod } from './namei.ts'
import { truncate_pages } from './pagecache.ts'

/** `file_operations.open` */
export type Open = (k: Kernel, inode: inode, file: file) => MaySleep<number>

/** Flags that only open itself looks at. */
const NOT_KEPT = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC

/** Give a file its inode and operations, and let them have their say. @see fs/open.c:do_dentry_open */
export const do_dentry_open = kfunc(
  'fs/open.c',
  function* do_dentry_open(k, file: file, place: Place): Generator<unknown, number> {
    mntget(k, place.mnt)
    file.f_path.mnt = place.mnt
    file.f_path.dentry = dget(place.dentry)
    const inode = deref(place.dentry.d_inode)
    file.f_inode = inode
    file.f_mapping = inode.i_mapping
    file.f_op = inode.i_fop
    if ((file.f_mode & FMODE_WRITE) !== 0 && (inode.i_mode & S_IFMT) === S_IFREG) {
      inode.i_writecount.counter = inode.i_writecount.counter + 1
      file.f_mode = file.f_mode | FMODE_WRITER
    }
    file.f_mode = file.f_mode | FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
    const denied = security_file_open(k, file)
    if (denied !== 0) return denied
    const open = deref(file.f_op).open
    if (open !== 0n) {
      const result = yield* sleepable(k.indirect<Open>(open)(k, inode, file))
      if (result !== 0) return result
    }
    finishMode(file, deref(file.f_op))
    file.f_flags = file.f_flags & ~NOT_KEPT
    return 0
  },
)

/** @returns the file or -errno @see fs/namei.c:do_filp_open */
export const do_filp_open = kfunc(
  'fs/namei.c',
  function* do_filp_open(k, path: string, flags: number, mode: number): Generator<unknown, file | number> {
    const found = find(k, path, flags, mode)
    if (typeof found === 'number') return found
    const inode = deref(found.dentry.d_inode)
    const isDir = (inode.i_mode & S_IFMT) === S_IFDIR
    if ((flags & O_DIRECTORY) !== 0 && !isDir) return -ENOTDIR
    if (isDir && (flags & O_ACCMODE) !== 0) return -EISDIR
    if ((flags & O_TRUNC) !== 0 && (inode.i_mode & S_IFMT) === S_IFREG) truncate_pages(k, inode)
    if (inode.i_fop === null) return -ENXIO
    const file = alloc_empty_file(k, flags)
    const result = yield* do_dentry_open(k, file, found)
    if (result === 0) return file
    file.f_op = null
    fput(k, file)
    return result
  },
)

function find(k: Kernel, path: string, flags: number, mode: number): Place | number {
  const found = path_lookupat(k, path)
  if (typeof found !== 'number') {
    return (flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0 ? -EEXIST : found
  }
  if (found !== -ENOENT || (flags & O_CREAT) === 0) return found
  const target = path_parentat(k, path)
  if (typeof target === 'number') return target
  const umask = Number(deref(k.current.$ref('fs')).$int('umask'))
  const dentry = vfs_mknod(k, target.parent, target.last, S_IFREG | (mode & ~umask & 0o7777))
  return { mnt: target.parent.mnt, dentry }
}

/** @returns a descriptor or -errno @see fs/open.c:do_sys_openat2 */
export const do_sys_openat2 = kfunc(
  'fs/open.c',
  function* do_sys_openat2(k, path: string, flags: number, mode: number): Generator<unknown, number> {
    const fd = get_unused_fd_flags(k, flags)
    if (fd < 0) return fd
    const file = yield* do_filp_open(k, path, flags, mode)
    if (typeof file === 'number') {
      put_unused_fd(k, fd)
      return file
    }
    fd_install(k, fd, file)
    return fd
  },
)

/** The operations of a file, which every open file has. */
export const fopsOf = (file: file): file_operations => deref(file.f_op)

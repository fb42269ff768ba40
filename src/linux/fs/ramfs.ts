/** Regular files whose pages are all there is of them: reading and writing the page cache. @see fs/ramfs, mm/filemap.c */

import type { file, iov_iter, kiocb } from '../../btf/vmlinux.ts'
import { O_APPEND } from '../../abi/fcntl.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { copy_from_iter, copy_to_iter, iov_iter_count } from '../lib/iov_iter.ts'
import { stamp } from './libfs.ts'
import { eachPage } from './pagecache.ts'

const fileOf = (iocb: kiocb): file => deref(iocb.ki_filp)

/** @see mm/filemap.c:generic_file_read_iter */
export const generic_file_read_iter = kfunc(
  'mm/filemap.c',
  function generic_file_read_iter(k, iocb: kiocb, to: iov_iter): number {
    const inode = deref(fileOf(iocb).f_inode)
    const size = Math.min(iov_iter_count(to), Math.max(0, Number(inode.i_size - iocb.ki_pos)))
    let done = 0
    eachPage(k, inode, Number(iocb.ki_pos), size, false, (va, n) => {
      const copied = copy_to_iter(k, va, n, to)
      done += copied
      return copied === n
    })
    iocb.ki_pos = iocb.ki_pos + BigInt(done)
    return done
  },
)

/** @see mm/filemap.c:generic_file_write_iter */
export const generic_file_write_iter = kfunc(
  'mm/filemap.c',
  function generic_file_write_iter(k, iocb: kiocb, from: iov_iter): number {
    const file = fileOf(iocb)
    const inode = deref(file.f_inode)
    if ((file.f_flags & O_APPEND) !== 0) iocb.ki_pos = inode.i_size
    let done = 0
    eachPage(k, inode, Number(iocb.ki_pos), iov_iter_count(from), true, (va, n) => {
      const copied = copy_from_iter(k, va, n, from)
      done += copied
      return copied === n
    })
    iocb.ki_pos = iocb.ki_pos + BigInt(done)
    if (iocb.ki_pos > inode.i_size) inode.i_size = iocb.ki_pos
    stamp(k, inode)
    return done
  },
)

/** Operations of regular files. @see fs/ramfs/file-mmu.c:ramfs_file_operations */
export function ramfs_init(k: Kernel): void {
  if (!k.symbols.has('ramfs_file_operations')) return
  const fops = k.global('ramfs_file_operations', 'file_operations')
  fops.read_iter = k.text(generic_file_read_iter)
  fops.write_iter = k.text(generic_file_write_iter)
}

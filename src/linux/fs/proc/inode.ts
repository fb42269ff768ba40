/** Inodes of /proc, and the operations of its files, which call those of the entry behind them. @see fs/proc/inode.c */

import type { file, inode, iov_iter, kiocb, kmem_cache, proc_dir_entry, proc_inode, super_block } from '../../../btf/vmlinux.ts' // prettier-ignore
import { toVa } from '../../../base/addr.ts'
import { EIO, ESPIPE } from '../../../abi/errno.ts'
import { S_IFDIR, S_IFLNK, S_IFMT } from '../../../abi/stat.ts'
import { deref } from '../../deref.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_MEM_SPREAD, SLAB_PANIC, SLAB_RECLAIM_ACCOUNT } from '../../mm/slab_common.ts' // prettier-ignore
import { kmem_cache_alloc, kmem_cache_free } from '../../mm/slub.ts'
import type { MaySleep } from '../../sleepable.ts'
import { inode_init_once, new_inode } from '../inode.ts'
import { stamp } from '../libfs.ts'
import type { Llseek, ReadIter } from '../read_write.ts'
import type { Open } from '../open.ts'

const FILE = 'fs/proc/inode.c'

const state = perKernel<{ cache: kmem_cache | undefined }>(() => ({ cache: undefined }))

/** The `struct proc_inode` around an inode. @see fs/proc/internal.h:PROC_I */
export const proc_i = (k: Kernel, inode: inode): proc_inode =>
  k.ref('proc_inode', inode.$va - k.types.offsetof('proc_inode', 'vfs_inode'))

/** @see fs/proc/inode.c:proc_init_kmemcache */
export function proc_init_kmemcache(k: Kernel): void {
  const flags = SLAB_RECLAIM_ACCOUNT | SLAB_MEM_SPREAD | SLAB_ACCOUNT | SLAB_PANIC
  const offset = k.types.offsetof('proc_inode', 'vfs_inode')
  state(k).cache = kmem_cache_create(k, 'proc_inode_cache', k.types.sizeof('proc_inode'), {
    flags,
    ctor: (_k, object) => inode_init_once(k, k.ref('inode', object + offset)),
  })
  const ops = k.global('proc_sops', 'super_operations')
  ops.alloc_inode = k.text(proc_alloc_inode)
  ops.free_inode = k.text(proc_free_inode)
  const files = k.global('proc_iter_file_ops', 'file_operations')
  files.open = k.text(proc_reg_open)
  files.read_iter = k.text(proc_reg_read_iter)
  files.llseek = k.text(proc_reg_llseek)
  files.release = k.text(proc_reg_release)
}

const proc_alloc_inode = kfunc(FILE, function proc_alloc_inode(k, _sb: super_block): inode {
  const ei = k.ref('proc_inode', kmem_cache_alloc(k, state(k).cache as kmem_cache))
  ei.pid = null
  ei.fd = 0
  ei.$set('op.proc_get_link', 0n)
  ei.pde = null
  ei.sysctl = null
  return ei.vfs_inode
})

const proc_free_inode = kfunc(FILE, function proc_free_inode(k, inode: inode): void {
  kmem_cache_free(k, state(k).cache as kmem_cache, proc_i(k, inode).$va)
})

/** The inode of an entry of the tree. @see fs/proc/inode.c:proc_get_inode */
export const proc_get_inode = kfunc(
  FILE,
  function proc_get_inode(k, sb: super_block, de: proc_dir_entry): inode {
    const inode = new_inode(k, sb)
    fillProcInode(k, inode, de)
    return inode
  },
)

/** Make an inode that of an entry. */
export function fillProcInode(k: Kernel, inode: inode, de: proc_dir_entry): void {
  inode.i_ino = BigInt(de.low_ino)
  inode.i_private = de.data
  stamp(k, inode)
  proc_i(k, inode).pde = de
  inode.i_mode = de.mode
  inode.i_uid.val = de.uid.val
  inode.i_gid.val = de.gid.val
  if (de.size !== 0n) inode.i_size = de.size
  inode.$set('__i_nlink', de.nlink)
  inode.i_op = de.proc_iops
  switch (de.mode & S_IFMT) {
    case S_IFDIR:
      inode.$set('i_fop', de.$int('proc_dir_ops'))
      break
    case S_IFLNK:
      inode.i_link = de.data
      break
    default:
      inode.i_fop = k.global('proc_iter_file_ops', 'file_operations')
  }
}

const opsOf = (k: Kernel, file: file) =>
  k.ref('proc_ops', toVa(deref(proc_i(k, deref(file.f_inode)).pde).$int('proc_ops'), k.mem.wordSize))

const proc_reg_open = kfunc(FILE, function proc_reg_open(k, inode: inode, file: file): MaySleep<number> {
  const open = opsOf(k, file).proc_open
  return open === 0n ? 0 : k.indirect<Open>(open)(k, inode, file)
})

const proc_reg_read_iter = kfunc(
  FILE,
  function proc_reg_read_iter(k, iocb: kiocb, iter: iov_iter): MaySleep<number> {
    const read = opsOf(k, deref(iocb.ki_filp)).proc_read_iter
    return read === 0n ? -EIO : k.indirect<ReadIter>(read)(k, iocb, iter)
  },
)

const proc_reg_llseek = kfunc(
  FILE,
  function proc_reg_llseek(k, file: file, offset: bigint, whence: number): MaySleep<bigint | number> {
    const seek = opsOf(k, file).proc_lseek
    return seek === 0n ? -ESPIPE : k.indirect<Llseek>(seek)(k, file, offset, whence)
  },
)

const proc_reg_release = kfunc(
  FILE,
  function proc_reg_release(k, inode: inode, file: file): MaySleep<number> {
    const release = opsOf(k, file).proc_release
    return release === 0n ? 0 : k.indirect<Open>(release)(k, inode, file)
  },
)

/** `struct file`: an open file, made and counted. @see fs/file_table.c */

import { InvariantError } from '../../base/errors.ts'
import type { callback_head, file, file_operations, inode, kmem_cache, vfsmount } from '../../btf/vmlinux.ts'
import {
  FMODE_CAN_READ,
  FMODE_CAN_WRITE,
  FMODE_LSEEK,
  FMODE_OPENED,
  FMODE_READ,
  FMODE_STREAM,
  FMODE_WRITE,
  O_ACCMODE,
} from '../../abi/fcntl.ts'
import { PF_KTHREAD } from '../../abi/sched.ts'
import { S_IFCHR, S_IFMT } from '../../abi/stat.ts'
import { INIT_LIST_HEAD } from '../../structures/list.ts'
import { deref } from '../deref.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { get_cred, put_cred } from '../kernel/cred.ts'
import { module_put } from '../kernel/module/main.ts'
import { in_interrupt } from '../kernel/softirq.ts'
import { task_work_add } from '../kernel/task_work.ts'
import { atomic_long_add, atomic_long_dec, atomic_long_inc, atomic_long_set } from '../lib/atomic_long.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../mm/slab_common.ts'
import { kmem_cache_free, kmem_cache_zalloc } from '../mm/slub.ts'
import { security_file_alloc, security_file_free } from '../security/security/file.ts'
import { atomically, sleepable, type MaySleep } from '../sleepable.ts'
import { d_alloc_pseudo, d_instantiate, dput } from './dcache.ts'
import { mntget, mntput } from './namespace.ts'

/** `file_operations.release` */
export type Release = (k: Kernel, inode: inode, file: file) => MaySleep<number>

const state = perKernel<{ cache: kmem_cache | undefined }>(() => ({ cache: undefined }))

/** @see fs/file_table.c:files_init */
export function files_init(k: Kernel): void {
  const flags = SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT
  state(k).cache = kmem_cache_create(k, 'filp', k.types.sizeof('file'), { flags })
  setCachePointer(k, 'filp_cachep', state(k).cache)
}

/** `nr_files`, a percpu_counter. */
function countFiles(k: Kernel, by: number): void {
  if (!k.symbols.has('nr_files')) return
  const counter = k.global('nr_files', 'percpu_counter')
  counter.$set('count', counter.$int('count') + BigInt(by))
}

/** @see fs/file_table.c:alloc_empty_file */
export const alloc_empty_file = kfunc('fs/file_table.c', function alloc_empty_file(k, flags: number): file {
  const file = k.ref('file', kmem_cache_zalloc(k, state(k).cache as kmem_cache))
  file.f_cred = get_cred(deref(k.current.cred))
  security_file_alloc(k, file)
  INIT_LIST_HEAD(k.mem, file.$vaOf('f_pos_lock.wait_list'))
  file.f_flags = flags
  file.f_mode = ((flags & O_ACCMODE) + 1) & O_ACCMODE
  atomic_long_set(file.f_count, 1)
  countFiles(k, 1)
  return file
})

const alloc_file = kfunc(
  'fs/file_table.c',
  function alloc_file(k, mnt: vfsmount, dentry: StructDentry, flags: number, fop: file_operations): file {
    const file = alloc_empty_file(k, flags)
    file.f_path.mnt = mnt
    file.f_path.dentry = dentry
    const inode = deref(dentry.d_inode)
    file.f_inode = inode
    file.f_mapping = inode.i_mapping
    finishMode(file, fop)
    file.f_op = fop
    return file
  },
)
type StructDentry = ReturnType<typeof d_alloc_pseudo>

/** What the operations allow. */
export function finishMode(file: file, fop: file_operations): void {
  let mode = file.f_mode
  if ((mode & FMODE_READ) !== 0 && (fop.read !== 0n || fop.read_iter !== 0n)) mode |= FMODE_CAN_READ
  if ((mode & FMODE_WRITE) !== 0 && (fop.write !== 0n || fop.write_iter !== 0n)) mode |= FMODE_CAN_WRITE
  file.f_mode = mode | FMODE_OPENED
}

/** Not seekable, and without a position. @see fs/open.c:stream_open */
export function stream_open(file: file): void {
  file.f_mode = (file.f_mode & ~FMODE_LSEEK) | FMODE_STREAM
}

/**
 * An open file on an inode that has no name in any directory.
 * @param name of the dentry: what crash shows as the path
 * @param fops address of the `struct file_operations`
 * @see fs/file_table.c:alloc_file_pseudo
 */
export const alloc_file_pseudo = kfunc(
  'fs/file_table.c',
  function alloc_file_pseudo(
    k,
    inode: inode,
    mnt: vfsmount,
    name: string,
    flags: number,
    fops: file_operations,
  ): file {
    const dentry = d_alloc_pseudo(k, deref(mnt.mnt_sb), name)
    mntget(k, mnt)
    d_instantiate(k, dentry, inode)
    return alloc_file(k, mnt, dentry, flags, fops)
  },
)

/** A second `struct file` on the same dentry. @see fs/file_table.c:alloc_file_clone */
export const alloc_file_clone = kfunc(
  'fs/file_table.c',
  function alloc_file_clone(k, base: file, flags: number, fops: file_operations): file {
    const mnt = deref(mntget(k, base.f_path.mnt))
    const dentry = deref(base.f_path.dentry)
    dentry.d_lockref.count = dentry.d_lockref.count + 1
    const file = alloc_file(k, mnt, dentry, flags, fops)
    file.f_mapping = base.f_mapping
    return file
  },
)

/** @see include/linux/fs.h:get_file */
export function get_file(file: file): file {
  atomic_long_inc(file.f_count)
  return file
}

/** The last reference is gone: release the file, its dentry and mount. @see fs/file_table.c:__fput */
export const __fput = kfunc('fs/file_table.c', function* __fput(k, file: file): Generator<unknown, void> {
  const { dentry, mnt } = file.f_path
  const inode = file.f_inode
  const release = file.f_op?.release ?? 0n
  if (release !== 0n && inode !== null) yield* sleepable(k.indirect<Release>(release)(k, inode, file))
  security_file_free(k, file)
  fops_put(file)
  if (file.f_cred !== null) put_cred(k, file.f_cred)
  countFiles(k, -1)
  dput(k, dentry)
  mntput(k, mnt)
  kmem_cache_free(k, state(k).cache as kmem_cache, file.$va)
})

/** The module whose operations the file had, and whose device it was, may go. @see include/linux/fs.h:fops_put */
function fops_put(file: file): void {
  const device = file.f_inode
  if (device !== null && (device.i_mode & S_IFMT) === S_IFCHR) module_put(device.i_cdev?.owner ?? null)
  module_put(file.f_op?.owner ?? null)
}

/** As the task work it is. @see fs/file_table.c:____fput */
export const ____fput = kfunc(
  'fs/file_table.c',
  function* ____fput(k, work: callback_head): Generator<unknown, void> {
    yield* __fput(k, k.ref('file', work.$va - k.types.offsetof('file', 'f_rcuhead')))
  },
  { sibling: true },
)

/** Drop a reference; the last one releases the file on the task's way back to user space. @see fs/file_table.c:fput */
export const fput = kfunc('fs/file_table.c', function fput(k, file: file) {
  const left = atomic_long_dec(file.f_count)
  if (left > 0n) return
  if (left < 0n) throw new InvariantError('a file released twice')
  if (in_interrupt(k) || (k.current.flags & PF_KTHREAD) !== 0) {
    atomically(__fput(k, file))
    return
  }
  task_work_add(k, k.current, k.ref('callback_head', file.$vaOf('f_rcuhead')), k.text(____fput))
})

/** References there are. @see include/linux/fs.h:file_count */
export const file_count = (file: file): bigint => atomic_long_add(0, file.f_count)

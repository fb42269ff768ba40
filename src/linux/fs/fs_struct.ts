/** Where a process is: its root and working directory. @see fs/fs_struct.c */

import type { dentry, kmem_cache, path, task_struct, vfsmount } from '../../btf/vmlinux.ts'
import { CLONE_FS } from '../../abi/sched.ts'
import { deref } from '../deref.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../mm/slub.ts'
import { dget, dput } from './dcache.ts'
import { mntget, mntput } from './namespace.ts'
import type { StructRef } from '../../btf/ref.ts'

const state = perKernel<{ cache: kmem_cache | undefined }>(() => ({ cache: undefined }))

/** A place: a directory entry as seen through a mount. */
export interface Place {
  readonly mnt: vfsmount
  readonly dentry: dentry
}

/** @see kernel/fork.c:proc_caches_init */
export function fs_cache_init(k: Kernel): void {
  const flags = SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT
  state(k).cache = kmem_cache_create(k, 'fs_cache', k.types.sizeof('fs_struct'), { flags })
  setCachePointer(k, 'fs_cachep', state(k).cache)
  const fs = k.global('init_fs', 'fs_struct')
  fs.$set('users', 1)
  fs.$set('umask', 0o22)
}

const pathOf = (fs: StructRef, which: 'root' | 'pwd'): path => fs.$ref(which) as path

/** Read one of the two. */
export function placeOf(fs: StructRef, which: 'root' | 'pwd'): Place {
  const path = pathOf(fs, which)
  return { mnt: deref(path.mnt), dentry: deref(path.dentry) }
}

function setPath(k: Kernel, path: path, place: Place): void {
  mntget(k, place.mnt)
  dget(place.dentry)
  const { mnt, dentry } = path
  path.mnt = place.mnt
  path.dentry = place.dentry
  dput(k, dentry)
  mntput(k, mnt)
}

/** @see fs/fs_struct.c:set_fs_root */
export const set_fs_root = kfunc('fs/fs_struct.c', function set_fs_root(k, fs: StructRef, place: Place) {
  setPath(k, pathOf(fs, 'root'), place)
})

/** @see fs/fs_struct.c:set_fs_pwd */
export const set_fs_pwd = kfunc('fs/fs_struct.c', function set_fs_pwd(k, fs: StructRef, place: Place) {
  setPath(k, pathOf(fs, 'pwd'), place)
})

/** @see fs/fs_struct.c:copy_fs_struct */
export const copy_fs_struct = kfunc('fs/fs_struct.c', function copy_fs_struct(k, old: StructRef): StructRef {
  const fs = k.ref('fs_struct', kmem_cache_alloc(k, state(k).cache as kmem_cache))
  fs.$set('users', 1)
  fs.$set('umask', old.$int('umask'))
  for (const which of ['root', 'pwd'] as const) {
    const path = pathOf(old, which)
    if (path.dentry !== null) setPath(k, pathOf(fs, which), placeOf(old, which))
  }
  return fs
})

/** @see kernel/fork.c:copy_fs */
export function copy_fs(k: Kernel, flags: number, p: task_struct): void {
  const old = p.$ref('fs')
  if (old === null) return
  if ((flags & CLONE_FS) !== 0) {
    old.$set('users', old.$int('users') + 1n)
    return
  }
  p.$set('fs', copy_fs_struct(k, old))
}

/** @see fs/fs_struct.c:exit_fs */
export const exit_fs = kfunc('fs/fs_struct.c', function exit_fs(k, task: task_struct) {
  const fs = task.$ref('fs')
  if (fs === null) return
  task.$set('fs', null)
  const users = fs.$int('users') - 1n
  fs.$set('users', users)
  if (users > 0n) return
  for (const which of ['root', 'pwd'] as const) {
    const path = pathOf(fs, which)
    dput(k, path.dentry)
    mntput(k, path.mnt)
  }
  kmem_cache_free(k, state(k).cache as kmem_cache, fs.$va)
})

/** From path names to directory entries, across mounts. Everything there is lies in the dentry cache. @see fs/namei.c */

import type { dentry, inode, mount, vfsmount } from '../../btf/vmlinux.ts'
import { EEXIST, EISDIR, ENOENT, ENOTDIR } from '../../abi/errno.ts'
import { S_IFDIR, S_IFMT, S_IFREG } from '../../abi/stat.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { current_cred_ids } from '../kernel/cred.ts'
import { d_add, d_alloc, d_delete, d_lookup, dget, dput } from './dcache.ts'
import { placeOf, type Place } from './fs_struct.ts'
import { init_special_inode, new_inode } from './inode.ts'
import { setOp, stamp } from './libfs.ts'
import { __lookup_mnt, real_mount } from './namespace.ts'

const isDir = (inode: inode | null): boolean => inode !== null && (inode.i_mode & S_IFMT) === S_IFDIR

/** Where a walk begins: the task's root or working directory. */
function start(k: Kernel, path: string): Place {
  const fs = deref(k.current.$ref('fs'))
  return placeOf(fs, path.startsWith('/') ? 'root' : 'pwd')
}

/** Down into what is mounted on a place. @see fs/namei.c:traverse_mounts */
function crossMounts(k: Kernel, at: Place): Place {
  let place = at
  for (let top = covering(k, place); top !== null; top = covering(k, place)) {
    place = { mnt: top.mnt, dentry: deref(top.mnt.mnt_root) }
  }
  return place
}
const covering = (k: Kernel, at: Place): mount | null => __lookup_mnt(k, real_mount(k, at.mnt), at.dentry)

/** Up out of a mount, or to the parent directory. @see fs/namei.c:follow_dotdot */
function parentOf(k: Kernel, at: Place): Place {
  let place = at
  for (;;) {
    if (place.dentry.$va !== place.mnt.mnt_root?.$va) break
    const mnt = real_mount(k, place.mnt)
    const above = deref(mnt.mnt_parent)
    if (above.$va === mnt.$va) return place
    place = { mnt: above.mnt, dentry: deref(mnt.mnt_mountpoint) }
  }
  return { mnt: place.mnt, dentry: deref(place.dentry.d_parent) }
}

/** @returns the place, or -errno @see fs/namei.c:link_path_walk */
export const path_lookupat = kfunc('fs/namei.c', function path_lookupat(k, path: string): Place | number {
  return walk(k, start(k, path), path.split('/'))
})

function walk(k: Kernel, from: Place, parts: readonly string[]): Place | number {
  let at = crossMounts(k, from)
  for (const part of parts) {
    if (part === '' || part === '.') continue
    if (!isDir(at.dentry.d_inode)) return -ENOTDIR
    if (part === '..') {
      at = parentOf(k, at)
      continue
    }
    const found = d_lookup(k, at.dentry, part)
    if (found === null) return -ENOENT
    dput(k, found)
    at = crossMounts(k, { mnt: at.mnt, dentry: found })
  }
  return at
}

/** The directory and the last name of a path. */
export function path_parentat(k: Kernel, path: string): { parent: Place; last: string } | number {
  const parts = path.split('/').filter((part) => part !== '')
  const last = parts.pop()
  if (last === undefined) return -EEXIST
  const parent = walk(k, start(k, path), parts)
  return typeof parent === 'number' ? parent : { parent, last }
}

/**
 * A new entry with a new inode.
 * @param mode type and permissions
 * @returns the entry, with the directory's reference
 * @see fs/ramfs/inode.c:ramfs_mknod
 */
export function vfs_mknod(k: Kernel, parent: Place, name: string, mode: number, rdev = 0): dentry {
  const dentry = d_alloc(k, parent.dentry, name)
  const sb = deref(parent.dentry.d_sb)
  const inode = new_inode(k, sb)
  inode.i_ino = BigInt(nextIno(k, deref(parent.dentry.d_inode)))
  const { uid, gid } = current_cred_ids(k)
  inode.i_uid.val = uid
  inode.i_gid.val = gid
  inode.i_mode = mode
  stamp(k, inode)
  switch (mode & S_IFMT) {
    case S_IFDIR:
      inode.$set('__i_nlink', 2)
      setOp(k, inode, 'i_op', 'ramfs_dir_inode_operations')
      setOp(k, inode, 'i_fop', 'simple_dir_operations')
      break
    case S_IFREG:
      setOp(k, inode, 'i_op', 'ramfs_file_inode_operations')
      setOp(k, inode, 'i_fop', 'ramfs_file_operations')
      break
    default:
      init_special_inode(k, inode, mode, rdev)
  }
  d_add(k, dentry, inode)
  return dentry
}

/** Inode numbers of a file system that stands for one on disk: ascending from its root's. */
function nextIno(k: Kernel, dir: inode): number {
  const sb = deref(dir.i_sb)
  let highest = 10n
  const head = sb.s_inodes.$va
  const first = k.mem.pointer(head)
  if (first !== head) highest = k.ref('inode', first - k.types.offsetof('inode', 'i_sb_list')).i_ino
  for (let node = first, hops = 0; node !== head && hops < 4; node = k.mem.pointer(node), hops++) {
    const { i_ino } = k.ref('inode', node - k.types.offsetof('inode', 'i_sb_list'))
    if (i_ino > highest) highest = i_ino
  }
  return Number(highest) + 1
}

/** A path that is there afterwards: directories are made on the way. @returns the place of its last part */
export function ensurePath(k: Kernel, path: string, mode: number, rdev = 0): Place {
  const parts = path.split('/').filter((part) => part !== '')
  let at = crossMounts(k, start(k, '/'))
  parts.forEach((part, i) => {
    const last = i === parts.length - 1
    const found = d_lookup(k, at.dentry, part)
    if (found !== null) dput(k, found)
    const dentry = found ?? vfs_mknod(k, at, part, last ? mode : S_IFDIR | 0o755, last ? rdev : 0)
    at = crossMounts(k, { mnt: at.mnt, dentry })
  })
  return at
}

/** @returns 0 or -errno @see fs/namei.c:vfs_unlink */
export const do_unlinkat = kfunc('fs/namei.c', function do_unlinkat(k, path: string): number {
  const found = path_lookupat(k, path)
  if (typeof found === 'number') return found
  if (isDir(found.dentry.d_inode)) return -EISDIR
  dget(found.dentry)
  d_delete(k, found.dentry)
  dput(k, found.dentry)
  dput(k, found.dentry)
  return 0
})

/** A reference to a place, for a `struct path` that keeps it. */
export interface HeldPath {
  readonly mnt: vfsmount
  readonly dentry: dentry
}

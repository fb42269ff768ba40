/** From path names to directory entries, across mounts. Everything there is lies in the dentry cache. @see fs/namei.c */

import type { dentry, inode, mount, vfsmount } from '../../btf/vmlinux.ts'
import { EEXIST, EISDIR, ELOOP, ENOENT, ENOTDIR } from '../../abi/errno.ts'
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../abi/stat.ts'
import { toVa } from '../../base/addr.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { current_cred_ids } from '../kernel/cred.ts'
import { kstrdup } from '../mm/slab.ts'
import {
  d_add,
  d_alloc,
  d_delete,
  d_drop,
  d_lookup,
  DCACHE_OP_REVALIDATE,
  dget,
  dput,
  nameOf,
} from './dcache.ts'
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

/** `inode_operations.lookup`: an entry for a name that the cache has not, or null. */
export type Lookup = (k: Kernel, dir: inode, name: string, parent: dentry) => dentry | null
/** `inode_operations.get_link`: a path, or the place itself where a link of /proc leads there. */
export type GetLink = (k: Kernel, dentry: dentry, inode: inode) => string | Place | number
/** `dentry_operations.d_revalidate`: does the entry still stand for anything? */
export type Revalidate = (k: Kernel, dentry: dentry, flags: number) => number

/** A link at the end of a path is followed. */
export const LOOKUP_FOLLOW = 1
/** Links in one path: as many as the kernel follows. */
const MAXSYMLINKS = 40

/** @returns the place, or -errno @see fs/namei.c:link_path_walk */
export const path_lookupat = kfunc(
  'fs/namei.c',
  function path_lookupat(k, path: string, flags: number = LOOKUP_FOLLOW): Place | number {
    return walk(k, start(k, path), path.split('/'), { follow: (flags & LOOKUP_FOLLOW) !== 0, links: 0 })
  },
)

/** State of one walk. */
interface Nameidata {
  readonly follow: boolean
  links: number
}

function walk(k: Kernel, from: Place, parts: readonly string[], nd: Nameidata): Place | number {
  let at = crossMounts(k, from)
  const names = parts.filter((part) => part !== '' && part !== '.')
  for (const [i, part] of names.entries()) {
    if (!isDir(at.dentry.d_inode)) return -ENOTDIR
    if (part === '..') {
      at = parentOf(k, at)
      continue
    }
    const found = lookup(k, at.dentry, part)
    if (found === null) return -ENOENT
    const next = crossMounts(k, { mnt: at.mnt, dentry: found })
    const last = i === names.length - 1 && parts.at(-1) !== ''
    const led = isLink(next.dentry.d_inode) && (!last || nd.follow) ? follow(k, at, next, nd) : next
    if (typeof led === 'number') return led
    at = led
  }
  return at
}

const isLink = (inode: inode | null): boolean => inode !== null && (inode.i_mode & S_IFMT) === S_IFLNK

/** An entry of a directory: from the cache, else from its file system. @see fs/namei.c:lookup_fast, __lookup_slow */
function lookup(k: Kernel, parent: dentry, name: string): dentry | null {
  const cached = d_lookup(k, parent, name)
  if (cached !== null) {
    const valid = (cached.d_flags & DCACHE_OP_REVALIDATE) === 0 || revalidate(k, cached)
    if (!valid) d_drop(k, cached)
    dput(k, cached)
    if (valid) return cached
  }
  const dir = deref(parent.d_inode)
  const op = dir.i_op?.lookup ?? 0n
  // tables of file systems that live in the cache alone hold functions there is no need to simulate
  if (op === 0n || k.codeAt(op) === undefined) return null
  const fresh = k.indirect<Lookup>(op)(k, dir, name, parent)
  if (fresh !== null) dput(k, fresh)
  return fresh
}

function revalidate(k: Kernel, dentry: dentry): boolean {
  const op = dentry.d_op?.d_revalidate ?? 0n
  return op === 0n || k.indirect<Revalidate>(op)(k, dentry, 0) > 0
}

/** Where a symbolic link leads. @param at the directory it is in @see fs/namei.c:pick_link */
function follow(k: Kernel, at: Place, link: Place, nd: Nameidata): Place | number {
  if (++nd.links > MAXSYMLINKS) return -ELOOP
  const target = get_link(k, link.dentry)
  if (typeof target !== 'string') return target
  const from = target.startsWith('/') ? start(k, '/') : at
  const led = walk(k, from, target.split('/'), { ...nd, follow: true })
  return led
}

function get_link(k: Kernel, dentry: dentry): string | Place | number {
  const inode = deref(dentry.d_inode)
  const at = toVa(inode.i_link, k.mem.wordSize)
  if (at !== 0) return cString(k, at)
  const op = inode.i_op?.get_link ?? 0n
  if (op === 0n || k.codeAt(op) === undefined) return -ENOENT
  return k.indirect<GetLink>(op)(k, dentry, inode)
}

/** What a link says, as readlink(2) has it. @returns -errno @see fs/namei.c:vfs_get_link */
export const vfs_get_link = kfunc('fs/namei.c', function vfs_get_link(k, dentry: dentry): string | number {
  const target = get_link(k, dentry)
  if (typeof target === 'string' || typeof target === 'number') return target
  return d_path(k, target)
})

function cString(k: Kernel, at: number): string {
  const bytes: number[] = []
  for (let c = k.mem.u8(at); c !== 0 && bytes.length < 4096; c = k.mem.u8(at + bytes.length)) bytes.push(c)
  return Buffer.from(bytes).toString('utf8')
}

/** A place as a path from the task's root. @see fs/d_path.c:d_path */
export const d_path = kfunc('fs/d_path.c', function d_path(k, place: Place): string {
  const dname = place.dentry.d_op?.d_dname ?? 0n
  if (dname !== 0n) return k.indirect<(k: Kernel, dentry: dentry) => string>(dname)(k, place.dentry)
  const parts: string[] = []
  const fs = k.current.$ref('fs')
  const root = fs === null ? undefined : placeOf(fs, 'root')
  for (let at = place, hops = 0; hops < 256; hops++) {
    if (at.dentry.$va === root?.dentry.$va && at.mnt.$va === root.mnt.$va) break
    const above = parentOf(k, at)
    if (above.dentry.$va === at.dentry.$va && above.mnt.$va === at.mnt.$va) break
    parts.unshift(nameOf(k, coveredBy(k, at)))
    at = above
  }
  return `/${parts.join('/')}`
})

/** The entry whose name a place has: of a mount's root, the directory it covers. */
function coveredBy(k: Kernel, at: Place): dentry {
  let { dentry, mnt } = at
  while (dentry.$va === mnt.mnt_root?.$va) {
    const real = real_mount(k, mnt)
    const above = deref(real.mnt_parent)
    if (above.$va === real.$va) break
    dentry = deref(real.mnt_mountpoint)
    mnt = above.mnt
  }
  return dentry
}

/** The directory and the last name of a path. */
export function path_parentat(k: Kernel, path: string): { parent: Place; last: string } | number {
  const parts = path.split('/').filter((part) => part !== '')
  const last = parts.pop()
  if (last === undefined) return -EEXIST
  const parent = walk(k, start(k, path), parts, { follow: true, links: 0 })
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
    const next = crossMounts(k, { mnt: at.mnt, dentry })
    const led = isLink(dentry.d_inode) && !last ? follow(k, at, next, { follow: true, links: 0 }) : next
    at = typeof led === 'number' ? next : led
  })
  return at
}

/** A symbolic link that is there afterwards. @see fs/namei.c:vfs_symlink, fs/ramfs/inode.c:ramfs_symlink */
export function ensureLink(k: Kernel, path: string, target: string): void {
  const inode = deref(ensurePath(k, path, S_IFLNK | 0o777).dentry.d_inode)
  inode.i_link = BigInt.asUintN(64, BigInt(kstrdup(k, target)))
  inode.i_size = BigInt(Buffer.byteLength(target))
}

/** @returns 0 or -errno @see fs/namei.c:vfs_unlink */
export const do_unlinkat = kfunc('fs/namei.c', function do_unlinkat(k, path: string): number {
  const found = path_lookupat(k, path, 0)
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

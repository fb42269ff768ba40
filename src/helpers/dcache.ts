/** Directory entries and the names they add up to, across mounts. */

import { toVa } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { readString } from './kernel.ts'

/** Longest component a file system allows. @see include/linux/limits.h:NAME_MAX */
const NAME_MAX = 255
/** Deeper than any path the kernel builds (PATH_MAX of one-letter components). */
const DEPTH_MAX = 4096

/**
 * The last component of a dentry's name.
 *
 * @param dentry `struct dentry *`
 * @returns undefined when it is empty, or when the string and `d_name.len` disagree (a damaged entry)
 */
export function dentry_name(dentry: StructRef): string | undefined {
  const length = Number(dentry.$int('d_name.len'))
  const at = toVa(dentry.$int('d_name.name'), dentry.$mem.wordSize)
  if (length === 0 || length > NAME_MAX || at === 0 || Number.isNaN(at)) return undefined
  const name = readString(dentry.$mem, at, length + 1)
  return name.length === length ? name : undefined
}

/**
 * The path of a dentry seen through a mount: to the root of its file system, on to where that is mounted, and so up.
 *
 * @param dentry `struct dentry *`
 * @param vfsmount `struct vfsmount *` it was opened through; null stays inside the file system
 * @remarks Names are joined as crash does, not as d_path() does: a mount's own root ends in `/`, a deleted file is
 * not marked, a pipe has no name and a socket that of its protocol.
 * @see fs/d_path.c:d_path
 */
export function dentry_path(dentry: StructRef, vfsmount: StructRef | null): string {
  let path: string | undefined
  let at = dentry
  let mount = vfsmount === null ? null : real_mount(vfsmount)
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const name = dentry_name(at)
    if (name === undefined) break
    if (path === undefined) path = name
    else path = name === '/' || path.startsWith('/') ? name + path : `${name}/${path}`

    let parent = at.$ref('d_parent')
    if (parent !== null && parent.$va === at.$va) {
      if (mount === null) break
      if (path.startsWith('//')) path = path.slice(1)
      const above = mount.$ref('mnt_parent')
      if (above === null || above.$va === mount.$va) break
      parent = mount.$ref('mnt_mountpoint')
      mount = above
      if (parent !== null && parent.$va === at.$va) break
    }
    if (parent === null) break
    at = parent
  }
  return path ?? ''
}

/** The `struct mount` around a `struct vfsmount` (itself before they were split). @see fs/mount.h:real_mount */
export function real_mount(vfsmount: StructRef): StructRef {
  if (!vfsmount.$types.has('mount', 'mnt')) return vfsmount
  return vfsmount.$containerOf('mount', 'mnt')
}

/** The `struct vfsmount` of a `struct mount`. */
export function vfsmount_of(mount: StructRef): StructRef {
  return mount.$type.name === 'vfsmount' ? mount : mount.$inside('mnt')
}

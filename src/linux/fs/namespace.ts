/** Mounts: which file system is seen where, and the namespaces that list them. @see fs/namespace.c */

import { toVa, type Va } from '../../base/addr.ts'
import type { dentry, kmem_cache, mnt_namespace, mount, super_block, vfsmount } from '../../btf/vmlinux.ts'
import { hlist_add_head, INIT_HLIST_NODE } from '../../structures/hlist.ts'
import { INIT_LIST_HEAD, list_add_tail } from '../../structures/list.ts'
import { deref } from '../deref.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { init_waitqueue_head } from '../kernel/sched/wait.ts'
import { refcount_set } from '../lib/refcount.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { alloc_percpu } from '../mm/percpu.ts'
import { kstrdup, kvzalloc, kzalloc } from '../mm/slab.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../mm/slab_common.ts'
import { kmem_cache_zalloc } from '../mm/slub.ts'
import { DCACHE_MOUNTED, dget } from './dcache.ts'

export const MNT_NOSUID = 0x01
export const MNT_NODEV = 0x02
export const MNT_NOEXEC = 0x04
export const MNT_RELATIME = 0x20
export const MNT_INTERNAL = 0x4000
/** `mnt_ns` of mounts that are nobody's: ERR_PTR(-EINVAL). */
const MNT_NS_INTERNAL = -22

const HASH_SHIFT = 8

interface State {
  cache: kmem_cache | undefined
  ids: number
  table: Va
  mountpoints: Va
  /** Mounts by the dentry they cover: what lookups cross. */
  readonly covered: Map<string, mount>
}
const state = perKernel<State>(() => ({
  cache: undefined,
  ids: 0,
  table: 0,
  mountpoints: 0,
  covered: new Map(),
}))

/** @see fs/namespace.c:mnt_init */
export function mnt_init(k: Kernel): void {
  const flags = SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT
  const s = state(k)
  s.cache = kmem_cache_create(k, 'mnt_cache', k.types.sizeof('mount'), { flags })
  setCachePointer(k, 'mnt_cache', s.cache)
  s.table = kvzalloc(k, k.mem.wordSize << HASH_SHIFT)
  s.mountpoints = kvzalloc(k, k.mem.wordSize << HASH_SHIFT)
  for (const [symbol, table] of [
    ['mount_hashtable', s.table],
    ['mountpoint_hashtable', s.mountpoints],
  ] as const) {
    const at = k.symbols.get(symbol)
    if (at !== undefined) k.mem.setPointer(toVa(at, k.mem.wordSize), table)
  }
}

/** The `struct mount` around a `struct vfsmount`. @see fs/mount.h:real_mount */
export const real_mount = (k: Kernel, mnt: vfsmount): mount =>
  k.ref('mount', mnt.$va - k.types.offsetof('mount', 'mnt'))

const alloc_vfsmnt = kfunc('fs/namespace.c', function alloc_vfsmnt(k, devname: string): mount {
  const mnt = k.ref('mount', kmem_cache_zalloc(k, state(k).cache as kmem_cache))
  mnt.mnt_id = ++state(k).ids
  k.mem.setPointer(mnt.$vaOf('mnt_devname'), kstrdup(k, devname))
  if (mnt.$has('mnt_pcp')) {
    const pcp = alloc_percpu(k, k.types.sizeof('mnt_pcp'))
    k.mem.setWord(mnt.$vaOf('mnt_pcp'), pcp)
    k.mem.setU32(Number(pcp) + k.per_cpu_offset(0) + k.types.offsetof('mnt_pcp', 'mnt_count'), 1)
  }
  INIT_HLIST_NODE(k.mem, mnt.mnt_hash.$va)
  for (const list of [
    'mnt_child',
    'mnt_mounts',
    'mnt_list',
    'mnt_expire',
    'mnt_share',
    'mnt_slave_list',
    'mnt_slave',
    'mnt_umounting',
  ]) {
    if (mnt.$has(list)) INIT_LIST_HEAD(k.mem, mnt.$vaOf(list))
  }
  INIT_HLIST_NODE(k.mem, mnt.mnt_mp_list.$va)
  mnt.mnt.$set('mnt_userns', k.sym('init_user_ns'))
  return mnt
})

/** A mount of a superblock, attached nowhere. @see fs/namespace.c:vfs_create_mount */
export const vfs_create_mount = kfunc(
  'fs/namespace.c',
  function vfs_create_mount(k, sb: super_block, devname: string, flags: number): mount {
    const mnt = alloc_vfsmnt(k, devname)
    const root = deref(sb.s_root)
    sb.s_active.counter = sb.s_active.counter + 1
    mnt.mnt.mnt_flags = flags
    mnt.mnt.mnt_sb = sb
    mnt.mnt.mnt_root = dget(root)
    mnt.mnt_mountpoint = root
    mnt.mnt_parent = mnt
    list_add_tail(k.mem, mnt.mnt_instance.$va, sb.s_mounts.$va)
    return mnt
  },
)

/** A mount for the kernel's own use: sockfs, pipefs. @see fs/namespace.c:kern_mount */
export function kern_mount(k: Kernel, sb: super_block, name: string): vfsmount {
  const mnt = vfs_create_mount(k, sb, name, MNT_INTERNAL)
  k.mem.setPointer(mnt.$vaOf('mnt_ns'), MNT_NS_INTERNAL)
  return mnt.mnt
}

/** @see include/linux/mount.h:mntget */
export function mntget(k: Kernel, mnt: vfsmount | null): vfsmount | null {
  if (mnt !== null) count(k, mnt, 1)
  return mnt
}

/** @see fs/namespace.c:mntput */
export function mntput(k: Kernel, mnt: vfsmount | null): void {
  if (mnt !== null) count(k, mnt, -1)
}

function count(k: Kernel, mnt: vfsmount, by: number): void {
  const real = real_mount(k, mnt)
  if (!real.$has('mnt_pcp')) return
  const at = k.mem.pointer(real.$vaOf('mnt_pcp')) + k.per_cpu_offset()
  const counter = at + k.types.offsetof('mnt_pcp', 'mnt_count')
  k.mem.setU32(counter, (k.mem.u32(counter) + by) >>> 0)
}

/** The namespace of the first task; its root is rootfs. @see fs/namespace.c:init_mount_tree */
export function init_mount_tree(k: Kernel, root: mount): mnt_namespace {
  const ns = k.ref('mnt_namespace', kzalloc(k, k.types.sizeof('mnt_namespace')))
  refcount_set(ns.ns.count, 1)
  ns.ns.inum = 0xf0000000
  ns.user_ns = k.global('init_user_ns', 'user_namespace')
  ns.seq = 1n
  init_waitqueue_head(k, ns.poll)
  INIT_LIST_HEAD(k.mem, ns.list.$va)
  ns.root = root
  ns.mounts = 1
  root.mnt_ns = ns
  list_add_tail(k.mem, root.mnt_list.$va, ns.list.$va)
  k.global('init_nsproxy', 'nsproxy').mnt_ns = ns
  return ns
}

/**
 * Mount on a directory: what is below it is hidden, lookups go on at the mount's root.
 * @see fs/namespace.c:attach_recursive_mnt
 */
export function attach_mnt(k: Kernel, mnt: mount, parent: mount, mountpoint: dentry): void {
  const s = state(k)
  const bucket = (Math.abs(mountpoint.$va / 64 + parent.$va / 64) >>> 0) % (1 << HASH_SHIFT)
  const mp = k.ref('mountpoint', kzalloc(k, k.types.sizeof('mountpoint')))
  mp.m_dentry = dget(mountpoint)
  mp.m_count = 1
  hlist_add_head(k.mem, mp.m_hash.$va, s.mountpoints + bucket * k.mem.wordSize)
  mountpoint.d_flags = mountpoint.d_flags | DCACHE_MOUNTED
  mnt.mnt_mountpoint = dget(mountpoint)
  mnt.mnt_parent = parent
  mnt.mnt_mp = mp
  hlist_add_head(k.mem, mnt.mnt_mp_list.$va, mp.m_list.$va)
  hlist_add_head(k.mem, mnt.mnt_hash.$va, s.table + bucket * k.mem.wordSize)
  list_add_tail(k.mem, mnt.mnt_child.$va, parent.mnt_mounts.$va)
  const ns = parent.mnt_ns
  if (ns !== null) {
    mnt.mnt_ns = ns
    list_add_tail(k.mem, mnt.mnt_list.$va, ns.list.$va)
    ns.mounts = ns.mounts + 1
  }
  s.covered.set(coverKey(parent, mountpoint), mnt)
}

const coverKey = (parent: mount, mountpoint: dentry): string => `${parent.$va}/${mountpoint.$va}`

/** What is mounted on a directory as seen through a mount. @see fs/namespace.c:__lookup_mnt */
export function __lookup_mnt(k: Kernel, parent: mount, mountpoint: dentry): mount | null {
  if ((mountpoint.d_flags & DCACHE_MOUNTED) === 0) return null
  return state(k).covered.get(coverKey(parent, mountpoint)) ?? null
}

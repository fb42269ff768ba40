/** The entries of /proc that are always there: a tree of `struct proc_dir_entry`. @see fs/proc/generic.c */

import type { Va } from '../../../base/addr.ts'
import { toVa } from '../../../base/addr.ts'
import type { dentry, file, inode, kmem_cache, proc_dir_entry, proc_ops } from '../../../btf/vmlinux.ts'
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../../abi/stat.ts'
import { rb_add, rb_for_each, rb_left, rb_right } from '../../../structures/rbtree.ts'
import { deref } from '../../deref.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { kstrdup } from '../../mm/slab.ts'
import { kmem_cache_create, SLAB_PANIC } from '../../mm/slab_common.ts'
import { kmem_cache_zalloc } from '../../mm/slub.ts'
import { d_add, d_alloc } from '../dcache.ts'
import type { DirEntry } from '../readdir.ts'
import { proc_get_inode, proc_i } from './inode.ts'

const FILE = 'fs/proc/generic.c'
/** Numbers of these inodes begin here. */
const PROC_DYNAMIC_FIRST = 0xf0000000
/** `proc_dir_entry.flags`: it stays for good. */
const PROC_ENTRY_PERMANENT = 1

const state = perKernel<{ cache: kmem_cache | undefined; last: number }>(() => ({
  cache: undefined,
  last: PROC_DYNAMIC_FIRST,
}))

/** @see fs/proc/inode.c:proc_init_kmemcache */
export function proc_entry_init(k: Kernel): void {
  // names of usual length lie behind the structure
  state(k).cache = kmem_cache_create(k, 'proc_dir_entry', 192, { flags: SLAB_PANIC })
}

const nameLength = (pde: proc_dir_entry): number => pde.namelen
const nameOf = (k: Kernel, pde: proc_dir_entry): string =>
  Buffer.from(k.mem.read(toVa(pde.name, k.mem.wordSize), nameLength(pde))).toString('latin1')

/** Shorter names first, then by letters. @see fs/proc/generic.c:proc_match */
function proc_match(k: Kernel, name: string, pde: proc_dir_entry): number {
  if (name.length !== nameLength(pde)) return name.length - nameLength(pde)
  const other = nameOf(k, pde)
  return name < other ? -1 : name > other ? 1 : 0
}

const entryOf = (k: Kernel, node: Va): proc_dir_entry =>
  k.ref('proc_dir_entry', node - k.types.offsetof('proc_dir_entry', 'subdir_node'))

/** @see fs/proc/generic.c:pde_subdir_find */
export function pde_subdir_find(k: Kernel, dir: proc_dir_entry, name: string): proc_dir_entry | null {
  let node = k.mem.pointer(dir.subdir.$va)
  while (node !== 0) {
    const pde = entryOf(k, node)
    const order = proc_match(k, name, pde)
    if (order === 0) return pde
    node = order < 0 ? rb_left(k.mem, node) : rb_right(k.mem, node)
  }
  return null
}

/** The root of it all, which is a variable. */
export const proc_root = (k: Kernel): proc_dir_entry => k.global('proc_root', 'proc_dir_entry')

/** @see fs/proc/generic.c:proc_register */
function register(k: Kernel, parent: proc_dir_entry, name: string, mode: number): proc_dir_entry {
  const pde = k.ref('proc_dir_entry', kmem_cache_zalloc(k, state(k).cache as kmem_cache))
  k.mem.setPointer(pde.$vaOf('name'), kstrdup(k, name))
  pde.namelen = name.length
  pde.mode = mode
  pde.nlink = (mode & S_IFMT) === S_IFDIR ? 2 : 1
  pde.refcnt.refs.counter = 1
  pde.flags = PROC_ENTRY_PERMANENT
  pde.low_ino = ++state(k).last
  pde.parent = parent
  rb_add(k.mem, pde.subdir_node.$va, parent.subdir.$va, (other) => proc_match(k, name, entryOf(k, other)) < 0)
  return pde
}

/** @see fs/proc/generic.c:proc_mkdir */
export const proc_mkdir = kfunc(FILE, function proc_mkdir(k, name: string, parent: proc_dir_entry | null) {
  const pde = register(k, parent ?? proc_root(k), name, S_IFDIR | 0o555)
  pde.proc_iops = k.global('proc_dir_inode_operations', 'inode_operations')
  pde.$set('proc_dir_ops', k.global('proc_dir_operations', 'file_operations'))
  return pde
})

/** @see fs/proc/generic.c:proc_symlink */
export const proc_symlink = kfunc(
  FILE,
  function proc_symlink(k, name: string, parent: proc_dir_entry | null, target: string) {
    const pde = register(k, parent ?? proc_root(k), name, S_IFLNK | 0o777)
    pde.proc_iops = k.global('proc_link_inode_operations', 'inode_operations')
    pde.data = BigInt.asUintN(64, BigInt(kstrdup(k, target)))
    pde.size = BigInt(target.length)
    return pde
  },
)

/** @see fs/proc/generic.c:proc_create_data */
export const proc_create_data = kfunc(
  FILE,
  function proc_create_data(k, name: string, mode: number, parent: proc_dir_entry | null, ops: proc_ops) {
    const pde = register(k, parent ?? proc_root(k), name, S_IFREG | mode)
    pde.proc_iops = k.global('proc_file_inode_operations', 'inode_operations')
    pde.$set('proc_ops', ops)
    return pde
  },
)

/** A text of many records. @see fs/proc/generic.c:proc_create_seq_private */
export const proc_create_seq_private = kfunc(
  FILE,
  function proc_create_seq_private(
    k,
    name: string,
    mode: number,
    parent: proc_dir_entry | null,
    ops: string,
  ) {
    const pde = proc_create_data(k, name, mode, parent, k.global('proc_seq_ops', 'proc_ops'))
    pde.$set('seq_ops', k.global(ops, 'seq_operations'))
    return pde
  },
)

/** A text of one record. @param show address of its function @see fs/proc/generic.c:proc_create_single_data */
export const proc_create_single_data = kfunc(
  FILE,
  function proc_create_single_data(
    k,
    name: string,
    mode: number,
    parent: proc_dir_entry | null,
    show: bigint,
  ) {
    const pde = proc_create_data(k, name, mode, parent, k.global('proc_single_ops', 'proc_ops'))
    pde.$set('single_show', show)
    return pde
  },
)

/** The entry behind an inode. @see fs/proc/internal.h:PDE */
export const PDE = (k: Kernel, inode: inode): proc_dir_entry => deref(proc_i(k, inode).pde)

/** An entry of a directory that stands in the tree. @see fs/proc/generic.c:proc_lookup_de */
export const proc_lookup_de = kfunc(
  FILE,
  function proc_lookup_de(k, name: string, parent: dentry, dir: proc_dir_entry): dentry | null {
    const pde = pde_subdir_find(k, dir, name)
    if (pde === null) return null
    const inode = proc_get_inode(k, deref(parent.d_sb), pde)
    const dentry = d_alloc(k, parent, name)
    d_add(k, dentry, inode)
    return dentry
  },
)

/** `inode_operations.lookup` of its directories. @see fs/proc/generic.c:proc_lookup */
export const proc_lookup = kfunc(
  FILE,
  function proc_lookup(k, dir: inode, name: string, parent: dentry): dentry | null {
    return proc_lookup_de(k, name, parent, PDE(k, dir))
  },
)

/** What a directory of the tree lists. @see fs/proc/generic.c:proc_readdir_de */
export function entriesOf(k: Kernel, dir: proc_dir_entry): DirEntry[] {
  return [...rb_for_each(k.mem, dir.subdir.$va)].map((node) => {
    const pde = entryOf(k, node)
    return { name: nameOf(k, pde), ino: BigInt(pde.low_ino), mode: pde.mode }
  })
}

/** @see fs/proc/generic.c:proc_readdir */
export const proc_readdir = kfunc(FILE, function proc_readdir(k, file: file): DirEntry[] {
  return entriesOf(k, PDE(k, deref(file.f_inode)))
})

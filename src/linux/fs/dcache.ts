/** Directory entries: names, the tree they make, and the hash by which they are found. @see fs/dcache.c */

import { toVa, type Va } from '../../base/addr.ts'
import type { dentry, dentry_operations, inode, kmem_cache, super_block } from '../../btf/vmlinux.ts'
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../abi/stat.ts'
import {
  hlist_add_head,
  hlist_del_init,
  hlist_for_each,
  hlist_unhashed,
  INIT_HLIST_NODE,
} from '../../structures/hlist.ts'
import { INIT_LIST_HEAD, list_add, list_del_init, list_empty } from '../../structures/list.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { staticSymbol } from '../kernel/kallsyms.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { kfree, kmalloc, kvzalloc } from '../mm/slab.ts'
import {
  kmem_cache_create,
  SLAB_ACCOUNT,
  SLAB_MEM_SPREAD,
  SLAB_PANIC,
  SLAB_RECLAIM_ACCOUNT,
} from '../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../mm/slub.ts'
import { full_name_hash } from './namehash.ts'
import { bump, IOP_LOOKUP, IOP_NOFOLLOW, iput } from './inode.ts'

/** `dentry.d_flags` @see include/linux/dcache.h */
export const DCACHE_OP_HASH = 0x1
export const DCACHE_OP_COMPARE = 0x2
export const DCACHE_OP_REVALIDATE = 0x4
export const DCACHE_OP_DELETE = 0x8
export const DCACHE_OP_PRUNE = 0x10
export const DCACHE_MOUNTED = 0x10000
export const DCACHE_DIRECTORY_TYPE = 0x200000
export const DCACHE_REGULAR_TYPE = 0x400000
export const DCACHE_SPECIAL_TYPE = 0x500000
export const DCACHE_SYMLINK_TYPE = 0x600000
export const DCACHE_ENTRY_TYPE = 0x700000
export const DCACHE_NORCU = 0x40000000

/** Buckets of the dentry hash: enough for what a scenario names. */
const HASH_SHIFT = 10
/** Bytes of `struct external_name` before the name. */
const EXTERNAL_NAME = 16
/** `offsetof(struct dentry, d_iname)` room, the NUL included. */
const inlineLength = (k: Kernel): number => k.types.sizeof(k.types.place('dentry', 'd_iname').type)

const state = perKernel<{ cache: kmem_cache | undefined; table: Va }>(() => ({ cache: undefined, table: 0 }))

/** @see fs/dcache.c:dcache_init */
export function dcache_init(k: Kernel): void {
  const flags = SLAB_RECLAIM_ACCOUNT | SLAB_PANIC | SLAB_MEM_SPREAD | SLAB_ACCOUNT
  state(k).cache = kmem_cache_create(k, 'dentry', k.types.sizeof('dentry'), { flags })
  setCachePointer(k, 'dentry_cache', state(k).cache)
  state(k).table = kvzalloc(k, k.mem.wordSize << HASH_SHIFT)
  const table = k.symbols.get('dentry_hashtable')
  if (table !== undefined) k.mem.setPointer(toVa(table, k.mem.wordSize), state(k).table)
  const shift = k.symbols.get('d_hash_shift')
  if (shift !== undefined) k.mem.setU32(toVa(shift, k.mem.wordSize), 32 - HASH_SHIFT)
}

/** The bucket of a hash. @see fs/dcache.c:d_hash */
const d_hash = (k: Kernel, hash: number): Va => state(k).table + (hash >>> (32 - HASH_SHIFT)) * k.mem.wordSize

const __d_alloc = kfunc(
  'fs/dcache.c',
  function __d_alloc(k, sb: super_block, name: string, hash: number): dentry {
    const dentry = k.ref('dentry', kmem_cache_alloc(k, state(k).cache as kmem_cache))
    const bytes = Buffer.from(`${name}\0`, 'utf8')
    let at = dentry.$vaOf('d_iname')
    if (bytes.length > inlineLength(k)) {
      const external = kmalloc(k, EXTERNAL_NAME + bytes.length)
      k.mem.setU32(external, 1)
      at = external + EXTERNAL_NAME
    }
    dentry.d_name.len = bytes.length - 1
    dentry.d_name.hash = hash
    k.mem.write(at, bytes)
    k.mem.setPointer(dentry.$vaOf('d_name.name'), at)
    dentry.d_lockref.count = 1
    dentry.d_flags = 0
    dentry.d_seq.$set('seqcount.sequence', 0)
    dentry.d_inode = null
    dentry.d_parent = dentry
    dentry.d_sb = sb
    dentry.d_op = null
    k.mem.setPointer(dentry.$vaOf('d_fsdata'), 0)
    INIT_HLIST_NODE(k.mem, dentry.d_hash.$va)
    INIT_LIST_HEAD(k.mem, dentry.d_lru.$va)
    INIT_LIST_HEAD(k.mem, dentry.d_subdirs.$va)
    INIT_HLIST_NODE(k.mem, dentry.$vaOf('d_u.d_alias'))
    INIT_LIST_HEAD(k.mem, dentry.d_child.$va)
    if (sb.s_d_op !== null) d_set_d_op(dentry, sb.s_d_op)
    bump(k, 'nr_dentry', 1)
    return dentry
  },
)

/** An entry of a directory, not yet known to the hash. @see fs/dcache.c:d_alloc */
export const d_alloc = kfunc('fs/dcache.c', function d_alloc(k, parent: dentry, name: string): dentry {
  const hash = full_name_hash(k.mem.wordSize, parent.$addr, name)
  const dentry = __d_alloc(k, parent.d_sb as super_block, name, hash)
  dget(parent)
  dentry.d_parent = parent
  list_add(k.mem, dentry.d_child.$va, parent.d_subdirs.$va)
  return dentry
})

/** An entry outside any tree: sockets, pipes. @see fs/dcache.c:d_alloc_pseudo */
export const d_alloc_pseudo = kfunc(
  'fs/dcache.c',
  function d_alloc_pseudo(k, sb: super_block, name: string): dentry {
    const dentry = __d_alloc(k, sb, name, 0)
    dentry.d_flags = dentry.d_flags | DCACHE_NORCU
    if (sb.s_d_op === null) {
      const anon = staticSymbol(k, 'anon_ops')
      if (anon !== 0n) k.mem.setWord(dentry.$vaOf('d_op'), anon)
    }
    return dentry
  },
)

/** @see fs/dcache.c:d_set_d_op */
export function d_set_d_op(dentry: dentry, op: dentry_operations): void {
  dentry.d_op = op
  let flags = dentry.d_flags
  if (op.d_hash !== 0n) flags |= DCACHE_OP_HASH
  if (op.d_compare !== 0n) flags |= DCACHE_OP_COMPARE
  if (op.d_revalidate !== 0n) flags |= DCACHE_OP_REVALIDATE
  if (op.d_delete !== 0n) flags |= DCACHE_OP_DELETE
  if (op.d_prune !== 0n) flags |= DCACHE_OP_PRUNE
  dentry.d_flags = flags
}

/** The root of a file system. @see fs/dcache.c:d_make_root */
export const d_make_root = kfunc('fs/dcache.c', function d_make_root(k, inode: inode): dentry {
  const dentry = __d_alloc(k, inode.i_sb as super_block, '/', 0)
  d_instantiate(k, dentry, inode)
  return dentry
})

function d_flags_for_inode(inode: inode): number {
  const kind = inode.i_mode & S_IFMT
  if (kind === S_IFDIR) {
    inode.i_opflags = inode.i_opflags | IOP_LOOKUP
    return DCACHE_DIRECTORY_TYPE
  }
  if (kind === S_IFLNK) return DCACHE_SYMLINK_TYPE
  inode.i_opflags = inode.i_opflags | IOP_NOFOLLOW
  return kind === S_IFREG ? DCACHE_REGULAR_TYPE : DCACHE_SPECIAL_TYPE
}

/** Give an entry its inode. @see fs/dcache.c:d_instantiate */
export const d_instantiate = kfunc(
  'fs/dcache.c',
  function d_instantiate(k, dentry: dentry, inode: inode | null) {
    if (inode === null) return
    const flags = d_flags_for_inode(inode)
    hlist_add_head(k.mem, dentry.$vaOf('d_u.d_alias'), inode.$vaOf('i_dentry'))
    const sequence = Number(dentry.d_seq.$int('seqcount.sequence'))
    dentry.d_seq.$set('seqcount.sequence', sequence + 2)
    dentry.d_inode = inode
    dentry.d_flags = (dentry.d_flags & ~DCACHE_ENTRY_TYPE) | flags
  },
)

/** Inode and hash at once. @see fs/dcache.c:d_add */
export const d_add = kfunc('fs/dcache.c', function d_add(k, dentry: dentry, inode: inode | null) {
  d_instantiate(k, dentry, inode)
  d_rehash(k, dentry)
})

/** Let lookups find it. @see fs/dcache.c:d_rehash */
export const d_rehash = kfunc('fs/dcache.c', function d_rehash(k, dentry: dentry) {
  hlist_add_head(k.mem, dentry.d_hash.$va, d_hash(k, dentry.d_name.hash))
})

/** No lookup finds it any more. @see fs/dcache.c:d_drop */
export const d_drop = kfunc('fs/dcache.c', function d_drop(k, dentry: dentry) {
  hlist_del_init(k.mem, dentry.d_hash.$va)
})

/** Find a name in a directory. @returns with a reference, or null @see fs/dcache.c:d_lookup */
export const d_lookup = kfunc(
  'fs/dcache.c',
  function d_lookup(k, parent: dentry, name: string): dentry | null {
    const hash = full_name_hash(k.mem.wordSize, parent.$addr, name)
    for (const node of hlist_for_each(k.mem, d_hash(k, hash))) {
      const dentry = k.ref('dentry', node - k.types.offsetof('dentry', 'd_hash'))
      if (dentry.d_name.hash !== hash || dentry.d_parent?.$va !== parent.$va) continue
      if (nameOf(k, dentry) === name) return dget(dentry)
    }
    return null
  },
)

/** Last component of a dentry's name. */
export function nameOf(k: Kernel, dentry: dentry): string {
  const at = k.mem.pointer(dentry.$vaOf('d_name.name'))
  return Buffer.from(k.mem.read(at, dentry.d_name.len)).toString('utf8')
}

/** @see include/linux/dcache.h:dget */
export function dget(dentry: dentry): dentry {
  dentry.d_lockref.count = dentry.d_lockref.count + 1
  return dentry
}

/** Drop a reference; an entry no lookup can find dies with its last one. @see fs/dcache.c:dput */
export const dput = kfunc('fs/dcache.c', function dput(k, dentry: dentry | null) {
  if (dentry === null) return
  dentry.d_lockref.count = dentry.d_lockref.count - 1
  if (dentry.d_lockref.count > 0 || !hlist_unhashed(k.mem, dentry.d_hash.$va)) return
  __dentry_kill(k, dentry)
})

const __dentry_kill = kfunc('fs/dcache.c', function __dentry_kill(k, dentry: dentry) {
  const inode = dentry.d_inode
  const parent = dentry.d_parent
  hlist_del_init(k.mem, dentry.$vaOf('d_u.d_alias'))
  dentry.d_inode = null
  if (!list_empty(k.mem, dentry.d_child.$va)) list_del_init(k.mem, dentry.d_child.$va)
  iput(k, inode)
  const name = k.mem.pointer(dentry.$vaOf('d_name.name'))
  if (name !== dentry.$vaOf('d_iname')) kfree(k, name - EXTERNAL_NAME)
  bump(k, 'nr_dentry', -1)
  const own = parent === null || parent.$equals(dentry)
  kmem_cache_free(k, state(k).cache as kmem_cache, dentry.$va)
  if (!own) dput(k, parent)
})

/** A file is removed: its name is gone, the inode has one link less. @see fs/dcache.c:d_delete */
export const d_delete = kfunc('fs/dcache.c', function d_delete(k, dentry: dentry) {
  d_drop(k, dentry)
  const inode = dentry.d_inode
  if (inode !== null) inode.$set('__i_nlink', Number(inode.$int('__i_nlink')) - 1)
})

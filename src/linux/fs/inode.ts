/** Inodes: what every kind of file has in common. @see fs/inode.c */

import { toVa, type Va } from '../../base/addr.ts'
import type { address_space, inode, kmem_cache, super_block } from '../../btf/vmlinux.ts'
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFSOCK } from '../../abi/stat.ts'
import { INIT_HLIST_NODE } from '../../structures/hlist.ts'
import { INIT_LIST_HEAD, list_add, list_del_init, list_empty } from '../../structures/list.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { staticSymbol } from '../kernel/kallsyms.ts'
import { setCachePointer } from '../lib/xarray.ts'
import {
  kmem_cache_create,
  SLAB_ACCOUNT,
  SLAB_MEM_SPREAD,
  SLAB_PANIC,
  SLAB_RECLAIM_ACCOUNT,
} from '../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../mm/slub.ts'
import { security_inode_alloc, security_inode_free } from '../security/security/file.ts'

/** `super_operations.alloc_inode`, `.free_inode` */
export type AllocInode = (k: Kernel, sb: super_block) => inode
export type FreeInode = (k: Kernel, inode: inode) => void

/** GFP_HIGHUSER_MOVABLE, the mask page-cache pages are allocated with. */
const GFP_HIGHUSER_MOVABLE = 0x100cca
/** XA_FLAGS_LOCK_IRQ | XA_FLAGS_ACCOUNT */
const PAGE_CACHE_FLAGS = 33
const ACL_NOT_CACHED = -1n
/** `inode.i_opflags` */
export const IOP_LOOKUP = 0x2
export const IOP_NOFOLLOW = 0x4
export const IOP_XATTR = 0x8
/** `inode.i_state` */
const I_NEW = 0x8n
const I_FREEING = 0x20n
const I_CLEAR = 0x40n
/** Numbers each CPU takes at once. */
const LAST_INO_BATCH = 1024

const state = perKernel<{ cache: kmem_cache | undefined; shared: number }>(() => ({
  cache: undefined,
  shared: 0,
}))

const inodeCache = (k: Kernel): kmem_cache => state(k).cache as kmem_cache

/** @see fs/inode.c:inode_init */
export function inode_init(k: Kernel): void {
  const flags = SLAB_RECLAIM_ACCOUNT | SLAB_PANIC | SLAB_MEM_SPREAD | SLAB_ACCOUNT
  state(k).cache = kmem_cache_create(k, 'inode_cache', k.types.sizeof('inode'), {
    flags,
    ctor: (_k, object) => inode_init_once(k, k.ref('inode', object)),
  })
  setCachePointer(k, 'inode_cachep', state(k).cache)
}

/** What stays true of an inode's memory between its lives. @see fs/inode.c:inode_init_once */
export function inode_init_once(k: Kernel, inode: inode): void {
  k.mem.fill(inode.$va, 0, inode.$size)
  INIT_HLIST_NODE(k.mem, inode.i_hash.$va)
  for (const list of ['i_devices', 'i_io_list', 'i_wb_list', 'i_lru', 'i_sb_list']) {
    if (inode.$has(list)) INIT_LIST_HEAD(k.mem, inode.$vaOf(list))
  }
  address_space_init_once(k, inode.i_data)
}

/** @see fs/inode.c:address_space_init_once */
export function address_space_init_once(k: Kernel, mapping: address_space): void {
  k.mem.fill(mapping.$va, 0, mapping.$size)
  mapping.i_pages.xa_flags = PAGE_CACHE_FLAGS
  INIT_LIST_HEAD(k.mem, mapping.$vaOf('i_mmap_rwsem.wait_list'))
  INIT_LIST_HEAD(k.mem, mapping.private_list.$va)
}

const alloc_inode = kfunc('fs/inode.c', function alloc_inode(k, sb: super_block): inode {
  const ops = sb.s_op
  const make = ops?.alloc_inode ?? 0n
  const inode =
    make === 0n
      ? k.ref('inode', kmem_cache_alloc(k, inodeCache(k)))
      : k.ref('inode', k.indirect<AllocInode>(make)(k, sb))
  inode_init_always(k, sb, inode)
  return inode
})

/** @see fs/inode.c:inode_init_always */
export const inode_init_always = kfunc(
  'fs/inode.c',
  function inode_init_always(k, sb: super_block, inode: inode) {
    const mapping = inode.i_data
    inode.i_sb = sb
    inode.i_blkbits = sb.s_blocksize_bits
    inode.i_flags = 0
    k.mem.setU64(inode.i_sequence.$va, 0n)
    inode.i_count.counter = 1
    k.mem.setWord(inode.$vaOf('i_op'), staticSymbol(k, 'empty_iops'))
    k.mem.setWord(inode.$vaOf('i_fop'), staticSymbol(k, 'no_open_fops'))
    inode.i_ino = 0n
    inode.$set('__i_nlink', 1)
    inode.i_opflags = sb.s_xattr !== 0n ? IOP_XATTR : 0
    inode.i_uid.val = 0
    inode.i_gid.val = 0
    inode.i_writecount.counter = 0
    inode.i_size = 0n
    inode.i_write_hint = 0
    inode.i_blocks = 0n
    inode.i_bytes = 0
    inode.i_generation = 0
    inode.i_pipe = null
    inode.i_rdev = 0
    inode.dirtied_when = 0n
    INIT_LIST_HEAD(k.mem, inode.$vaOf('i_rwsem.wait_list'))
    inode.i_dio_count.counter = 0
    mapping.a_ops = k.ref('address_space_operations', k.sym('empty_aops'))
    mapping.host = inode
    mapping.flags = 0n
    mapping.wb_err = 0
    mapping.i_mmap_writable.counter = 0
    mapping.gfp_mask = GFP_HIGHUSER_MOVABLE
    mapping.private_data = 0n
    mapping.writeback_index = 0n
    INIT_LIST_HEAD(k.mem, mapping.$vaOf('invalidate_lock.wait_list'))
    inode.i_private = 0n
    inode.i_mapping = mapping
    k.mem.setPointer(inode.$vaOf('i_dentry'), 0)
    inode.$set('i_acl', ACL_NOT_CACHED)
    inode.$set('i_default_acl', ACL_NOT_CACHED)
    inode.i_fsnotify_mask = 0
    inode.i_flctx = null
    security_inode_alloc(k, inode)
    bump(k, 'nr_inodes', 1)
  },
)

/** A per-CPU counter of longs. */
export function bump(k: Kernel, symbol: string, by: number): void {
  if (!k.symbols.has(symbol)) return
  const at = k.per_cpu_va(symbol)
  k.mem.setWord(at, BigInt.asUintN(k.mem.wordSize * 8, k.mem.word(at) + BigInt(by)))
}

/** An inode that is on no list of its superblock: sockets, pipes. @see fs/inode.c:new_inode_pseudo */
export const new_inode_pseudo = kfunc('fs/inode.c', function new_inode_pseudo(k, sb: super_block): inode {
  const inode = alloc_inode(k, sb)
  inode.i_state = 0n
  INIT_LIST_HEAD(k.mem, inode.i_sb_list.$va)
  return inode
})

/** @see fs/inode.c:new_inode */
export const new_inode = kfunc('fs/inode.c', function new_inode(k, sb: super_block): inode {
  const inode = new_inode_pseudo(k, sb)
  list_add(k.mem, inode.i_sb_list.$va, sb.s_inodes.$va)
  return inode
})

/** The next number for inodes without one of their own; each CPU takes them in batches. @see fs/inode.c:get_next_ino */
export const get_next_ino = kfunc('fs/inode.c', function get_next_ino(k): number {
  const last = k.per_cpu_va('last_ino')
  let number = k.mem.u32(last)
  if (number % LAST_INO_BATCH === 0) {
    number = state(k).shared
    state(k).shared += LAST_INO_BATCH
  }
  number++
  k.mem.setU32(last, number)
  return number
})

/** Another reference. @see fs/inode.c:ihold */
export const ihold = kfunc('fs/inode.c', function ihold(_k, inode: inode) {
  inode.i_count.counter = inode.i_count.counter + 1
})

/** Drop a reference; the last one frees the inode when nothing links to it. @see fs/inode.c:iput */
export const iput = kfunc('fs/inode.c', function iput(k, inode: inode | null) {
  if (inode === null) return
  inode.i_count.counter = inode.i_count.counter - 1
  if (inode.i_count.counter > 0) return
  if (!list_empty(k.mem, inode.i_sb_list.$va) && Number(inode.$int('__i_nlink')) > 0) return
  inode.i_state = inode.i_state | I_FREEING
  evict(k, inode)
})

const evict = kfunc('fs/inode.c', function evict(k, inode: inode) {
  if (!list_empty(k.mem, inode.i_sb_list.$va)) list_del_init(k.mem, inode.i_sb_list.$va)
  inode.i_state = I_FREEING | I_CLEAR
  security_inode_free(k, inode)
  bump(k, 'nr_inodes', -1)
  const free = inode.i_sb?.s_op?.free_inode ?? 0n
  if (free !== 0n) k.indirect<FreeInode>(free)(k, inode)
  else kmem_cache_free(k, inodeCache(k), inode.$va)
})

/** Operations by kind for inodes that are devices, pipes or sockets in a file system. @see fs/inode.c:init_special_inode */
export const init_special_inode = kfunc(
  'fs/inode.c',
  function init_special_inode(k, inode: inode, mode: number, rdev: number) {
    inode.i_mode = mode
    const fops = (symbol: string): Va => toVa(k.sym(symbol), k.mem.wordSize)
    switch (mode & S_IFMT) {
      case S_IFCHR:
        k.mem.setPointer(inode.$vaOf('i_fop'), fops('def_chr_fops'))
        inode.i_rdev = rdev
        break
      case S_IFBLK:
        inode.i_rdev = rdev
        break
      case S_IFIFO:
        k.mem.setPointer(inode.$vaOf('i_fop'), fops('pipefifo_fops'))
        break
      case S_IFSOCK:
        break
    }
  },
)

/** The inode is known to its file system now. @see fs/inode.c:unlock_new_inode */
export function unlock_new_inode(inode: inode): void {
  inode.i_state = inode.i_state & ~I_NEW
}

/** The security modules' own bytes behind a cred, file, inode, sock or task: one blob, shared out by offsets. @see security/security.c */

import { toVa, type Va } from '../../../base/addr.ts'
import type {
  cred,
  file,
  inode,
  kmem_cache,
  lsm_blob_sizes,
  sock,
  task_struct,
} from '../../../btf/vmlinux.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kmalloc } from '../../mm/slab.ts'
import { kmem_cache_create, SLAB_PANIC } from '../../mm/slab_common.ts'
import { kmem_cache_free, kmem_cache_zalloc } from '../../mm/slub.ts'

/** Members of `struct lsm_blob_sizes`, in the order in which the figures below stand. */
const MEMBERS = ['lbs_cred', 'lbs_file', 'lbs_inode', 'lbs_sock', 'lbs_superblock', 'lbs_ipc', 'lbs_msg_msg', 'lbs_task'] as const // prettier-ignore

/**
 * Sizes of the whole blobs, and each module's offsets in them, as the running kernel ends up with.
 * @remarks the figures are Debian 6.1's on x86-64, with the modules of its default list; on i386 some are less.
 */
const BLOBS: Readonly<Record<string, readonly number[]>> = {
  blob_sizes: [16, 24, 32, 16, 8, 0, 0, 72],
  landlock_blob_sizes: [0, 0, 16, 0, 0, 0, 0, 0],
  apparmor_blob_sizes: [8, 0, 0, 0, 0, 0, 0, 0],
  tomoyo_blob_sizes: [0, 0, 0, 0, 0, 0, 0, 56],
  bpf_lsm_blob_sizes: [0, 0, 24, 0, 0, 0, 0, 0],
}

interface Caches {
  file: kmem_cache | undefined
  inode: kmem_cache | undefined
}
const caches = perKernel<Caches>(() => ({ file: undefined, inode: undefined }))

const sizesOf = (k: Kernel, symbol: string): lsm_blob_sizes => k.global(symbol, 'lsm_blob_sizes')

/** Write the sizes and make the two caches. @see security/security.c:ordered_lsm_init */
export function lsm_blobs_init(k: Kernel): void {
  for (const [symbol, sizes] of Object.entries(BLOBS)) {
    const own = symbol.replace(/_?(lsm_)?blob_sizes$/, '')
    if (!k.symbols.has(symbol) || (own !== '' && !k.profile.lsm.includes(own))) continue
    const blob = sizesOf(k, symbol)
    MEMBERS.forEach((member, i) => {
      if (blob.$has(member)) blob.$set(member, sizes[i] ?? 0)
    })
  }
  const total = sizesOf(k, 'blob_sizes')
  const state = caches(k)
  state.file = kmem_cache_create(k, 'lsm_file_cache', total.lbs_file, { flags: SLAB_PANIC })
  state.inode = kmem_cache_create(k, 'lsm_inode_cache', total.lbs_inode, { flags: SLAB_PANIC })
  k.mem.setPointer(toVa(k.sym('lsm_file_cache'), k.mem.wordSize), state.file.$va)
  k.mem.setPointer(toVa(k.sym('lsm_inode_cache'), k.mem.wordSize), state.inode.$va)
}

/** Where a module's part of a blob begins: `blob + NAME_blob_sizes.MEMBER`. */
export function blobPart(k: Kernel, blob: bigint, symbol: string, member: (typeof MEMBERS)[number]): Va {
  const sizes = sizesOf(k, symbol)
  return toVa(blob, k.mem.wordSize) + (sizes.$has(member) ? Number(sizes.$int(member)) : 0)
}

/** @see security/security.c:lsm_cred_alloc */
export function lsm_cred_alloc(k: Kernel, cred: cred): void {
  cred.security = BigInt(kmalloc(k, sizesOf(k, 'blob_sizes').lbs_cred))
}

/**
 * Before sockets had blobs of their own, the one module that wanted something there allocated it.
 * @see security/security.c:lsm_sock_alloc, security/apparmor/lsm.c:apparmor_sk_alloc_security
 */
export function lsm_sock_alloc(k: Kernel, sk: sock): void {
  const sizes = sizesOf(k, 'blob_sizes')
  if (sizes.$has('lbs_sock')) sk.sk_security = BigInt(kmalloc(k, sizes.lbs_sock))
  else if (k.profile.lsm.includes('apparmor'))
    sk.sk_security = BigInt(kmalloc(k, k.types.sizeof('aa_sk_ctx')))
}

/** @see security/security.c:lsm_task_alloc */
export function lsm_task_alloc(k: Kernel, task: task_struct): void {
  task.security = BigInt(kmalloc(k, sizesOf(k, 'blob_sizes').lbs_task))
}

/** @see security/security.c:lsm_file_alloc */
export function lsm_file_alloc(k: Kernel, file: file): void {
  file.f_security = BigInt(kmem_cache_zalloc(k, caches(k).file as kmem_cache))
}

/** @see security/security.c:lsm_inode_alloc */
export function lsm_inode_alloc(k: Kernel, inode: inode): void {
  inode.i_security = BigInt(kmem_cache_zalloc(k, caches(k).inode as kmem_cache))
}

export function lsm_file_free(k: Kernel, blob: bigint): void {
  kmem_cache_free(k, caches(k).file as kmem_cache, toVa(blob, k.mem.wordSize))
}

export function lsm_inode_free(k: Kernel, blob: bigint): void {
  kmem_cache_free(k, caches(k).inode as kmem_cache, toVa(blob, k.mem.wordSize))
}

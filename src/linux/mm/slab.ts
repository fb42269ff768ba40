/** kmalloc: general caches by size, whole pages beyond them. @see mm/slab_common.c:create_kmalloc_caches */

import { toVa, type Va } from '../../base/addr.ts'
import { InvariantError, invariant } from '../../base/errors.ts'
import { StructRef } from '../../btf/ref.ts'
import type { kmem_cache } from '../../btf/vmlinux.ts'
import { PAGE_SIZE } from '../../abi/page.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { alloc_pages, free_pages, get_order, page_address, virt_to_pfn } from './page_alloc.ts'
import { kmem_cache_create, SLAB_HWCACHE_ALIGN } from './slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free, slab_of } from './slub.ts'
import { vfree, vmalloc, isVmalloc } from './vmalloc.ts'

const SIZES = [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192]
/** Largest request a cache serves. @see include/linux/slab.h:KMALLOC_MAX_CACHE_SIZE */
const KMALLOC_MAX_CACHE_SIZE = 2 * PAGE_SIZE

interface Kmalloc {
  readonly normal: kmem_cache[]
  /** Pages given out for larger requests: order by first frame. */
  readonly large: Map<number, number>
}
const state = perKernel<Kmalloc>(() => ({ normal: [], large: new Map() }))

/** The allocator starts: the caches of caches first, then kmalloc's. @see mm/slub.c:kmem_cache_init */
export function kmem_cache_init(k: Kernel): void {
  const node = k.types.sizeof('kmem_cache_node')
  const nodeOffset = k.types.offsetof('kmem_cache', 'node')
  kmem_cache_create(k, 'kmem_cache_node', node, { flags: SLAB_HWCACHE_ALIGN })
  kmem_cache_create(k, 'kmem_cache', nodeOffset + k.mem.wordSize, { flags: SLAB_HWCACHE_ALIGN })
  for (const size of SIZES) {
    const name = size >= 1024 ? `kmalloc-${size / 1024}k` : `kmalloc-${size}`
    // powers of two are aligned to themselves
    const align = (size & (size - 1)) === 0 ? size : 8
    state(k).normal.push(kmem_cache_create(k, name, size, { align: Math.min(align, PAGE_SIZE) }))
  }
}

/** @param size bytes; the memory reads as zeros (init_on_alloc) */
export function kmalloc(k: Kernel, size: number): Va {
  if (size > KMALLOC_MAX_CACHE_SIZE) {
    const order = get_order(size)
    const pfn = alloc_pages(k, order)
    state(k).large.set(pfn, order)
    return page_address(k, pfn)
  }
  const index = SIZES.findIndex((s) => s >= size)
  const cache = state(k).normal[index]
  invariant(cache !== undefined, 'kmalloc before kmem_cache_init')
  return kmem_cache_alloc(k, cache)
}

export const kzalloc = kmalloc

/** Bytes an allocation of `size` really has. @see mm/slab_common.c:kmalloc_size_roundup */
export function ksize(size: number): number {
  return SIZES.find((s) => s >= size) ?? PAGE_SIZE << get_order(size)
}

/** @param object from kmalloc; null and 0 are ignored. @see mm/slab_common.c:kfree */
export function kfree(k: Kernel, object: Va | bigint | StructRef | null): void {
  const va = object instanceof StructRef ? object.$va : typeof object === 'bigint' ? toVa(object) : object
  if (va === null || va === 0) return
  if (isVmalloc(k, va)) throw new InvariantError('kfree of vmalloc memory')
  const pfn = virt_to_pfn(k, va)
  const order = state(k).large.get(pfn)
  if (order !== undefined) {
    state(k).large.delete(pfn)
    free_pages(k, pfn, order)
    return
  }
  const cache = slab_of(k, va).slab_cache
  invariant(cache !== null, 'kfree of memory that is no slab object')
  kmem_cache_free(k, cache, va)
}

/** kmalloc, or vmalloc for what would need more than 8 pages together. */
export function kvzalloc(k: Kernel, size: number): Va {
  return size <= 8 * PAGE_SIZE ? kmalloc(k, size) : vmalloc(k, size)
}

export function kvfree(k: Kernel, va: Va): void {
  if (isVmalloc(k, va)) vfree(k, va)
  else kfree(k, va)
}

/** A C string in memory of its own. @see mm/util.c:kstrdup */
export function kstrdup(k: Kernel, text: string): Va {
  const bytes = Buffer.from(`${text}\0`, 'latin1')
  const va = kmalloc(k, bytes.length)
  k.mem.write(va, bytes)
  return va
}

/** Where xarray and IDR nodes come from. @see lib/radix-tree.c:radix_tree_init */

import { toVa, type Va } from '../../base/addr.ts'
import type { kmem_cache } from '../../btf/vmlinux.ts'
import { INIT_LIST_HEAD } from '../../structures/list.ts'
import type { XaNodes } from '../../structures/xarray.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kmem_cache_create, SLAB_PANIC, SLAB_RECLAIM_ACCOUNT } from '../mm/slab_common.ts'
import { kmem_cache_free, kmem_cache_zalloc } from '../mm/slub.ts'

const caches = perKernel<{ cache: kmem_cache | undefined; nodes: XaNodes | undefined }>(() => ({
  cache: undefined,
  nodes: undefined,
}))

/** @see lib/radix-tree.c:radix_tree_init */
export function radix_tree_init(k: Kernel): void {
  const privateList = k.types.offsetof('xa_node', 'private_list')
  caches(k).cache = kmem_cache_create(k, 'radix_tree_node', k.types.sizeof('xa_node'), {
    flags: SLAB_PANIC | SLAB_RECLAIM_ACCOUNT,
    ctor: (_k, object) => INIT_LIST_HEAD(k.mem, object + privateList),
  })
  setCachePointer(k, 'radix_tree_node_cachep', caches(k).cache)
}

/** A cache's global pointer, where this kernel has that symbol. */
export function setCachePointer(k: Kernel, symbol: string, cache: kmem_cache | undefined): void {
  const at = k.symbols.get(symbol)
  if (at !== undefined && cache !== undefined) k.mem.setPointer(toVa(at, k.mem.wordSize), cache.$va)
}

/** For `xa_store` and `idr_alloc`. */
export function xaNodes(k: Kernel): XaNodes {
  const state = caches(k)
  if (state.cache === undefined) radix_tree_init(k)
  const cache = state.cache as kmem_cache
  state.nodes ??= {
    alloc: () => kmem_cache_zalloc(k, cache),
    free: (node: Va) => kmem_cache_free(k, cache, node),
  }
  return state.nodes
}

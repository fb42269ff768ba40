/** Which object of a slab cache an address lies in. */

import type { Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import { cache_of_pfn, compound_head } from './slab-address.ts'
import type { Kernel } from './kernel.ts'
import { page_to_pfn, pfn_to_page } from './page.ts'

export interface SlabObject {
  /** name of the `kmem_cache` */
  readonly cache: string
  /** start of the object */
  readonly va: Va
  /** bytes from one object of the slab to the next: `kmem_cache.size` */
  readonly size: number
}

/**
 * The object a page frame's byte is part of; undefined outside of slabs and where memory contradicts itself.
 *
 * @param va  an address of the direct map
 * @param pfn  its page frame
 * @see mm/slub.c:nearest_obj
 */
export function slab_object(kernel: Kernel, va: Va, pfn: number): SlabObject | undefined {
  const cache = cache_of_pfn(kernel, pfn)
  if (cache === undefined) return undefined
  try {
    const { types, mem } = kernel
    const page = pfn_to_page(kernel, pfn)
    if (page === undefined) return undefined
    const head = compound_head(kernel, page.$va)
    const member = types.has('slab', 'slab_cache')
      ? types.offsetof('slab', 'slab_cache')
      : types.offsetof('page', 'slab_cache')
    const size = mem.u32(mem.pointer(head + member) + types.offsetof('kmem_cache', 'size'))
    const pagesBefore = pfn - page_to_pfn(kernel, head)
    if (size === 0 || !(pagesBefore >= 0 && pagesBefore < 1024)) return undefined
    const inPage = ((va % 4096) + 4096) % 4096
    const into = (pagesBefore * 4096 + inPage) % size
    return { cache, va: va - into, size }
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}

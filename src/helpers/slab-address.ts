/** Which slab cache an address belongs to. */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import type { Kernel } from './kernel.ts'
import { readString } from './kernel.ts'
import { pfn_to_page } from './page.ts'

/** Caches have short names; a longer one is damage. */
const NAME_MAX = 128
const PAGE_SHIFT = 12
const PG_SLAB_6_1 = 9n

/**
 * The name of the cache whose slab a page frame is part of; undefined when it is part of none, or not to be read.
 * @see mm/slab.h:virt_to_cache
 */
export function cache_of_pfn(kernel: Kernel, pfn: number): string | undefined {
  try {
    const { types, mem } = kernel
    const page = pfn_to_page(kernel, pfn)
    if (page === undefined) return undefined
    const head = compound_head(kernel, page.$va)
    const flags = mem.word(head + types.offsetof('page', 'flags'))
    const PG_slab = types.enumerator('PG_slab') ?? PG_SLAB_6_1
    if (((flags >> PG_slab) & 1n) === 0n) return undefined
    const member = types.has('slab', 'slab_cache')
      ? types.offsetof('slab', 'slab_cache')
      : types.offsetof('page', 'slab_cache')
    const cache = mem.pointer(head + member)
    if (cache === 0 || Number.isNaN(cache)) return undefined
    const name = toVa(mem.word(cache + types.offsetof('kmem_cache', 'name')), mem.wordSize)
    return readString(mem, name, NAME_MAX)
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}

/** As {@link cache_of_pfn}, by the physical address. */
export const cache_of_phys = (kernel: Kernel, phys: number): string | undefined =>
  cache_of_pfn(kernel, Math.floor(phys / 2 ** PAGE_SHIFT))

/** The first page of a compound page. @see include/linux/page-flags.h:_compound_head */
export function compound_head(kernel: Kernel, page: Va): Va {
  const head = kernel.mem.pointer(page + kernel.types.offsetof('page', 'compound_head'))
  return Number.isNaN(head) || ((head % 2) + 2) % 2 === 0 ? page : head - 1
}

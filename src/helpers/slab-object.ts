/** Which slab cache an address of the direct map belongs to. */

import type { Va } from '../base/addr.ts'
import { CoredrillError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { readStringAt, type Kernel } from './kernel.ts'
import { pfn_to_page } from './page.ts'

/** The name of the cache whose slab holds this page frame; undefined when it is no slab's. */
export function slab_cache_name(kernel: Kernel, pfn: number): string | undefined {
  try {
    const page = pfn_to_page(kernel, pfn)
    const head = page === undefined ? undefined : compound_head(kernel, page)
    if (head === undefined || !isSlab(kernel, head)) return undefined
    const struct = kernel.types.has('slab', 'slab_cache') ? 'slab' : 'page'
    const cache = kernel.types.ref(struct, kernel.mem, head.$va).$ref('slab_cache')
    return cache === null ? undefined : readStringAt(cache, 'name', 256)
  } catch (error) {
    if (error instanceof CoredrillError) return undefined
    throw error
  }
}

/** @see include/linux/page-flags.h:compound_head */
function compound_head(kernel: Kernel, page: StructRef): StructRef {
  const head = page.$int('compound_head')
  if ((head & 1n) === 0n) return page
  const va: Va = Number(BigInt.asIntN(kernel.mem.wordSize * 8, head - 1n))
  return kernel.types.ref('page', kernel.mem, kernel.mem.wordSize === 4 ? va >>> 0 : va)
}

function isSlab(kernel: Kernel, page: StructRef): boolean {
  const bit = kernel.types.enumerator('PG_slab')
  return bit !== undefined && ((page.$int('flags') >> bit) & 1n) === 1n
}

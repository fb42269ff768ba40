/** What kind of memory a page frame is: the kernel's own, a process's, or the cache of a file. */

import { FaultError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { pfn_to_page } from '../helpers/page.ts'
import type { Target } from './target.ts'

/**
 * `user`: anonymous memory of a process. `cache`: contents of a file, of a block device or of shared memory.
 * `kernel`: everything else, slab objects and stacks among it. `unknown`: no `struct page` says.
 */
export type PageKind = 'kernel' | 'user' | 'cache' | 'unknown'

/** Low bits of `page->mapping`. @see include/linux/page-flags.h:PAGE_MAPPING_FLAGS */
const PAGE_MAPPING_ANON = 1n
const PAGE_MAPPING_MOVABLE = 2n

/**
 * @remarks Which pages hold secrets no kernel says: a slab object or a kernel stack can hold a copy of user memory, a
 * socket's buffer holds what was sent.
 */
export function pageKinds(target: Target): (pfn: number) => PageKind {
  const slab = 1n << (target.types.enumerator('PG_slab') ?? 63n)
  const kind = (page: StructRef): PageKind => {
    // page tables, slabs and others keep things of their own where `mapping` is
    const type = page.$has('page_type') ? Number(BigInt.asUintN(32, page.$int('page_type'))) : 0
    if ((page.$int('flags') & slab) !== 0n || isTyped(type)) return 'kernel'
    const mapping = page.$int('mapping')
    if ((mapping & PAGE_MAPPING_ANON) !== 0n) return 'user'
    return mapping === 0n || (mapping & PAGE_MAPPING_MOVABLE) !== 0n ? 'kernel' : 'cache'
  }
  return (pfn) => {
    const page = pfn_to_page(target, pfn)
    if (page === undefined) return 'unknown'
    try {
      return kind(headOf(target, page))
    } catch (error) {
      if (error instanceof FaultError) return 'unknown'
      throw error
    }
  }
}

/** A tail page of a compound page has nothing of its own. @see include/linux/page-flags.h:compound_head */
function headOf(target: Target, page: StructRef): StructRef {
  if (!page.$has('compound_head')) return page
  const head = page.$int('compound_head')
  return (head & 1n) === 0n ? page : target.ref('page', head - 1n)
}

/** PageBuddy, PageTable and the like: the type is kept inverted in the top bits. @see include/linux/page-flags.h:PAGE_TYPE_BASE */
function isTyped(type: number): boolean {
  return type >>> 28 === 0xf && type !== 0xffff_ffff
}

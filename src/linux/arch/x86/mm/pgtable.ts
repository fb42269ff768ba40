/** Page tables in memory: four levels on x86_64, entries as the processor reads them. @see arch/x86/mm/init_64.c */

import { toVa, type Va } from '../../../../base/addr.ts'
import { PTE_PFN_MASK, _KERNPG_TABLE, _PAGE_PRESENT, _PAGE_PSE, _PAGE_TABLE } from '../../../../abi/page.ts'
import type { Kernel } from '../../../kernel.ts'
import { alloc_pages, page_address, __va } from '../../../mm/page_alloc.ts'

/** Leaf sizes: a PTE maps 4 KiB, a PMD 2 MiB. */
export type LeafLevel = 'pte' | 'pmd'

/** Shifts of the directory indexes, top first. */
const SHIFTS_64 = [39, 30, 21, 12] as const

/**
 * Map one page (4 KiB) or one large page (2 MiB) in the tables under `pgd`.
 * @param pgd  direct-map or image address of the top table (`pgd_t *`)
 * @param flags bits of the leaf entry, without _PAGE_PSE
 */
export function map_page(
  k: Kernel,
  pgd: Va,
  va: Va,
  phys: number,
  flags: bigint,
  leaf: LeafLevel = 'pte',
): void {
  const address = BigInt.asUintN(48, BigInt(va))
  const last = leaf === 'pte' ? 3 : 2
  const directory = va < 0 ? _KERNPG_TABLE : _PAGE_TABLE
  let table = pgd
  for (let level = 0; level < last; level++) {
    const entry = table + indexOf(address, level) * 8
    const value = k.mem.u64(entry)
    if ((value & _PAGE_PRESENT) !== 0n) table = __va(k, Number(value & PTE_PFN_MASK))
    else {
      const pfn = alloc_pages(k)
      k.mem.setU64(entry, BigInt(pfn * 4096) | directory)
      table = page_address(k, pfn)
    }
  }
  const value = BigInt(phys) | flags | (leaf === 'pmd' ? _PAGE_PSE : 0n)
  k.mem.setU64(table + indexOf(address, last) * 8, value)
}

/** Clear the entry of a 4 KiB page; the tables stay. */
export function unmap_page(k: Kernel, pgd: Va, va: Va): void {
  const address = BigInt.asUintN(48, BigInt(va))
  let table = pgd
  for (let level = 0; level < 3; level++) {
    const value = k.mem.u64(table + indexOf(address, level) * 8)
    if ((value & _PAGE_PRESENT) === 0n) return
    table = __va(k, Number(value & PTE_PFN_MASK))
  }
  k.mem.setU64(table + indexOf(address, 3) * 8, 0n)
}

function indexOf(address: bigint, level: number): number {
  return Number((address >> BigInt(SHIFTS_64[level] as number)) & 511n)
}

/** The kernel's own top table. */
export const init_top_pgt = (k: Kernel): Va => toVa(k.sym('init_top_pgt'))

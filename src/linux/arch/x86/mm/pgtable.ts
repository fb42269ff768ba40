/**
 * Page tables in memory, entries as the processor reads them: four levels on x86-64; on 32 bits two, or three with
 * PAE, whose entries are 64 bits wide.
 *
 * @see arch/x86/mm/init_64.c, arch/x86/include/asm/pgtable-2level_types.h, pgtable-3level_types.h
 */

import { toVa, type Va } from '../../../../base/addr.ts'
import {
  PTE_PFN_MASK,
  _KERNPG_TABLE,
  _PAGE_NX,
  _PAGE_PRESENT,
  _PAGE_PSE,
  _PAGE_TABLE,
} from '../../../../abi/page.ts'
import { perKernel, type Kernel } from '../../../kernel.ts'
import { alloc_pages, page_address, __va } from '../../../mm/page_alloc.ts'

/** Leaf sizes: a PTE maps 4 KiB, a PMD 2 MiB (4 MiB without PAE). */
export type LeafLevel = 'pte' | 'pmd'

/** The form of a machine's tables. */
interface Paging {
  /** Shifts of the directory indexes, top first. */
  readonly shifts: readonly number[]
  readonly entrySize: 4 | 8
  /** Of the top table, and how many of them are user space's. */
  readonly topEntries: number
  readonly userEntries: number
  /** Bits of an entry of the top table, where the processor reserves most of them. */
  readonly topFlags: bigint | undefined
}

const FOUR_LEVELS: Paging = {
  shifts: [39, 30, 21, 12],
  entrySize: 8,
  topEntries: 512,
  userEntries: 256,
  topFlags: undefined,
}
const PAE: Paging = {
  shifts: [30, 21, 12],
  entrySize: 8,
  topEntries: 4,
  userEntries: 3,
  topFlags: _PAGE_PRESENT,
}
const TWO_LEVELS: Paging = {
  shifts: [22, 12],
  entrySize: 4,
  topEntries: 1024,
  userEntries: 768,
  topFlags: undefined,
}

/** How this machine's tables are made. */
export const paging = perKernel((k): Paging => {
  if (k.mem.wordSize === 8) return FOUR_LEVELS
  return k.profile.pae ? PAE : TWO_LEVELS
})

const entryAt = (k: Kernel, at: Va): bigint =>
  paging(k).entrySize === 8 ? k.mem.u64(at) : BigInt(k.mem.u32(at))

/** Store an entry; where it has no room for it, without the bit that forbids execution. */
export function setEntry(k: Kernel, at: Va, value: bigint): void {
  if (paging(k).entrySize === 8) k.mem.setU64(at, value)
  else k.mem.setU32(at, Number(value & ~_PAGE_NX))
}

/**
 * Map one page (4 KiB) or one large page (2 MiB, 4 MiB without PAE) in the tables under `pgd`.
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
  const { shifts, entrySize, topFlags } = paging(k)
  const last = leaf === 'pte' ? shifts.length - 1 : shifts.length - 2
  const directory = isUser(k, va) ? _PAGE_TABLE : _KERNPG_TABLE
  let table = pgd
  for (let level = 0; level < last; level++) {
    const entry = table + indexOf(k, va, level) * entrySize
    const value = entryAt(k, entry)
    if ((value & _PAGE_PRESENT) !== 0n) table = __va(k, Number(value & PTE_PFN_MASK))
    else {
      const pfn = alloc_pages(k)
      setEntry(k, entry, BigInt(pfn * 4096) | ((level === 0 ? topFlags : undefined) ?? directory))
      table = page_address(k, pfn)
    }
  }
  const value = BigInt(phys) | flags | (leaf === 'pmd' ? _PAGE_PSE : 0n)
  setEntry(k, table + indexOf(k, va, last) * entrySize, value)
}

/** Clear the entry of a 4 KiB page; the tables stay. */
export function unmap_page(k: Kernel, pgd: Va, va: Va): void {
  const { shifts, entrySize } = paging(k)
  let table = pgd
  for (let level = 0; level < shifts.length - 1; level++) {
    const value = entryAt(k, table + indexOf(k, va, level) * entrySize)
    if ((value & _PAGE_PRESENT) === 0n) return
    table = __va(k, Number(value & PTE_PFN_MASK))
  }
  setEntry(k, table + indexOf(k, va, shifts.length - 1) * entrySize, 0n)
}

/** Is an address in the half of the top table that each process has for itself? */
function isUser(k: Kernel, va: Va): boolean {
  return va >= 0 && indexOf(k, va, 0) < paging(k).userEntries
}

function indexOf(k: Kernel, va: Va, level: number): number {
  const { shifts, topEntries, entrySize } = paging(k)
  const entries = level === 0 ? topEntries : 4096 / entrySize
  return Math.floor(va / 2 ** (shifts[level] as number)) & (entries - 1)
}

/** The kernel's own top table. */
export const init_top_pgt = (k: Kernel): Va =>
  toVa(k.sym(k.mem.wordSize === 8 ? 'init_top_pgt' : 'swapper_pg_dir'), k.mem.wordSize)

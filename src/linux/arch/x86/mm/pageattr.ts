/** What page tables say of a kernel address, and read-only data made so. @see arch/x86/mm/pat/set_memory.c */

import { toVa, type Va } from '../../../../base/addr.ts'
import {
  PAGE_SIZE,
  PTE_PFN_MASK,
  _KERNPG_TABLE,
  _PAGE_PRESENT,
  _PAGE_PSE,
  _PAGE_RW,
} from '../../../../abi/page.ts'
import type { Kernel } from '../../../kernel.ts'
import { __va, alloc_pages, page_address } from '../../../mm/page_alloc.ts'
import { since } from '../../../version.ts'

/** A leaf entry: where it lies, its value, how many bytes it maps. */
export interface Leaf {
  readonly at: Va
  readonly value: bigint
  readonly size: number
}

/** Bits of the index at each level, and bytes of an entry. */
interface Tables {
  readonly top: string
  readonly shifts: readonly number[]
  readonly bits: number
  readonly bytes: 4 | 8
}

const FOUR_LEVELS: Tables = { top: 'init_top_pgt', shifts: [39, 30, 21, 12], bits: 9, bytes: 8 }
const PAE: Tables = { top: 'swapper_pg_dir', shifts: [30, 21, 12], bits: 9, bytes: 8 }
const TWO_LEVELS: Tables = { top: 'swapper_pg_dir', shifts: [22, 12], bits: 10, bytes: 4 }

const tablesOf = ({ profile }: Kernel): Tables =>
  profile.wordSize === 8 ? FOUR_LEVELS : profile.pae ? PAE : TWO_LEVELS

/**
 * The entry that maps a kernel address.
 * @returns undefined where nothing is mapped
 * @see arch/x86/mm/pat/set_memory.c:lookup_address
 */
export function lookup_address(k: Kernel, va: Va): Leaf | undefined {
  const { top, shifts, bits, bytes } = tablesOf(k)
  const address = BigInt.asUintN(k.mem.wordSize === 8 ? 48 : 32, BigInt(va))
  let table = toVa(k.sym(top), k.mem.wordSize)
  for (const shift of shifts) {
    const index = Number((address >> BigInt(shift)) & BigInt((1 << bits) - 1))
    const at = table + index * bytes
    const value = bytes === 8 ? k.mem.u64(at) : BigInt(k.mem.u32(at))
    if ((value & _PAGE_PRESENT) === 0n) return undefined
    if (shift === 12 || (value & _PAGE_PSE) !== 0n) return { at, value, size: 2 ** shift }
    table = __va(k, Number(value & PTE_PFN_MASK))
  }
  return undefined
}

/**
 * Text and read-only data cannot be written to from now on.
 * @see arch/x86/mm/init_64.c:mark_rodata_ro
 * @remarks the kernel's configuration decides; of the old kernels 2.6 leaves them as they are.
 */
export function mark_rodata_ro(k: Kernel): void {
  if (!since(k, 3, 0)) return
  const end = toVa(k.symbols.get('__end_rodata_hpage_align') ?? k.sym('__end_rodata'), k.mem.wordSize)
  for (let va = toVa(k.sym('_text'), k.mem.wordSize); va < end;) {
    let leaf = lookup_address(k, va)
    if (leaf !== undefined && leaf.size > PAGE_SIZE && end - va < leaf.size) {
      split_large_page(k, leaf)
      leaf = lookup_address(k, va)
    }
    if (leaf !== undefined) set_pte(k, leaf.at, leaf.value & ~_PAGE_RW)
    va += leaf?.size ?? PAGE_SIZE
  }
}

function set_pte(k: Kernel, at: Va, value: bigint): void {
  if (tablesOf(k).bytes === 8) k.mem.setU64(at, value)
  else k.mem.setU32(at, Number(value))
}

/** A large page becomes a table of small ones that map the same. @see arch/x86/mm/pat/set_memory.c:split_large_page */
function split_large_page(k: Kernel, { at, value, size }: Leaf): void {
  const { bytes } = tablesOf(k)
  const pfn = alloc_pages(k)
  const table = page_address(k, pfn)
  for (let i = 0; i < size / PAGE_SIZE; i++)
    set_pte(k, table + i * bytes, (value & ~_PAGE_PSE) + BigInt(i * PAGE_SIZE))
  set_pte(k, at, BigInt(pfn * PAGE_SIZE) | _KERNPG_TABLE)
}

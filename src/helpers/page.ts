/** Page frames: `struct page` of a physical page, and what it says. */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { xa_for_each, xa_is_value } from '../structures/xarray.ts'
import { findSymbolVa, readString, refAt, type Kernel } from './kernel.ts'

export const PAGE_SIZE = 4096

/** Where x86-64 has it unless KASLR moved it, which takes a variable. @see __VMEMMAP_BASE_L4 */
const VMEMMAP = -0x1600 * 2 ** 32

/** Where the array of all `struct page` begins, when the kernel has one. @see arch/x86/include/asm/pgtable_64.h */
export function vmemmap(kernel: Kernel): Va | undefined {
  const symbol = findSymbolVa(kernel, 'vmemmap_base') ?? findSymbolVa(kernel, 'mem_map')
  if (symbol === undefined) return kernel.mem.wordSize === 8 ? VMEMMAP : undefined
  const va = kernel.mem.pointer(symbol)
  return va === 0 || Number.isNaN(va) ? undefined : va
}

/** `struct page *` of a page frame; undefined when it has none (no RAM there). @see pfn_to_page */
export function pfn_to_page(kernel: Kernel, pfn: number): StructRef | undefined {
  const base = vmemmap(kernel)
  if (base === undefined) return undefined
  const page = refAt(kernel, 'page', base + pfn * kernel.types.sizeof('page'))
  try {
    page.$int('flags')
    return page
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}

/** Page frame number of a `struct page *`; NaN when it lies in no array. @see page_to_pfn */
export function page_to_pfn(kernel: Kernel, page: Va): number {
  const base = vmemmap(kernel)
  if (base === undefined) return NaN
  const pfn = (page - base) / kernel.types.sizeof('page')
  return Number.isInteger(pfn) && pfn >= 0 ? pfn : NaN
}

/** Page flag names by bit. */
const names = new WeakMap<Kernel, readonly (readonly [bit: bigint, name: string])[]>()

/**
 * Names of the page flags, in the kernel's own order: `pageflag_names`, or `enum pageflags` where that is missing.
 *
 * @see include/trace/events/mmflags.h
 */
function pageFlagNames(kernel: Kernel): readonly (readonly [bit: bigint, name: string])[] {
  let found = names.get(kernel)
  if (found === undefined) names.set(kernel, (found = fromTable(kernel) ?? fromEnum(kernel)))
  return found
}

function fromTable(kernel: Kernel): [bigint, string][] | undefined {
  const table = findSymbolVa(kernel, 'pageflag_names')
  if (table === undefined || !kernel.types.has('trace_print_flags')) return undefined
  const size = kernel.types.sizeof('trace_print_flags')
  const flags: [bigint, string][] = []
  try {
    for (let i = 0; i < 64; i++) {
      const entry = refAt(kernel, 'trace_print_flags', table + i * size)
      const name = toVa(entry.$int('name'), kernel.mem.wordSize)
      if (name === 0) break
      flags.push([entry.$int('mask'), readString(kernel.mem, name, 64)])
    }
  } catch (error) {
    if (!(error instanceof FaultError)) throw error
  }
  return flags.length > 0 ? flags : undefined
}

function fromEnum(kernel: Kernel): [bigint, string][] {
  const type = kernel.types.btf.find('pageflags', 'enum')
  const flags: [bigint, string][] = []
  if (type?.kind !== 'enum') return flags
  for (const { name, value } of type.values) {
    // what follows __NR_PAGEFLAGS are second names of bits
    if (name === '__NR_PAGEFLAGS') break
    if (name.startsWith('PG_')) flags.push([1n << value, name.slice(3)])
  }
  return flags
}

/** Names of the flags set, joined by commas. */
export function page_flags_text(kernel: Kernel, flags: bigint): string {
  return pageFlagNames(kernel)
    .filter(([mask]) => mask !== 0n && (flags & mask) === mask)
    .map(([, name]) => name)
    .join(',')
}

/** What crash shows of a page. */
export interface PageRow {
  readonly page: bigint
  readonly physical: bigint
  /** raw word: an address_space, an anon_vma tagged with 1, or whatever a union holds there */
  readonly mapping: bigint
  readonly index: bigint
  readonly count: number
  readonly flags: bigint
  readonly flagNames: string
}

/** @param page `struct page *` @throws FaultError */
export function page_row(kernel: Kernel, page: StructRef): PageRow {
  const bits = kernel.mem.wordSize * 8
  const flags = page.$int('flags')
  const count = page.$has('_refcount.counter') ? '_refcount.counter' : '_count.counter'
  const pfn = page_to_pfn(kernel, page.$va)
  return {
    page: page.$addr,
    physical: Number.isNaN(pfn) ? 0n : BigInt(pfn) * BigInt(PAGE_SIZE),
    mapping: BigInt.asUintN(bits, page.$int('mapping')),
    index: BigInt.asUintN(bits, page.$int('index')),
    count: Number(page.$int(count)),
    flags: BigInt.asUintN(bits, flags),
    flagNames: page_flags_text(kernel, flags),
  }
}

/**
 * The pages of a file that are in memory, by offset.
 *
 * @param inode `struct inode *`
 * @returns `struct page *` each; shadow entries of reclaimed pages are left out
 * @throws ValidationError, FaultError from a damaged tree, after the pages before the damage
 */
export function* inode_pages(kernel: Kernel, inode: StructRef): Generator<StructRef> {
  const mapping = inode.$ref('i_mapping')
  if (mapping === null) return
  const tree = mapping.$vaOf(mapping.$has('i_pages') ? 'i_pages' : 'page_tree')
  for (const { entry } of xa_for_each(kernel.types, kernel.mem, tree)) {
    if (!xa_is_value(entry)) yield refAt(kernel, 'page', toVa(entry, kernel.mem.wordSize))
  }
}

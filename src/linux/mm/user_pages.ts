/**
 * User memory: pages mapped under `mm->pgd` when they are first touched.
 *
 * @see mm/memory.c:handle_mm_fault
 */

import { toVa, type Va } from '../../base/addr.ts'
import type { mm_struct } from '../../btf/vmlinux.ts'
import { MM_ANONPAGES, VM_EXEC, VM_WRITE } from '../../abi/mman.ts'
import {
  PAGE_SIZE,
  PTE_PFN_MASK,
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_NX,
  _PAGE_PRESENT,
  _PAGE_RW,
  _PAGE_USER,
} from '../../abi/page.ts'
import type { PageMap } from '../../memory/guest-memory.ts'
import { map_page, paging, setEntry, unmap_page } from '../arch/x86/mm/pgtable.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { userPagesOf } from '../kernel/sched/switch.ts'
import { find_vma } from './mm_struct.ts'
import { alloc_pages, free_pages, page_address } from './page_alloc.ts'

const pagesOf = (k: Kernel, mm: mm_struct): PageMap => deref(userPagesOf(k).get(mm.$va))
const pgdOf = (k: Kernel, mm: mm_struct): Va => toVa(deref(mm.pgd).$addr, k.mem.wordSize)

/** Map a fresh page at `va`. @returns its page frame */
export function mapUserPage(k: Kernel, mm: mm_struct, va: Va, flags: bigint): number {
  const pfn = alloc_pages(k)
  map_page(k, pgdOf(k, mm), va, pfn * PAGE_SIZE, flags)
  pagesOf(k, mm).set(Math.floor(va / PAGE_SIZE), pfn)
  return pfn
}

/** Page-table bits for a VMA's flags. @see arch/x86/mm/pgprot.c:vm_get_page_prot */
export function protOf(vmFlags: bigint): bigint {
  let prot = _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED
  if ((vmFlags & BigInt(VM_WRITE)) !== 0n) prot |= _PAGE_RW | _PAGE_DIRTY
  if ((vmFlags & BigInt(VM_EXEC)) === 0n) prot |= _PAGE_NX
  return prot
}

/**
 * Make sure the pages of a range are there.
 * @returns bytes from `va` that are, fewer than `size` where no VMA is
 * @see mm/memory.c:handle_mm_fault
 */
export function faultIn(k: Kernel, mm: mm_struct, va: Va, size: number): number {
  const pages = pagesOf(k, mm)
  for (let page = Math.floor(va / PAGE_SIZE); page * PAGE_SIZE < va + size; page++) {
    if (pages.has(page)) continue
    const at = page * PAGE_SIZE
    const vma = find_vma(k, mm, at)
    if (vma === undefined) return Math.max(0, at - va)
    mapUserPage(k, mm, at, protOf(vma.vm_flags))
    if (pages.size > rss(mm)) count(mm)
  }
  return size
}

/** Resident pages as the address space says. */
function rss(mm: mm_struct): number {
  const counts = mm.rss_stat.count
  return Array.from({ length: counts.length }, (_, i) => Number(counts.ref(i)?.$int('counter') ?? 0)).reduce(
    (a, b) => a + b,
  )
}

/** Anonymous pages touched beyond those the address space was made with. */
function count(mm: mm_struct): void {
  const counter = mm.rss_stat.count.ref(MM_ANONPAGES)
  if (counter !== null) counter.$set('counter', counter.$int('counter') + 1n)
}

/** @see mm/memory.c:copy_page_range @remarks pages are copied at once, not on the first write */
export function copyUserPages(k: Kernel, from: mm_struct, to: mm_struct): void {
  for (const [page, pfn] of pagesOf(k, from)) {
    const vma = find_vma(k, from, page * PAGE_SIZE)
    if (vma === undefined) continue
    const copy = mapUserPage(k, to, page * PAGE_SIZE, protOf(vma.vm_flags))
    k.mem.copy(page_address(k, copy), page_address(k, pfn), PAGE_SIZE)
  }
}

/** @see mm/memory.c:unmap_vmas */
export function freeUserPages(k: Kernel, mm: mm_struct, first = 0, last = Infinity): void {
  const pages = pagesOf(k, mm)
  for (const [page, pfn] of pages) {
    if (page * PAGE_SIZE < first || page * PAGE_SIZE >= last) continue
    unmap_page(k, pgdOf(k, mm), page * PAGE_SIZE)
    pages.delete(page)
    free_pages(k, pfn, 0)
  }
}

/** Free the tables under the user half of a top table; its pages are gone by then. @see mm/memory.c:free_pgtables */
export function free_pgtables(k: Kernel, mm: mm_struct): void {
  const { userEntries, shifts } = paging(k)
  freeTables(k, pgdOf(k, mm), userEntries, shifts.length - 1)
}

function freeTables(k: Kernel, table: Va, entries: number, below: number): void {
  const { entrySize } = paging(k)
  const view = new DataView(k.mem.read(table, entries * entrySize).buffer)
  for (let i = 0; i < entries; i++) {
    const at = i * entrySize
    const entry = entrySize === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true))
    if ((entry & _PAGE_PRESENT) === 0n) continue
    const pfn = Number(entry & PTE_PFN_MASK) / PAGE_SIZE
    if (below > 1) freeTables(k, page_address(k, pfn), PAGE_SIZE / entrySize, below - 1)
    setEntry(k, table + at, 0n)
    free_pages(k, pfn, 0)
  }
}

/**
 * What memory still tells of modules that have been unloaded: their pages are given back, not cleared, so `struct module`
 * stays behind until somebody else gets its frame.
 */

import { toVa, type Va } from '../base/addr.ts'
import type { PhysicalMemory } from '../memory/memory.ts'
import type { Kernel } from './kernel.ts'
import { find_module } from './module.ts'

/** A module that was loaded once. */
export interface FreedModule {
  readonly name: string
  /** where its code and data lay */
  readonly start: Va
  readonly end: Va
  /** physical address of what is left of `struct module` */
  readonly at: number
}

/** `____cacheline_aligned` */
const ALIGN = 64
const PAGE = 4096
/** A gigabyte: what can be looked through while somebody waits. */
const PAGES_MAX = 1 << 18
const SIZE_MAX = 64 << 20

interface PhysicalKernel extends Kernel {
  readonly phys: PhysicalMemory
  readonly container: { readonly ranges: readonly { readonly startPfn: number; readonly endPfn: number }[] }
}

/**
 * The unloaded modules in whose text or data an address was; those whose structure lies in one page frame, and that has
 * not been used again.
 */
export function freed_modules_at(kernel: PhysicalKernel, address: Va): FreedModule[] {
  const { types } = kernel
  if (!isModuleSpace(kernel, address) || !types.has('module', 'core_layout.base')) return []
  const offsets = {
    name: types.offsetof('module', 'name'),
    base: types.offsetof('module', 'core_layout.base'),
    size: types.offsetof('module', 'core_layout.size'),
  }
  const last = Math.max(offsets.base + 8, offsets.size + 4)
  const found: FreedModule[] = []
  let left = PAGES_MAX
  for (const { startPfn, endPfn } of kernel.container.ranges) {
    for (let pfn = startPfn; pfn < endPfn && left > 0; pfn++, left--) {
      const page = kernel.phys.page(pfn)
      if (typeof page === 'string') continue
      const view = new DataView(page.buffer, page.byteOffset, PAGE)
      for (let at = 0; at + last <= PAGE; at += ALIGN) {
        const word = kernel.mem.wordSize === 8 ? view.getBigUint64(at + offsets.base, true) : BigInt(view.getUint32(at + offsets.base, true)) // prettier-ignore
        if (word === 0n || (word & 0xfffn) !== 0n) continue
        const base = toVa(word, kernel.mem.wordSize)
        const size = view.getUint32(at + offsets.size, true)
        if (!(base <= address && address < base + size) || size > SIZE_MAX) continue
        const name = /^[\w-]{1,55}(?=\0)/.exec(latin1(page, at + offsets.name))?.[0]
        if (name !== undefined && !isLoaded(kernel, name, base))
          found.push({ name, start: base, end: base + size, at: pfn * PAGE + at })
      }
    }
  }
  return found
}

/** Where modules may lie. @see arch/x86/include/asm/pgtable_64_types.h:MODULES_VADDR */
const isModuleSpace = ({ mem }: Kernel, va: Va): boolean =>
  mem.wordSize === 8 ? va >= -0x4000_0000 && va < -0x100_0000 : va >= 0xc000_0000

const latin1 = (page: Uint8Array, at: number): string =>
  Buffer.from(page.buffer, page.byteOffset + at, Math.min(56, PAGE - at)).toString('latin1')

function isLoaded(kernel: Kernel, name: string, base: Va): boolean {
  const mod = find_module(kernel, name)
  return mod !== undefined && toVa(mod.$int('core_layout.base'), kernel.mem.wordSize) === base
}

/** Virtually contiguous memory, and the area modules are loaded into. @see mm/vmalloc.c, arch/x86/kernel/module.c */

import { hex, toAddr, type Va } from '../../base/addr.ts'
import { CoredrillError, InvariantError, invariant } from '../../base/errors.ts'
import { PAGE_KERNEL, PAGE_KERNEL_EXEC, PAGE_SIZE } from '../../abi/page.ts'
import { list_add_tail, list_del } from '../../structures/list.ts'
import { vmallocEnd, vmallocStart } from '../arch/x86/kernel/image_32.ts'
import { init_top_pgt, map_page, unmap_page } from '../arch/x86/mm/pgtable.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { alloc_pages, free_pages, max_low_pfn, page_address } from './page_alloc.ts'
import { kfree, kzalloc } from './slab.ts'

/** Addresses from one up to another. */
interface Range {
  readonly start: Va
  readonly end: Va
}
/** Without memory randomization, image with KASLR able: arch/x86/include/asm/pgtable_64_types.h */
const RANGES_64 = {
  vmalloc: { start: -0x3700_0000_0000, end: -0x1700_0000_0000 },
  modules: { start: -0x4000_0000, end: -0x100_0000 },
} as const
/** Where vmalloc areas and modules go: to the same place on 32 bits. */
const ranges = perKernel((k): { readonly vmalloc: Range; readonly modules: Range } => {
  if (k.mem.wordSize === 8) return RANGES_64
  const start = vmallocStart(page_address(k, max_low_pfn(k)))
  const vmalloc = { start, end: vmallocEnd(k.profile.pae) }
  return { vmalloc, modules: vmalloc }
})

interface Area {
  readonly va: Va
  readonly pages: number
  readonly pfns: number[]
  readonly vmapArea: Va
  readonly vmStruct: Va
}
interface Vmalloc {
  next: Va
  readonly areas: Map<Va, Area>
}
const state = perKernel<Vmalloc>((k) => ({ next: ranges(k).vmalloc.start, areas: new Map() }))

const isIn = (range: Range, va: Va): boolean => va >= range.start && va < range.end

export const isVmalloc = (k: Kernel, va: Va): boolean =>
  isIn(ranges(k).vmalloc, va) || isIn(ranges(k).modules, va)

/** @param size bytes; the memory reads as zeros @param align bytes: kernel stacks begin at multiples of their size */
export function vmalloc(k: Kernel, size: number, align = PAGE_SIZE): Va {
  const pages = Math.ceil(size / PAGE_SIZE)
  if (k.mem.wordSize === 4) {
    // little room: what has been freed is used again
    return mapArea(k, firstFit(k, ranges(k).vmalloc, pages, align), pages, PAGE_KERNEL)
  }
  const vm = state(k)
  const va = Math.ceil(vm.next / align) * align
  vm.next = va + (pages + 1) * PAGE_SIZE // a guard page between areas
  return mapArea(k, va, pages, PAGE_KERNEL)
}

/**
 * Room for a module's sections; addresses of unloaded modules are used again, lowest first.
 * @param at where it must lie
 * @see arch/x86/kernel/module.c:module_alloc
 */
export function module_alloc(k: Kernel, size: number, at?: Va): Va {
  const pages = Math.ceil(size / PAGE_SIZE)
  const va = at === undefined ? firstFit(k, ranges(k).modules, pages, PAGE_SIZE) : free(k, at, pages)
  return mapArea(k, va, pages, PAGE_KERNEL_EXEC)
}

/** Those addresses, when nothing is there. @throws CoredrillError */
function free(k: Kernel, va: Va, pages: number): Va {
  const end = va + (pages + 1) * PAGE_SIZE
  const { modules } = ranges(k)
  const no = (why: string): never => {
    throw new CoredrillError('SCENARIO', `no module can lie at ${hex(toAddr(va))}: ${why}`)
  }
  if (va % PAGE_SIZE !== 0) no('it is no multiple of a page')
  if (va < modules.start || end > modules.end)
    no(`modules lie between ${hex(toAddr(modules.start))} and ${hex(toAddr(modules.end))}`)
  for (const area of state(k).areas.values())
    if (va < area.va + (area.pages + 1) * PAGE_SIZE && end > area.va) no('something else is there')
  return va
}

/** The lowest free addresses of a range, with a guard page behind each area. */
function firstFit(k: Kernel, range: Range, pages: number, align: number): Va {
  const taken = [...state(k).areas.values()].filter(({ va }) => isIn(range, va)).sort((a, b) => a.va - b.va)
  let va = Math.ceil(range.start / align) * align
  for (const area of taken) {
    if (area.va - va >= (pages + 1) * PAGE_SIZE) break
    va = Math.ceil((area.va + (area.pages + 1) * PAGE_SIZE) / align) * align
  }
  if (va + pages * PAGE_SIZE > range.end) throw new InvariantError('the area of modules and vmalloc is full')
  return va
}

/** @see mm/vmalloc.c:vfree */
export function vfree(k: Kernel, va: Va): void {
  const area = state(k).areas.get(va)
  invariant(area !== undefined, 'vfree of memory that is no vmalloc area')
  state(k).areas.delete(va)
  for (let i = 0; i < area.pages; i++) {
    unmap_page(k, init_top_pgt(k), va + i * PAGE_SIZE)
    k.mem.kernelPages.delete(va / PAGE_SIZE + i)
    free_pages(k, area.pfns[i] as number, 0)
  }
  list_del(k.mem, k.ref('vmap_area', area.vmapArea).list.$va)
  kfree(k, area.vmapArea)
  kfree(k, area.vmStruct)
}

function mapArea(k: Kernel, va: Va, pages: number, flags: bigint): Va {
  const pfns: number[] = []
  for (let i = 0; i < pages; i++) {
    const pfn = alloc_pages(k)
    pfns.push(pfn)
    map_page(k, init_top_pgt(k), va + i * PAGE_SIZE, pfn * PAGE_SIZE, flags)
    k.mem.kernelPages.set(va / PAGE_SIZE + i, pfn)
  }
  const vmapArea = k.ref('vmap_area', kzalloc(k, k.types.sizeof('vmap_area')))
  const vmStruct = k.ref('vm_struct', kzalloc(k, k.types.sizeof('vm_struct')))
  const start = BigInt.asUintN(64, BigInt(va))
  vmapArea.va_start = start
  vmapArea.va_end = start + BigInt((pages + 1) * PAGE_SIZE)
  vmapArea.vm = vmStruct
  vmStruct.addr = start
  vmStruct.size = BigInt((pages + 1) * PAGE_SIZE)
  vmStruct.nr_pages = pages
  insertSorted(k, vmapArea.$va, va)
  state(k).areas.set(va, { va, pages, pfns, vmapArea: vmapArea.$va, vmStruct: vmStruct.$va })
  return va
}

/** `vmap_area_list` is kept in address order. */
function insertSorted(k: Kernel, areaVa: Va, va: Va): void {
  const after = [...state(k).areas.values()].filter((a) => a.va > va).sort((a, b) => a.va - b.va)[0]
  const next =
    after === undefined ? k.global('vmap_area_list', 'list_head') : k.ref('vmap_area', after.vmapArea).list
  list_add_tail(k.mem, k.ref('vmap_area', areaVa).list.$va, next.$va)
}

/**
 * Where things lie in an x86-64 machine: the image in its own mapping, the direct map, vmemmap, and the page tables
 * that say so.
 *
 * @see arch/x86/include/asm/page_64_types.h, arch/x86/mm/init_64.c
 */

import { toVa, type Addr, type Va } from '../../../../base/addr.ts'
import { InvariantError } from '../../../../base/errors.ts'
import {
  PAGE_KERNEL,
  PAGE_KERNEL_EXEC,
  PAGE_SIZE,
  PTE_PFN_MASK,
  _KERNPG_TABLE,
} from '../../../../abi/page.ts'
import type { GuestMemory } from '../../../../memory/guest-memory.ts'
import type { Kernel } from '../../../kernel.ts'
import { PCPU_UNIT_SIZE } from '../../../mm/percpu.ts'
import type { PhysicalLayout } from './image.ts'

/** arch/x86/include/asm/page_64_types.h, page_64.h */
export const START_KERNEL_MAP: Va = -0x8000_0000
export const PAGE_OFFSET: Va = -0x7780_0000_0000
export const VMEMMAP_START: Va = -0x1600_0000_0000
const VMALLOC_START: Va = -0x3700_0000_0000
const MIB = 1 << 20
const LARGE_PAGE = 2 * MIB

const alignUp = (n: number, to: number): number => Math.ceil(n / to) * to

/**
 * Small machines hold the image lower: at its default of 16 MiB the 52 MiB of Debian's image would not fit.
 * @throws InvariantError when memory cannot hold the image at all
 */
export function layOutPhysical(
  mem: GuestMemory,
  symbols: ReadonlyMap<string, Addr>,
  cpus: number,
): PhysicalLayout {
  const text = toVa(symbols.get('_text') ?? 0n)
  const imageSize = toVa(symbols.get('_end') ?? 0n) - text
  const loadPhys = mem.sizeBytes >= 128 * MIB ? 16 * MIB : 2 * MIB
  const vmemmapPhys = alignUp(loadPhys + imageSize, LARGE_PAGE)
  const vmemmapSize = (mem.sizeBytes / PAGE_SIZE) * 64
  const perCpuPhys = alignUp(vmemmapPhys + vmemmapSize, LARGE_PAGE)
  const end = perCpuPhys + cpus * PCPU_UNIT_SIZE
  if (end + 2 * MIB > mem.sizeBytes) {
    throw new InvariantError(
      `${mem.sizeBytes / MIB} MiB cannot hold the kernel image: give the machine 64 MiB or more`,
    )
  }
  return {
    loadPhys,
    physBase: loadPhys - (text - START_KERNEL_MAP),
    vmemmapPhys,
    perCpuPhys,
    freePfn: end / PAGE_SIZE,
    endPfn: mem.sizeBytes / PAGE_SIZE,
  }
}

/** The windows the simulator reads through: what the page tables below say, without walking them. */
export function addWindows(
  mem: GuestMemory,
  layout: PhysicalLayout,
  symbols: ReadonlyMap<string, Addr>,
): void {
  const text = toVa(symbols.get('_text') ?? 0n)
  const end = toVa(symbols.get('_end') ?? 0n)
  mem.addWindow({ va: PAGE_OFFSET, size: mem.sizeBytes, phys: 0 })
  mem.addWindow({ va: text, size: alignUp(end - text, LARGE_PAGE), phys: layout.loadPhys })
  mem.addWindow({ va: VMEMMAP_START, size: (mem.sizeBytes / PAGE_SIZE) * 64, phys: layout.vmemmapPhys })
}

/** Variables the very first kernel code needs: the bases of the address space and the per-CPU offsets. */
export function writeBases(k: Kernel, layout: PhysicalLayout): void {
  const set = (name: string, value: bigint): void => k.mem.setU64(toVa(k.sym(name)), value)
  const address = (va: Va): bigint => BigInt.asUintN(64, BigInt(va))
  set('page_offset_base', address(PAGE_OFFSET))
  set('vmalloc_base', address(VMALLOC_START))
  set('vmemmap_base', address(VMEMMAP_START))
  set('phys_base', address(layout.physBase))
  const offsets = toVa(k.sym('__per_cpu_offset'))
  for (let cpu = 0; cpu < k.nr_cpu_ids; cpu++) {
    k.mem.setU64(offsets + cpu * 8, address(PAGE_OFFSET + layout.perCpuPhys + cpu * PCPU_UNIT_SIZE))
  }
}

/**
 * Page tables under `init_top_pgt`: direct map, kernel image and vmemmap in 2 MiB pages; the directories of the
 * vmalloc and module areas are filled as pages are mapped there.
 * @param allocTable a zeroed page for a table: its physical address
 * @see arch/x86/kernel/head_64.S, arch/x86/mm/init_64.c:kernel_physical_mapping_init
 */
export function writePageTables(k: Kernel, layout: PhysicalLayout, allocTable: () => number): void {
  const tables = new TableWriter(k, allocTable)
  for (let phys = 0; phys < k.mem.sizeBytes; phys += LARGE_PAGE)
    tables.map(PAGE_OFFSET + phys, phys, PAGE_KERNEL)
  const text = toVa(k.sym('_text'))
  const end = toVa(k.sym('_end'))
  for (let va = text; va < end; va += LARGE_PAGE) {
    const phys = layout.loadPhys + (va - text)
    tables.map(va, phys, va < toVa(k.sym('__start_rodata')) ? PAGE_KERNEL_EXEC : PAGE_KERNEL)
  }
  const vmemmapSize = (k.mem.sizeBytes / PAGE_SIZE) * 64
  for (let at = 0; at < vmemmapSize; at += LARGE_PAGE) {
    tables.map(VMEMMAP_START + at, layout.vmemmapPhys + at, PAGE_KERNEL)
  }
}

/** Writes 2 MiB leaves; the image's own static tables are used where the kernel uses them. */
class TableWriter {
  private readonly k: Kernel
  private readonly allocTable: () => number
  constructor(k: Kernel, allocTable: () => number) {
    this.k = k
    this.allocTable = allocTable
  }

  map(va: Va, phys: number, flags: bigint): void {
    const address = BigInt.asUintN(48, BigInt(va))
    const index = (shift: bigint): number => Number((address >> shift) & 511n)
    const inImage = va >= START_KERNEL_MAP
    const pud = this.directory(
      toVa(this.k.sym('init_top_pgt')),
      index(39n),
      inImage ? 'level3_kernel_pgt' : undefined,
    )
    const pmd = this.directory(
      pud,
      index(30n),
      inImage && index(30n) === 510 ? 'level2_kernel_pgt' : undefined,
    )
    this.k.mem.setU64(pmd + index(21n) * 8, BigInt(phys) | flags | 0x80n)
  }

  private directory(table: Va, index: number, symbol: string | undefined): Va {
    const { mem } = this.k
    const entry = table + index * 8
    const value = mem.u64(entry)
    if (value !== 0n) return PAGE_OFFSET + Number(value & PTE_PFN_MASK)
    const own = symbol === undefined ? undefined : this.k.symbols.get(symbol)
    const phys = own === undefined ? this.allocTable() : mem.phys(toVa(own))
    mem.setU64(entry, BigInt(phys) | _KERNPG_TABLE)
    return PAGE_OFFSET + phys
  }
}

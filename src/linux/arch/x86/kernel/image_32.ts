/**
 * Where things lie in an i386 machine: one linear map of low memory that holds the image too, and above it vmalloc
 * areas, modules, and the page tables that say so — with two levels, or three when PAE is on.
 *
 * @see arch/x86/mm/init_32.c, arch/x86/include/asm/pgtable_32_areas.h
 * @remarks memory behind the linear map is there, but nothing is put into it: the kernel's own data cannot be, and
 * programs fit below
 */

import { toVa, type Addr, type Va } from '../../../../base/addr.ts'
import { InvariantError } from '../../../../base/errors.ts'
import {
  PAGE_KERNEL,
  PAGE_KERNEL_EXEC,
  PAGE_SIZE,
  _KERNPG_TABLE,
  _PAGE_NX,
  _PAGE_PRESENT,
  _PAGE_PSE,
} from '../../../../abi/page.ts'
import type { GuestMemory } from '../../../../memory/guest-memory.ts'
import type { Kernel } from '../../../kernel.ts'
import { PCPU_UNIT_SIZE } from '../../../mm/percpu.ts'
import type { PhysicalLayout } from './image.ts'

const MIB = 1 << 20
/** CONFIG_PAGE_OFFSET: 3 GiB for programs, 1 GiB for the kernel. */
export const PAGE_OFFSET: Va = 0xc000_0000
/** Where pages of high memory are mapped for a moment; vmalloc areas end two pages below. */
const PKMAP_BASE = { pae: 0xffc0_0000, plain: 0xff80_0000 } as const
/** Between the end of low memory and the first vmalloc area: what runs over the end shall fault. */
const VMALLOC_OFFSET = 8 * MIB
/** Kept for vmalloc areas however much memory there is: `vmalloc=` on the command line. */
const VMALLOC_RESERVE = 128 * MIB

const alignUp = (n: number, to: number): number => Math.ceil(n / to) * to

/** First address no vmalloc area may have. @see arch/x86/include/asm/pgtable_32_areas.h:VMALLOC_END */
export const vmallocEnd = (pae: boolean): Va => (pae ? PKMAP_BASE.pae : PKMAP_BASE.plain) - 2 * PAGE_SIZE

/** First address of vmalloc areas, modules among them. @param highMemory end of the linear map */
export const vmallocStart = (highMemory: Va): Va => highMemory + VMALLOC_OFFSET

/** Bytes of memory the linear map can show. @see arch/x86/include/asm/page_32_types.h:MAXMEM */
const maxLowmem = (pae: boolean): number => vmallocEnd(pae) - PAGE_OFFSET - VMALLOC_RESERVE

/** @see AddressLayout.layOutPhysical */
export function layOutPhysical(
  mem: GuestMemory,
  symbols: ReadonlyMap<string, Addr>,
  cpus: number,
  pae: boolean,
  pageBytes: number,
): PhysicalLayout {
  const refuse = (why: string): never => {
    throw new InvariantError(`${mem.sizeBytes / MIB} MiB ${why}`)
  }
  if (!pae && mem.sizeBytes > 4096 * MIB) refuse('are more than 32-bit page tables without PAE can reach')
  const loadPhys = toVa(symbols.get('_text') ?? 0n, 4) - PAGE_OFFSET
  const imageEnd = toVa(symbols.get('_end') ?? 0n, 4) - PAGE_OFFSET
  const lowmem = Math.min(mem.sizeBytes, maxLowmem(pae))
  const vmemmapPhys = alignUp(imageEnd, 2 * MIB)
  const perCpuPhys = alignUp(vmemmapPhys + (mem.sizeBytes / PAGE_SIZE) * pageBytes, 2 * MIB)
  const end = perCpuPhys + cpus * PCPU_UNIT_SIZE
  if (end + 2 * MIB > lowmem) {
    if (lowmem < mem.sizeBytes) refuse('need more room for their struct pages than low memory has')
    refuse('cannot hold the kernel image: give the machine 64 MiB or more')
  }
  return {
    loadPhys,
    physBase: 0,
    vmemmapPhys,
    perCpuPhys,
    freePfn: end / PAGE_SIZE,
    endPfn: lowmem / PAGE_SIZE,
  }
}

/** @see AddressLayout.addWindows */
export function addWindows(mem: GuestMemory, layout: PhysicalLayout): void {
  mem.addWindow({ va: PAGE_OFFSET, size: layout.endPfn * PAGE_SIZE, phys: 0 })
}

/** `mem_map`, `high_memory`, and how far each CPU's variables are from the image's. */
export function writeBases(k: Kernel, layout: PhysicalLayout): void {
  const at = (name: string): Va => toVa(k.sym(name), 4)
  k.mem.setPointer(at('mem_map'), PAGE_OFFSET + layout.vmemmapPhys)
  k.mem.setPointer(at('high_memory'), PAGE_OFFSET + layout.endPfn * PAGE_SIZE)
  for (let cpu = 0; cpu < k.nr_cpu_ids; cpu++) {
    const unit = PAGE_OFFSET + layout.perCpuPhys + cpu * PCPU_UNIT_SIZE
    k.mem.setPointer(at('__per_cpu_offset') + cpu * 4, unit - at('__per_cpu_start'))
  }
}

/**
 * The linear map under `swapper_pg_dir`, in the largest pages there are; what is left of its end in small ones.
 * @see arch/x86/mm/init_32.c:kernel_physical_mapping_init
 */
export function writePageTables(k: Kernel, layout: PhysicalLayout, allocTable: () => number): void {
  const tables = k.profile.pae ? paeTables(k, allocTable) : plainTables(k, allocTable)
  const end = layout.endPfn * PAGE_SIZE
  const rodata = toVa(k.sym('__start_rodata'), 4) - PAGE_OFFSET
  const flagsOf = (phys: number): bigint =>
    phys >= layout.loadPhys && phys < rodata ? PAGE_KERNEL_EXEC : PAGE_KERNEL
  let phys = 0
  for (; phys + tables.large <= end; phys += tables.large) tables.mapLarge(phys, flagsOf(phys))
  for (; phys < end; phys += PAGE_SIZE) tables.mapSmall(phys, flagsOf(phys))
}

interface TableWriter {
  /** Bytes of a large page. */
  readonly large: number
  mapLarge(phys: number, flags: bigint): void
  mapSmall(phys: number, flags: bigint): void
}

const swapper_pg_dir = (k: Kernel): Va => toVa(k.sym('swapper_pg_dir'), 4)

/** Two levels of 1024 entries of 32 bits. */
function plainTables(k: Kernel, allocTable: () => number): TableWriter {
  const { mem } = k
  const pgd = swapper_pg_dir(k)
  const entryOf = (phys: number): Va => pgd + ((PAGE_OFFSET + phys) / (4 * MIB)) * 4
  const low = (flags: bigint): number => Number(flags & 0xfffn)
  return {
    large: 4 * MIB,
    mapLarge: (phys, flags) => mem.setU32(entryOf(phys), phys + (low(flags) | Number(_PAGE_PSE))),
    mapSmall: (phys, flags) => {
      const at = entryOf(phys - (phys % (4 * MIB)))
      if (mem.u32(at) === 0) mem.setU32(at, allocTable() + low(_KERNPG_TABLE))
      const table = PAGE_OFFSET + mem.u32(at) - (mem.u32(at) % PAGE_SIZE)
      mem.setU32(table + ((phys % (4 * MIB)) / PAGE_SIZE) * 4, phys + low(flags))
    },
  }
}

/** PAE: four entries, then two levels of 512 entries of 64 bits. */
function paeTables(k: Kernel, allocTable: () => number): TableWriter {
  const { mem } = k
  const pgd = swapper_pg_dir(k)
  const kernelPmd = allocTable()
  mem.setU64(pgd + 3 * 8, BigInt(kernelPmd) | _PAGE_PRESENT)
  const entryOf = (phys: number): Va => PAGE_OFFSET + kernelPmd + Math.floor(phys / (2 * MIB)) * 8
  return {
    large: 2 * MIB,
    mapLarge: (phys, flags) => mem.setU64(entryOf(phys), BigInt(phys) | flags | _PAGE_PSE),
    mapSmall: (phys, flags) => {
      const at = entryOf(phys)
      if (mem.u64(at) === 0n) mem.setU64(at, BigInt(allocTable()) | _KERNPG_TABLE)
      const table = PAGE_OFFSET + Number(mem.u64(at) & ~_PAGE_NX & ~0xfffn)
      mem.setU64(table + ((phys % (2 * MIB)) / PAGE_SIZE) * 8, BigInt(phys) | flags)
    },
  }
}

/**
 * The kernel image as the boot loader leaves it: page tables, banner, VMCOREINFO, kallsyms, BTF, unwind tables,
 * per-CPU areas, each at its own symbol. What an inspector needs to open the memory, and nothing it prints.
 */

import { align, toVa, type Addr, type Va } from '../../../../base/addr.ts'
import { InvariantError } from '../../../../base/errors.ts'
import {
  PAGE_KERNEL,
  PAGE_KERNEL_EXEC,
  PAGE_SIZE,
  PTE_PFN_MASK,
  _KERNPG_TABLE,
} from '../../../../abi/page.ts'
import type { Layout, LayoutSymbol } from '../../../../layouts/layout.ts'
import type { GuestMemory } from '../../../../memory/guest-memory.ts'
import { encodeKallsyms, type KallsymsImage } from '../../../../symbols/encode.ts'
import type { Kernel } from '../../../kernel.ts'
import type { Profile } from '../../../profile.ts'
import { PCPU_UNIT_SIZE } from '../../../mm/percpu.ts'

/** arch/x86/include/asm/page_64_types.h, page_64.h */
export const START_KERNEL_MAP: Va = -0x8000_0000
export const PAGE_OFFSET: Va = -0x7780_0000_0000
export const VMEMMAP_START: Va = -0x1600_0000_0000
const VMALLOC_START: Va = -0x3700_0000_0000
const MIB = 1 << 20
const LARGE_PAGE = 2 * MIB

/** Where the image, and what the boot code puts behind it, lie in physical memory. */
export interface PhysicalLayout {
  /** Of `_text`. */
  readonly loadPhys: number
  /** `phys_base`: what to add to an address of the image's mapping, besides its start. */
  readonly physBase: number
  readonly vmemmapPhys: number
  readonly perCpuPhys: number
  /** First frame the page allocator may have, beside the low memory under the image. */
  readonly freePfn: number
  readonly endPfn: number
}

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

/** `linux_banner`, `saved_command_line`, `init_uts_ns`: who this kernel is. */
export function writeIdentity(k: Kernel, hostname: string): void {
  const { profile } = k
  k.mem.write(toVa(k.sym('linux_banner')), Buffer.from(`${bannerOf(profile)}\n\0`, 'latin1'))
  const uts = k.global('init_uts_ns', 'uts_namespace')
  uts.name.sysname.$setString('Linux')
  uts.name.nodename.$setString(hostname)
  uts.name.release.$setString(profile.release)
  uts.name.version.$setString(profile.version)
  uts.name.machine.$setString(profile.machine)
  uts.name.domainname.$setString('(none)')
  uts.ns.count.refs.counter = 2
  uts.ns.inum = 0xeffffffe
  uts.user_ns = k.global('init_user_ns', 'user_namespace')
}

export const bannerOf = (profile: Profile): string =>
  `Linux version ${profile.release} ${profile.builder} ${profile.version}`

/** The kallsyms tables, as scripts/kallsyms.c lays them out, at their symbols. */
export function writeKallsyms(k: Kernel, symbols: readonly LayoutSymbol[]): void {
  packKallsyms(k, symbols.length)
  const image = kallsymsOf(k, symbols)
  const put = (name: string, bytes: Uint8Array): void => {
    const at = k.symbols.get(name)
    if (at !== undefined) k.mem.write(toVa(at), bytes)
  }
  put('kallsyms_names', image.names)
  put('kallsyms_num_syms', image.numSyms)
  put('kallsyms_markers', image.markers)
  put('kallsyms_seqs_of_names', image.seqsOfNames)
  put('kallsyms_token_table', image.tokenTable)
  put('kallsyms_token_index', image.tokenIndex)
  put('kallsyms_offsets', image.offsets)
  put('kallsyms_relative_base', image.relativeBase)
}

/** Tables whose place follows from their size: readers that know only the next one count back from it. */
const PACKED = ['kallsyms_seqs_of_names', 'kallsyms_markers']

/** With fewer symbols than the kernel was linked with, markers and sequence numbers move up to the tokens. */
function packKallsyms(k: Kernel, count: number): void {
  const sizes = [count * 3, Math.ceil(count / 256) * 4]
  let at = k.sym('kallsyms_token_table') as bigint
  PACKED.forEach((name, i) => {
    at -= BigInt(align(sizes[i] ?? 0, k.mem.wordSize))
    k.symbols.set(name, at as Addr)
  })
}

const encoded = new WeakMap<readonly LayoutSymbol[], KallsymsImage>()

/** The tables depend on the profile alone: made once for all machines of it. */
function kallsymsOf(k: Kernel, symbols: readonly LayoutSymbol[]): KallsymsImage {
  let image = encoded.get(symbols)
  if (image === undefined) {
    const entries = symbols.map(({ name, type, address }) => {
      // section ends moved with what is in the sections; everything else is where it was linked
      const moved = name.startsWith('__stop_') || PACKED.includes(name)
      const at = moved ? k.sym(name) : address
      return { name, type, va: toVa(at, k.mem.wordSize) }
    })
    image = encodeKallsyms(entries, k.mem.wordSize)
    encoded.set(symbols, image)
  }
  return image
}

/** The types, between `__start_BTF` and `__stop_BTF`. */
export function writeBtf(k: Kernel, layout: Layout): void {
  const start = k.sym('__start_BTF')
  const room = k.sym('__stop_BTF') - start
  if (BigInt(layout.btf.length) > room)
    throw new InvariantError('the BTF closure is larger than the image has room for')
  k.mem.write(toVa(start), layout.btf)
  k.symbols.set('__stop_BTF', (start + BigInt(layout.btf.length)) as Addr)
}

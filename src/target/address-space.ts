/** How a kernel lays out its own addresses, and the translation that follows: page tables first, arithmetic where they are missing. */

import { addr, toVa, type Va } from '../base/addr.ts'
import { openWindows, WINDOW } from '../base/windows.ts'
import { DumpError, type FaultReason } from '../base/errors.ts'
import type { PhysicalMemory } from '../memory/memory.ts'
import type { Vmcoreinfo } from '../vmcore/vmcoreinfo.ts'
import { PageTable, type PagingMode } from './page-table.ts'
import type { Translator } from './virtual-memory.ts'

/** `__START_KERNEL_map`: where x86-64 maps the kernel image. */
export const START_KERNEL_MAP = -0x8000_0000
const PAGE = 4096
/** The direct map of four-level tables spans 64 TiB; that of five-level ones is looked at no further than its windows. */
const DIRECT_MAP_SIZE = 2 ** 46
/** Where it begins unless KASLR moved it, since 4.20 and before. @see Documentation/x86/x86_64/mm.rst */
const DIRECT_MAPS = [-0x7780 * 2 ** 32, -0x7800 * 2 ** 32] as const
/** The regions of a kernel with five levels, where KASLR left them. @see Documentation/x86/x86_64/mm.rst */
const FAR_DIRECT_MAP = 0xff11n << 48n
const FAR_VMALLOC = 0xffa0n << 48n
const FAR_VMEMMAP = 0xffd4n << 48n
/** `VMALLOC_SIZE_TB_L5` */
const FAR_VMALLOC_SIZE = 12800n << 40n
/** The user/kernel splits an i386 kernel can be configured with. @see arch/x86/Kconfig:PAGE_OFFSET */
const I386_SPLITS = [0xc0000000, 0xb0000000, 0x80000000, 0x78000000, 0x40000000]
/** Low memory an i386 kernel maps directly at most, from its split. */
const I386_LOWMEM_END = 2 ** 32 - 128 * 2 ** 20

/**
 * The kernel's address space of one memory.
 *
 * @remarks With five levels the regions that need more than 48 bits get numbers by {@link KernelSpace.openRegions}.
 */
export class KernelSpace implements Translator {
  readonly wordSize: 4 | 8
  readonly mode: PagingMode
  readonly table: PageTable
  /** physical address of the image minus its link address; 0 on i386 */
  readonly physBase: number
  readonly #path: string
  readonly #phys: PhysicalMemory
  readonly #smeMask: number
  readonly #imageSize: number
  #pageOffset: Va | undefined
  #pageOffsetOf: (() => Va | undefined) | undefined

  /** @throws DumpError BAD_FORMAT when VMCOREINFO does not name the top page table */
  constructor(path: string, phys: PhysicalMemory, info: Vmcoreinfo) {
    const root =
      info.symbol('swapper_pg_dir') ?? info.symbol('init_top_pgt') ?? info.symbol('init_level4_pgt')
    if (root === undefined)
      throw new DumpError('BAD_FORMAT', path, -1, 'VMCOREINFO has no SYMBOL(swapper_pg_dir)')
    this.wordSize = root > 0xffff_ffffn ? 8 : 4
    this.#phys = phys
    this.#smeMask = info.number('sme_mask') ?? 0
    this.#imageSize = info.number('KERNEL_IMAGE_SIZE') ?? 0x2000_0000
    this.physBase = this.wordSize === 8 ? (info.number('phys_base') ?? 0) : 0
    this.#path = path
    const rootVa = toVa(root, this.wordSize)
    if (this.wordSize === 4) this.#pageOffset = I386_SPLITS.find((split) => rootVa >= split) ?? 0
    // of the direct map nothing is known before there is a table to ask
    const rootPhys = (this.wordSize === 4 ? this.#arithmetic(rootVa) : this.#inImage(rootVa)) ?? 0
    const wide = info.number('pgtable_l5_enabled') === 1 ? 'x86_64-la57' : 'x86_64'
    this.mode = this.wordSize === 8 ? wide : this.#mode32(info, rootPhys, rootVa)
    this.table = new PageTable(phys, rootPhys, this.mode, this.#smeMask)
  }

  /** Say where the value of `page_offset_base` comes from; asked when it is first needed. */
  setPageOffset(of: () => Va | undefined): void {
    this.#pageOffsetOf = of
  }

  /**
   * With five levels: let the direct map, vmalloc's and vmemmap's areas have numbers, before any is read.
   *
   * @param base the value of `page_offset_base`, `vmalloc_base`, `vmemmap_base`; undefined where the kernel has none
   * @param physEnd where physical memory ends
   * @throws DumpError BAD_VERSION when too many such kernels are open at once
   */
  openRegions(base: (name: string) => bigint | undefined, physEnd: number): void {
    if (this.mode !== 'x86_64-la57') return
    const direct = base('page_offset_base') ?? FAR_DIRECT_MAP
    const vmalloc = base('vmalloc_base') ?? FAR_VMALLOC
    const vmemmap = base('vmemmap_base') ?? FAR_VMEMMAP
    const regions: [bigint, number][] = [
      [direct, physEnd],
      // Allocations begin at its start, per-CPU areas at its end.
      [vmalloc, WINDOW],
      [vmalloc + FAR_VMALLOC_SIZE - BigInt(WINDOW), WINDOW],
      // 64 bytes for each page
      [vmemmap, physEnd / 64],
    ]
    for (const [from, bytes] of regions)
      if (!openWindows(BigInt.asIntN(64, from), bytes))
        throw new DumpError(
          'BAD_VERSION',
          this.#path,
          -1,
          'no numbers left for the regions of a kernel with five-level page tables',
        )
    this.#pageOffset = toVa(addr(direct))
  }

  /** Start of the direct map of physical memory. */
  get pageOffset(): Va {
    if (this.#pageOffset === undefined) {
      // Finding it may ask for it: the default answers then.
      this.#pageOffset = DIRECT_MAPS[0]
      this.#pageOffset = this.#pageOffsetOf?.() ?? this.#fixedDirectMap()
    }
    return this.#pageOffset
  }

  /** The place at which the page tables show themselves; the newer one where they are not in the dump. */
  #fixedDirectMap(): Va {
    const { root } = this.table
    return DIRECT_MAPS.find((start) => this.table.frame(start + root) === root / PAGE) ?? DIRECT_MAPS[0]
  }

  /** Where the direct map shows a physical address. */
  directMap(phys: number): Va {
    return this.pageOffset + phys
  }

  frame(va: Va): number | FaultReason {
    const frame = this.table.frame(va)
    if (frame !== 'missing' && frame !== 'excluded') return frame
    // A page of the tables themselves is not in the dump.
    const phys = this.#arithmetic(va)
    return phys === undefined ? frame : Math.floor(phys / PAGE)
  }

  /** The table of a user address space, whose top level is at this physical address. */
  userTable(rootPhys: number): PageTable {
    return new PageTable(this.#phys, rootPhys, this.mode, this.#smeMask)
  }

  /** What page tables would say of the image and of the direct map. */
  #arithmetic(va: Va): number | undefined {
    if (this.wordSize === 4) {
      const start = this.#pageOffset ?? 0
      return va >= start && va < I386_LOWMEM_END ? va - start : undefined
    }
    const inImage = this.#inImage(va)
    if (inImage !== undefined) return inImage
    const phys = va - this.pageOffset
    return phys >= 0 && phys < DIRECT_MAP_SIZE ? phys : undefined
  }

  /** The same of the image of a 64-bit kernel alone. */
  #inImage(va: Va): number | undefined {
    const inImage = va - START_KERNEL_MAP
    const phys = inImage + this.physBase
    return inImage >= 0 && inImage < this.#imageSize && phys >= 0 ? phys : undefined
  }

  /** PAE or not: as VMCOREINFO says, else the form under which the tables map themselves. */
  #mode32(info: Vmcoreinfo, rootPhys: number, rootVa: Va): PagingMode {
    if (info.get('CONFIG_X86_PAE') === 'y') return 'i386-pae'
    const fits = (mode: PagingMode): boolean =>
      new PageTable(this.#phys, rootPhys, mode).frame(rootVa) === Math.floor(rootPhys / PAGE)
    return !fits('i386') && fits('i386-pae') ? 'i386-pae' : 'i386'
  }
}

/** Pages and their flags: include/linux/page-flags.h, arch/x86/include/asm/pgtable_types.h, as 6.1 configures them. */

export const PAGE_SHIFT = 12
export const PAGE_SIZE = 4096
/** Bytes of a kernel stack: include/asm/page_64_types.h without KASAN, page_32_types.h. */
export const THREAD_SIZE = (wordSize: 4 | 8): number => (wordSize === 8 ? 16384 : 8192)
export const MAX_ORDER = 11
/** End of user space: with four-level tables, and with the usual split of 32 bits. */
export const TASK_SIZE_MAX = (wordSize: 4 | 8): number => (wordSize === 8 ? 0x7fff_ffff_f000 : 0xc000_0000)

/** Bits of `page.flags`. */
export const PG_reserved = 12
export const PG_slab = 9
export const PG_head = 16
/** Zone of a page: two bits of `page.flags`, counted from DMA. */
export const ZONES_PGSHIFT = (wordSize: 4 | 8): bigint => (wordSize === 8 ? 56n : 30n)

/** A zone by name, and the first frame behind it. */
export type ZoneLimit = readonly [name: string, endPfn: number]
/** 16 MiB, 4 GiB, the rest. */
const ZONES_64: readonly ZoneLimit[] = [
  ['DMA', 4096],
  ['DMA32', 1 << 20],
  ['Normal', Infinity],
]
/** The zones of a machine. @param endLow frame behind what 32 bits map directly */
export const zonesOf = (wordSize: 4 | 8, endLow: number): readonly ZoneLimit[] =>
  wordSize === 8
    ? ZONES_64
    : [
        ['DMA', 4096],
        ['Normal', endLow],
        ['HighMem', Infinity],
      ]
/** Tail pages point at their head with bit 0 set. */
export const COMPOUND_TAIL = 1

/** Page-table entry bits. */
export const _PAGE_PRESENT = 0x001n
export const _PAGE_RW = 0x002n
export const _PAGE_USER = 0x004n
export const _PAGE_ACCESSED = 0x020n
export const _PAGE_DIRTY = 0x040n
export const _PAGE_PSE = 0x080n
export const _PAGE_GLOBAL = 0x100n
export const _PAGE_NX = 1n << 63n
/** A directory of the kernel's: present, writable, accessed, dirty. */
export const _KERNPG_TABLE = 0x063n
/** A directory under user space. */
export const _PAGE_TABLE = 0x067n
/** arch/x86/include/asm/pgtable_types.h:PAGE_KERNEL */
export const PAGE_KERNEL = 0x163n | _PAGE_NX
export const PAGE_KERNEL_RO = 0x161n | _PAGE_NX
export const PAGE_KERNEL_ROX = 0x161n
export const PAGE_KERNEL_EXEC = 0x163n
/** Physical-address bits of an entry. */
export const PTE_PFN_MASK = 0x000f_ffff_ffff_f000n

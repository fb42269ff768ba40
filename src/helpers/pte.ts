/** Page table entries as words: which flags are set, and what a swapped-out one says. */

/** Bits of an x86 page table entry in the order crash names them. @see arch/x86/include/asm/pgtable_types.h */
const _PAGE_PRESENT = 1n
const FLAGS: readonly (readonly [mask: bigint, name: string])[] = [
  [_PAGE_PRESENT, 'PRESENT'],
  [1n << 1n, 'RW'],
  [1n << 2n, 'USER'],
  [1n << 3n, 'PWT'],
  [1n << 4n, 'PCD'],
  [1n << 5n, 'ACCESSED'],
  [1n << 6n, 'DIRTY'],
  [1n << 7n, 'PSE'],
  [1n << 8n, 'GLOBAL'],
  [1n << 63n, 'NX'],
]

/** What an entry says. */
export interface PteRow {
  readonly pte: bigint
  /** of the page it maps */
  readonly physical: bigint
  readonly present: boolean
  readonly flags: readonly string[]
}

/**
 * Take an entry apart.
 *
 * @param wordSize 4 has no NX and 32-bit frames; with PAE entries pass 8
 */
export function translate_pte(pte: bigint, wordSize: 4 | 8 = 8): PteRow {
  const mask = wordSize === 8 ? 0x000f_ffff_ffff_f000n : 0xffff_f000n
  const present = (pte & _PAGE_PRESENT) !== 0n
  return {
    pte,
    physical: pte & mask,
    present,
    flags: present ? FLAGS.filter(([bit]) => (pte & bit) !== 0n).map(([, name]) => name) : [],
  }
}

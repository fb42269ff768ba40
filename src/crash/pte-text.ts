/** A page table entry in words, as `vtop` and `pte` print it. */

import { hex } from '../base/addr.ts'
import { translate_pte } from '../helpers/pte.ts'
import { centerHex } from '../render/columns.ts'
import { center } from '../render/pad.ts'

/** Two lines: the header, and the entry with its physical address and flags. */
export function pteText(pte: bigint, entrySize: 4 | 8): string {
  const { physical, present, flags } = translate_pte(pte, entrySize)
  const width = Math.max(hex(pte).length, 'PTE'.length)
  const physicalWidth = Math.max(hex(physical).length, 'PHYSICAL'.length)
  const header = `${center('PTE', width)}  ${center('PHYSICAL', physicalWidth)}  FLAGS\n`
  const words = present ? `(${flags.join('|')})` : '(no mapping)'
  return `${header}${centerHex(pte, width)}  ${centerHex(physical, physicalWidth)}  ${words}\n`
}

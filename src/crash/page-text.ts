/** The table of `struct page`s that several commands end with. */

import { hex } from '../base/addr.ts'
import type { PageRow } from '../helpers/page.ts'
import { addressWidth } from '../render/columns.ts'
import { center } from '../render/pad.ts'

const PHYSICAL = 'PHYSICAL'.length

/** The line above the rows. */
export function pageHeader(wordSize: 4 | 8): string {
  const width = addressWidth(wordSize)
  const mapping = center('MAPPING', width, 'left')
  return `${center('PAGE', width)} ${center('PHYSICAL', PHYSICAL)} ${mapping}   INDEX CNT FLAGS`
}

/** One page. */
export function pageLine(row: PageRow, wordSize: 4 | 8): string {
  const width = addressWidth(wordSize)
  const columns = [
    hex(row.page).padStart(width),
    hex(row.physical).padStart(PHYSICAL),
    hex(row.mapping).padStart(width),
    hex(row.index).padStart(8),
    String(row.count).padStart(2),
    hex(row.flags),
  ]
  return `${columns.join(' ')}${row.flagNames === '' ? '' : ` ${row.flagNames}`}`
}

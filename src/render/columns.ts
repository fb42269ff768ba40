/** Columns of addresses. */

import { hex } from '../base/addr.ts'
import { center } from './pad.ts'

/** An address as hex in the middle of its column, the odd blank on the left. */
export function centerHex(value: bigint, width: number): string {
  return center(hex(value), width, 'left')
}

/** What stands between columns of addresses: narrow ones are further apart. */
export const columnGap = (wordSize: 4 | 8): string => (wordSize === 8 ? ' ' : '  ')

/** Digits of an address column: 16, or 8 on 32 bits. */
export function addressWidth(wordSize: 4 | 8): number {
  return wordSize * 2
}

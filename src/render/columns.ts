/** Fields of fixed width, as crash's tables have them; text that is too long is never cut. */

import { hex } from '../base/addr.ts'

/** Text in the middle; the odd blank goes to the side named. */
export function centre(text: string, width: number, odd: 'left' | 'right' = 'right'): string {
  const blanks = Math.max(0, width - text.length)
  const left = odd === 'left' ? Math.ceil(blanks / 2) : Math.floor(blanks / 2)
  return ' '.repeat(left) + text + ' '.repeat(blanks - left)
}

/** An address as hex in the middle of its column, the odd blank on the left. */
export function centreHex(value: bigint, width: number): string {
  return centre(hex(value), width, 'left')
}

/** Digits of an address column: 16, or 8 on 32 bits. */
export function addressWidth(wordSize: 4 | 8): number {
  return wordSize * 2
}

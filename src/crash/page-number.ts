/** `btop` and `ptob`: bytes to page numbers and back. */

import { hex } from '../base/addr.ts'
import { UsageError } from '../base/errors.ts'
import { hexNumber } from './data-address.ts'
import type { Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'
import type { ConvertedRow } from './rows.ts'

/** Bits of a byte's place within its page. */
export const PAGE_SHIFT = 12n

/** Each number with what it becomes: `1000: 1`. Rows: {@link ConvertedRow}. @throws Misuse, UsageError */
export function convertedReport(words: readonly string[], convert: (value: bigint) => bigint): Report {
  if (words.length === 0) throw new Misuse()
  const rows = words.map((word): ConvertedRow => {
    const given = hexNumber(word)
    if (given === undefined) throw new UsageError(word, `invalid input: "${word}"`)
    return { given, result: BigInt.asUintN(64, convert(given)) }
  })
  return { rows, text: rows.map(({ result }, i) => `${words[i] ?? ''}: ${hex(result)}\n`).join('') }
}

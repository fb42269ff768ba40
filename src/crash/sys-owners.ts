/** `sys -c --owners`: the tables of system calls with the owner of each entry, what belongs there, and a verdict. */

import { hex } from '../base/addr.ts'
import { UsageError } from '../base/errors.ts'
import type { CheckEntry } from '../explain/check/entry.ts'
import { runChecks } from '../explain/check/run.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'

/**
 * Rows: {@link CheckEntry}.
 *
 * @param words numbers, or parts of names of calls or handlers; all when none
 */
export function systemCallOwners(target: Target, words: readonly string[]): Report {
  const { entries, skipped, problems } = runChecks(target, ['syscalls'])
  const rows = words.length === 0 ? entries : words.flatMap((word) => entries.filter((e) => named(e, word)))
  if (words.length > 0 && rows.length === 0)
    throw new UsageError(words[0] ?? '', `no system calls found: ${words.join(' ')}`)
  const lines = [
    ['ENTRY', 'OWNER', 'HANDLER', 'EXPECTED', 'VERDICT'],
    ...rows.map(({ place, owner, value, symbol, expected, verdict }) => [
      place,
      owner,
      symbol ?? hex(value),
      expected ?? '-',
      verdict,
    ]),
  ]
  const widths = [0, 1, 2, 3].map((i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  const text = lines.map((line) => line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '))
  const notes = [...problems, ...skipped.map(({ reason }) => reason)]
  return { rows, text: `${[...text, ...notes].join('\n')}\n`, failed: problems.length > 0 }
}

function named({ place, symbol }: CheckEntry, word: string): boolean {
  const number = /^(0x[0-9a-f]+|[0-9]+)$/i.test(word) ? Number(word) : undefined
  if (number !== undefined) return place.includes(`[${number}]`)
  return place.includes(word) || (symbol?.includes(word) ?? false)
}

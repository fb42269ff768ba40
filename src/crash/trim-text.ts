/** What `coredrill trim` prints about the file it wrote. */

import { withoutControls } from './output.ts'
import type { TrimReason, TrimRow } from './trim.ts'

/** The longest command shown whole. */
const REASON_WIDTH = 60

export function trimText(row: TrimRow, of: { readonly noUser: boolean }): string {
  const { kept, left } = row
  const lines = [`${row.output}: ${megabytes(row.bytes)}, ${pages(row.pages)}`, '', '   PAGES  READ FIRST BY']
  for (const reason of row.reasons) lines.push(...reasonLines(reason))
  lines.push('', 'kept:')
  lines.push(`${count(kept.kernel)}  of the kernel (its objects and stacks can hold copies of user data)`)
  lines.push(`${count(kept.user)}  of processes' memory`)
  lines.push(`${count(kept.cache)}  of files and shared memory`)
  if (kept.unknown > 0) lines.push(`${count(kept.unknown)}  of which the dump does not say whose they are`)
  lines.push('left out, marked as excluded:')
  lines.push(`${count(left.unread)}  that nothing read`)
  if (of.noUser) lines.push(`${count(left.user)}  that were read, of processes and files (--no-user)`)
  if (left.absent > 0) lines.push(`${count(left.absent)}  that were read and are not in the source either`)
  if (!of.noUser && kept.user + kept.cache > 0)
    lines.push('', '--no-user leaves the pages of processes and files out.')
  return withoutControls(`${lines.join('\n')}\n`)
}

function reasonLines({ reason, pages: read, notes = [] }: TrimReason): string[] {
  const short = reason.length > REASON_WIDTH ? `${reason.slice(0, REASON_WIDTH - 1)}…` : reason
  return [`${count(read)}  ${short}`, ...notes.map((note) => `${' '.repeat(10)}(${note})`)]
}

const count = (n: number): string => String(n).padStart(8)
const pages = (n: number): string => `${n} page${n === 1 ? '' : 's'}`
const megabytes = (bytes: number): string =>
  bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`

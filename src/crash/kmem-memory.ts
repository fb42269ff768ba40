/** `kmem -i`: how much memory is used for what. */

import { PAGE_SIZE } from '../helpers/page.ts'
import { memory_use, type Frames, type MemoryUse } from '../helpers/meminfo.ts'
import { memory_nodes } from '../helpers/zone.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'

/** A line of `kmem -i --json`. */
export interface MemoryUseRow {
  readonly name: string
  readonly pages: number
  /** of what the line above its group is; null for that line itself */
  readonly percent: number | null
}

interface Line extends MemoryUseRow {
  readonly of: string
}

const UNITS = ['KB', 'MB', 'GB', 'TB']

/** `93.5 MB`, `17 MB`, `0` */
function sizeText(pages: number): string {
  if (pages <= 0) return '0'
  let value = (pages * PAGE_SIZE) / 1024
  let unit = 0
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024
  return `${value.toFixed(1).replace(/\.0$/, '')} ${UNITS[unit] ?? ''}`
}

function linesOf(use: MemoryUse): Line[][] {
  const group = (of: string, total: number, parts: readonly (readonly [string, number])[]): Line[] =>
    parts.map(([name, pages], i) => {
      const percent = total > 0 ? Math.trunc((pages * 100) / total) : 0
      return { name, pages, percent: i === 0 ? null : percent, of }
    })
  return [
    group('MEM', use.total, [
      ['TOTAL MEM', use.total],
      ['FREE', use.free],
      ['USED', use.total - use.free],
      ['SHARED', use.shared],
      ['BUFFERS', use.buffers],
      ['CACHED', use.cached],
      ['SLAB', use.slab],
    ]),
    group('HUGE', use.huge_total, [
      ['TOTAL HUGE', use.huge_total],
      ['HUGE FREE', use.huge_free],
    ]),
    group('SWAP', use.swap_total, [
      ['TOTAL SWAP', use.swap_total],
      ['SWAP USED', use.swap_used],
      ['SWAP FREE', use.swap_total - use.swap_used],
    ]),
    group('LIMIT', use.commit_limit, [
      ['COMMIT LIMIT', use.commit_limit],
      ['COMMITTED', use.committed],
    ]),
  ]
}

function lineText({ name, pages, percent, of }: Line): string {
  const share = percent === null ? '       ----' : `${String(percent).padStart(3)}% of TOTAL ${of}`
  return `${name.padStart(13)}  ${String(pages).padStart(7)}  ${sizeText(pages).padStart(11)}  ${share}\n`
}

/** Where the machine has memory, as the kernel knows it: a dump may lack parts. */
function framesOf(target: Target): Frames[] {
  const end = target.container.ranges.reduce((most, { endPfn }) => Math.max(most, endPfn), 0)
  const nodes = [...memory_nodes(target)].filter(({ size }) => size > 0)
  if (nodes.length === 0)
    return target.container.ranges.map(({ startPfn, endPfn }) => ({ start: startPfn, end: endPfn }))
  // a filtered ELF dump ends before memory does, but no memory lies far behind a dump's end
  const limit = Math.max(end * 4, 2 ** 18)
  return nodes.map(({ start_pfn: start, size }) => ({ start, end: Math.min(start + size, limit) }))
}

export function memoryReport(target: Target): Report {
  const frames = framesOf(target)
  const groups = linesOf(memory_use(target, frames))
  const header = '                 PAGES        TOTAL      PERCENTAGE\n'
  const rows = groups.flat().map(({ name, pages, percent }): MemoryUseRow => ({ name, pages, percent }))
  return { rows, text: header + groups.map((lines) => lines.map(lineText).join('')).join('\n') }
}

/** `kmem -V`, `-o`, `-g` and `-h`: memory counters, per-CPU areas, page flags, huge pages. */

import { hex, toAddr } from '../base/addr.ts'
import { UsageError } from '../base/errors.ts'
import { findSymbolVa } from '../helpers/kernel.ts'
import { hstates, vm_stats } from '../helpers/meminfo.ts'
import { cpu_count, per_cpu, per_cpu_offset } from '../helpers/percpu.ts'
import { PAGE_SIZE } from '../helpers/page.ts'
import { addressWidth } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import type { PerCpuOffsetRow } from './rows.ts'

/** Orders above this are damage. */
const ORDER_MAX = 30

/** A line of `kmem -V --json`. */
export interface StatisticRow {
  readonly group: string
  readonly name: string
  readonly value: bigint
}

/** A line of `kmem -g --json`. */
export interface PageFlagRow {
  readonly name: string
  readonly bit: number
}

/** `kmem -V` */
export function statisticsReport(target: Target): Report {
  const groups: [string, ReadonlyMap<string, bigint>][] = [
    ['VM_ZONE_STAT', wide(vm_stats(target, 'vm_zone_stat', 'zone_stat_item'))],
    ['VM_NODE_STAT', wide(vm_stats(target, 'vm_node_stat', 'node_stat_item'))],
    ['VM_EVENT_STATES', eventStates(target)],
  ]
  const rows: StatisticRow[] = []
  const parts: string[] = []
  const widthOf = (maps: readonly ReadonlyMap<string, bigint>[]): number =>
    Math.max(...maps.flatMap((stats) => [...stats.keys()]).map((name) => name.length))
  const [zone, node] = groups
  const shared = [zone?.[1] ?? new Map<string, bigint>(), node?.[1] ?? new Map<string, bigint>()]
  for (const [group, stats] of groups) {
    if (stats.size === 0) continue
    const width = widthOf(shared.includes(stats) ? shared : [stats])
    const lines = [...stats].map(([name, value]) => {
      rows.push({ group, name, value })
      return `${name.padStart(width)}: ${value}\n`
    })
    parts.push(`  ${group}:\n${lines.join('')}`)
  }
  return { rows, text: parts.join('\n') }
}

const wide = (stats: ReadonlyMap<string, number>): Map<string, bigint> =>
  new Map([...stats].map(([name, value]) => [name, BigInt(value)]))

/** The events of all CPUs together. @see mm/vmstat.c:sum_vm_events */
function eventStates(target: Target): Map<string, bigint> {
  const stats = new Map<string, bigint>()
  const { types, mem, wordSize } = target
  const type = types.btf.find('vm_event_item', 'enum')
  if (findSymbolVa(target, 'vm_event_states') === undefined || type?.kind !== 'enum') return stats
  const areas = Array.from({ length: cpu_count(target) }, (_, cpu) => per_cpu(target, 'vm_event_states', cpu))
  for (const { name, value } of type.values) {
    if (name === 'NR_VM_EVENT_ITEMS') break
    const sum = areas.reduce((total, at) => total + mem.word(at + Number(value) * wordSize), 0n)
    stats.set(name, BigInt.asUintN(wordSize * 8, sum))
  }
  return stats
}

/** A word in `kmem -g NUMBER --json`. */
export interface PageFlagsRow {
  /** as it was given */
  readonly flags: bigint
  /** the bits set in it */
  readonly names: readonly PageFlagRow[]
}

/** `kmem -o` */
export function offsetsReport(target: Target): Report {
  const rows = Array.from({ length: cpu_count(target) }, (_, cpu): PerCpuOffsetRow => ({
    cpu,
    offset: toAddr(per_cpu_offset(target, cpu)),
  }))
  const lines = rows.map(({ cpu, offset }) => `  CPU ${cpu}: ${hex(offset)}\n`)
  return { rows, text: `PER-CPU OFFSET VALUES:\n${lines.join('')}` }
}

/** `kmem -g`: every name of `enum pageflags`, also second names of bits */
export function flagsReport(target: Target): Report {
  const { rows, bits } = pageFlags(target)
  return { rows, text: flagsTable(rows, bits) }
}

/**
 * `kmem -g FLAGS`: the names of the bits set in a word
 * @throws UsageError when it is no hexadecimal number
 */
export function flagsOfReport(target: Target, words: readonly string[]): Report {
  const { rows: all, bits } = pageFlags(target)
  const answers = words.map((word): { row: PageFlagsRow; text: string } => {
    if (!/^(0x)?[0-9a-f]{1,16}$/i.test(word)) throw new UsageError(word, `invalid input: "${word}"`)
    const flags = BigInt(`0x${word.replace(/^0x/i, '')}`)
    const rows = all.filter(({ bit }) => (flags & (1n << BigInt(bit))) !== 0n)
    const table = flagsTable(rows, bits).replaceAll(/^(?=.)/gm, '  ')
    return { row: { flags, names: rows }, text: `FLAGS: ${flags.toString(16)}\n${table}` }
  })
  return { rows: answers.map(({ row }) => row), text: answers.map(({ text }) => text).join('\n') }
}

function pageFlags(target: Target): { rows: PageFlagRow[]; bits: number } {
  const type = target.types.btf.find('pageflags', 'enum')
  const rows: PageFlagRow[] = []
  let bits = 0
  for (const { name, value } of type?.kind === 'enum' ? type.values : []) {
    if (name === '__NR_PAGEFLAGS') bits = Number(value)
    else if (name.startsWith('PG_')) rows.push({ name, bit: Number(value) })
  }
  return { rows, bits }
}

function flagsTable(rows: readonly PageFlagRow[], bits: number): string {
  const width = Math.max('PAGE-FLAG'.length, ...rows.map(({ name }) => name.length))
  const digits = Math.ceil(bits / 4)
  const lines = rows.map(({ name, bit }) => {
    const value = hex(1n << BigInt(bit)).padStart(digits, '0')
    return `${name.padEnd(width)}  ${String(bit).padStart(2)}  ${value}\n`
  })
  return `${'PAGE-FLAG'.padEnd(width)} BIT  VALUE\n${lines.join('')}`
}

/** A line of `kmem -h --json`. */
export interface HugeRow {
  readonly hstate: bigint
  readonly size: number
  readonly free: number
  readonly total: number
  readonly name: string
}

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const sizeName = (bytes: number): string =>
  bytes >= GIB ? `${bytes / GIB}GB` : bytes >= MIB ? `${bytes / MIB}MB` : `${bytes / 1024}KB`

/** `kmem -h`: the pools of huge pages */
export function hugeReport(target: Target): Report {
  const width = addressWidth(target.wordSize)
  const rows = [...hstates(target)].map((state): HugeRow => ({
    hstate: state.$addr,
    size: PAGE_SIZE * 2 ** Math.min(Number(state.$int('order')), ORDER_MAX),
    free: Number(state.$int('free_huge_pages')),
    total: Number(state.$int('nr_huge_pages')),
    name: state.$array('name').$string(),
  }))
  const lines = rows.map(({ hstate, size, free, total, name }) => {
    const counts = `${String(free).padStart(8)}${String(total).padStart(8)}`
    return `${hex(hstate).padEnd(width)}${sizeName(size).padStart(7)}${counts}  ${name}\n`
  })
  return { rows, text: `${center('HSTATE', width)}   SIZE    FREE   TOTAL  NAME\n${lines.join('')}` }
}

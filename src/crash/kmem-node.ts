/** `kmem -n`: memory nodes, their zones, the sections of physical memory and the blocks it is hotplugged by. */

import { hex } from '../base/addr.ts'
import { PAGE_SIZE } from '../helpers/page.ts'
import { memory_blocks, sections, type MemoryBlockRow, type SectionRow } from '../helpers/sparse.ts'
import { memory_nodes, type NodeRow } from '../helpers/zone.ts'
import { addressWidth, centerHex } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { Guarded } from './guarded.ts'

/** A node in `kmem -n --json`. */
export interface NodeJson extends Omit<NodeRow, 'zones'> {
  readonly zones: readonly Omit<NodeRow['zones'][number], 'ref'>[]
}

/** `kmem -n --json` */
export interface NodesJson {
  readonly nodes: NodeJson[]
  readonly sections: SectionRow[]
  readonly blocks: MemoryBlockRow[]
}

const LINE = `${'-'.repeat(67)}\n`
const PLACE = 'START_PADDR'.length

export function nodesReport(target: Target): Report {
  const rows: NodesJson = { nodes: [], sections: [], blocks: [] }
  const guarded = new Guarded()
  const text = function* (): Generator<string> {
    yield* guarded.part(function* () {
      for (const node of memory_nodes(target)) {
        if (rows.nodes.length > 0) yield `\n${LINE}\n`
        rows.nodes.push({ ...node, zones: node.zones.map(({ ref: _, ...zone }) => zone) })
        yield nodeText(target, node)
      }
    })
    yield* guarded.part(() => sectionsText(target, rows.sections))
    yield* guarded.part(() => blocksText(target, rows.blocks))
  }
  return { rows, text: text(), get failed() { return guarded.failed } } // prettier-ignore
}

function nodeText(target: Target, node: NodeRow): string {
  const width = addressWidth(target.wordSize)
  const bytes = (pfn: number): bigint => BigInt(pfn) * BigInt(PAGE_SIZE)
  const names = ['PGLIST_DATA', 'BOOTMEM_DATA', 'NODE_ZONES'].map((name) => center(name, width))
  const first = [
    center(String(node.nid), 4, 'left'),
    center(String(node.size), 8),
    hex(node.pglist_data).padStart(width),
    center('----', width),
  ].join('  ')
  const zones = node.zones.map((zone, i) => {
    const before = i === 0 ? `${first}  ` : ' '.repeat(first.length + 2)
    return `${before}${hex(zone.address).padStart(width)}\n`
  })
  const spans = node.zones.map((zone) => {
    const size = `${zone.name.padEnd(7)}${String(zone.size).padStart(10)}`
    const start = `${hex(bytes(zone.start_pfn)).padStart(PLACE)}  ${String(zone.start_pfn).padStart(PLACE)}`
    return `${center(String(zone.zone), 4, 'left')}  ${size}  ${hex(zone.mem_map).padStart(width)}  ${start}\n`
  })
  return [
    `NODE  ${center('SIZE', 8)}  ${names.join('  ')}\n`,
    ...zones,
    `${center('MEM_MAP', width)}  ${center('START_PADDR', width, 'left')}  START_MAPNR\n`,
    `${hex(node.mem_map).padStart(width)}  ${centerHex(bytes(node.start_pfn), width)}  ${center(String(node.start_pfn), PLACE)}\n`,
    `\nZONE  NAME         SIZE  ${center('MEM_MAP', width, 'left')}  START_PADDR  START_MAPNR\n`,
    ...spans,
  ].join('')
}

function* sectionsText(target: Target, rows: SectionRow[]): Generator<string> {
  const width = addressWidth(target.wordSize)
  for (const row of sections(target)) {
    if (rows.length === 0) {
      const names = ['SECTION', 'CODED_MEM_MAP', 'MEM_MAP'].map((name) => center(name, width))
      yield `\n${LINE}\nNR  ${names.join('  ')}  STATE PFN\n`
    }
    rows.push(row)
    const addresses = [row.section, row.coded_mem_map, row.mem_map].map((at) => hex(at).padStart(width))
    const place = `${row.state.padEnd(5)} ${String(row.pfn).padEnd(16)}`
    yield `${String(row.nr).padStart(2)}  ${addresses.join('  ')}  ${place}\n`
  }
}

function* blocksText(target: Target, rows: MemoryBlockRow[]): Generator<string> {
  const width = addressWidth(target.wordSize)
  rows.push(...memory_blocks(target))
  if (rows.length === 0) return
  const digits = Math.max(7, ...rows.map(({ end }) => hex(end).replace(/^0+/, '').length))
  const range = 'PHYSICAL RANGE'.padEnd(2 * digits + 3)
  const head = `   MEM_BLOCK${' '.repeat(width - 8)}NAME       ${range}`
  yield `\n${head} NODE  STATE   START_SECTION_NO\n`
  for (const row of rows) {
    const [start, end] = [row.start, row.end].map((at) => hex(at))
    const at = `${(start as string).padStart(digits)} - ${(end as string).padEnd(digits)}`
    const node = center(String(row.node), 4)
    const name = row.name.padEnd(10)
    yield ` ${hex(row.memory_block)}   ${name} ${at} ${node}  ${row.state.padEnd(7)} ${String(row.start_section_nr).padEnd(12)}\n`
  }
}

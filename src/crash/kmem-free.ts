/** `kmem -f` and `kmem -F`: the free blocks of each zone, counted or one by one. */

import { hex } from '../base/addr.ts'
import { PAGE_SIZE } from '../helpers/page.ts'
import { free_lists, free_pages, memory_nodes, type FreeList, type ZoneSpan } from '../helpers/zone.ts'
import { addressWidth, centerHex } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'

/** A list of free blocks in `kmem -f --json`; `pages` are `struct page`s, with `-F` only. */
export interface FreeAreaRow {
  readonly node: number
  readonly zone: string
  readonly order: number
  readonly head: bigint
  readonly blocks: number
  readonly pages?: readonly bigint[]
  /** where the list is damaged; `blocks` are those before it */
  readonly problem?: string
}

/** Of a table cell: START_PADDR and START_MAPNR. */
const PLACE = 'START_PADDR'.length

/** @param whole every block, not only their numbers */
export function freeReport(target: Target, whole: boolean): Report {
  const rows: FreeAreaRow[] = []
  let failed = false
  const text = function* (): Generator<string> {
    let found = 0
    try {
      const nodes = [...memory_nodes(target)]
      for (const { nid, start_pfn, zones } of nodes) {
        if (nodes.length > 1) yield `NODE\n ${String(nid).padStart(2)}\n`
        for (const zone of zones) {
          yield zoneHead(target, zone, zone.size === 0 ? 0 : zone.start_pfn - start_pfn)
          if (zone.size > 0 && !whole) yield `${areaHead(target)}  BLOCKS  PAGES\n`
          for (const list of zone.size > 0 ? free_lists(target, zone.ref) : []) {
            const { row, text: piece } = listText(target, list, { node: nid, zone: zone.name }, whole)
            rows.push(row)
            failed ||= row.problem !== undefined
            found += (row.blocks * list.bytes) / PAGE_SIZE
            yield piece
          }
          yield '\n'
        }
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      failed = true
      yield `${faultMark(error)}\n`
    }
    const counted = free_pages(target)
    yield `nr_free_pages: ${counted}  ${counted === found ? '(verified)' : `(found: ${found})`}\n`
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}

function zoneHead(target: Target, zone: ZoneSpan, mapnr: number): string {
  const width = addressWidth(target.wordSize)
  const paddr = BigInt(zone.start_pfn) * BigInt(PAGE_SIZE)
  const cells = [
    center(String(zone.zone), 4, 'left'),
    `${zone.name.padEnd(8)}${String(zone.size).padStart(8)}`,
    String(zone.free).padStart(6),
    center(hex(zone.mem_map), width),
    centerHex(paddr, PLACE),
    center(String(mapnr), PLACE, 'left'),
  ]
  const head = `ZONE  NAME        SIZE    FREE  ${center('MEM_MAP', width)}  START_PADDR  START_MAPNR\n`
  return `${head}${cells.join('  ')}\n`
}

const areaHead = (target: Target): string =>
  `AREA    SIZE  ${'FREE_AREA_STRUCT'.padEnd(addressWidth(target.wordSize))}`

function listText(
  target: Target,
  list: FreeList,
  of: { readonly node: number; readonly zone: string },
  whole: boolean,
): { row: FreeAreaRow; text: string } {
  const pages: bigint[] = []
  let count = 0
  let problem: string | undefined
  try {
    for (const page of list.blocks()) {
      count++
      if (whole) pages.push(page)
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    problem = faultMark(error)
  }
  const row: FreeAreaRow = {
    ...of,
    order: list.order,
    head: list.head,
    blocks: count,
    ...(whole && { pages }),
    ...(problem !== undefined && { problem }),
  }
  const size = `${list.bytes / 1024}k`.padStart(9)
  const line = `${String(list.order).padStart(3)}${size}  ${hex(list.head)}  `
  const damage = problem === undefined ? '' : `${problem}\n`
  if (whole) {
    return {
      row,
      text: `${areaHead(target)}\n${line}\n${pages.map((page) => `${hex(page)}\n`).join('')}${damage}`,
    }
  }
  const frames = (count * list.bytes) / PAGE_SIZE
  return { row, text: `${line}${String(count).padStart(6)}  ${String(frames).padStart(5)}\n${damage}` }
}

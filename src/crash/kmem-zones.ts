/** `kmem -z`: the zones of each memory node with their watermarks and counters. */

import { hex } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { readStringAt } from '../helpers/kernel.ts'
import { stats_at } from '../helpers/meminfo.ts'
import { for_each_node } from '../helpers/slab.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'

/** A zone in `kmem -z --json`; sizes in pages. */
export interface ZoneRow {
  readonly node: number
  readonly zone: number
  readonly address: bigint
  readonly name: string
  readonly spanned: number
  readonly present: number
  readonly watermarks: readonly number[]
  readonly vm_stat: Readonly<Record<string, number>>
}

export function zonesReport(target: Target): Report {
  const rows: ZoneRow[] = []
  let failed = false
  const text = function* (): Generator<string> {
    try {
      for (const { nid, node } of for_each_node(target)) {
        const zones = node.$array('node_zones')
        for (let i = 0; i < zones.length; i++) {
          const zone = zones.ref(i)
          if (zone === null) continue
          const row = zoneRow(target, zone, nid, i)
          rows.push(row)
          yield zoneText(row)
        }
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      failed = true
      yield `${faultMark(error)}\n`
    }
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}

function zoneRow(target: Target, zone: StructRef, node: number, index: number): ZoneRow {
  const marks = zone.$array(zone.$has('_watermark') ? '_watermark' : 'watermark')
  return {
    node,
    zone: index,
    address: zone.$addr,
    name: readStringAt(zone, 'name', 64) ?? '',
    spanned: Number(zone.$int('spanned_pages')),
    present: Number(zone.$int('present_pages')),
    watermarks: [0, 1, 2].map((i) => marks.num(i)),
    vm_stat: Object.fromEntries(stats_at(target, zone.$vaOf('vm_stat'), 'zone_stat_item')),
  }
}

function zoneText(row: ZoneRow): string {
  const head = `NODE: ${row.node}  ZONE: ${row.zone}  ADDR: ${hex(row.address)}  NAME: "${row.name}"\n`
  if (row.spanned === 0) return `${head}  [unpopulated]\n\n`
  const present = row.present === row.spanned ? '' : `  PRESENT: ${row.present}`
  const stats = Object.entries(row.vm_stat)
  const width = Math.max(0, ...stats.map(([name]) => name.length))
  const lines = stats.map(([name, value]) => `${name.padStart(width)}: ${value}\n`).join('')
  const sizes = `  SIZE: ${row.spanned}${present}  MIN/LOW/HIGH: ${row.watermarks.join('/')}\n`
  return `${head}${sizes}  VM_STAT:\n${lines}\n\n`
}

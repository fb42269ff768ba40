/** `net` and `net -a`: interfaces with their addresses, and the ARP table. */

import { hex } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import {
  arp_table,
  for_each_netdev,
  netdev_addresses,
  netdev_name,
  type NeighbourRow,
} from '../helpers/net.ts'
import { addressWidth, centerHex } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'

/** An interface in `net --json`. */
export interface DeviceJson {
  readonly device: bigint
  readonly name: string
  readonly ifindex: number
  readonly addresses: readonly string[]
  /** why the row, or the list after it, is not complete */
  readonly problem?: string
}

/** The interfaces of a network namespace (`struct net *`). */
export function devicesReport(target: Target, net: StructRef): Report {
  const rows: DeviceJson[] = []
  const width = addressWidth(target.wordSize)
  const text = function* (): Generator<string> {
    yield `${center('NET_DEVICE', width)}  NAME       IP ADDRESS(ES)\n`
    try {
      for (const dev of for_each_netdev(net)) {
        const row = deviceRow(dev)
        rows.push(row)
        const addresses = [...row.addresses, ...(row.problem === undefined ? [] : [row.problem])]
        yield `${centerHex(row.device, width)}  ${row.name.padEnd(10)} ${addresses.join(', ')}\n`
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      rows.push({ device: 0n, name: '', ifindex: 0, addresses: [], problem: faultMark(error) })
      yield `${faultMark(error)}\n`
    }
  }
  return { rows, text: text(), get failed() { return rows.some(({ problem }) => problem !== undefined) } } // prettier-ignore
}

function deviceRow(dev: StructRef): DeviceJson {
  const row = { device: dev.$addr, name: '', ifindex: 0, addresses: [] as string[] }
  try {
    row.name = netdev_name(dev)
    row.ifindex = Number(dev.$int('ifindex'))
    row.addresses = netdev_addresses(dev)
    return row
  } catch (error) {
    if (isDamage(error)) return { ...row, problem: faultMark(error) }
    throw error
  }
}

/** An entry of `net -a --json`. */
export interface NeighbourJson {
  readonly neighbour: bigint
  readonly address: string
  readonly hardwareType: string
  readonly hardwareAddress: string
  readonly device: string
  readonly state: string
}

const ARP_HEADER = 'NEIGHBOUR        IP ADDRESS      HW TYPE    HW ADDRESS         DEVICE  STATE\n'

/** The ARP table. */
export function arpReport(target: Target): Report {
  const rows: NeighbourJson[] = []
  let failed = false
  const text = function* (): Generator<string> {
    try {
      for (const entry of arp_table(target)) {
        if (rows.length === 0) yield ARP_HEADER
        rows.push({ ...entry, hardwareAddress: hardwareAddress(entry).trim() })
        yield arpLine(entry)
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      failed = true
      yield `${faultMark(error)}\n`
    }
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}

/** Ethernet's bytes are joined by colons; each other kind's stand apart. A blank ends them. */
function hardwareAddress({ hardwareType, hardwareAddress: bytes }: NeighbourRow): string {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'))
  return digits.length === 0 ? '' : `${digits.join(hardwareType === 'ETHER' ? ':' : ' ')} `
}

function arpLine(entry: NeighbourRow): string {
  const start = `${hex(entry.neighbour).padEnd(16)} ${entry.address.padEnd(16)}${entry.hardwareType.padEnd(10)}`
  return `${start} ${hardwareAddress(entry)} ${entry.device.padEnd(6)}  ${entry.state}\n`
}

/** The tables of `dev`: majors, disks, PCI devices, ports and ranges of memory. */

import { hex } from '../base/addr.ts'
import {
  block_devices,
  char_devices,
  disk_row,
  gendisks,
  type BlockDevice,
  type CharDevice,
  type DiskRow,
} from '../helpers/device.ts'
import { pci_buses, type PciBus } from '../helpers/pci.ts'
import { resources, type ResourceRow } from '../helpers/resource.ts'
import { addressWidth } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import { crashSymbolAt } from './data-symbol.ts'
import type { Report } from './dump-command.ts'
import { Guarded } from './guarded.ts'

/** A report whose text may end at damage: what was found before stands. */
function reportOf(rows: object, lines: () => Generator<string>): Report {
  const guarded = new Guarded()
  return { rows, text: guarded.part(lines), get failed() { return guarded.failed } } // prettier-ignore
}

/** `dev --json` */
export interface MajorsJson {
  readonly character: (CharDevice & { readonly symbol?: string })[]
  readonly block: (BlockDevice & { readonly symbol?: string })[]
}

const NAME = 13
const OPERATIONS = 'OPERATIONS      '

/** `dev`: character devices, then block devices */
export function majorsReport(target: Target): Report {
  const rows: MajorsJson = { character: [], block: [] }
  const width = addressWidth(target.wordSize)
  const header = (kind: string, what: string, extra: 'left' | 'right'): string =>
    `${kind}    ${'NAME'.padEnd(NAME)}  ${center(what, width, extra)}  ${OPERATIONS}\n`
  const line = (major: number, name: string, at: bigint, symbol: string | undefined): string => {
    const first = `${String(major).padStart(4)}      ${name.padEnd(NAME)}  `
    if (at === 0n) return `${first}${center('(none)', width)}\n`
    return `${first}${hex(at).padStart(width)}  ${symbol ?? ''}\n`
  }
  return reportOf(rows, function* () {
    yield header('CHRDEV', 'CDEV', 'right')
    for (const device of char_devices(target)) {
      const symbol = operationsName(target, device.operations)
      rows.character.push({ ...device, ...(symbol !== undefined && { symbol }) })
      yield line(device.major, device.name, device.cdev, symbol)
    }
    yield `\n${header('BLKDEV', 'GENDISK', 'left')}`
    for (const device of block_devices(target)) {
      const symbol = operationsName(target, device.operations)
      rows.block.push({ ...device, ...(symbol !== undefined && { symbol }) })
      yield line(device.major, device.name, device.gendisk, symbol)
    }
  })
}

/** The symbol of a driver's table of functions, or its address where it has no name. */
function operationsName(target: Target, at: bigint): string | undefined {
  if (at === 0n) return undefined
  const hit = crashSymbolAt(target, at)
  return hit?.offset === 0 ? hit.name : hex(at)
}

/** `dev -d` and `dev -D` (only disks with requests under way) */
export function disksReport(target: Target, busyOnly: boolean): Report {
  const rows: DiskRow[] = []
  const width = addressWidth(target.wordSize) + 2
  return reportOf(rows, function* () {
    const head = `${'GENDISK'.padEnd(width)} ${'NAME'.padEnd(10)} ${'REQUEST_QUEUE'.padEnd(width)}`
    yield `MAJOR ${head} TOTAL  READ WRITE \n`
    for (const disk of gendisks(target)) {
      const row = disk_row(target, disk)
      if (busyOnly && row.total === 0) continue
      rows.push(row)
      const counts = [row.total, row.read, row.write].map((n) => String(n).padStart(5)).join(' ')
      const name = row.name.padEnd(10)
      const [gendisk, queue] = [row.gendisk, row.request_queue].map((at) => hex(at).padEnd(width))
      yield `${String(row.major).padStart(5)} ${gendisk} ${name} ${queue} ${counts} \n`
    }
  })
}

/** `dev -i --json` */
export interface ResourcesJson {
  readonly ports: ResourceRow[]
  readonly memory: ResourceRow[]
}

/** `dev -i`: I/O ports, then ranges of physical addresses */
export function resourcesReport(target: Target): Report {
  const rows: ResourcesJson = { ports: [], memory: [] }
  const width = addressWidth(target.wordSize)
  const table = function* (symbol: string, digits: number, into: ResourceRow[]): Generator<string> {
    const range = center('RANGE', 2 * digits + 1)
    yield `${center('RESOURCE', width)}  ${range}  NAME\n`
    for (const row of resources(target, symbol)) {
      into.push(row)
      const [start, end] = [row.start, row.end].map((at) => hex(at).replace(/^0+/, '').padStart(digits, '0'))
      yield `${hex(row.resource).padStart(width)}  ${start}-${end}  ${row.name}\n`
    }
  }
  return reportOf(rows, function* () {
    yield* table('ioport_resource', 4, rows.ports)
    yield '\n'
    yield* table('iomem_resource', 8, rows.memory)
  })
}

/** `dev -p`: PCI buses, each with its devices and then the buses behind it */
export function pciReport(target: Target): Report {
  const rows: PciBus[] = []
  const width = addressWidth(target.wordSize)
  return reportOf(rows, function* () {
    for (const bus of pci_buses(target)) {
      rows.push(bus)
      yield `${center('ROOT BUS', width)} BUSNAME\n${hex(bus.pci_bus).padStart(width)} ${bus.name}\n`
      yield* devicesText(bus, width)
    }
  })
}

function* devicesText(bus: PciBus, width: number): Generator<string> {
  if (bus.devices.length > 0) {
    yield `  ${center('PCI DEV', width)} DO:BU:SL.FN  CLASS  ${center('PCI_ID', 9)}  ${center('TYPE', 9)}\n`
  }
  const digits = (value: number): string => value.toString(16).padStart(4, '0')
  for (const device of bus.devices) {
    const id = `${digits(device.vendor)}:${digits(device.device)}`
    const at = `  ${hex(device.pci_dev).padStart(width)} ${device.slot}`
    yield `${at}  ${digits(device.class)}  ${id}  ${device.type.padEnd(9)}\n`
  }
  yield '\n'
  for (const child of bus.children) {
    yield `  ${center('PCI BUS', width)} ${center('PARENT BUS', width)}\n`
    yield `  ${hex(child.pci_bus).padStart(width)} ${hex(bus.pci_bus).padStart(width)}\n`
    yield* devicesText(child, width)
  }
}

/** A device dump in `dev -V --json`. */
export interface DeviceDumpRow {
  readonly index: number
  readonly size: number
  readonly name: string
}

/** Name and type of a note with what a driver left of its device. @see fs/proc/vmcore.c:vmcoredd_write_header */
const VMCOREDD = 'LINUX'
const NT_VMCOREDD = 0x700
const DUMP_NAME = 44

/** `dev -V`: what drivers added to the dump about their devices */
export function deviceDumpsReport(target: Target, note: (line: string) => void): Report {
  const found = target.container.notes.filter(({ name, type }) => name === VMCOREDD && type === NT_VMCOREDD)
  if (found.length === 0) {
    note('no device dumps found in this dumpfile')
    return { rows: [], text: '', failed: true }
  }
  const rows = found.map(({ desc }, index): DeviceDumpRow => {
    const end = desc.subarray(0, DUMP_NAME).indexOf(0)
    const name = Buffer.from(desc.subarray(0, end < 0 ? DUMP_NAME : end)).toString('latin1')
    return { index, size: Math.max(0, desc.length - DUMP_NAME), name: name }
  })
  const lines = rows.map(
    ({ index, size, name }) =>
      `${String(index).padStart(3)}   0x${size.toString(16).padStart(16, '0')} ${name}\n`,
  )
  return { rows, text: `INDEX SIZE               NAME\n${lines.join('')}` }
}

/** The PCI buses and the devices on them. */

import type { StructRef } from '../btf/ref.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { dev_name } from './device.ts'
import { findSymbolVa, type Kernel } from './kernel.ts'

const BUSES_MAX = 65_536
const DEVICES_MAX = 65_536
/** Bridges behind bridges. */
const DEPTH_MAX = 256

/** One function of a device. */
export interface PciDevice {
  /** `struct pci_dev *` */
  readonly pci_dev: bigint
  /** `0000:00:1f.2` */
  readonly slot: string
  readonly class: number
  readonly vendor: number
  readonly device: number
  readonly type: string
}

/** A bus with its devices and the buses behind its bridges. */
export interface PciBus {
  /** `struct pci_bus *` */
  readonly pci_bus: bigint
  readonly name: string
  readonly devices: readonly PciDevice[]
  readonly children: readonly PciBus[]
}

/** By the type in the express capability; a function without one is an endpoint. @see include/uapi/linux/pci_regs.h */
const TYPES: Readonly<Record<number, string>> = {
  0: 'ENDPOINT',
  1: 'LEG_END',
  4: 'ROOT_PORT',
  5: 'UPSTREAM',
  6: 'DOWNSTREAM',
  7: 'PCI_BRIDGE',
  8: 'PCIE_BRIDGE',
  9: 'RC_END',
  10: 'RC_EC',
}

/** @throws FaultError, ValidationError after the buses before the damage @see drivers/pci/probe.c:pci_root_buses */
export function* pci_buses(kernel: Kernel): Generator<PciBus> {
  const head = findSymbolVa(kernel, 'pci_root_buses')
  if (head === undefined || !kernel.types.has('pci_bus')) return
  const { types, mem } = kernel
  for (const bus of list_for_each_entry(types, mem, head, 'pci_bus', 'node', BUSES_MAX))
    yield read_bus(kernel, bus, { buses: 0 }, 0)
}

function read_bus(kernel: Kernel, bus: StructRef, work: { buses: number }, depth: number): PciBus {
  const { types, mem } = kernel
  const listed = list_for_each_entry(types, mem, bus.$vaOf('devices'), 'pci_dev', 'bus_list', DEVICES_MAX)
  const devices = [...listed].map((device) => pci_device(bus, device))
  const children: PciBus[] = []
  if (depth < DEPTH_MAX) {
    for (const child of list_for_each_entry(
      types,
      mem,
      bus.$vaOf('children'),
      'pci_bus',
      'node',
      BUSES_MAX,
    )) {
      if (++work.buses > BUSES_MAX) break
      children.push(read_bus(kernel, child, work, depth + 1))
    }
  }
  return { pci_bus: bus.$addr, name: dev_name(bus.$inside('dev')), devices, children }
}

function pci_device(bus: StructRef, device: StructRef): PciDevice {
  const devfn = Number(device.$int('devfn'))
  const hex = (value: number, width: number): string => value.toString(16).padStart(width, '0')
  const domain = /^([0-9a-f]+):/i.exec(dev_name(bus.$inside('dev')))?.[1] ?? '0000'
  const type = device.$has('pcie_flags_reg') ? (Number(device.$int('pcie_flags_reg')) >> 4) & 0xf : 0
  return {
    pci_dev: device.$addr,
    slot: `${domain}:${hex(Number(bus.$int('number')), 2)}:${hex(devfn >> 3, 2)}.${devfn & 7}`,
    class: Number(device.$int('class')) >>> 8,
    vendor: Number(device.$int('vendor')),
    device: Number(device.$int('device')),
    type: TYPES[type] ?? 'UNKNOWN',
  }
}

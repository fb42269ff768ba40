import { beforeEach, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { pci_buses } from '../../../src/helpers/pci.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel
let roots: number
let bus: StructRef

beforeEach(() => {
  k = new FlatKernel()
  roots = k.room(16)
  k.symbol('pci_root_buses', roots)
  k.emptyList(roots)
  bus = makeBus('0000:00')
  k.append(roots, bus.$vaOf('node'))
})

function makeBus(name: string): StructRef {
  const made: StructRef = k.make('pci_bus')
  made.$set('dev.init_name', k.text(name))
  k.emptyList(made.$vaOf('children'))
  k.emptyList(made.$vaOf('devices'))
  return made
}

function device(devfn: number, on = bus): StructRef {
  const made: StructRef = k.make('pci_dev')
  made.$set('devfn', devfn)
  made.$set('vendor', 0x8086)
  made.$set('device', 0x100e)
  made.$set('class', 0x020000)
  k.append(on.$vaOf('devices'), made.$vaOf('bus_list'))
  return made
}

test('a bus, its devices, and the bus behind a bridge', () => {
  device(0x18)
  const behind = makeBus('0000:01')
  behind.$set('number', 1)
  device(0, behind)
  k.append(bus.$vaOf('children'), behind.$vaOf('node'))
  expect([...pci_buses(k)]).toMatchObject([
    {
      name: '0000:00',
      devices: [{ slot: '0000:00:03.0', class: 0x200, vendor: 0x8086, device: 0x100e, type: 'ENDPOINT' }],
      children: [{ name: '0000:01', devices: [{ slot: '0000:01:00.0' }], children: [] }],
    },
  ])
})

test('a list of devices that does not come back', () => {
  const a = device(0)
  k.mem.setPointer(a.$vaOf('bus_list'), a.$vaOf('bus_list'))
  expect(() => [...pci_buses(k)]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
})

test('a bus that is its own child ends', () => {
  k.mem.setPointer(bus.$vaOf('children'), bus.$vaOf('node'))
  k.mem.setPointer(bus.$vaOf('node'), bus.$vaOf('node'))
  expect(() => [...pci_buses(k)]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
})

test('a device on a page that is not in the dump: the bus before is delivered', () => {
  const other = makeBus('0001:00')
  k.append(roots, other.$vaOf('node'))
  k.mem.setPointer(other.$vaOf('devices'), k.lonely(8))
  k.mem.unmap(k.mem.pointer(other.$vaOf('devices')))
  const walk = pci_buses(k)
  expect(walk.next().value).toMatchObject({ name: '0000:00' })
  expect(() => walk.next()).toThrow(expect.objectContaining({ code: 'FAULT' }))
})

import { beforeEach, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import {
  arp_table,
  for_each_netdev,
  netdev_addresses,
  netdev_name,
  nud_state_text,
  task_net,
} from '../../../src/helpers/net.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel
let net: StructRef

beforeEach(() => {
  k = new FlatKernel()
  net = k.make('net')
  k.emptyList(net.$vaOf('dev_base_head'))
})

function device(name: string): StructRef {
  const dev: StructRef = k.make('net_device')
  k.mem.write(dev.$vaOf('name'), Buffer.from(name))
  k.append(net.$vaOf('dev_base_head'), dev.$vaOf('dev_list'))
  return dev
}

test('for_each_netdev: none, then each in order', () => {
  expect([...for_each_netdev(net)]).toEqual([])
  device('lo')
  device('eth0')
  expect(Array.from(for_each_netdev(net), netdev_name)).toEqual(['lo', 'eth0'])
})

test('netdev_addresses: IPv4 in list order', () => {
  const dev = device('eth0')
  expect(netdev_addresses(dev)).toEqual([])
  const inDev: StructRef = k.make('in_device')
  dev.$set('ip_ptr', inDev)
  let before: StructRef | undefined
  for (const address of [0x0100007f, 0x0138a8c0]) {
    const ifa: StructRef = k.make('in_ifaddr')
    ifa.$set('ifa_address', address)
    if (before === undefined) inDev.$set('ifa_list', ifa)
    else before.$set('ifa_next', ifa)
    before = ifa
  }
  expect(netdev_addresses(dev)).toEqual(['127.0.0.1', '192.168.56.1'])
  before?.$set('ifa_next', before)
  expect(() => netdev_addresses(dev)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
})

test.each([
  [0x02, 'REACHABLE'],
  [0x80, 'PERMANENT'],
  [0x41, 'INCOMPLETE|NOARP'],
  [0, ''],
])('nud_state_text: 0x%x is %s', (state, text) => {
  expect(nud_state_text(state)).toBe(text)
})

test('arp_table: an entry with its device', () => {
  const table: StructRef = k.make('neigh_table')
  k.symbol('arp_tbl', table.$va)
  expect([...arp_table(k)]).toEqual([])
  const nht: StructRef = k.make('neigh_hash_table')
  table.$set('nht', nht)
  nht.$set('hash_shift', 2)
  const buckets = k.room(4 * 8)
  nht.$set('hash_buckets', BigInt(buckets))
  expect([...arp_table(k)]).toEqual([])
  const dev = device('eth0')
  dev.$set('type', 1)
  dev.$set('addr_len', 6)
  const neighbour: StructRef = k.types.ref('neighbour', k.mem, k.room(k.types.sizeof('neighbour') + 4))
  neighbour.$set('dev', dev)
  neighbour.$set('nud_state', 2)
  k.mem.setU32(neighbour.$vaOf('primary_key'), 0x6538a8c0)
  k.mem.write(neighbour.$vaOf('ha'), Uint8Array.of(2, 0, 0, 0, 0, 0x99))
  k.mem.setPointer(buckets + 3 * 8, neighbour.$va)
  expect([...arp_table(k)]).toEqual([
    {
      neighbour: neighbour.$addr,
      address: '192.168.56.101',
      hardwareType: 'ETHER',
      hardwareAddress: Uint8Array.of(2, 0, 0, 0, 0, 0x99),
      device: 'eth0',
      state: 'REACHABLE',
    },
  ])
  nht.$set('hash_shift', 60)
  expect(() => [...arp_table(k)]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
})

test('task_net: through nsproxy, null when the task has given it up', () => {
  const task: StructRef = k.make('task_struct')
  expect(task_net(k, task)).toBeNull()
  const nsproxy: StructRef = k.make('nsproxy')
  nsproxy.$set('net_ns', net)
  task.$set('nsproxy', nsproxy)
  expect(task_net(k, task)?.$va).toBe(net.$va)
})

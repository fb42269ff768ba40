/** Network namespaces, interfaces, their addresses, and the ARP table. */

import { toVa, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { in6_groups, ipv4_text, ipv6_text } from './inet-address.ts'
import { globalRef, type Kernel } from './kernel.ts'

const CHAIN_MAX = 100_000
/** neigh_hash_grow stops far below */
const HASH_SHIFT_MAX = 24

/** Every network namespace, the initial one first. @returns `struct net *` each @see include/net/net_namespace.h */
export function* for_each_net(kernel: Kernel): Generator<StructRef> {
  const { types, mem } = kernel
  yield* list_for_each_entry(
    types,
    mem,
    globalRef(kernel, 'net_namespace_list', 'list_head').$va,
    'net',
    'list',
  )
}

/** `struct net *` of a task; the initial one when the kernel has no namespaces. */
export function task_net(kernel: Kernel, task: StructRef): StructRef | null {
  if (!task.$has('nsproxy')) return globalRef(kernel, 'init_net', 'net')
  return task.$ref('nsproxy')?.$ref('net_ns') ?? null
}

/** The interfaces of a namespace in order of registration. @see include/linux/netdevice.h:for_each_netdev */
export function* for_each_netdev(net: StructRef): Generator<StructRef> {
  yield* list_for_each_entry(net.$types, net.$mem, net.$vaOf('dev_base_head'), 'net_device', 'dev_list')
}

export function netdev_name(dev: StructRef): string {
  return dev.$array('name').$string()
}

/**
 * The IPv4 addresses of an interface.
 *
 * @see include/linux/inetdevice.h:in_dev_for_each_ifa_rcu
 */
export function* for_each_ifa(dev: StructRef): Generator<StructRef> {
  let ifa = dev.$ref('ip_ptr')?.$ref('ifa_list') ?? null
  for (let hops = 0; ifa !== null; hops++) {
    if (hops > CHAIN_MAX) throw new ValidationError(dev.$addr, 'an address list that ends', 'a loop')
    yield ifa
    ifa = ifa.$ref('ifa_next')
  }
}

/** The IPv6 addresses of an interface as `struct inet6_ifaddr *`, in its list's order. */
export function* for_each_inet6_ifaddr(dev: StructRef): Generator<StructRef> {
  const idev = dev.$has('ip6_ptr') ? dev.$ref('ip6_ptr') : null
  if (idev === null || !dev.$types.has('inet6_ifaddr', 'if_list')) return
  yield* list_for_each_entry(dev.$types, dev.$mem, idev.$vaOf('addr_list'), 'inet6_ifaddr', 'if_list')
}

/** All addresses of an interface as text, IPv4 before IPv6. */
export function netdev_addresses(dev: StructRef): string[] {
  const v4 = Array.from(for_each_ifa(dev), (ifa) => ipv4_text(Number(ifa.$int('ifa_address')) >>> 0))
  const v6 = Array.from(for_each_inet6_ifaddr(dev), (ifa) =>
    ipv6_text(in6_groups(dev.$mem, ifa.$vaOf('addr'))),
  )
  return [...v4, ...v6]
}

/** @see include/net/neighbour.h:NUD_* */
const NUD = [
  [0x01, 'INCOMPLETE'],
  [0x02, 'REACHABLE'],
  [0x04, 'STALE'],
  [0x08, 'DELAY'],
  [0x10, 'PROBE'],
  [0x20, 'FAILED'],
  [0x40, 'NOARP'],
  [0x80, 'PERMANENT'],
] as const

/** Flags of a neighbour's `nud_state`, joined by `|`. */
export function nud_state_text(state: number): string {
  return NUD.filter(([bit]) => (state & bit) !== 0)
    .map(([, name]) => name)
    .join('|')
}

/** @see include/uapi/linux/if_arp.h:ARPHRD_* */
const HARDWARE_TYPES = new Map([
  [0, 'NETROM'],
  [1, 'ETHER'],
  [2, 'EETHER'],
  [3, 'AX25'],
  [4, 'PRONET'],
  [5, 'CHAOS'],
  [6, 'IEEE802'],
  [7, 'ARCNET'],
  [8, 'APPLETLK'],
  [15, 'DLCI'],
  [23, 'METRICOM'],
])

/** One entry of a neighbour table. */
export interface NeighbourRow {
  readonly neighbour: bigint
  readonly address: string
  readonly hardwareType: string
  /** `ha`, as long as the device's addresses are */
  readonly hardwareAddress: Uint8Array
  readonly device: string
  readonly state: string
}

/**
 * The entries of the ARP table in the order of its buckets.
 *
 * @throws ValidationError on an impossible table size or a chain that loops
 * @see net/core/neighbour.c:neigh_get_first
 */
export function* arp_table(kernel: Kernel): Generator<NeighbourRow> {
  const { mem } = kernel
  const nht = globalRef(kernel, 'arp_tbl', 'neigh_table').$ref('nht')
  if (nht === null) return
  const shift = Number(nht.$int('hash_shift'))
  if (shift > HASH_SHIFT_MAX) throw new ValidationError(nht.$addr, 'a neighbour table', `2^${shift} buckets`)
  const buckets = toVa(nht.$int('hash_buckets'), mem.wordSize)
  for (let i = 0; i < 2 ** shift; i++) {
    const slot = buckets + i * mem.wordSize
    for (const neighbour of chain(kernel, slot)) yield neighbourRow(neighbour)
  }
}

function* chain(kernel: Kernel, slot: Va): Generator<StructRef> {
  let at = kernel.mem.pointer(slot)
  for (let hops = 0; at !== 0; hops++) {
    const neighbour = kernel.types.ref('neighbour', kernel.mem, at) as StructRef
    if (hops > CHAIN_MAX) throw new ValidationError(neighbour.$addr, 'a chain that ends', 'a loop')
    yield neighbour
    at = kernel.mem.pointer(neighbour.$vaOf('next'))
  }
}

function neighbourRow(neighbour: StructRef): NeighbourRow {
  const dev = neighbour.$ref('dev')
  const { $mem: mem } = neighbour
  const length = dev === null ? 0 : Number(dev.$int('addr_len'))
  return {
    neighbour: neighbour.$addr,
    address: ipv4_text(mem.u32(neighbour.$vaOf('primary_key'))),
    hardwareType: dev === null ? 'UNKNOWN' : hardwareType(Number(dev.$int('type'))),
    hardwareAddress: mem.read(neighbour.$vaOf('ha'), Math.min(length, 32)),
    device: dev === null ? '' : netdev_name(dev),
    state: nud_state_text(Number(neighbour.$int('nud_state'))),
  }
}

function hardwareType(type: number): string {
  return HARDWARE_TYPES.get(type) ?? 'UNKNOWN'
}

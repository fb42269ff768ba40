/** UDP's two tables of socks: by local port, and by local address and port. */

import type { Va } from '../../../../base/addr.ts'
import type { sock, udp_hslot, udp_table as UdpTable } from '../../../../btf/vmlinux.ts'
import { INIT_HLIST_NODE } from '../../../../structures/hlist.ts'
import { deref } from '../../../deref.ts'
import { perKernel, type Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { kvzalloc } from '../../../mm/slab.ts'
import { net_hash_mix } from '../inet_hashtables.ts'

/** Slots of each table: a power of two, one for every two megabytes of memory. */
const UDP_HTABLE_SIZE_MIN = 256
const UDP_HTABLE_SIZE_MAX = 64 * 1024
const SCALE = 2 ** 21

export const udp_table = (k: Kernel): UdpTable => k.global('udp_table', 'udp_table')

/** @see net/ipv4/udp.c:udp_table_init */
export const udp_table_init = kfunc('net/ipv4/udp.c', function udp_table_init(k, table: UdpTable): void {
  const wanted = 2 ** Math.ceil(Math.log2(k.mem.sizeBytes / SCALE))
  const slots = Math.min(Math.max(wanted, UDP_HTABLE_SIZE_MIN), UDP_HTABLE_SIZE_MAX)
  const slot = k.types.sizeof('udp_hslot')
  const at = kvzalloc(k, 2 * slots * slot)
  table.hash = BigInt(at)
  table.hash2 = BigInt(at + slots * slot)
  table.mask = slots - 1
  table.log = Math.log2(slots)
})

/** Where the tables lie: never changes after boot. */
const places = perKernel((k) => {
  const table = udp_table(k)
  return {
    hash: deref(table.hash).$va,
    hash2: deref(table.hash2).$va,
    mask: table.mask,
    slot: k.types.sizeof('udp_hslot'),
    portaddr: k.types.offsetof('sock', '__sk_common.skc_portaddr_node'),
    node: k.types.offsetof('sock', '__sk_common.skc_node'),
    hashes: k.types.offsetof('sock', '__sk_common.skc_u16hashes'),
  }
})

export const udp_slots = (k: Kernel): number => places(k).mask + 1
export const udp_log = (k: Kernel): number => udp_table(k).log

/** The slot of a local port. @param num host order @see include/net/udp.h:udp_hashslot */
export function udp_hashslot(k: Kernel, num: number): udp_hslot {
  const { hash, mask, slot } = places(k)
  return k.ref('udp_hslot', hash + ((num + net_hash_mix(k)) & mask) * slot)
}

/** The slot of a local address and port. @param hash ipv4_portaddr_hash() of them @see include/net/udp.h:udp_hashslot2 */
export function udp_hashslot2(k: Kernel, hash: number): udp_hslot {
  const { hash2, mask, slot } = places(k)
  return k.ref('udp_hslot', hash2 + (hash & mask) * slot)
}

/** Hash of the port: the port itself. @see include/linux/udp.h:udp_port_hash */
export const udp_port_hash = (k: Kernel, sk: sock): number => k.mem.u16(sk.$va + places(k).hashes)
export const set_udp_port_hash = (k: Kernel, sk: sock, port: number): void =>
  k.mem.setU16(sk.$va + places(k).hashes, port)

/** Low half of the hash of local address and port. @see include/linux/udp.h:udp_portaddr_hash */
export const udp_portaddr_hash = (k: Kernel, sk: sock): number => k.mem.u16(sk.$va + places(k).hashes + 2)
export const set_udp_portaddr_hash = (k: Kernel, sk: sock, hash: number): void =>
  k.mem.setU16(sk.$va + places(k).hashes + 2, hash & 0xffff)

/** The link of a sock in the table by port. */
export const udp_node = (k: Kernel, sk: sock): Va => sk.$va + places(k).node
/** The link of a sock in the table by address and port. */
export const udp_portaddr_node = (k: Kernel, sk: sock): Va => sk.$va + places(k).portaddr

/** Socks of a slot, through their links. */
export function* udp_for_each(k: Kernel, slot: udp_hslot, link: 'node' | 'portaddr'): Generator<sock> {
  const offset = places(k)[link]
  const seen = new Set<Va>()
  for (let node = k.mem.pointer(slot.$va); node !== 0 && !seen.has(node); node = k.mem.pointer(node)) {
    seen.add(node)
    yield k.ref('sock', node - offset)
  }
}

export const portaddr_node_init = (k: Kernel, sk: sock): void =>
  INIT_HLIST_NODE(k.mem, udp_portaddr_node(k, sk))

/** One sock more or less in a slot. */
export function slot_count(slot: udp_hslot, by: number): void {
  slot.count = slot.count + by
}

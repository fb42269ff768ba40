/** Local ports of UDP socks: taking one, giving it back, and moving when the local address becomes known. */

import type { sock, udp_hslot } from '../../../../btf/vmlinux.ts'
import { INADDR_ANY } from '../../../../abi/in.ts'
import { SOCK_RCU_FREE } from '../../../../abi/sock.ts'
import { AF_INET6 } from '../../../../abi/socket.ts'
import { hlist_add_head, hlist_add_tail_rcu, hlist_del_init_rcu } from '../../../../structures/hlist.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import {
  __sock_put,
  sk_hashed,
  sk_unhashed,
  sock_hold,
  sock_net,
  sock_set_flag,
} from '../../../include/net/sock.ts'
import { inet_rcv_saddr_equal } from '../inet_connection_sock/rcv_saddr.ts'
import { ipv4_portaddr_hash, ipv6_portaddr_hash, sock_prot_inuse_add } from '../inet_hashtables.ts'
import {
  set_udp_port_hash,
  set_udp_portaddr_hash,
  slot_count,
  udp_for_each,
  udp_hashslot,
  udp_hashslot2,
  udp_log,
  udp_node,
  udp_port_hash,
  udp_portaddr_hash,
  udp_portaddr_node,
  udp_slots,
} from './table.ts'

const FILE = 'net/ipv4/udp.c'

/** Are two socks of one port in each other's way? */
function conflicts(k: Kernel, sk: sock, sk2: sock): boolean {
  if (sk2.$va === sk.$va || (sk2.sk_reuse !== 0 && sk.sk_reuse !== 0)) return false
  const [dev, dev2] = [sk.sk_bound_dev_if, sk2.sk_bound_dev_if]
  if (dev !== 0 && dev2 !== 0 && dev !== dev2) return false
  if (!inet_rcv_saddr_equal(k, sk, sk2, true)) return false
  return !(sk.sk_reuseport !== 0 && sk2.sk_reuseport !== 0 && sk.sk_uid.val === sk2.sk_uid.val)
}

/**
 * Is a port taken?
 *
 * @param bitmap when given, all ports of the slot that are taken are marked instead: bit `port >> log`
 * @see net/ipv4/udp.c:udp_lib_lport_inuse
 */
export const udp_lib_lport_inuse = kfunc(
  FILE,
  function udp_lib_lport_inuse(
    k,
    num: number,
    hslot: udp_hslot,
    bitmap: Set<number> | null,
    sk: sock,
  ): boolean {
    for (const sk2 of udp_for_each(k, hslot, 'node')) {
      const port = udp_port_hash(k, sk2)
      if (bitmap === null && port !== num) continue
      if (!conflicts(k, sk, sk2)) continue
      if (bitmap === null) return true
      bitmap.add(port >>> udp_log(k))
    }
    return false
  },
)

/** A free port of the range, tried from a random place on. @returns undefined when there is none */
function anyPort(k: Kernel, sk: sock): number | undefined {
  const { range } = sock_net(sk).ipv4.ip_local_ports
  const [low, high] = [range.num(0), range.num(1)]
  const slots = udp_slots(k)
  const first = low + k.random.below(high - low + 1)
  const step = ((k.random.u32() | 1) * slots) & 0xffff
  for (let slot = first; slot < first + slots; slot++) {
    const taken = new Set<number>()
    udp_lib_lport_inuse(k, slot & 0xffff, udp_hashslot(k, slot), taken, sk)
    let port = slot & 0xffff
    do {
      if (port >= low && port <= high && !taken.has(port >>> udp_log(k))) return port
      port = (port + step) & 0xffff
    } while (port !== (slot & 0xffff))
  }
  return undefined
}

/**
 * Take a port and a place in both tables.
 *
 * @param snum          host order; 0 takes any
 * @param hash2_nulladdr hash of the port on any address: the slot a wildcard sock is in
 * @returns 0, or 1 when the port is taken
 * @see net/ipv4/udp.c:udp_lib_get_port
 * @remarks slots are always searched by the port: the short cut through the other table changes nothing one sees
 */
export const udp_lib_get_port = kfunc(
  FILE,
  function udp_lib_get_port(k, sk: sock, snum: number, _hash2_nulladdr: number): number {
    const port = snum === 0 ? anyPort(k, sk) : snum
    if (port === undefined) return 1
    const hslot = udp_hashslot(k, port)
    if (snum !== 0 && udp_lib_lport_inuse(k, port, hslot, null, sk)) return 1
    sk.sk_num = port
    set_udp_port_hash(k, sk, port)
    set_udp_portaddr_hash(k, sk, udp_portaddr_hash(k, sk) ^ port)
    if (sk_unhashed(k, sk)) link(k, sk, hslot)
    sock_set_flag(k, sk, SOCK_RCU_FREE)
    return 0
  },
)

function link(k: Kernel, sk: sock, hslot: udp_hslot): void {
  sock_hold(sk)
  hlist_add_head(k.mem, udp_node(k, sk), hslot.$va)
  slot_count(hslot, 1)
  sock_prot_inuse_add(k, sk, 1)
  addByAddress(k, sk, udp_hashslot2(k, udp_portaddr_hash(k, sk)))
}

function addByAddress(k: Kernel, sk: sock, hslot2: udp_hslot): void {
  const last = sk.sk_reuseport !== 0 && sk.sk_family === AF_INET6
  if (last) hlist_add_tail_rcu(k.mem, udp_portaddr_node(k, sk), hslot2.$va)
  else hlist_add_head(k.mem, udp_portaddr_node(k, sk), hslot2.$va)
  slot_count(hslot2, 1)
}

/** @returns 0, or 1 when the port is taken @see net/ipv4/udp.c:udp_v4_get_port */
export const udp_v4_get_port = kfunc(FILE, function udp_v4_get_port(k, sk: sock, snum: number): number {
  const nulladdr = ipv4_portaddr_hash(k, INADDR_ANY, snum)
  // the port is mixed in when it is known
  set_udp_portaddr_hash(k, sk, ipv4_portaddr_hash(k, sk.sk_rcv_saddr, 0))
  return udp_lib_get_port(k, sk, snum, nulladdr)
})

/** As {@link udp_v4_get_port}, for a sock of AF_INET6. @see net/ipv6/udp.c:udp_v6_get_port */
export const udp_v6_get_port = kfunc(
  'net/ipv6/udp.c',
  function udp_v6_get_port(k, sk: sock, snum: number): number {
    set_udp_portaddr_hash(k, sk, ipv6_portaddr_hash(k, sk.sk_v6_rcv_saddr, 0))
    return udp_lib_get_port(k, sk, snum, 0)
  },
)

/** @see net/ipv6/udp.c:udp_v6_rehash */
export const udp_v6_rehash = kfunc('net/ipv6/udp.c', function udp_v6_rehash(k, sk: sock): void {
  udp_lib_rehash(k, sk, ipv6_portaddr_hash(k, sk.sk_v6_rcv_saddr, sk.sk_num))
})

/** Out of both tables; the port is free again. @see net/ipv4/udp.c:udp_lib_unhash */
export const udp_lib_unhash = kfunc(FILE, function udp_lib_unhash(k, sk: sock): void {
  if (!sk_hashed(k, sk)) return
  hlist_del_init_rcu(k.mem, udp_node(k, sk))
  __sock_put(sk)
  slot_count(udp_hashslot(k, udp_port_hash(k, sk)), -1)
  sk.sk_num = 0
  sock_prot_inuse_add(k, sk, -1)
  hlist_del_init_rcu(k.mem, udp_portaddr_node(k, sk))
  slot_count(udp_hashslot2(k, udp_portaddr_hash(k, sk)), -1)
})

/** The local address changed: into the slot of the new one. @see net/ipv4/udp.c:udp_lib_rehash */
export const udp_lib_rehash = kfunc(FILE, function udp_lib_rehash(k, sk: sock, newhash: number): void {
  if (!sk_hashed(k, sk)) return
  const from = udp_hashslot2(k, udp_portaddr_hash(k, sk))
  const to = udp_hashslot2(k, newhash)
  set_udp_portaddr_hash(k, sk, newhash)
  if (from.$va === to.$va) return
  hlist_del_init_rcu(k.mem, udp_portaddr_node(k, sk))
  slot_count(from, -1)
  hlist_add_head(k.mem, udp_portaddr_node(k, sk), to.$va)
  slot_count(to, 1)
})

/** @see net/ipv4/udp.c:udp_v4_rehash */
export const udp_v4_rehash = kfunc(FILE, function udp_v4_rehash(k, sk: sock): void {
  udp_lib_rehash(k, sk, ipv4_portaddr_hash(k, sk.sk_rcv_saddr, sk.sk_num))
})

/** Never called: a sock joins the tables with its port. @see include/net/udp.h:udp_lib_hash */
export const udp_lib_hash = kfunc(FILE, function udp_lib_hash(_k, _sk: sock): number {
  return 0
})

/** Which UDP sock a datagram is for. */

import { ntohs } from '../../../../base/u32.ts'
import type { sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { INADDR_ANY } from '../../../../abi/in.ts'
import { PF_INET } from '../../../../abi/socket.ts'
import { TCP_ESTABLISHED } from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { refcount_inc_not_zero } from '../../../lib/refcount.ts'
import { dst_check } from '../../core/sock/dst.ts'
import { sock_put } from '../../core/sock.ts'
import { ip_hdr, skb_dst_set_noref, skb_transport_header } from '../../core/skbuff.ts'
import { ipv4_portaddr_hash } from '../inet_hashtables.ts'
import { udp_for_each, udp_hashslot2, udp_port_hash } from './table.ts'

const FILE = 'net/ipv4/udp.c'

/** Ends of a datagram: addresses and ports as the packet has them, the local port in host order. */
export interface UdpEnds {
  readonly saddr: number
  readonly sport: number
  readonly daddr: number
  readonly hnum: number
  /** index of the device it came by */
  readonly dif: number
}

/**
 * How well a sock suits: -1 not at all; what it is bound and connected to counts most.
 * @param daddr the address its slot stands for: the packet's, or any
 * @see net/ipv4/udp.c:compute_score
 */
function compute_score(k: Kernel, sk: sock, ends: UdpEnds, daddr: number): number {
  if (udp_port_hash(k, sk) !== ends.hnum || sk.sk_ipv6only === 1 || sk.sk_rcv_saddr !== daddr) return -1
  let score = sk.sk_family === PF_INET ? 2 : 1
  if (sk.sk_daddr !== 0) {
    if (sk.sk_daddr !== ends.saddr) return -1
    score += 4
  }
  if (sk.sk_dport !== 0) {
    if (sk.sk_dport !== ends.sport) return -1
    score += 4
  }
  const bound = sk.sk_bound_dev_if
  if (bound !== 0 && bound !== ends.dif) return -1
  if (bound !== 0) score += 4
  return sk.sk_incoming_cpu === k.cpu.id ? score + 1 : score
}

const udp4_lib_lookup2 = kfunc(FILE, function udp4_lib_lookup2(k, ends: UdpEnds, daddr: number): sock | null {
  let result: sock | null = null
  let badness = 0
  const slot = udp_hashslot2(k, ipv4_portaddr_hash(k, daddr, ends.hnum))
  for (const sk of udp_for_each(k, slot, 'portaddr')) {
    const score = compute_score(k, sk, ends, daddr)
    if (score <= badness) continue
    badness = score
    result = sk
  }
  return result
})

/**
 * The sock a datagram goes to: one bound to its destination first, then one bound to any address. No reference.
 * @see net/ipv4/udp.c:__udp4_lib_lookup
 */
export const __udp4_lib_lookup = kfunc(FILE, function __udp4_lib_lookup(k, ends: UdpEnds): sock | null {
  return udp4_lib_lookup2(k, ends, ends.daddr) ?? udp4_lib_lookup2(k, ends, INADDR_ANY)
})

/** The ends of a packet whose transport header is set. */
export function udp_ends(k: Kernel, skb: sk_buff): UdpEnds {
  const iph = ip_hdr(k, skb)
  const uh = k.ref('udphdr', skb_transport_header(k, skb))
  return {
    saddr: iph.saddr,
    sport: uh.source,
    daddr: iph.daddr,
    hnum: ntohs(uh.dest),
    dif: skb.skb_iif,
  }
}

/** A connected sock for the packet: only the first of its slot is looked at. @see net/ipv4/udp.c:__udp4_lib_demux_lookup */
function demuxLookup(k: Kernel, ends: UdpEnds): sock | null {
  const slot = udp_hashslot2(k, ipv4_portaddr_hash(k, ends.daddr, ends.hnum))
  for (const sk of udp_for_each(k, slot, 'portaddr')) {
    const matches =
      sk.sk_daddr === ends.saddr &&
      sk.sk_rcv_saddr === ends.daddr &&
      sk.sk_dport === ends.sport &&
      sk.sk_num === ends.hnum
    return matches && sk.sk_state === TCP_ESTABLISHED ? sk : null
  }
  return null
}

/** The packet gives its sock back. @see net/core/sock.c:sock_efree */
export const sock_efree = kfunc('net/core/sock.c', function sock_efree(k, skb: sk_buff): void {
  const { sk } = skb
  if (sk !== null) sock_put(k, sk)
})

/**
 * Before routing: find the connected sock, and with it the route it got its last packet by.
 * @returns 0
 * @see net/ipv4/udp.c:udp_v4_early_demux
 */
export const udp_v4_early_demux = kfunc(FILE, function udp_v4_early_demux(k, skb: sk_buff): number {
  if (skb.len < ip_hdr(k, skb).ihl * 4 + 8) return 0
  const sk = demuxLookup(k, udp_ends(k, skb))
  if (sk === null || !refcount_inc_not_zero(sk.sk_refcnt)) return 0
  skb.sk = sk
  skb.destructor = k.text(sock_efree)
  const dst = sk.sk_rx_dst
  if (dst !== null && sk.sk_rx_dst_ifindex === skb.skb_iif && dst_check(k, dst, 0) !== null) {
    skb_dst_set_noref(skb, dst)
  }
  return 0
})

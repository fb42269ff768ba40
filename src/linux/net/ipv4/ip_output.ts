/**
 * IPv4 on its way out: the header in front of a segment, the LOCAL_OUT and POST_ROUTING hooks, the neighbour.
 *
 * @see net/ipv4/ip_output.c
 */

import { htons } from '../../../base/u32.ts'
import { from } from '../../../btf/ref.ts'
import type { dst_entry, inet_sock, iphdr, net, sk_buff, sock } from '../../../btf/vmlinux.ts'
import type { Sourced } from '../../../memory/memory.ts'
import { EHOSTUNREACH } from '../../../abi/errno.ts'
import { ETH_P_IP } from '../../../abi/if.ts'
import { NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING } from '../../../abi/netfilter.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { neigh_output, ip_neigh_for_gw } from '../core/neighbour.ts'
import {
  ip_hdr,
  kfree_skb,
  skb_dst,
  skb_dst_set,
  skb_dst_set_noref,
  skb_push,
  skb_reset_network_header,
} from '../core/skbuff.ts'
import { init_net } from '../core/net_namespace.ts'
import { nf_hook } from '../netfilter/core.ts'
import { ip_fast_csum } from './checksum.ts'
import { ip_route_output_ports, type Flow } from './route.ts'

const IP_DF = 0x4000
const HEADER = 20
export const IPDEFTTL = 64

type Output = (k: Kernel, net: net, sk: sock | null, skb: sk_buff) => number

/** @see net/ipv4/ip_output.c:ip_send_check */
export const ip_send_check = kfunc(
  'net/ipv4/ip_output.c',
  function ip_send_check(k: Kernel, iph: { $va: number }): void {
    const header = k.ref('iphdr', iph.$va)
    header.check = 0
    header.check = ip_fast_csum(k, header.$va, header.ihl)
  },
)

/**
 * Length and checksum, then the LOCAL_OUT hooks.
 * @returns 1 when the packet may go out
 * @see net/ipv4/ip_output.c:__ip_local_out
 */
export const __ip_local_out = kfunc(
  'net/ipv4/ip_output.c',
  function __ip_local_out(k: Kernel, net: net, sk: sock | null, skb: sk_buff): number {
    const iph = ip_hdr(k, skb)
    iph.tot_len = htons(skb.len)
    ip_send_check(k, iph)
    skb.protocol = htons(ETH_P_IP)
    const out = skb_dst(k, skb)?.dev ?? null
    return nf_hook(k, skb, { hook: NF_INET_LOCAL_OUT, net, sk, in: null, out })
  },
)

/** @returns 0, or a negative errno from a hook or the device */
export const ip_local_out = kfunc(
  'net/ipv4/ip_output.c',
  function ip_local_out(k: Kernel, net: net, sk: sock | null, skb: sk_buff): number {
    const verdict = __ip_local_out(k, net, sk, skb)
    return verdict === 1 ? dst_output(k, net, sk, skb) : verdict
  },
  { sibling: true },
)

/** @see include/net/dst.h:dst_output */
function dst_output(k: Kernel, net: net, sk: sock | null, skb: sk_buff): number {
  const dst = skb_dst(k, skb)
  if (dst === null) return -EHOSTUNREACH
  return k.indirect<Output>(dst.output)(k, net, sk, skb)
}

export const ip_output = kfunc(
  'net/ipv4/ip_output.c',
  function ip_output(k: Kernel, net: net, sk: sock | null, skb: sk_buff): number {
    const dev = skb_dst(k, skb)?.dev ?? null
    skb.dev = dev
    skb.protocol = htons(ETH_P_IP)
    const verdict = nf_hook(k, skb, {
      hook: NF_INET_POST_ROUTING,
      net,
      sk,
      in: null,
      out: dev,
      okfn: ip_finish_output,
    })
    return verdict === 1 ? ip_finish_output(k, net, sk, skb) : verdict
  },
)

const ip_finish_output = kfunc(
  'net/ipv4/ip_output.c',
  function ip_finish_output(k: Kernel, net: net, sk: sock | null, skb: sk_buff): number {
    return __ip_finish_output(k, net, sk, skb)
  },
  { sibling: true },
)

/** @remarks segments never exceed the MTU here, so there is nothing to fragment */
const __ip_finish_output = kfunc(
  'net/ipv4/ip_output.c',
  function __ip_finish_output(k: Kernel, net: net, sk: sock | null, skb: sk_buff): number {
    return ip_finish_output2(k, net, sk, skb)
  },
  { sibling: true },
)

/**
 * Hand the packet to the neighbour it goes through.
 * @remarks softirqs stay on, as since the neighbours' tables are under plain RCU: older kernels ran what a packet
 * over the loopback raised at the end of this function, not of __dev_queue_xmit
 */
const ip_finish_output2 = kfunc(
  'net/ipv4/ip_output.c',
  function ip_finish_output2(k: Kernel, _net: net, _sk: sock | null, skb: sk_buff): number {
    const dst = skb_dst(k, skb) as dst_entry
    const neigh = ip_neigh_for_gw(k, k.ref('rtable', dst), skb)
    return neigh_output(k, neigh, skb)
  },
)

/**
 * Send a segment of a connected socket along its cached route.
 *
 * @param skb `struct sk_buff *` — transport header in place at `skb->data`
 * @param flow `struct flowi *` — the socket's `cork.fl`
 * @see net/ipv4/ip_output.c:__ip_queue_xmit
 */
export const __ip_queue_xmit = kfunc(
  'net/ipv4/ip_output.c',
  function __ip_queue_xmit(k: Kernel, sk: sock, skb: sk_buff, _flow: unknown, tos: number): number {
    const inet = k.ref('inet_sock', sk)
    const net = init_net(k)
    let rt = skb_dst(k, skb)
    if (rt === null) {
      rt = sk_dst(k, sk) ?? reroute(k, sk, inet, tos)
      if (rt === null) {
        kfree_skb(k, skb)
        return -EHOSTUNREACH
      }
      skb_dst_set_noref(skb, rt)
    }
    skb_push(k, skb, HEADER)
    skb_reset_network_header(k, skb)
    const iph = ip_hdr(k, skb)
    k.mem.setU16(iph.$va, htons((4 << 12) | (5 << 8) | (tos & 0xff)))
    iph.frag_off = dontFragment(inet) ? htons(IP_DF) : 0
    iph.ttl = selectTtl(inet)
    iph.protocol = sk.sk_protocol
    // ip_copy_addrs: from the flow, which the socket's own addresses went into
    iph.saddr = from(inet, 'inet_saddr')
    iph.daddr = from(inet.sk.__sk_common, 'skc_daddr')
    selectId(k, iph, inet)
    skb.priority = sk.sk_priority
    skb.mark = sk.sk_mark
    return ip_local_out(k, net, sk, skb)
  },
)

export const ip_queue_xmit = kfunc(
  'net/ipv4/ip_output.c',
  function ip_queue_xmit(k: Kernel, sk: sock, skb: sk_buff, flow: unknown): number {
    return __ip_queue_xmit(k, sk, skb, flow, k.ref('inet_sock', sk).tos)
  },
  { sibling: true },
)

/** `inet_id` counts up with every packet of a connected socket. @see include/net/ip.h:ip_select_ident_segs */
function selectId(k: Kernel, iph: iphdr, inet: inet_sock): void {
  const at = inet.$vaOf('inet_id')
  const wide = k.types.sizeof(k.types.place('inet_sock', 'inet_id').type) === 4
  const id = wide ? k.mem.u32(at) : k.mem.u16(at)
  iph.id = htons(id & 0xffff)
  if (wide) k.mem.setU32(at, (id + 1) >>> 0)
  else k.mem.setU16(at, (id + 1) & 0xffff)
}

const dontFragment = (inet: inet_sock): boolean => inet.pmtudisc !== 0
const selectTtl = (inet: inet_sock): number => (inet.uc_ttl < 0 ? IPDEFTTL : inet.uc_ttl)

/** The socket's cached route, while it is still good. @see net/core/sock.c:__sk_dst_check */
function sk_dst(k: Kernel, sk: sock): dst_entry | null {
  const dst = sk.sk_dst_cache
  return dst === null || dst.obsolete > 0 ? null : k.ref('dst_entry', dst)
}

function reroute(k: Kernel, sk: sock, inet: inet_sock, tos: number): dst_entry | null {
  const common = inet.sk.__sk_common
  const rt = ip_route_output_ports(k, {
    saddr: inet.inet_saddr,
    daddr: common.skc_daddr,
    sport: inet.inet_sport,
    dport: common.skc_dport,
    oif: common.skc_bound_dev_if,
    tos,
    proto: sk.sk_protocol,
  })
  if (typeof rt === 'number') return null
  sk.sk_dst_cache = rt.dst
  return rt.dst
}

/**
 * The SYN-ACK's way out: the addresses come from the request, the id is 0, DF is set.
 *
 * @param saddr,daddr `__be32`
 * @see net/ipv4/ip_output.c:ip_build_and_send_pkt
 */
export const ip_build_and_send_pkt = kfunc(
  'net/ipv4/ip_output.c',
  function ip_build_and_send_pkt(
    k: Kernel,
    skb: sk_buff,
    sk: sock,
    saddr: number | Sourced,
    daddr: number | Sourced,
    _opt: null,
    tos: number,
  ): number {
    const inet = k.ref('inet_sock', sk)
    skb_push(k, skb, HEADER)
    skb_reset_network_header(k, skb)
    const iph = ip_hdr(k, skb)
    k.mem.setU16(iph.$va, htons((4 << 12) | (5 << 8) | tos))
    iph.ttl = selectTtl(inet)
    iph.daddr = daddr
    iph.saddr = saddr
    iph.protocol = sk.sk_protocol
    iph.frag_off = htons(IP_DF)
    iph.id = 0
    skb.priority = sk.sk_priority
    return ip_local_out(k, init_net(k), sk, skb)
  },
)

/** What {@link ip_send_unicast_reply} answers. */
export interface Reply {
  readonly saddr: number
  readonly daddr: number
  readonly tos: number
}

/**
 * An answer that belongs to no socket (a RST, the ACK of a TIME_WAIT): `skb` holds the transport header,
 * checksummed; the packet goes back to where it came from. IP id 0, DF set.
 * @see net/ipv4/ip_output.c:ip_send_unicast_reply
 */
export const ip_send_unicast_reply = kfunc(
  'net/ipv4/ip_output.c',
  function ip_send_unicast_reply(k: Kernel, skb: sk_buff, protocol: number, reply: Reply): number {
    const flow: Flow = {
      saddr: reply.saddr,
      daddr: reply.daddr,
      sport: 0,
      dport: 0,
      oif: 0,
      tos: reply.tos,
      proto: protocol,
    }
    const rt = ip_route_output_ports(k, flow)
    if (typeof rt === 'number') {
      kfree_skb(k, skb)
      return rt
    }
    skb_dst_set(skb, rt.dst)
    skb_push(k, skb, HEADER)
    skb_reset_network_header(k, skb)
    const iph = ip_hdr(k, skb)
    k.mem.setU16(iph.$va, htons((4 << 12) | (5 << 8) | reply.tos))
    iph.ttl = IPDEFTTL
    iph.protocol = protocol
    iph.frag_off = htons(IP_DF)
    iph.id = 0
    iph.saddr = reply.saddr
    iph.daddr = reply.daddr
    return ip_local_out(k, init_net(k), null, skb)
  },
)

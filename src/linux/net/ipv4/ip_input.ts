/**
 * IPv4 on its way in: check the header, find out that the packet is for us, hand it to its protocol. Alone
 * (`ip_rcv`, as loopback delivers) and in lists (`ip_list_rcv`, as a NAPI driver does).
 *
 * @see net/ipv4/ip_input.c
 * @remarks early demultiplexing for UDP alone: a TCP segment's sock is found by the protocol's own look-up
 */

import { ntohs } from '../../../base/u32.ts'
import type { dst_entry, net, net_device, packet_type, sk_buff, sock } from '../../../btf/vmlinux.ts'
import { IPPROTO_UDP } from '../../../abi/in.ts'
import { PACKET_OTHERHOST } from '../../../abi/if.ts'
import { NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING } from '../../../abi/netfilter.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { init_net } from '../core/net_namespace.ts'
import {
  ip_hdr,
  kfree_skb,
  skb_data,
  skb_dst,
  skb_network_header,
  skb_orphan,
  skb_pull,
  skb_trim,
} from '../core/skbuff.ts'
import { nf_hook } from '../netfilter/core.ts'
import { ip_fast_csum } from './checksum.ts'
import { ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, icmp_send } from './icmp.ts'
import { inet_proto } from './protocol.ts'
import { ip_route_input_noref } from './route.ts'
import { udp_v4_early_demux } from './udp/lookup.ts'

const NET_RX_SUCCESS = 0
const NET_RX_DROP = 1
type Input = (k: Kernel, skb: sk_buff) => number

/** Is this an IPv4 packet for this machine, whole and sound? @returns null when it was dropped */
const ip_rcv_core = kfunc(
  'net/ipv4/ip_input.c',
  function ip_rcv_core(k: Kernel, skb: sk_buff): sk_buff | null {
    const drop = (): null => {
      kfree_skb(k, skb)
      return null
    }
    if (skb.pkt_type === PACKET_OTHERHOST || skb.len < 20) return drop()
    const iph = ip_hdr(k, skb)
    if (iph.version !== 4 || iph.ihl < 5 || skb.len < iph.ihl * 4) return drop()
    if (ip_fast_csum(k, iph.$va, iph.ihl) !== 0) return drop()
    const length = ntohs(iph.tot_len)
    if (skb.len < length || length < iph.ihl * 4) return drop()
    skb_trim(k, skb, length)
    skb.transport_header = skb.network_header + iph.ihl * 4
    k.mem.fill(skb.$vaOf('cb'), 0, 24)
    skb_orphan(k, skb)
    return skb
  },
)

const preRouting = (k: Kernel, skb: sk_buff, dev: net_device): number =>
  nf_hook(k, skb, {
    hook: NF_INET_PRE_ROUTING,
    net: init_net(k),
    sk: null,
    in: dev,
    out: null,
    okfn: ip_rcv_finish,
  })

/** One packet from loopback or a driver without lists. @see net/ipv4/ip_input.c:ip_rcv */
export const ip_rcv = kfunc(
  'net/ipv4/ip_input.c',
  function ip_rcv(k: Kernel, skb: sk_buff, dev: net_device, _pt: packet_type, _orig: net_device): number {
    const sound = ip_rcv_core(k, skb)
    if (sound === null) return NET_RX_DROP
    return preRouting(k, sound, dev) === 1 ? ip_rcv_finish(k, sound) : NET_RX_SUCCESS
  },
  { sibling: true },
)

const ip_rcv_finish = kfunc(
  'net/ipv4/ip_input.c',
  function ip_rcv_finish(k: Kernel, skb: sk_buff): number {
    if (!ip_rcv_finish_core(k, skb)) return NET_RX_DROP
    return dst_input(k, skb)
  },
  { sibling: true },
)

/** Route the packet unless it has a route already (loopback's does). @returns false when it was dropped */
function ip_rcv_finish_core(k: Kernel, skb: sk_buff): boolean {
  const iph = ip_hdr(k, skb)
  const early = skb_dst(k, skb) === null && skb.sk === null && init_net(k).ipv4.sysctl_ip_early_demux !== 0
  if (early && iph.protocol === IPPROTO_UDP) udp_v4_early_demux(k, skb)
  if (skb_dst(k, skb) !== null) return true
  const error = ip_route_input_noref(k, skb, iph.daddr, iph.saddr, iph.tos, skb.dev as net_device)
  if (error !== 0) kfree_skb(k, skb)
  return error === 0
}

/** @see include/net/dst.h:dst_input */
function dst_input(k: Kernel, skb: sk_buff): number {
  return k.indirect<Input>((skb_dst(k, skb) as dst_entry).input)(k, skb)
}

/** Packets of one NAPI poll. @see net/ipv4/ip_input.c:ip_list_rcv */
export const ip_list_rcv = kfunc(
  'net/ipv4/ip_input.c',
  function ip_list_rcv(k: Kernel, list: readonly sk_buff[], dev: net_device): void {
    const sound = list.map((skb) => ip_rcv_core(k, skb)).filter((skb) => skb !== null)
    if (sound.length > 0) ip_sublist_rcv(k, sound, dev)
  },
)

const ip_sublist_rcv = kfunc(
  'net/ipv4/ip_input.c',
  function ip_sublist_rcv(k: Kernel, list: readonly sk_buff[], dev: net_device): void {
    const routed = list.filter((skb) => preRouting(k, skb, dev) === 1 && ip_rcv_finish_core(k, skb))
    ip_sublist_rcv_finish(k, routed)
  },
)

const ip_sublist_rcv_finish = kfunc(
  'net/ipv4/ip_input.c',
  function ip_sublist_rcv_finish(k: Kernel, list: readonly sk_buff[]): void {
    for (const skb of list) dst_input(k, skb)
  },
)

/** The packet is for this host: ask the LOCAL_IN hooks. */
export const ip_local_deliver = kfunc(
  'net/ipv4/ip_input.c',
  function ip_local_deliver(k: Kernel, skb: sk_buff): number {
    const verdict = nf_hook(k, skb, {
      hook: NF_INET_LOCAL_IN,
      net: init_net(k),
      sk: null,
      in: skb.dev,
      out: null,
      okfn: ip_local_deliver_finish,
    })
    return verdict === 1 ? ip_local_deliver_finish(k, init_net(k), null, skb) : NET_RX_SUCCESS
  },
  { sibling: true },
)

const ip_local_deliver_finish = kfunc(
  'net/ipv4/ip_input.c',
  function ip_local_deliver_finish(k: Kernel, net: net, _sk: sock | null, skb: sk_buff): number {
    skb_pull(k, skb, skb_network_header(k, skb) + ip_hdr(k, skb).ihl * 4 - skb_data(k, skb))
    ip_protocol_deliver_rcu(k, net, skb, ip_hdr(k, skb).protocol)
    return NET_RX_SUCCESS
  },
)

/** @see net/ipv4/ip_input.c:ip_protocol_deliver_rcu */
const ip_protocol_deliver_rcu = kfunc(
  'net/ipv4/ip_input.c',
  function ip_protocol_deliver_rcu(k: Kernel, _net: net, skb: sk_buff, protocol: number): void {
    const prot = inet_proto(k, protocol)
    if (prot !== null) {
      k.indirect<Input>(prot.handler)(k, skb)
      return
    }
    icmp_send(k, skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH)
    kfree_skb(k, skb)
  },
)

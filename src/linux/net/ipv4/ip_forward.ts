/** A router's packets for others: one hop less to live, the FORWARD hooks, out by another device. @see net/ipv4/ip_forward.c */

import { htons, ntohs } from '../../../base/u32.ts'
import type { dst_entry, net, sk_buff, sock } from '../../../btf/vmlinux.ts'
import { NF_INET_FORWARD } from '../../../abi/netfilter.ts'
import { PACKET_HOST } from '../../../abi/if.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { dst_mtu } from '../core/dst.ts'
import { init_net } from '../core/net_namespace.ts'
import { ip_hdr, kfree_skb, skb_dst } from '../core/skbuff.ts'
import { nf_hook } from '../netfilter/core.ts'
import { ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED, icmp_send } from './icmp.ts'
import { FRAG_NEEDED } from './icmp/convert.ts'

const FILE = 'net/ipv4/ip_forward.c'
const NET_RX_SUCCESS = 0
const NET_RX_DROP = 1
const ICMP_EXC_TTL = 0
const IP_DF = 0x4000

type Output = (k: Kernel, net: net, sk: sock | null, skb: sk_buff) => number

const ip_forward_finish = kfunc(
  FILE,
  function ip_forward_finish(k: Kernel, net: net, sk: sock | null, skb: sk_buff): number {
    return k.indirect<Output>((skb_dst(k, skb) as dst_entry).output)(k, net, sk, skb)
  },
)

/** The header's sum follows the TTL. @see include/net/ip.h:ip_decrease_ttl */
function ip_decrease_ttl(k: Kernel, skb: sk_buff): void {
  const iph = ip_hdr(k, skb)
  const sum = iph.check + htons(0x0100)
  iph.check = (sum + (sum >= 0xffff ? 1 : 0)) & 0xffff
  iph.ttl = iph.ttl - 1
}

/** `dst->input` of a route through this machine. @returns NET_RX_… @see net/ipv4/ip_forward.c:ip_forward */
export const ip_forward = kfunc(FILE, function ip_forward(k: Kernel, skb: sk_buff): number {
  const drop = (): number => {
    kfree_skb(k, skb)
    return NET_RX_DROP
  }
  if (skb.pkt_type !== PACKET_HOST || skb.sk !== null) return drop()
  const dst = skb_dst(k, skb) as dst_entry
  if (ip_hdr(k, skb).ttl <= 1) {
    icmp_send(k, skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL)
    return drop()
  }
  if (skb.len > dst_mtu(dst) && (ntohs(ip_hdr(k, skb).frag_off) & IP_DF) !== 0) {
    icmp_send(k, skb, ICMP_DEST_UNREACH, FRAG_NEEDED)
    return drop()
  }
  ip_decrease_ttl(k, skb)
  const net = init_net(k)
  const place = { hook: NF_INET_FORWARD, net, sk: null, in: skb.dev, out: dst.dev, okfn: ip_forward_finish }
  return nf_hook(k, skb, place) === 1 ? ip_forward_finish(k, net, null, skb) : NET_RX_SUCCESS
})

/** ARP: who has this address? @see net/ipv4/arp.c */

import { htons } from '../../../base/u32.ts'
import type { neighbour, net_device, sk_buff } from '../../../btf/vmlinux.ts'
import { ETH_ALEN, ETH_HLEN, ETH_P_ARP, RTN_LOCAL } from '../../../abi/if.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { dev_add_pack, dev_queue_xmit } from '../core/dev.ts'
import { ___neigh_create, neigh_lookup, neigh_table_init, neigh_update } from '../core/neighbour.ts'
import {
  alloc_skb,
  consume_skb,
  skb_data,
  skb_put,
  skb_reserve,
  skb_reset_network_header,
} from '../core/skbuff.ts'
import { dev_addr, eth_header } from '../ethernet/eth.ts'
import { for_each_ifa } from './devinet.ts'
import { inet_addr_type } from './route.ts'

const ARPOP_REQUEST = 1
const ARPOP_REPLY = 2
const ARP_LENGTH = 28
const BROADCAST = new Uint8Array(ETH_ALEN).fill(0xff)

/** @see net/ipv4/arp.c:arp_init */
export function arp_init(k: Kernel): void {
  neigh_table_init(k, { solicit: arp_solicit })
  dev_add_pack(k, ETH_P_ARP, {
    one: arp_rcv,
    list: (k, skbs, dev) => {
      for (const skb of skbs) arp_rcv(k, skb, dev)
    },
  })
}

/** Ask for a neighbour's link address. */
const arp_solicit = kfunc('net/ipv4/arp.c', function arp_solicit(k: Kernel, neigh: neighbour): void {
  const dev = neigh.dev as net_device
  const target = k.mem.u32(neigh.primary_key.$va)
  let source = 0
  for (const ifa of for_each_ifa(k, dev)) {
    if (source === 0 || ((target ^ ifa.ifa_address) & ifa.ifa_mask) === 0) source = ifa.ifa_local
  }
  arp_send(k, ARPOP_REQUEST, target, dev, source, BROADCAST)
})

/**
 * @param dest,source `__be32`
 * @param lladdr the target's link address: broadcast in a request
 */
const arp_send = kfunc(
  'net/ipv4/arp.c',
  function arp_send(
    k: Kernel,
    op: number,
    dest: number,
    dev: net_device,
    source: number,
    lladdr: Uint8Array,
  ): void {
    const skb = alloc_skb(k, 64 + ETH_HLEN + ARP_LENGTH)
    skb_reserve(k, skb, 64)
    const at = skb_put(k, skb, ARP_LENGTH)
    skb_reset_network_header(k, skb)
    skb.dev = dev
    skb.protocol = htons(ETH_P_ARP)
    const own = dev_addr(k, dev)
    k.mem.write(at, Uint8Array.of(0, 1, 8, 0, ETH_ALEN, 4, 0, op))
    k.mem.write(at + 8, own)
    k.mem.setU32(at + 14, source)
    k.mem.write(at + 18, op === ARPOP_REQUEST ? new Uint8Array(ETH_ALEN) : lladdr)
    k.mem.setU32(at + 24, dest)
    eth_header(k, skb, dev, ETH_P_ARP, lladdr, own)
    dev_queue_xmit(k, skb)
  },
)

/** A request for one of our addresses is answered; a reply, or a request to us, teaches a neighbour. @see net/ipv4/arp.c:arp_process */
const arp_rcv = kfunc('net/ipv4/arp.c', function arp_rcv(k: Kernel, skb: sk_buff, dev: net_device): number {
  const at = skb_data(k, skb)
  if (skb.len >= ARP_LENGTH) {
    const op = k.mem.u8(at + 7)
    const sha = k.mem.read(at + 8, ETH_ALEN)
    const sip = k.mem.u32(at + 14)
    const tip = k.mem.u32(at + 24)
    const forUs = inet_addr_type(k, tip) === RTN_LOCAL
    if (op === ARPOP_REQUEST && forUs) {
      neigh_update(k, neigh_lookup(k, sip, dev) ?? ___neigh_create(k, sip, dev), sha)
      arp_send(k, ARPOP_REPLY, sip, dev, tip, sha)
    } else if (op === ARPOP_REPLY) {
      const neigh = neigh_lookup(k, sip, dev)
      if (neigh !== null) neigh_update(k, neigh, sha)
    }
  }
  consume_skb(k, skb)
  return 0
})

/** Ethernet frames: header in front, header off. @see net/ethernet/eth.c */

import { htons } from '../../../base/u32.ts'
import type { net_device, sk_buff } from '../../../btf/vmlinux.ts'
import {
  ARPHRD_ETHER,
  ETH_ALEN,
  ETH_HLEN,
  IFF_BROADCAST,
  IFF_MULTICAST,
  PACKET_BROADCAST,
  PACKET_OTHERHOST,
} from '../../../abi/if.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { skb_data, skb_pull, skb_push, skb_reset_mac_header } from '../core/skbuff.ts'

/** @see net/ethernet/eth.c:ether_setup */
export const ether_setup = kfunc(
  'net/ethernet/eth.c',
  function ether_setup(k: Kernel, dev: net_device): void {
    dev.header_ops = k.global('eth_header_ops', 'header_ops')
    dev.type = ARPHRD_ETHER
    dev.hard_header_len = ETH_HLEN
    dev.min_header_len = ETH_HLEN
    dev.mtu = 1500
    dev.min_mtu = 68
    dev.max_mtu = 1500
    dev.addr_len = ETH_ALEN
    dev.tx_queue_len = 1000
    dev.flags = IFF_BROADCAST | IFF_MULTICAST
    for (let i = 0; i < ETH_ALEN; i++) dev.broadcast.set(i, 0xff)
  },
)

/**
 * Push a header.
 * @param daddr,saddr six bytes
 * @see net/ethernet/eth.c:eth_header
 */
export const eth_header = kfunc(
  'net/ethernet/eth.c',
  function eth_header(
    k: Kernel,
    skb: sk_buff,
    _dev: net_device,
    type: number,
    daddr: Uint8Array,
    saddr: Uint8Array,
  ): number {
    const at = skb_push(k, skb, ETH_HLEN)
    skb_reset_mac_header(k, skb)
    k.mem.write(at, daddr)
    k.mem.write(at + ETH_ALEN, saddr)
    k.mem.setU16(at + 2 * ETH_ALEN, htons(type))
    return ETH_HLEN
  },
)

/** The device's own address. */
export const dev_addr = (k: Kernel, dev: net_device): Uint8Array =>
  k.mem.read(Number(BigInt.asIntN(64, dev.dev_addr)), ETH_ALEN)

/** Take the header off, and say whom the frame is for. @returns the type, `__be16` */
export const eth_type_trans = kfunc(
  'net/ethernet/eth.c',
  function eth_type_trans(k: Kernel, skb: sk_buff, dev: net_device): number {
    skb.dev = dev
    skb_reset_mac_header(k, skb)
    const header = skb_data(k, skb)
    skb_pull(k, skb, ETH_HLEN)
    const to = k.mem.read(header, ETH_ALEN)
    if ((to[0] as number) & 1) skb.pkt_type = PACKET_BROADCAST
    else if (dev.type === ARPHRD_ETHER && !Buffer.from(to).equals(dev_addr(k, dev)))
      skb.pkt_type = PACKET_OTHERHOST
    return k.mem.u16(header + 2 * ETH_ALEN)
  },
)

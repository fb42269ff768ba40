/** ICMP errors: telling a peer that nobody takes its packet. @see net/ipv4/icmp.c */

import type { sk_buff } from '../../../btf/vmlinux.ts'
import { IPPROTO_ICMP } from '../../../abi/in.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import {
  alloc_skb,
  ip_hdr,
  skb_network_header,
  skb_put,
  skb_reserve,
  skb_reset_transport_header,
} from '../core/skbuff.ts'
import { csum_fold, csum_partial } from './checksum.ts'
import { ip_send_unicast_reply } from './ip_output.ts'

export const ICMP_DEST_UNREACH = 3
export const ICMP_PROT_UNREACH = 2
export const ICMP_PORT_UNREACH = 3
/** Header, and as much of the offending packet as is sent back: its IP header and eight bytes. */
const ICMP_HEADER = 8
const QUOTED = 8

/** @see net/ipv4/icmp.c:__icmp_send */
export const __icmp_send = kfunc(
  'net/ipv4/icmp.c',
  function __icmp_send(k: Kernel, skb: sk_buff, type: number, code: number): void {
    const iph = ip_hdr(k, skb)
    const quoted = k.mem.read(skb_network_header(k, skb), iph.ihl * 4 + QUOTED)
    const reply = alloc_skb(k, 64 + ICMP_HEADER + quoted.length)
    skb_reserve(k, reply, 64)
    const message = new Uint8Array(ICMP_HEADER + quoted.length)
    message.set([type, code])
    message.set(quoted, ICMP_HEADER)
    new DataView(message.buffer).setUint16(2, csum_fold(csum_partial(message)), true)
    const at = skb_put(k, reply, message.length)
    skb_reset_transport_header(k, reply)
    k.mem.write(at, message)
    ip_send_unicast_reply(k, reply, IPPROTO_ICMP, { saddr: iph.daddr, daddr: iph.saddr, tos: 0 })
  },
)
export const icmp_send = (k: Kernel, skb: sk_buff, type: number, code: number): void =>
  __icmp_send(k, skb, type, code)

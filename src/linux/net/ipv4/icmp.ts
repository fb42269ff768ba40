/** ICMP: telling a peer that nobody takes its packet, and hearing it about ours. @see net/ipv4/icmp.c */

import type { sk_buff } from '../../../btf/vmlinux.ts'
import { IPPROTO_ICMP } from '../../../abi/in.ts'
import { PACKET_HOST } from '../../../abi/if.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import {
  alloc_skb,
  consume_skb,
  ip_hdr,
  skb_data,
  skb_network_header,
  skb_pull,
  skb_put,
  skb_reserve,
  skb_reset_transport_header,
  skb_transport_header,
} from '../core/skbuff.ts'
import { csum_fold, csum_partial } from './checksum.ts'
import { ip_send_unicast_reply } from './ip_output.ts'
import { inet_add_protocol, inet_proto } from './protocol.ts'

export const ICMP_ECHOREPLY = 0
export const ICMP_DEST_UNREACH = 3
export const ICMP_SOURCE_QUENCH = 4
export const ICMP_REDIRECT = 5
export const ICMP_ECHO = 8
export const ICMP_TIME_EXCEEDED = 11
export const ICMP_PARAMETERPROB = 12
export const ICMP_PROT_UNREACH = 2
export const ICMP_PORT_UNREACH = 3
const FILE = 'net/ipv4/icmp.c'
const ICMP_HEADER = 8
/** An error is no longer than this, IP header included. */
const MESSAGE_MAX = 576
const IP_HEADER = 20
/** Errors go before other traffic. */
const IPTOS_PREC_INTERNETCONTROL = 0xc0
const ROOM = 64
const ERRORS: readonly number[] = [
  ICMP_DEST_UNREACH,
  ICMP_SOURCE_QUENCH,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  ICMP_PARAMETERPROB,
]

/** Send a message to where a packet came from. @param body what follows type, code and checksum */
function send(k: Kernel, skb: sk_buff, type: number, code: number, body: Uint8Array, tos: number): void {
  const iph = ip_hdr(k, skb)
  const reply = alloc_skb(k, ROOM + 4 + body.length)
  skb_reserve(k, reply, ROOM)
  const message = new Uint8Array(4 + body.length)
  message.set([type, code])
  message.set(body, 4)
  new DataView(message.buffer).setUint16(2, csum_fold(csum_partial(message)), true)
  const at = skb_put(k, reply, message.length)
  skb_reset_transport_header(k, reply)
  k.mem.write(at, message)
  ip_send_unicast_reply(k, reply, IPPROTO_ICMP, { saddr: iph.daddr, daddr: iph.saddr, tos })
}

/**
 * Tell a packet's sender what became of it, quoting as much of the packet as fits.
 * @see net/ipv4/icmp.c:__icmp_send
 * @remarks no rate limit; never about a packet for more than this host, and never about an error
 */
export const __icmp_send = kfunc(
  FILE,
  function __icmp_send(k: Kernel, skb: sk_buff, type: number, code: number): void {
    if (skb.pkt_type !== PACKET_HOST) return
    const iph = ip_hdr(k, skb)
    const start = skb_network_header(k, skb)
    const isIcmp = iph.protocol === IPPROTO_ICMP
    if (isIcmp && ERRORS.includes(k.mem.u8(start + iph.ihl * 4)) && ERRORS.includes(type)) return
    const whole = skb_data(k, skb) + skb.len - start
    const quoted = k.mem.read(start, Math.min(whole, MESSAGE_MAX - IP_HEADER - ICMP_HEADER))
    const body = new Uint8Array(4 + quoted.length)
    body.set(quoted, 4)
    send(k, skb, type, code, body, (iph.tos & 0x1e) | IPTOS_PREC_INTERNETCONTROL)
  },
)
export const icmp_send = (k: Kernel, skb: sk_buff, type: number, code: number): void =>
  __icmp_send(k, skb, type, code)

type ErrHandler = (k: Kernel, skb: sk_buff, type: number, code: number) => number

/** The protocol of the quoted packet is told. @see net/ipv4/icmp.c:icmp_socket_deliver */
const icmp_socket_deliver = kfunc(
  FILE,
  function icmp_socket_deliver(k: Kernel, skb: sk_buff, type: number, code: number): void {
    const quoted = k.ref('iphdr', skb_data(k, skb))
    if (skb.len < quoted.ihl * 4 + 8) return
    const handler = inet_proto(k, quoted.protocol)?.err_handler ?? 0n
    if (handler !== 0n && k.codeAt(handler) !== undefined) k.indirect<ErrHandler>(handler)(k, skb, type, code)
  },
)

/** A packet of ours could not be delivered. @see net/ipv4/icmp.c:icmp_unreach */
const icmp_unreach = kfunc(
  FILE,
  function icmp_unreach(k: Kernel, skb: sk_buff, type: number, code: number): void {
    if (skb.len >= IP_HEADER) icmp_socket_deliver(k, skb, type, code)
  },
)

/** Somebody asks whether we are there. @see net/ipv4/icmp.c:icmp_echo */
const icmp_echo = kfunc(FILE, function icmp_echo(k: Kernel, skb: sk_buff): void {
  // identifier and sequence number, which icmp_rcv() took for the header, and the data
  const at = skb_transport_header(k, skb) + 4
  send(k, skb, ICMP_ECHOREPLY, 0, k.mem.read(at, 4 + skb.len), ip_hdr(k, skb).tos)
})

/** @returns 0 @see net/ipv4/icmp.c:icmp_rcv */
export const icmp_rcv = kfunc(FILE, function icmp_rcv(k: Kernel, skb: sk_buff): number {
  const at = skb_transport_header(k, skb)
  if (skb.len >= ICMP_HEADER && csum_fold(csum_partial(k.mem.read(at, skb.len))) === 0) {
    const [type, code] = [k.mem.u8(at), k.mem.u8(at + 1)]
    skb_pull(k, skb, ICMP_HEADER)
    if (type === ICMP_ECHO) icmp_echo(k, skb)
    else if (ERRORS.includes(type) && type !== ICMP_REDIRECT) icmp_unreach(k, skb, type, code)
  }
  consume_skb(k, skb)
  return 0
})

/** @see net/ipv4/icmp.c:icmp_init, net/ipv4/af_inet.c:inet_init */
export function icmp_init(k: Kernel): void {
  const protocol = k.global('icmp_protocol', 'net_protocol')
  protocol.handler = k.text(icmp_rcv)
  protocol.no_policy = 1
  inet_add_protocol(k, protocol, IPPROTO_ICMP)
}

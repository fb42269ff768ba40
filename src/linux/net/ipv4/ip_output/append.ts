/** One datagram from a program's buffers: room for the headers, the bytes behind, the IP header in front. */

import { htons } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { inet_sock, msghdr, net, rtable, sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { EFAULT, EMSGSIZE } from '../../../../abi/errno.ts'
import { CHECKSUM_NONE, CHECKSUM_PARTIAL } from '../../../../abi/if.ts'
import { IP_PMTUDISC_DONT } from '../../../../abi/in.ts'
import { MSG_DONTWAIT, SEND_SHUTDOWN } from '../../../../abi/socket.ts'
import { EAGAIN, EPIPE } from '../../../../abi/errno.ts'
import { deref } from '../../../deref.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import { sock_error, sock_sndtimeo } from '../../../include/net/sock.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { copy_from_iter_full } from '../../../lib/iov_iter.ts'
import { dst_hold, dst_mtu } from '../../core/dst.ts'
import { skb_set_owner_w } from '../../core/sock.ts'
import {
  alloc_skb,
  ip_hdr,
  kfree_skb,
  skb_dst_set,
  skb_headroom,
  skb_put,
  skb_reserve,
} from '../../core/skbuff.ts'
import { IPDEFTTL, ip_local_out } from '../ip_output.ts'

const FILE = 'net/ipv4/ip_output.c'
const IP_HEADER = 20
const IP_DF = 0x4000
const IP_MAX = 0xffff
const HH_DATA_MOD = 16
/** Spare bytes at the end of a buffer, for devices that pad. */
const SLACK = 15
/** NETIF_F_IP_CSUM, NETIF_F_HW_CSUM: the device sums. */
const NETIF_F_CSUM = (1n << 1n) | (1n << 3n)

/** What the packet is sent by. */
export interface OutFlow {
  /** `__be32` */
  readonly saddr: number
  readonly daddr: number
  readonly rt: rtable
}

/** Room for the link header. @see include/linux/netdevice.h:LL_RESERVED_SPACE */
const reserved = (rt: rtable): number => {
  const { hard_header_len, needed_headroom } = deref(rt.dst.dev)
  return ((hard_header_len + needed_headroom) & ~(HH_DATA_MOD - 1)) + HH_DATA_MOD
}

/**
 * A buffer that counts against the sock's.
 * @returns the buffer, or a negative errno: what the sock suffered meanwhile, -EPIPE, -EAGAIN
 * @see net/core/sock.c:sock_alloc_send_pskb
 * @remarks what is sent is on the wire at once, so that nobody has to wait for room
 */
export const sock_alloc_send_pskb = kfunc(
  'net/core/sock.c',
  function sock_alloc_send_pskb(k, sk: sock, size: number, noblock: boolean): sk_buff | number {
    const error = sock_error(sk)
    if (error !== 0) return error
    if ((sk.sk_shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE
    if (sk.sk_wmem_alloc.refs.counter - 1 >= sk.sk_sndbuf && sock_sndtimeo(sk, noblock) === 0n) return -EAGAIN
    const skb = alloc_skb(k, size)
    skb_set_owner_w(k, skb, sk)
    return skb
  },
)

/** Bytes of the program's buffers. @see net/ipv4/ip_output.c:ip_generic_getfrag */
const ip_generic_getfrag = kfunc(
  FILE,
  function ip_generic_getfrag(k, msg: msghdr, to: number, len: number): number {
    return copy_from_iter_full(k, to, len, msg.msg_iter) ? 0 : -EFAULT
  },
)

/**
 * @param length       transport header and payload
 * @param transhdrlen  bytes of transport header, left for the caller to fill
 * @see net/ipv4/ip_output.c:__ip_append_data
 * @remarks a datagram has one fragment: those larger than the way out's MTU are refused with -EMSGSIZE
 */
const __ip_append_data = kfunc(
  FILE,
  function __ip_append_data(
    k,
    sk: sock,
    msg: msghdr,
    length: number,
    transhdrlen: number,
    rt: rtable,
    flags: number,
  ): sk_buff | number {
    if (length + IP_HEADER > Math.min(IP_MAX, dst_mtu(rt.dst))) return -EMSGSIZE
    const room = reserved(rt)
    const skb = sock_alloc_send_pskb(k, sk, length + IP_HEADER + room + SLACK, (flags & MSG_DONTWAIT) !== 0)
    if (typeof skb === 'number') return skb
    const partial = (deref(rt.dst.dev).features & NETIF_F_CSUM) !== 0n
    skb.ip_summed = partial ? CHECKSUM_PARTIAL : CHECKSUM_NONE
    skb_reserve(k, skb, room)
    const data = skb_put(k, skb, length + IP_HEADER)
    skb.network_header = skb_headroom(k, skb)
    skb.transport_header = skb.network_header + IP_HEADER
    const err = ip_generic_getfrag(k, msg, data + IP_HEADER + transhdrlen, length - transhdrlen)
    if (err === 0) return skb
    kfree_skb(k, skb)
    return err
  },
)

/** The header in front. @see net/ipv4/ip_output.c:__ip_make_skb */
const __ip_make_skb = kfunc(FILE, function __ip_make_skb(k, sk: sock, skb: sk_buff, flow: OutFlow): sk_buff {
  const inet = inet_sk(k, sk)
  const iph = ip_hdr(k, skb)
  k.mem.setU16(iph.$va, htons((4 << 12) | (5 << 8) | inet.tos))
  iph.frag_off = inet.pmtudisc === IP_PMTUDISC_DONT ? 0 : htons(IP_DF)
  iph.ttl = inet.uc_ttl < 0 ? IPDEFTTL : inet.uc_ttl
  iph.protocol = sk.sk_protocol
  iph.saddr = inet.inet_saddr === flow.saddr ? from(inet, 'inet_saddr') : flow.saddr
  iph.daddr = inet.inet_daddr === flow.daddr ? from(inet, 'inet_daddr') : flow.daddr
  selectId(k, iph.$va, inet)
  skb.priority = sk.sk_priority
  skb.mark = sk.sk_mark
  dst_hold(flow.rt.dst)
  skb_dst_set(skb, flow.rt.dst)
  return skb
})

/** Packets that are never cut need no number; a connected sock's are counted all the same. @see include/net/ip.h:ip_select_ident_segs */
function selectId(k: Kernel, iph: number, inet: inet_sock): void {
  const header = k.ref('iphdr', iph)
  const { inet_id } = inet
  const connected = inet.inet_daddr !== 0
  header.id = connected ? htons(inet_id.counter & 0xffff) : 0
  if (connected) inet_id.counter = inet_id.counter + 1
}

/**
 * A datagram ready for its transport header.
 * @returns the packet, or a negative errno
 * @see net/ipv4/ip_output.c:ip_make_skb
 */
export const ip_make_skb = kfunc(
  FILE,
  function ip_make_skb(
    k,
    sk: sock,
    flow: OutFlow,
    msg: msghdr,
    length: number,
    transhdrlen: number,
    flags: number,
  ): sk_buff | number {
    const skb = __ip_append_data(k, sk, msg, length, transhdrlen, flow.rt, flags)
    return typeof skb === 'number' ? skb : __ip_make_skb(k, sk, skb, flow)
  },
)

/** @returns 0 or a negative errno, a hook's among them @see net/ipv4/ip_output.c:ip_send_skb */
export const ip_send_skb = kfunc(FILE, function ip_send_skb(k, net: net, skb: sk_buff): number {
  const err = ip_local_out(k, net, skb.sk, skb)
  return err > 0 ? 0 : err
})

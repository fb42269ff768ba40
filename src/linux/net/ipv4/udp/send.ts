/** Sending a datagram. */

import { htons, ntohs } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { msghdr, sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { SourceKind, Sourced } from '../../../../memory/memory.ts'
import * as E from '../../../../abi/errno.ts'
import { CHECKSUM_PARTIAL, RTCF_BROADCAST } from '../../../../abi/if.ts'
import { IPPROTO_UDP } from '../../../../abi/in.ts'
import { SOCK_BROADCAST } from '../../../../abi/sock.ts'
import { AF_INET, AF_UNSPEC, MSG_OOB } from '../../../../abi/socket.ts'
import { TCP_ESTABLISHED } from '../../../../abi/tcp_states.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import { sock_flag, sock_net } from '../../../include/net/sock.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { dst_hold, dst_release } from '../../core/dst.ts'
import { __sk_dst_check, __sk_dst_set } from '../../core/sock.ts'
import { skb_transport_header } from '../../core/skbuff.ts'
import { csum_partial, csum_tcpudp_magic } from '../checksum.ts'
import { ip_make_skb, ip_send_skb, type OutFlow } from '../ip_output/append.ts'
import { ip_route_output_flow } from '../route.ts'

const FILE = 'net/ipv4/udp.c'
const HEADER = 8
const CHECK_OFFSET = 6
/** What a sum of zero is sent as: zero means there is none. */
const CSUM_MANGLED_0 = 0xffff
const MAX_LENGTH = 0xffff

/** Where to: the message's address, or the connected peer. */
interface Destination {
  /** `__be32` */
  readonly daddr: number
  /** `__be16` */
  readonly dport: number
  readonly connected: boolean
}

function destination(k: Kernel, sk: sock, msg: msghdr): Destination | number {
  if (msg.msg_name === 0n) {
    if (sk.sk_state !== TCP_ESTABLISHED) return -E.EDESTADDRREQ
    return { daddr: sk.sk_daddr, dport: sk.sk_dport, connected: true }
  }
  const usin = k.ref('sockaddr_in', msg.msg_name)
  if (msg.msg_namelen < usin.$size) return -E.EINVAL
  if (usin.sin_family !== AF_INET && usin.sin_family !== AF_UNSPEC) return -E.EAFNOSUPPORT
  if (usin.sin_port === 0) return -E.EINVAL
  return { daddr: usin.sin_addr.s_addr, dport: usin.sin_port, connected: false }
}

/** The way there, held: a connected sock's own, or one looked up. @returns a negative errno when there is none */
function route(k: Kernel, sk: sock, to: Destination): OutFlow | number {
  const inet = inet_sk(k, sk)
  if (to.connected) {
    const dst = __sk_dst_check(k, sk, 0)
    if (dst !== null) {
      dst_hold(dst)
      return { saddr: inet.inet_saddr, daddr: to.daddr, rt: k.ref('rtable', dst) }
    }
  }
  const found = ip_route_output_flow(k, {
    saddr: inet.inet_saddr,
    daddr: to.daddr,
    sport: inet.inet_sport,
    dport: to.dport,
    oif: sk.sk_bound_dev_if,
    tos: inet.tos,
    proto: IPPROTO_UDP,
  })
  if (typeof found === 'number') return found
  if ((found.rt.rt_flags & RTCF_BROADCAST) !== 0 && !sock_flag(sk, SOCK_BROADCAST)) {
    dst_release(k, found.dst)
    return -E.EACCES
  }
  if (to.connected) {
    dst_hold(found.dst)
    __sk_dst_set(k, sk, found.dst)
  }
  return found
}

/**
 * @returns bytes sent, or a negative errno: what an ICMP message or a hook said among them
 * @see net/ipv4/udp.c:udp_sendmsg
 * @remarks no corking, no control messages: a call is a datagram
 */
export const udp_sendmsg = kfunc(FILE, function udp_sendmsg(k, sk: sock, msg: msghdr, len: number): number {
  if (len > MAX_LENGTH) return -E.EMSGSIZE
  if ((msg.msg_flags & MSG_OOB) !== 0) return -E.EOPNOTSUPP
  const to = destination(k, sk, msg)
  if (typeof to === 'number') return to
  const flow = route(k, sk, to)
  if (typeof flow === 'number') return flow
  const skb = ip_make_skb(k, sk, flow, msg, len + HEADER, HEADER, msg.msg_flags)
  const err = typeof skb === 'number' ? skb : udp_send_skb(k, skb, to, flow)
  dst_release(k, flow.rt.dst)
  return err === 0 ? len : err
})

/** The pseudo-header's sum; the device adds the rest. @see net/ipv4/udp.c:udp4_hwcsum */
export const udp4_hwcsum = kfunc(FILE, function udp4_hwcsum(k, skb: sk_buff, src: number, dst: number): void {
  const uh = k.ref('udphdr', skb_transport_header(k, skb))
  skb.csum_start = skb.transport_header
  skb.csum_offset = CHECK_OFFSET
  uh.check = ~csum_tcpudp_magic(src, dst, ntohs(uh.len), IPPROTO_UDP, 0) & 0xffff
})

/** The header, then out. @see net/ipv4/udp.c:udp_send_skb */
const udp_send_skb = kfunc(
  FILE,
  function udp_send_skb(k, skb: sk_buff, to: Destination, flow: OutFlow): number {
    const sk = skb.sk as sock
    const inet = inet_sk(k, sk)
    const at = skb_transport_header(k, skb)
    const uh = k.ref('udphdr', at)
    const length = skb.len - (skb.transport_header - skb.network_header)
    uh.source = from(inet, 'inet_sport')
    uh.dest = to.connected ? from(inet, 'inet_dport') : new Sourced(to.dport, SourceKind.Syscall, 4)
    uh.len = htons(length)
    uh.check = 0
    if (sk.sk_no_check_tx === 0) {
      if (skb.ip_summed === CHECKSUM_PARTIAL) udp4_hwcsum(k, skb, flow.saddr, flow.daddr)
      else {
        const sum = csum_partial(k.mem.read(at, length))
        uh.check = csum_tcpudp_magic(flow.saddr, flow.daddr, length, IPPROTO_UDP, sum) || CSUM_MANGLED_0
      }
    }
    const err = ip_send_skb(k, sock_net(sk), skb)
    // a full queue is no error of a datagram
    return err === -E.ENOBUFS ? 0 : err
  },
)

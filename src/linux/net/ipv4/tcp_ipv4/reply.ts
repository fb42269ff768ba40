/** Answers that belong to no full sock: resets, and the ACKs of requests and stubs; checksums. */

import { htonl, htons } from '../../../../base/u32.ts'
import type { inet_timewait_sock, request_sock, sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { IPPROTO_TCP } from '../../../../abi/in.ts'
import { MAX_TCP_HEADER, TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN } from '../../../../abi/tcp.ts'
import { TCP_LISTEN } from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import {
  alloc_skb,
  skb_put,
  skb_reserve,
  skb_reset_transport_header,
  skb_transport_header,
} from '../../core/skbuff.ts'
import { csum_partial, csum_tcpudp_magic } from '../checksum.ts'
import { ip_send_unicast_reply } from '../ip_output.ts'
import {
  TCP_SKB_CB,
  inet_sk,
  inet_rsk,
  ip_hdr,
  tcp_flag_byte,
  tcp_hdr,
  tcp_rsk,
  tcp_sk,
  tcp_twsk,
} from '../../../include/net/casts.ts'
import { tcp_time_stamp_raw } from '../../../include/net/tcp.ts'
import { inet_twsk_put } from '../inet_timewait_sock.ts'

const FILE = 'net/ipv4/tcp_ipv4.c'

/**
 * The sum of the pseudo header; the device adds header and payload.
 * @see net/ipv4/tcp_ipv4.c:__tcp_v4_send_check
 */
export const __tcp_v4_send_check = kfunc(
  FILE,
  function __tcp_v4_send_check(k, skb: sk_buff, saddr: number, daddr: number): void {
    const at = skb_transport_header(k, skb)
    k.mem.setU16(at + 16, ~csum_tcpudp_magic(saddr, daddr, skb.len, IPPROTO_TCP, 0) & 0xffff)
    skb.csum_start = skb.transport_header
    skb.csum_offset = 16
  },
)

export const tcp_v4_send_check = kfunc(FILE, function tcp_v4_send_check(k, sk: sock, skb: sk_buff): void {
  __tcp_v4_send_check(k, skb, inet_sk(k, sk).inet_saddr, sk.sk_daddr)
})

/** Numbers of a bare segment. */
interface Bare {
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly window: number
  readonly ts?: { tsval: number; tsecr: number } | undefined
}

/** A segment back to where `skb` came from. */
function answer(k: Kernel, skb: sk_buff, bare: Bare): void {
  const th = tcp_hdr(k, skb)
  const iph = ip_hdr(k, skb)
  const size = bare.ts === undefined ? 20 : 32
  const out = alloc_skb(k, MAX_TCP_HEADER + size)
  skb_reserve(k, out, MAX_TCP_HEADER)
  const at = skb_put(k, out, size)
  skb_reset_transport_header(k, out)
  k.mem.fill(at, 0, size)
  const reply = tcp_hdr(k, out)
  reply.source = th.dest
  reply.dest = th.source
  reply.seq = htonl(bare.seq)
  reply.ack_seq = htonl(bare.ack)
  k.mem.setU16(at + 12, ((size >> 2) << 4) | (bare.flags << 8))
  reply.window = htons(Math.min(bare.window, 65535))
  if (bare.ts !== undefined) {
    k.mem.setU32(at + 20, htonl(0x0101080a))
    k.mem.setU32(at + 24, htonl(bare.ts.tsval))
    k.mem.setU32(at + 28, htonl(bare.ts.tsecr))
  }
  const sum = csum_partial(k.mem.read(at, size))
  reply.check = csum_tcpudp_magic(iph.daddr, iph.saddr, size, IPPROTO_TCP, sum)
  ip_send_unicast_reply(k, out, IPPROTO_TCP, { saddr: iph.daddr, daddr: iph.saddr, tos: iph.tos & 0xfc })
}

/**
 * Reset the sender: there is no connection, or it may not go on.
 *
 * @param sk `null` when there is none
 * @see net/ipv4/tcp_ipv4.c:tcp_v4_send_reset
 */
export const tcp_v4_send_reset = kfunc(
  FILE,
  function tcp_v4_send_reset(k, _sk: sock | null, skb: sk_buff): void {
    const th = tcp_hdr(k, skb)
    const flags = tcp_flag_byte(th)
    // never reset a reset
    if ((flags & TCPHDR_RST) !== 0) return
    const cb = TCP_SKB_CB(k, skb)
    if ((flags & TCPHDR_ACK) !== 0) {
      answer(k, skb, { seq: cb.ack_seq, ack: 0, flags: TCPHDR_RST, window: 0 })
      return
    }
    const length = skb.len - th.doff * 4
    const extra = ((flags & TCPHDR_SYN) !== 0 ? 1 : 0) + ((flags & TCPHDR_FIN) !== 0 ? 1 : 0)
    answer(k, skb, {
      seq: 0,
      ack: (cb.seq + extra + length) >>> 0,
      flags: TCPHDR_RST | TCPHDR_ACK,
      window: 0,
    })
  },
)

/** A stub's ACK; its reference is given up. @see net/ipv4/tcp_ipv4.c:tcp_v4_timewait_ack */
export function tcp_v4_timewait_ack(k: Kernel, tw: inet_timewait_sock, skb: sk_buff): void {
  const tcptw = tcp_twsk(k, tw)
  const ts =
    tcptw.tw_ts_recent_stamp === 0
      ? undefined
      : { tsval: (tcp_time_stamp_raw(k) + tcptw.tw_ts_offset) >>> 0, tsecr: tcptw.tw_ts_recent }
  answer(k, skb, {
    seq: tcptw.tw_snd_nxt,
    ack: tcptw.tw_rcv_nxt,
    flags: TCPHDR_ACK,
    window: tcptw.tw_rcv_wnd >>> tw.tw_rcv_wscale,
    ts,
  })
  inet_twsk_put(k, tw)
}

/** A request's ACK: the peer's segment was out of its window. @see net/ipv4/tcp_ipv4.c:tcp_v4_reqsk_send_ack */
export const tcp_v4_reqsk_send_ack = kfunc(
  FILE,
  function tcp_v4_reqsk_send_ack(k, sk: sock, skb: sk_buff, req: request_sock): void {
    const treq = tcp_rsk(k, req)
    const ireq = inet_rsk(k, req)
    const seq = sk.sk_state === TCP_LISTEN ? (treq.snt_isn + 1) >>> 0 : tcp_sk(k, sk).snd_nxt
    const ts =
      ireq.tstamp_ok === 1
        ? { tsval: (tcp_time_stamp_raw(k) + treq.ts_off) >>> 0, tsecr: req.ts_recent }
        : undefined
    answer(k, skb, {
      seq,
      ack: treq.rcv_nxt,
      flags: TCPHDR_ACK,
      window: req.rsk_rcv_wnd >>> ireq.rcv_wscale,
      ts,
    })
  },
)

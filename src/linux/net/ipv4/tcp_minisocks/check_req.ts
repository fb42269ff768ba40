/** A segment for a connection that is still a request. */

import { after, before } from '../../../../base/u32.ts'
import type { request_sock, sk_buff, sock, tcp_options_received } from '../../../../btf/vmlinux.ts'
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCP_RTO_MAX } from '../../../../abi/tcp.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { mod_timer } from '../../../kernel/time/timer.ts'
import { jiffies } from '../../../kernel/time/timekeeping.ts'
import {
  TCP_SKB_CB,
  inet_csk,
  inet_rsk,
  tcp_flag_byte,
  tcp_hdr,
  tcp_rsk,
} from '../../../include/net/casts.ts'
import { sock_net, sock_rps_save_rxhash } from '../../../include/net/sock.ts'
import { reqsk_timeout } from '../../../include/net/request_sock.ts'
import { NET_INC_STATS, tcp_clock_ns, tcp_paws_reject } from '../../../include/net/tcp.ts'
import {
  inet_csk_complete_hashdance,
  inet_csk_reqsk_queue_drop,
  inet_rtx_syn_ack,
} from '../inet_connection_sock/listen.ts'
import { tcp_oow_rate_limited } from '../tcp_input/established.ts'
import { tcp_parse_options } from '../tcp_input/options.ts'
import { tcp_synack_rtt_meas } from '../tcp_input/rto.ts'

const FILE = 'net/ipv4/tcp_minisocks.c'

/** Is the segment inside the window the SYN-ACK offered? @see net/ipv4/tcp_minisocks.c:tcp_in_window */
export const tcp_in_window = (seq: number, end: number, start: number, limit: number): boolean =>
  seq === start || (after(end, start) && before(seq, limit)) || (seq === limit && seq === end)

/** The timestamp a request's segment carries, and whether it is too old. */
function pawsReject(
  k: Kernel,
  req: request_sock,
  skb: sk_buff,
  options: tcp_options_received,
  flags: number,
): boolean {
  if (tcp_hdr(k, skb).doff * 4 === 20) return false
  tcp_parse_options(k, skb, options, false)
  if (options.saw_tstamp !== 1) return false
  options.ts_recent = req.ts_recent
  if (options.rcv_tsecr !== 0) options.rcv_tsecr = (options.rcv_tsecr - tcp_rsk(k, req).ts_off) >>> 0
  // when the request's timestamp was taken is not kept: reckon back from its retransmissions
  const seconds = Number(tcp_clock_ns(k) / 1_000_000_000n)
  options.ts_recent_stamp = seconds - reqsk_timeout(req, TCP_RTO_MAX) / 250
  return tcp_paws_reject(k, options, (flags & TCPHDR_RST) !== 0)
}

type SendAck = (k: Kernel, sk: sock, skb: sk_buff, req: request_sock) => void
type SynRecvSock = (
  k: Kernel,
  sk: sock,
  skb: sk_buff,
  req: request_sock,
  own: { own_req: boolean },
) => sock | null

const lastOow = (k: Kernel, req: request_sock): { get: () => number; set: (t: number) => void } => {
  const treq = tcp_rsk(k, req)
  return { get: () => treq.last_oow_ack_time, set: (t) => void (treq.last_oow_ack_time = t) }
}

/** The peer's SYN again: the SYN-ACK again, and its timer starts anew. */
function repeatSynack(k: Kernel, sk: sock, skb: sk_buff, req: request_sock): null {
  if (!tcp_oow_rate_limited(k, sk, skb, lastOow(k, req)) && inet_rtx_syn_ack(k, sk, req) === 0) {
    mod_timer(k, req.rsk_timer, jiffies(k) + BigInt(reqsk_timeout(req, TCP_RTO_MAX)))
  }
  return null
}

/**
 * Handle a segment for a connection that is still a request: retransmitted SYN, reset, or the ACK that completes
 * the handshake.
 *
 * @param sk  `struct sock *` — the listener
 * @param skb `struct sk_buff *` — TCP_SKB_CB filled
 * @returns the new child; the listener, when the segment asks for a RST; `null` when it was answered or dropped here
 * @see net/ipv4/tcp_minisocks.c:tcp_check_req
 * @remarks Fast Open is not simulated, so its parameter is absent.
 */
export const tcp_check_req = kfunc(
  FILE,
  function tcp_check_req(k, sk: sock, skb: sk_buff, req: request_sock): sock | null {
    const th = tcp_hdr(k, skb)
    const cb = TCP_SKB_CB(k, skb)
    const treq = tcp_rsk(k, req)
    let flags = tcp_flag_byte(th) & (TCPHDR_RST | TCPHDR_SYN | TCPHDR_ACK)
    const options = k.local('tcp_options_received')
    const paws = pawsReject(k, req, skb, options, flags)
    if (cb.seq === treq.rcv_isn && flags === TCPHDR_SYN && !paws) return repeatSynack(k, sk, skb, req)
    if ((flags & TCPHDR_ACK) !== 0 && cb.ack_seq !== (treq.snt_isn + 1) >>> 0) return sk
    const inside = tcp_in_window(cb.seq, cb.end_seq, treq.rcv_nxt, (treq.rcv_nxt + req.rsk_rcv_wnd) >>> 0)
    if (paws || !inside) {
      const answer = (flags & TCPHDR_RST) === 0 && !tcp_oow_rate_limited(k, sk, skb, lastOow(k, req))
      if (answer) k.indirect<SendAck>(deref(req.rsk_ops).send_ack)(k, sk, skb, req)
      if (paws) NET_INC_STATS(k, sk, 'LINUX_MIB_PAWSESTABREJECTED')
      return null
    }
    if (options.saw_tstamp === 1 && !after(cb.seq, treq.rcv_nxt)) req.ts_recent = options.rcv_tsval
    // what is behind the SYN is cut off the segment by its ACK bit alone
    if (cb.seq === treq.rcv_isn) flags &= ~TCPHDR_SYN
    if ((flags & (TCPHDR_RST | TCPHDR_SYN)) !== 0) return embryonicReset(k, sk, skb, req, flags)
    if ((flags & TCPHDR_ACK) === 0) return null
    // TCP_DEFER_ACCEPT: a bare ACK is not enough yet
    const { rskq_defer_accept } = inet_csk(k, sk).icsk_accept_queue
    const bare = cb.end_seq === (treq.rcv_isn + 1) >>> 0 && (tcp_flag_byte(th) & TCPHDR_FIN) === 0
    if (req.num_timeout < rskq_defer_accept && bare) {
      inet_rsk(k, req).acked = 1
      return null
    }
    return makeChild(k, sk, skb, req)
  },
  { locals: 24 },
)

function makeChild(k: Kernel, sk: sock, skb: sk_buff, req: request_sock): sock | null {
  const own = { own_req: false }
  const { syn_recv_sock } = deref(inet_csk(k, sk).icsk_af_ops)
  const child = k.indirect<SynRecvSock>(syn_recv_sock)(k, sk, skb, req, own)
  if (child === null) {
    // no room: the peer believes it is connected, and will find out when it is asked again
    if (sock_net(sk).ipv4.sysctl_tcp_abort_on_overflow === 0) inet_rsk(k, req).acked = 1
    else embryonicReset(k, sk, skb, req, 0)
    return null
  }
  sock_rps_save_rxhash(child, skb)
  tcp_synack_rtt_meas(k, child, req)
  return inet_csk_complete_hashdance(k, sk, child, req, own.own_req)
}

function embryonicReset(k: Kernel, sk: sock, skb: sk_buff, req: request_sock, flags: number): null {
  if ((flags & TCPHDR_RST) === 0) {
    k.indirect<(k: Kernel, sk: sock, skb: sk_buff) => void>(deref(req.rsk_ops).send_reset)(k, sk, skb)
  } else if (TCP_SKB_CB(k, skb).seq !== tcp_rsk(k, req).rcv_nxt) {
    // RFC 5961: only exactly the next byte
    k.indirect<SendAck>(deref(req.rsk_ops).send_ack)(k, sk, skb, req)
    return null
  }
  inet_csk_reqsk_queue_drop(k, sk, req)
  NET_INC_STATS(k, sk, 'LINUX_MIB_EMBRYONICRSTS')
  return null
}

/** The send queue: what may leave now by window, congestion and Nagle; and sending again what was lost. */

import type { Va } from '../../../../base/addr.ts'
import { after, before } from '../../../../base/u32.ts'
import type { sk_buff, sock, tcp_sock } from '../../../../btf/vmlinux.ts'
import { EAGAIN } from '../../../../abi/errno.ts'
import {
  ICSK_TIME_PROBE0,
  ICSK_TIME_RETRANS,
  TCPCB_EVER_RETRANS,
  TCPCB_RETRANS,
  TCPCB_SACKED_ACKED,
  TCPCB_SACKED_RETRANS,
  TCPCB_LOST,
  TCPHDR_FIN,
  TCPHDR_PSH,
  TCPHDR_SYN,
  TCP_NAGLE_CORK,
  TCP_NAGLE_PUSH,
  TCP_RTO_MAX,
} from '../../../../abi/tcp.ts'
import { TCP_CLOSE } from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import {
  __skb_queue_after,
  __skb_queue_tail,
  __skb_unlink,
  skb_data,
  skb_pull,
  skb_put,
  skb_trim,
} from '../../core/skbuff.ts'
import { sk_mem_charge, sk_wmem_queued_add } from '../../core/sock/mem.ts'
import { inet_csk, TCP_SKB_CB, tcp_sk } from '../../../include/net/casts.ts'
import { sk_rethink_txhash } from '../../../include/net/sock.ts'
import {
  NET_INC_STATS,
  TCP_INC_STATS,
  skb_rb_next,
  tcp_packets_in_flight,
  tcp_rtx_queue_head,
  tcp_rtx_queue_insert,
  tcp_send_head,
  tcp_time_stamp,
  tcp_jiffies32,
  tcp_wnd_end,
  tcp_write_queue_tail,
} from '../../../include/net/tcp.ts'
import { inet_csk_reset_xmit_timer } from '../inet_connection_sock/timers.ts'
import { tcp_rearm_rto } from '../tcp_input/rto.ts'
import { tcp_current_mss } from './mss.ts'
import {
  __skb_header_release,
  tcp_mstamp_refresh,
  tcp_stream_alloc_skb,
  tcp_transmit_skb,
} from './transmit.ts'

const FILE = 'net/ipv4/tcp_output.c'

/** A finished segment goes to the end of the queue. @see net/ipv4/tcp_output.c:tcp_queue_skb */
export function tcp_queue_skb(k: Kernel, sk: sock, skb: sk_buff): void {
  const tp = tcp_sk(k, sk)
  tp.write_seq = TCP_SKB_CB(k, skb).end_seq
  __skb_header_release(k, skb)
  __skb_queue_tail(k, sk.sk_write_queue, skb)
  sk_wmem_queued_add(sk, skb.truesize)
  sk_mem_charge(sk, skb.truesize)
}

/** Segments the congestion window still allows. */
const cwndQuota = (tp: tcp_sock): number => Math.max(0, tp.snd_cwnd - tcp_packets_in_flight(tp))

const windowAllows = (k: Kernel, tp: tcp_sock, skb: sk_buff): boolean =>
  !after(TCP_SKB_CB(k, skb).end_seq, tcp_wnd_end(tp))

/** Is a small segment still unacknowledged? */
const minshall = (tp: tcp_sock): boolean => after(tp.snd_sml, tp.snd_una) && !after(tp.snd_sml, tp.snd_nxt)

/** Nagle: one small segment in flight at a time, unless told otherwise. */
function nagleAllows(k: Kernel, tp: tcp_sock, skb: sk_buff, mss: number, nonagle: number): boolean {
  if ((nonagle & TCP_NAGLE_PUSH) !== 0) return true
  if ((TCP_SKB_CB(k, skb).tcp_flags & TCPHDR_FIN) !== 0) return true
  const partial = skb.len < mss
  const hold =
    partial && ((nonagle & TCP_NAGLE_CORK) !== 0 || (nonagle === 0 && tp.packets_out !== 0 && minshall(tp)))
  return !hold
}

/** From the send queue to the tree of what waits for its ACK. @see net/ipv4/tcp_output.c:tcp_event_new_data_sent */
export const tcp_event_new_data_sent = kfunc(
  FILE,
  function tcp_event_new_data_sent(k, sk: sock, skb: sk_buff): void {
    const tp = tcp_sk(k, sk)
    const before = tp.packets_out
    tp.snd_nxt = TCP_SKB_CB(k, skb).end_seq
    __skb_unlink(k, skb, sk.sk_write_queue)
    tcp_rtx_queue_insert(k, sk, skb)
    tp.packets_out = before + 1
    if (before === 0) tcp_rearm_rto(k, sk)
  },
)

/** Did the congestion window hold us back? @see net/ipv4/tcp_output.c:tcp_cwnd_validate */
function tcp_cwnd_validate(k: Kernel, sk: sock, limited: boolean): void {
  const tp = tcp_sk(k, sk)
  const outside = !before(tp.snd_una, tp.cwnd_usage_seq)
  if (outside || limited || (tp.is_cwnd_limited === 0 && tp.packets_out > tp.max_packets_out)) {
    tp.is_cwnd_limited = limited ? 1 : 0
    tp.max_packets_out = tp.packets_out
    tp.cwnd_usage_seq = tp.snd_nxt
  }
  if (limited) tp.snd_cwnd_used = 0
  else if (tp.packets_out > tp.snd_cwnd_used) tp.snd_cwnd_used = tp.packets_out
  tp.snd_cwnd_stamp = tcp_jiffies32(k)
}

/**
 * Send as much as may leave.
 *
 * @param pushOne send at most one segment
 * @returns true when nothing is in flight and something waits: then the window must be probed
 * @see net/ipv4/tcp_output.c:tcp_write_xmit
 * @remarks segments are made at their final size: no segmentation offload, no pacing, no tail loss probe
 */
export const tcp_write_xmit = kfunc(
  FILE,
  function tcp_write_xmit(k, sk: sock, mss: number, nonagle: number, pushOne: boolean): boolean {
    const tp = tcp_sk(k, sk)
    let sent = 0
    let cwndLimited = false
    tcp_mstamp_refresh(k, tp)
    for (let skb = tcp_send_head(k, sk); skb !== null; skb = tcp_send_head(k, sk)) {
      if (cwndQuota(tp) === 0) {
        cwndLimited = true
        break
      }
      if (!windowAllows(k, tp, skb)) break
      const last = tcp_write_queue_tail(k, sk)?.$va === skb.$va
      if (!nagleAllows(k, tp, skb, mss, last ? nonagle : TCP_NAGLE_PUSH)) break
      if (skb.len > mss) tcp_fragment(k, sk, skb, mss, sk.sk_write_queue.$va)
      if (tcp_transmit_skb(k, sk, skb, true) !== 0) break
      tcp_event_new_data_sent(k, sk, skb)
      if (skb.len < mss) tp.snd_sml = TCP_SKB_CB(k, skb).end_seq
      sent++
      if (pushOne) break
    }
    if (sent > 0) {
      tcp_cwnd_validate(k, sk, cwndLimited || tcp_packets_in_flight(tp) >= tp.snd_cwnd)
      return false
    }
    return tp.packets_out === 0 && tcp_send_head(k, sk) !== null
  },
)

/** Send what waits, by `mss`. @see net/ipv4/tcp_output.c:__tcp_push_pending_frames */
export const __tcp_push_pending_frames = kfunc(
  FILE,
  function __tcp_push_pending_frames(k, sk: sock, mss: number, nonagle: number): void {
    if (sk.sk_state === TCP_CLOSE) return
    if (tcp_write_xmit(k, sk, mss, nonagle, false)) tcp_check_probe_timer(k, sk)
  },
)

export const tcp_push_pending_frames = (k: Kernel, sk: sock): void => {
  if (tcp_send_head(k, sk) !== null)
    __tcp_push_pending_frames(k, sk, tcp_current_mss(k, sk), tcp_sk(k, sk).nonagle)
}

export const tcp_push_one = kfunc(FILE, function tcp_push_one(k, sk: sock, mss: number): void {
  tcp_write_xmit(k, sk, mss, TCP_NAGLE_PUSH, true)
})

/** The peer's window is closed: ask now and then whether it has opened. @see include/net/tcp.h:tcp_check_probe_timer */
export function tcp_check_probe_timer(k: Kernel, sk: sock): void {
  const icsk = inet_csk(k, sk)
  if (tcp_sk(k, sk).packets_out !== 0 || icsk.icsk_pending !== 0) return
  inet_csk_reset_xmit_timer(k, sk, ICSK_TIME_PROBE0, Math.max(icsk.icsk_rto, 50), TCP_RTO_MAX)
}

/**
 * Split a buffer: its first `len` bytes stay, the rest follows in a buffer of its own.
 *
 * @param queue the write queue's address, or 0 for the tree of sent segments
 * @see net/ipv4/tcp_output.c:tcp_fragment
 */
export const tcp_fragment = kfunc(
  FILE,
  function tcp_fragment(k, sk: sock, skb: sk_buff, len: number, mssOrQueue: Va): number {
    const rest = skb.len - len
    if (rest <= 0) return -22
    const buff = tcp_stream_alloc_skb(k, sk, rest)
    k.mem.copy(skb_put(k, buff, rest), skb_data(k, skb) + len, rest)
    skb_trim(k, skb, len)
    sk_wmem_queued_add(sk, buff.truesize)
    sk_mem_charge(sk, buff.truesize)
    const cb = TCP_SKB_CB(k, skb)
    const next = TCP_SKB_CB(k, buff)
    next.seq = (cb.seq + len) >>> 0
    next.end_seq = cb.end_seq
    cb.end_seq = next.seq
    const { tcp_flags: flags } = cb
    cb.tcp_flags = flags & ~(TCPHDR_FIN | TCPHDR_PSH)
    next.tcp_flags = flags
    next.sacked = cb.sacked
    next.tcp_gso_segs = 1
    buff.ip_summed = skb.ip_summed
    buff.skb_mstamp_ns = skb.skb_mstamp_ns
    __skb_header_release(k, buff)
    if (mssOrQueue === sk.sk_write_queue.$va) __skb_queue_after(k, sk.sk_write_queue, skb, buff)
    else {
      tcp_rtx_queue_insert(k, sk, buff)
      const tp = tcp_sk(k, sk)
      tp.packets_out = tp.packets_out + 1
    }
    return 0
  },
)

/** Drop the first bytes of a buffer, which are acknowledged. @see net/ipv4/tcp_output.c:tcp_trim_head */
export const tcp_trim_head = kfunc(
  FILE,
  function tcp_trim_head(k, _sk: sock, skb: sk_buff, len: number): void {
    skb_pull(k, skb, len)
    const cb = TCP_SKB_CB(k, skb)
    cb.seq = (cb.seq + len) >>> 0
  },
)

const __tcp_retransmit_skb = kfunc(FILE, function __tcp_retransmit_skb(k, sk: sock, skb: sk_buff): number {
  const tp = tcp_sk(k, sk)
  const cb = TCP_SKB_CB(k, skb)
  const syn = (cb.tcp_flags & TCPHDR_SYN) !== 0
  if (before(cb.seq, tp.snd_una) && !syn) tcp_trim_head(k, sk, skb, (tp.snd_una - cb.seq) >>> 0)
  const mss = tcp_current_mss(k, sk)
  const room = (tcp_wnd_end(tp) - cb.seq) | 0
  if (room <= 0 && cb.seq !== tp.snd_una) return -EAGAIN
  if (skb.len > mss && !syn) tcp_fragment(k, sk, skb, mss, 0)
  TCP_INC_STATS(k, sk, 'TCP_MIB_RETRANSSEGS')
  tp.total_retrans = tp.total_retrans + 1
  tp.bytes_retrans = tp.bytes_retrans + BigInt(skb.len)
  const err = tcp_transmit_skb(k, sk, skb, true)
  cb.sacked = cb.sacked | TCPCB_EVER_RETRANS
  return err
})

/** Send a segment once more, and remember that it was. @see net/ipv4/tcp_output.c:tcp_retransmit_skb */
export const tcp_retransmit_skb = kfunc(FILE, function tcp_retransmit_skb(k, sk: sock, skb: sk_buff): number {
  const tp = tcp_sk(k, sk)
  const err = __tcp_retransmit_skb(k, sk, skb)
  if (err === 0) {
    const cb = TCP_SKB_CB(k, skb)
    cb.sacked = cb.sacked | TCPCB_RETRANS
    tp.retrans_out = tp.retrans_out + 1
  }
  if (tp.retrans_stamp === 0) tp.retrans_stamp = tcp_time_stamp(tp) || 1
  if (tp.undo_retrans < 0) tp.undo_retrans = 0
  tp.undo_retrans = tp.undo_retrans + 1
  return err
})

/** Send what is marked lost, oldest first, as the congestion window allows. */
export const tcp_xmit_retransmit_queue = kfunc(FILE, function tcp_xmit_retransmit_queue(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  for (let skb = tcp_rtx_queue_head(k, sk); skb !== null; skb = skb_rb_next(k, skb)) {
    if (cwndQuota(tp) === 0) return
    const { sacked } = TCP_SKB_CB(k, skb)
    if ((sacked & TCPCB_LOST) === 0 || (sacked & (TCPCB_SACKED_ACKED | TCPCB_SACKED_RETRANS)) !== 0) continue
    if (tcp_retransmit_skb(k, sk, skb) !== 0) return
    inet_csk_reset_xmit_timer(k, sk, ICSK_TIME_RETRANS, inet_csk(k, sk).icsk_rto, TCP_RTO_MAX)
  }
})

/** A new hash for a connection that may be stuck on a bad path. */
export const rehash = (k: Kernel, sk: sock): void => {
  if (sk_rethink_txhash(k, sk)) {
    tcp_sk(k, sk).timeout_rehash = tcp_sk(k, sk).timeout_rehash + 1
    NET_INC_STATS(k, sk, 'LINUX_MIB_TCPTIMEOUTREHASH')
  }
}

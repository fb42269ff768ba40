/** An ACK: what it settles of what was sent, what it says of the path, what it allows to be sent. */

import { after, before, ntohs } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { sk_buff, sock, tcp_sock, tcphdr } from '../../../../btf/vmlinux.ts'
import {
  ICSK_TIME_PROBE0,
  TCPCB_LOST,
  TCPCB_RETRANS,
  TCPCB_SACKED_ACKED,
  TCPCB_SACKED_RETRANS,
  TCPHDR_SYN,
  TCP_CA_Loss,
  TCP_CA_Open,
  TCP_CA_Recovery,
} from '../../../../abi/tcp.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { TCP_SKB_CB, inet_csk, tcp_flag_byte, tcp_hdr, tcp_sk } from '../../../include/net/casts.ts'
import {
  NET_INC_STATS,
  skb_rb_next,
  tcp_clock_ns,
  tcp_fast_path_check,
  tcp_init_wl,
  tcp_jiffies32,
  tcp_rtx_queue_head,
  tcp_rtx_queue_unlink_and_free,
  tcp_send_head,
  tcp_skb_timestamp_us,
  tcp_wnd_end,
} from '../../../include/net/tcp.ts'
import { inet_csk_clear_xmit_timer } from '../inet_connection_sock/timers.ts'
import { tcp_set_ca_state } from '../tcp_cong.ts'
import {
  tcp_check_probe_timer,
  tcp_sync_mss,
  tcp_trim_head,
  tcp_xmit_retransmit_queue,
} from '../tcp_output.ts'
import { tcp_rate_gen, tcp_rate_skb_delivered } from '../tcp_rate.ts'
import type { SackOption } from './options.ts'
import { tcp_ack_update_rtt, tcp_rearm_rto, tcp_update_pacing_rate } from './rto.ts'

const FILE = 'net/ipv4/tcp_input.c'

/** What is known of an ACK while it is looked at. @see net/ipv4/tcp_input.c:FLAG_DATA */
export const FLAG_DATA = 0x01
export const FLAG_WIN_UPDATE = 0x02
export const FLAG_DATA_ACKED = 0x04
export const FLAG_SYN_ACKED = 0x10
export const FLAG_DATA_SACKED = 0x20
export const FLAG_SLOWPATH = 0x100
export const FLAG_SND_UNA_ADVANCED = 0x400
export const FLAG_UPDATE_TS_RECENT = 0x4000

/** Remember the peer's timestamp to echo. @see net/ipv4/tcp_input.c:tcp_store_ts_recent */
export function tcp_store_ts_recent(k: Kernel, tp: tcp_sock): void {
  tp.rx_opt.ts_recent = from(tp.rx_opt, 'rcv_tsval')
  tp.rx_opt.ts_recent_stamp = Number(tcp_clock_ns(k) / 1_000_000_000n)
}

/** Only a segment that was expected may set the timestamp to echo. */
export const tcp_replace_ts_recent = kfunc(
  FILE,
  function tcp_replace_ts_recent(k, tp: tcp_sock, seq: number): void {
    if (tp.rx_opt.saw_tstamp !== 1 || after(seq, tp.rcv_wup)) return
    if (((tp.rx_opt.ts_recent - tp.rx_opt.rcv_tsval) | 0) <= 0 || tp.rx_opt.ts_recent === 0)
      tcp_store_ts_recent(k, tp)
  },
)

export function tcp_snd_una_update(tp: tcp_sock, ack: number): void {
  tp.bytes_acked = tp.bytes_acked + BigInt((ack - tp.snd_una) >>> 0)
  tp.snd_una = ack
}

/** Take the window over from a segment that is newer, or offers more. @see net/ipv4/tcp_input.c:tcp_ack_update_window */
function tcp_ack_update_window(k: Kernel, sk: sock, th: tcphdr, ack: number, seq: number): number {
  const tp = tcp_sk(k, sk)
  let flag = 0
  const syn = (tcp_flag_byte(th) & TCPHDR_SYN) !== 0
  const window = (ntohs(th.window) << (syn ? 0 : tp.rx_opt.snd_wscale)) >>> 0
  const newer =
    after(ack, tp.snd_una) || after(seq, tp.snd_wl1) || (seq === tp.snd_wl1 && window > tp.snd_wnd)
  if (newer) {
    flag = FLAG_WIN_UPDATE
    tcp_init_wl(tp, seq)
    if (tp.snd_wnd !== window) {
      tp.snd_wnd = window
      tp.pred_flags = 0
      tcp_fast_path_check(k, sk)
      if (window > tp.max_window) {
        tp.max_window = window
        tcp_sync_mss(k, sk, inet_csk(k, sk).icsk_pmtu_cookie)
      }
    }
  }
  tcp_snd_una_update(tp, ack)
  return flag
}

/** Marks of a segment that leaves the queue, taken out of the counts. */
function uncount(tp: tcp_sock, sacked: number): void {
  if ((sacked & TCPCB_SACKED_RETRANS) !== 0) tp.retrans_out = tp.retrans_out - 1
  if ((sacked & TCPCB_SACKED_ACKED) !== 0) tp.sacked_out = tp.sacked_out - 1
  else tp.delivered = (tp.delivered + 1) >>> 0
  if ((sacked & TCPCB_LOST) !== 0) tp.lost_out = tp.lost_out - 1
}

/** Free what is acknowledged, and measure. @returns flags @see net/ipv4/tcp_input.c:tcp_clean_rtx_queue */
function tcp_clean_rtx_queue(k: Kernel, sk: sock, priorUna: number): number {
  const tp = tcp_sk(k, sk)
  let flag = 0
  let rtt = -1
  let acked = 0
  for (let skb = tcp_rtx_queue_head(k, sk); skb !== null; skb = tcp_rtx_queue_head(k, sk)) {
    const cb = TCP_SKB_CB(k, skb)
    if (after(cb.end_seq, tp.snd_una)) {
      // part of it: the rest stays
      if (after(tp.snd_una, cb.seq)) tcp_trim_head(k, sk, skb, (tp.snd_una - cb.seq) >>> 0)
      break
    }
    const { sacked, tcp_flags } = cb
    // what was sent twice tells no round trip: which one was it?
    if ((sacked & TCPCB_RETRANS) === 0 && rtt < 0 && (sacked & TCPCB_SACKED_ACKED) === 0) {
      rtt = Number(tp.tcp_mstamp - tcp_skb_timestamp_us(skb))
    }
    uncount(tp, sacked)
    tp.packets_out = tp.packets_out - 1
    flag |= (tcp_flags & TCPHDR_SYN) !== 0 ? FLAG_SYN_ACKED : FLAG_DATA_ACKED
    if ((tcp_flags & TCPHDR_SYN) !== 0) tp.retrans_stamp = 0
    tcp_rate_skb_delivered(k, sk, skb)
    tcp_rtx_queue_unlink_and_free(k, sk, skb)
    acked++
  }
  if (acked === 0) return flag
  tcp_ack_update_rtt(k, sk, rtt, -1)
  const acker = deref(inet_csk(k, sk).icsk_ca_ops).pkts_acked
  if (acker !== 0n) k.indirect<(k: Kernel, sk: sock, rttUs: number) => void>(acker)(k, sk, rtt)
  if (after(tp.snd_up, priorUna) && !after(tp.snd_up, tp.snd_una)) tp.snd_up = tp.snd_una
  tcp_rearm_rto(k, sk)
  return flag
}

/** The peer has these although something before them is missing. @see net/ipv4/tcp_input.c:tcp_sacktag_write_queue */
function tcp_sacktag_write_queue(k: Kernel, sk: sock, sack: SackOption): number {
  const tp = tcp_sk(k, sk)
  let flag = 0
  for (let skb = tcp_rtx_queue_head(k, sk); skb !== null; skb = skb_rb_next(k, skb)) {
    const cb = TCP_SKB_CB(k, skb)
    const inside = sack.blocks.some(({ start, end }) => !before(cb.seq, start) && !after(cb.end_seq, end))
    if (!inside || (cb.sacked & TCPCB_SACKED_ACKED) !== 0) continue
    if ((cb.sacked & TCPCB_LOST) !== 0) tp.lost_out = tp.lost_out - 1
    if ((cb.sacked & TCPCB_SACKED_RETRANS) !== 0) tp.retrans_out = tp.retrans_out - 1
    cb.sacked = (cb.sacked & ~(TCPCB_LOST | TCPCB_SACKED_RETRANS)) | TCPCB_SACKED_ACKED
    tp.sacked_out = tp.sacked_out + 1
    tp.delivered = (tp.delivered + 1) >>> 0
    tp.highest_sack = skb
    flag |= FLAG_DATA_SACKED
  }
  return flag
}

/** Everything before the highest SACK that is not SACKed is lost. */
function markLost(k: Kernel, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const highest = tp.highest_sack
  const limit = highest === null ? tp.snd_una : TCP_SKB_CB(k, highest).seq
  for (let skb = tcp_rtx_queue_head(k, sk); skb !== null; skb = skb_rb_next(k, skb)) {
    const cb = TCP_SKB_CB(k, skb)
    const head = cb.seq === tp.snd_una
    if (!head && !before(cb.seq, limit)) return
    if ((cb.sacked & (TCPCB_SACKED_ACKED | TCPCB_LOST)) !== 0) continue
    cb.sacked = cb.sacked | TCPCB_LOST
    tp.lost_out = tp.lost_out + 1
  }
}

/** Enter, stay in or leave recovery. @see net/ipv4/tcp_input.c:tcp_fastretrans_alert @remarks no RACK, no undo */
function tcp_fastretrans_alert(k: Kernel, sk: sock, flag: number, dupack: boolean): void {
  const tp = tcp_sk(k, sk)
  const icsk = inet_csk(k, sk)
  const state = icsk.icsk_ca_state
  if (state !== TCP_CA_Open && !before(tp.snd_una, tp.high_seq)) {
    if (state === TCP_CA_Recovery) tp.snd_cwnd = tp.snd_ssthresh
    tcp_set_ca_state(k, sk, TCP_CA_Open)
    tp.retrans_stamp = 0
    tp.undo_marker = 0
    return
  }
  if (dupack && (flag & FLAG_DATA_SACKED) === 0 && tp.rx_opt.sack_ok === 0) tp.sacked_out = tp.sacked_out + 1
  if (state === TCP_CA_Loss || tp.sacked_out < tp.reordering) {
    if (state === TCP_CA_Loss) tcp_xmit_retransmit_queue(k, sk)
    return
  }
  if (state !== TCP_CA_Recovery) {
    NET_INC_STATS(k, sk, 'LINUX_MIB_TCPSACKRECOVERY')
    const { ssthresh } = deref(icsk.icsk_ca_ops)
    tp.prior_ssthresh = 0
    tp.prior_cwnd = tp.snd_cwnd
    tp.undo_marker = tp.snd_una
    tp.undo_retrans = tp.retrans_out || -1
    tp.snd_ssthresh = k.indirect<(k: Kernel, sk: sock) => number>(ssthresh)(k, sk)
    tp.snd_cwnd = Math.max(tp.snd_ssthresh, 1)
    tp.high_seq = tp.snd_nxt
    tcp_set_ca_state(k, sk, TCP_CA_Recovery)
  }
  markLost(k, sk)
  tcp_xmit_retransmit_queue(k, sk)
}

/** The timer ran out: everything in flight is taken for lost. @see net/ipv4/tcp_input.c:tcp_enter_loss */
export const tcp_enter_loss = kfunc(FILE, function tcp_enter_loss(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const icsk = inet_csk(k, sk)
  if (icsk.icsk_ca_state !== TCP_CA_Loss || icsk.icsk_retransmits === 0) {
    tp.prior_cwnd = tp.snd_cwnd
    tp.undo_marker = tp.snd_una
    tp.snd_ssthresh = k.indirect<(k: Kernel, sk: sock) => number>(deref(icsk.icsk_ca_ops).ssthresh)(k, sk)
  }
  for (let skb = tcp_rtx_queue_head(k, sk); skb !== null; skb = skb_rb_next(k, skb)) {
    const cb = TCP_SKB_CB(k, skb)
    if ((cb.sacked & TCPCB_SACKED_RETRANS) !== 0) tp.retrans_out = tp.retrans_out - 1
    if ((cb.sacked & (TCPCB_SACKED_ACKED | TCPCB_LOST)) === 0) tp.lost_out = tp.lost_out + 1
    const keep = cb.sacked & ~TCPCB_SACKED_RETRANS
    cb.sacked = (cb.sacked & TCPCB_SACKED_ACKED) !== 0 ? keep : keep | TCPCB_LOST
  }
  tp.snd_cwnd = tp.packets_out - tp.sacked_out - tp.lost_out + tp.retrans_out + 1
  tp.snd_cwnd_cnt = 0
  tp.snd_cwnd_stamp = tcp_jiffies32(k)
  tcp_set_ca_state(k, sk, TCP_CA_Loss)
  tp.high_seq = tp.snd_nxt
})

/** The peer opened its window, or not yet. @see net/ipv4/tcp_input.c:tcp_ack_probe */
function tcp_ack_probe(k: Kernel, sk: sock): void {
  const head = tcp_send_head(k, sk)
  const tp = tcp_sk(k, sk)
  if (head === null) return
  if (after(TCP_SKB_CB(k, head).end_seq, tcp_wnd_end(tp))) return
  const icsk = inet_csk(k, sk)
  icsk.icsk_backoff = 0
  icsk.icsk_probes_tstamp = 0
  inet_csk_clear_xmit_timer(k, sk, ICSK_TIME_PROBE0)
}

/** Let the congestion control see what was delivered. @see net/ipv4/tcp_input.c:tcp_cong_control */
function tcp_cong_control(k: Kernel, sk: sock, ack: number, acked: number): void {
  const icsk = inet_csk(k, sk)
  const tp = tcp_sk(k, sk)
  const { cong_avoid } = deref(icsk.icsk_ca_ops)
  if (icsk.icsk_ca_state !== TCP_CA_Recovery && acked > 0) {
    k.indirect<(k: Kernel, sk: sock, ack: number, acked: number) => void>(cong_avoid)(k, sk, ack, acked)
    tp.snd_cwnd_stamp = tcp_jiffies32(k)
  }
  tcp_update_pacing_rate(k, sk)
}

/**
 * Handle the acknowledgement a segment carries.
 *
 * @param flag FLAG_SLOWPATH, FLAG_UPDATE_TS_RECENT
 * @returns 1 acceptable, 0 old, negative when it acknowledges what was never sent
 */
export const tcp_ack = kfunc(
  FILE,
  function tcp_ack(k, sk: sock, skb: sk_buff, how: number, sack: SackOption): number {
    const tp = tcp_sk(k, sk)
    const icsk = inet_csk(k, sk)
    const cb = TCP_SKB_CB(k, skb)
    const { ack_seq: ack, seq } = cb
    const priorUna = tp.snd_una
    const priorPackets = tp.packets_out
    const priorDelivered = tp.delivered
    let flag = how
    if (before(ack, priorUna)) {
      if (sack.blocks.length > 0) tcp_fastretrans_alert(k, sk, tcp_sacktag_write_queue(k, sk, sack), false)
      return 0
    }
    if (after(ack, tp.snd_nxt)) return -1
    if (after(ack, priorUna)) {
      flag |= FLAG_SND_UNA_ADVANCED
      icsk.icsk_retransmits = 0
    }
    if ((flag & FLAG_UPDATE_TS_RECENT) !== 0) tcp_replace_ts_recent(k, tp, seq)
    if ((flag & (FLAG_SLOWPATH | FLAG_SND_UNA_ADVANCED)) === FLAG_SND_UNA_ADVANCED) {
      // the window is what it was and something was acknowledged
      tcp_init_wl(tp, seq)
      tcp_snd_una_update(tp, ack)
      flag |= FLAG_WIN_UPDATE
    } else {
      if (cb.end_seq !== seq) flag |= FLAG_DATA
      flag |= tcp_ack_update_window(k, sk, tcp_hdr(k, skb), ack, seq)
      if (sack.blocks.length > 0) flag |= tcp_sacktag_write_queue(k, sk, sack)
    }
    sk.sk_err_soft = 0
    icsk.icsk_probes_out = 0
    tp.rcv_tstamp = tcp_jiffies32(k)
    if (priorPackets === 0) {
      tcp_ack_probe(k, sk)
      return 1
    }
    flag |= tcp_clean_rtx_queue(k, sk, priorUna)
    const dupack = (flag & (FLAG_SND_UNA_ADVANCED | FLAG_DATA | FLAG_WIN_UPDATE)) === 0
    if (dupack || icsk.icsk_ca_state !== TCP_CA_Open || (flag & FLAG_DATA_SACKED) !== 0) {
      tcp_fastretrans_alert(k, sk, flag, dupack)
    }
    const delivered = (tp.delivered - priorDelivered) >>> 0
    tcp_rate_gen(k, sk, delivered)
    tcp_cong_control(k, sk, ack, delivered)
    if (tcp_send_head(k, sk) !== null) tcp_check_probe_timer(k, sk)
    return 1
  },
)

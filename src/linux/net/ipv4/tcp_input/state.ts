/** Segments of every state but ESTABLISHED and TIME_WAIT. */

import { after, before, ntohs } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { sk_buff, sock, tcphdr } from '../../../../btf/vmlinux.ts'
import { SOCK_DEAD } from '../../../../abi/sock.ts'
import { RCV_SHUTDOWN, SEND_SHUTDOWN } from '../../../../abi/socket.ts'
import {
  ICSK_TIME_DACK,
  TCPHDR_ACK,
  TCPHDR_FIN,
  TCPHDR_RST,
  TCPHDR_SYN,
  TCPOLEN_TSTAMP_ALIGNED,
  TCP_DELACK_MAX,
  TCP_RTO_MAX,
  TCP_TIMEWAIT_LEN,
} from '../../../../abi/tcp.ts'
import * as TCP from '../../../../abi/tcp_states.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { consume_skb, kfree_skb } from '../../core/skbuff.ts'
import { sk_state_change } from '../../core/sock.ts'
import { TCP_SKB_CB, inet_csk, tcp_flag_byte, tcp_hdr, tcp_sk } from '../../../include/net/casts.ts'
import { sock_flag } from '../../../include/net/sock.ts'
import {
  NET_INC_STATS,
  inet_csk_in_pingpong_mode,
  inet_csk_schedule_ack,
  tcp_enter_quickack_mode,
  tcp_fast_path_on,
  tcp_init_wl,
  tcp_jiffies32,
  tcp_time_stamp,
} from '../../../include/net/tcp.ts'
import { inet_csk_reset_keepalive_timer, inet_csk_reset_xmit_timer } from '../inet_connection_sock/timers.ts'
import { tcp_done, tcp_set_state } from '../tcp/state.ts'
import { tcp_mstamp_refresh, tcp_send_ack, tcp_sync_mss } from '../tcp_output.ts'
import { tcp_time_wait } from '../tcp_minisocks/timewait.ts'
import { FLAG_SLOWPATH, FLAG_UPDATE_TS_RECENT, tcp_ack, tcp_store_ts_recent } from './ack.ts'
import { tcp_reset } from './close.ts'
import { tcp_ack_snd_check, tcp_data_snd_check, tcp_validate_incoming } from './established.ts'
import { tcp_parse_options, type SackOption } from './options.ts'
import { tcp_data_queue, tcp_initialize_rcv_mss } from './rcv.ts'
import { tcp_synack_rtt_meas, tcp_update_pacing_rate } from './rto.ts'
import { tcp_finish_connect, tcp_init_transfer } from './transfer.ts'

const FILE = 'net/ipv4/tcp_input.c'

/** The answer to our SYN. @returns 1 asks for a RST, -1 means go on, 0 done @see tcp_rcv_synsent_state_process */
function tcp_rcv_synsent_state_process(k: Kernel, sk: sock, skb: sk_buff, th: tcphdr): number {
  const tp = tcp_sk(k, sk)
  const icsk = inet_csk(k, sk)
  const cb = TCP_SKB_CB(k, skb)
  const flags = tcp_flag_byte(th)
  const discard = (): number => {
    kfree_skb(k, skb)
    return 0
  }
  tcp_parse_options(k, skb, tp.rx_opt, false)
  const { rx_opt } = tp
  if (rx_opt.saw_tstamp === 1 && rx_opt.rcv_tsecr !== 0)
    rx_opt.rcv_tsecr = (rx_opt.rcv_tsecr - tp.tsoffset) >>> 0
  if ((flags & TCPHDR_ACK) === 0) return discard()
  // RFC 793: an ACK of anything but our SYN asks for a reset
  if (!after(cb.ack_seq, tp.snd_una) || after(cb.ack_seq, tp.snd_nxt)) {
    inet_csk_reset_xmit_timer(k, sk, 1, icsk.icsk_retransmits === 0 ? 2 : icsk.icsk_rto, TCP_RTO_MAX)
    return 1
  }
  if (rx_opt.saw_tstamp === 1 && rx_opt.rcv_tsecr !== 0) {
    const echoed = rx_opt.rcv_tsecr
    if (before(echoed, tp.retrans_stamp) || after(echoed, tcp_time_stamp(tp))) {
      NET_INC_STATS(k, sk, 'LINUX_MIB_PAWSACTIVEREJECTED')
      return 1
    }
  }
  if ((flags & TCPHDR_RST) !== 0) {
    tcp_reset(k, sk, skb)
    return discard()
  }
  if ((flags & TCPHDR_SYN) === 0) return discard()
  tcp_init_wl(tp, cb.seq)
  tcp_ack(k, sk, skb, FLAG_SLOWPATH, { blocks: [] })
  tp.rcv_nxt = from(cb, 'seq').map((seq) => (seq + 1) >>> 0)
  tp.rcv_wup = (cb.seq + 1) >>> 0
  // the window of a SYN is never scaled
  tp.snd_wnd = from(th, 'window').map(ntohs)
  if (rx_opt.wscale_ok === 0) {
    rx_opt.snd_wscale = 0
    rx_opt.rcv_wscale = 0
    tp.window_clamp = Math.min(tp.window_clamp, 65535)
  }
  if (rx_opt.saw_tstamp === 1) {
    rx_opt.tstamp_ok = 1
    tp.tcp_header_len = 20 + TCPOLEN_TSTAMP_ALIGNED
    tp.advmss = tp.advmss - TCPOLEN_TSTAMP_ALIGNED
    tcp_store_ts_recent(k, tp)
  } else tp.tcp_header_len = 20
  tcp_sync_mss(k, sk, icsk.icsk_pmtu_cookie)
  tcp_initialize_rcv_mss(k, sk)
  tp.copied_seq = tp.rcv_nxt
  tcp_finish_connect(k, sk, skb)
  if (!sock_flag(sk, SOCK_DEAD)) sk_state_change(k, sk)
  const { rskq_defer_accept } = icsk.icsk_accept_queue
  if (sk.sk_write_pending !== 0 || rskq_defer_accept !== 0 || inet_csk_in_pingpong_mode(k, sk)) {
    // data is about to go: it may carry the ACK
    inet_csk_schedule_ack(k, sk)
    tcp_enter_quickack_mode(k, sk)
    inet_csk_reset_xmit_timer(k, sk, ICSK_TIME_DACK, TCP_DELACK_MAX, TCP_RTO_MAX)
    return discard()
  }
  tcp_send_ack(k, sk)
  return -1
}

/** The ACK of our SYN-ACK: the child stands. */
function established(k: Kernel, sk: sock, skb: sk_buff, th: tcphdr): void {
  const tp = tcp_sk(k, sk)
  const cb = TCP_SKB_CB(k, skb)
  tp.delivered = (tp.delivered + 1) >>> 0
  if (tp.srtt_us === 0) tcp_synack_rtt_meas(k, sk, null)
  tp.retrans_stamp = 0
  if (tp.rx_opt.tstamp_ok === 1) tp.advmss = tp.advmss - TCPOLEN_TSTAMP_ALIGNED
  tcp_init_transfer(k, sk)
  tp.copied_seq = tp.rcv_nxt
  tcp_set_state(k, sk, TCP.TCP_ESTABLISHED)
  sk_state_change(k, sk)
  tp.snd_una = from(cb, 'ack_seq')
  tp.snd_wnd = (ntohs(th.window) << tp.rx_opt.snd_wscale) >>> 0
  tcp_init_wl(tp, cb.seq)
  tcp_update_pacing_rate(k, sk)
  tp.lsndtime = tcp_jiffies32(k)
  tcp_initialize_rcv_mss(k, sk)
  tcp_fast_path_on(tp)
}

/** @returns true when the segment is done with */
function ackInClosingStates(k: Kernel, sk: sock, skb: sk_buff): boolean {
  const tp = tcp_sk(k, sk)
  const all = tp.snd_una === tp.write_seq
  switch (sk.sk_state) {
    case TCP.TCP_FIN_WAIT1: {
      if (!all) return false
      tcp_set_state(k, sk, TCP.TCP_FIN_WAIT2)
      sk.sk_shutdown = sk.sk_shutdown | SEND_SHUTDOWN
      if (!sock_flag(sk, SOCK_DEAD)) {
        sk_state_change(k, sk)
        return false
      }
      const cb = TCP_SKB_CB(k, skb)
      // data nobody will read
      if (cb.end_seq !== cb.seq && after((cb.end_seq - (cb.tcp_flags & TCPHDR_FIN)) >>> 0, tp.rcv_nxt)) {
        tcp_done(k, sk)
        NET_INC_STATS(k, sk, 'LINUX_MIB_TCPABORTONDATA')
        return false
      }
      const fin = (cb.tcp_flags & TCPHDR_FIN) !== 0
      const timeout = tcp_fin_time(k, sk)
      if (timeout > TCP_TIMEWAIT_LEN) inet_csk_reset_keepalive_timer(k, sk, timeout - TCP_TIMEWAIT_LEN)
      else if (fin) inet_csk_reset_keepalive_timer(k, sk, timeout)
      else {
        tcp_time_wait(k, sk, TCP.TCP_FIN_WAIT2, timeout)
        kfree_skb(k, skb)
        return true
      }
      return false
    }
    case TCP.TCP_CLOSING:
      if (!all) return false
      tcp_time_wait(k, sk, TCP.TCP_TIME_WAIT, 0)
      kfree_skb(k, skb)
      return true
    case TCP.TCP_LAST_ACK:
      if (!all) return false
      tcp_done(k, sk)
      kfree_skb(k, skb)
      return true
    default:
      return false
  }
}

/** Jiffies a closed sock waits for the peer's FIN. @see include/net/tcp.h:tcp_fin_time */
export function tcp_fin_time(k: Kernel, sk: sock): number {
  const tp = tcp_sk(k, sk)
  const { icsk_rto } = inet_csk(k, sk)
  const timeout = tp.linger2 || k.global('init_net', 'net').ipv4.sysctl_tcp_fin_timeout
  return Math.max(timeout, (icsk_rto << 2) - (icsk_rto >> 1))
}

/**
 * @returns non-zero: the caller sends a RST
 * @see net/ipv4/tcp_input.c:tcp_rcv_state_process
 */
export const tcp_rcv_state_process = kfunc(
  FILE,
  function tcp_rcv_state_process(k, sk: sock, skb: sk_buff): number {
    const tp = tcp_sk(k, sk)
    const icsk = inet_csk(k, sk)
    const th = tcp_hdr(k, skb)
    const flags = tcp_flag_byte(th)
    const discard = (): number => {
      kfree_skb(k, skb)
      return 0
    }
    switch (sk.sk_state) {
      case TCP.TCP_CLOSE:
        return discard()
      case TCP.TCP_LISTEN: {
        if ((flags & TCPHDR_ACK) !== 0) return 1
        if ((flags & TCPHDR_RST) !== 0 || (flags & TCPHDR_SYN) === 0) return discard()
        // a SYN that ends the connection it opens
        if ((flags & TCPHDR_FIN) !== 0) return discard()
        const { conn_request } = deref(icsk.icsk_af_ops)
        const acceptable =
          k.indirect<(k: Kernel, sk: sock, skb: sk_buff) => number>(conn_request)(k, sk, skb) >= 0
        if (!acceptable) return 1
        consume_skb(k, skb)
        return 0
      }
      case TCP.TCP_SYN_SENT: {
        tp.rx_opt.saw_tstamp = 0
        tcp_mstamp_refresh(k, tp)
        const queued = tcp_rcv_synsent_state_process(k, sk, skb, th)
        if (queued >= 0) return queued
        kfree_skb(k, skb)
        tcp_data_snd_check(k, sk)
        return 0
      }
    }
    tcp_mstamp_refresh(k, tp)
    tp.rx_opt.saw_tstamp = 0
    if ((flags & (TCPHDR_ACK | TCPHDR_RST | TCPHDR_SYN)) === 0) return discard()
    const sack: SackOption = { blocks: [] }
    if (!tcp_validate_incoming(k, sk, skb, th, sack)) return 0
    const acked = tcp_ack(k, sk, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT, sack)
    if (acked <= 0 && sk.sk_state === TCP.TCP_SYN_RECV) return 1
    if (acked < 0) return discard()
    if (sk.sk_state === TCP.TCP_SYN_RECV) established(k, sk, skb, th)
    else if (ackInClosingStates(k, sk, skb)) return 0
    return payload(k, sk, skb)
  },
)

/** The segment's text, by state. */
function payload(k: Kernel, sk: sock, skb: sk_buff): number {
  const tp = tcp_sk(k, sk)
  const cb = TCP_SKB_CB(k, skb)
  switch (sk.sk_state) {
    case TCP.TCP_CLOSE_WAIT:
    case TCP.TCP_CLOSING:
    case TCP.TCP_LAST_ACK:
      if (!before(cb.seq, tp.rcv_nxt)) {
        kfree_skb(k, skb)
        break
      }
      tcp_data_queue(k, sk, skb)
      break
    case TCP.TCP_FIN_WAIT1:
    case TCP.TCP_FIN_WAIT2:
      // RFC 793 asks to queue the data; a sock that will not be read answers with a reset
      if ((sk.sk_shutdown & RCV_SHUTDOWN) !== 0) {
        const beyond = (cb.end_seq - (cb.tcp_flags & TCPHDR_FIN)) >>> 0
        if (cb.end_seq !== cb.seq && after(beyond, tp.rcv_nxt)) {
          NET_INC_STATS(k, sk, 'LINUX_MIB_TCPABORTONDATA')
          tcp_reset(k, sk, skb)
          return 1
        }
      }
      tcp_data_queue(k, sk, skb)
      break
    case TCP.TCP_ESTABLISHED:
      tcp_data_queue(k, sk, skb)
      break
    default:
      kfree_skb(k, skb)
  }
  if (sk.sk_state !== TCP.TCP_CLOSE) {
    tcp_data_snd_check(k, sk)
    tcp_ack_snd_check(k, sk)
  }
  return 0
}

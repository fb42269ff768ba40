/** Segments of a connection that stands: the fast path for what was expected, checks for the rest. */

import { after, before } from '../../../../base/u32.ts'
import type { sk_buff, sock, tcp_sock, tcphdr } from '../../../../btf/vmlinux.ts'
import { TCPHDR_ACK, TCPHDR_RST, TCPHDR_SYN, TCPOLEN_TSTAMP_ALIGNED } from '../../../../abi/tcp.ts'
import { TCP_ESTABLISHED } from '../../../../abi/tcp_states.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { __kfree_skb, kfree_skb, skb_dst_drop, skb_pull } from '../../core/skbuff.ts'
import { TCP_SKB_CB, inet_csk, tcp_flag_byte, tcp_hdr, tcp_sk } from '../../../include/net/casts.ts'
import { sock_net } from '../../../include/net/sock.ts'
import {
  NET_INC_STATS,
  TCP_INC_STATS,
  inet_csk_ack_scheduled,
  tcp_enter_quickack_mode,
  tcp_jiffies32,
  tcp_paws_reject,
  tcp_receive_window,
  tcp_time_stamp,
} from '../../../include/net/tcp.ts'
import { tcp_mstamp_refresh, tcp_push_pending_frames, tcp_send_ack } from '../tcp_output.ts'
import { FLAG_SLOWPATH, FLAG_UPDATE_TS_RECENT, tcp_ack, tcp_store_ts_recent } from './ack.ts'
import { tcp_reset } from './close.ts'
import { tcp_fast_parse_options, type SackOption } from './options.ts'
import {
  __tcp_ack_snd_check,
  tcp_data_queue,
  tcp_data_ready,
  tcp_event_data_recv,
  tcp_queue_rcv,
} from './rcv.ts'

const FILE = 'net/ipv4/tcp_input.c'

/** Is the segment inside the window? @see net/ipv4/tcp_input.c:tcp_sequence */
export const tcp_sequence = (tp: tcp_sock, seq: number, end: number): boolean =>
  !before(end, tp.rcv_wup) && !after(seq, (tp.rcv_nxt + tcp_receive_window(tp)) >>> 0)

/** Answers to nonsense are rationed. @returns true when this one is too many */
export const tcp_oow_rate_limited = kfunc(
  FILE,
  function tcp_oow_rate_limited(
    k,
    sk: sock,
    skb: sk_buff,
    last: { get: () => number; set: (t: number) => void },
  ): boolean {
    const cb = TCP_SKB_CB(k, skb)
    // data is always answered: it may be the peer's retransmission
    if (cb.seq !== cb.end_seq && (cb.tcp_flags & TCPHDR_SYN) === 0) return false
    const now = tcp_jiffies32(k)
    const before = last.get()
    if (before !== 0 && (now - before) >>> 0 < sock_net(sk).ipv4.sysctl_tcp_invalid_ratelimit) return true
    last.set(now)
    return false
  },
)

const lastOow = (tp: tcp_sock): { get: () => number; set: (t: number) => void } => ({
  get: () => tp.last_oow_ack_time,
  set: (t) => void (tp.last_oow_ack_time = t),
})

/** An ACK that a blind attacker could not use (RFC 5961). */
export const tcp_send_challenge_ack = kfunc(FILE, function tcp_send_challenge_ack(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const last = lastOow(tp)
  const now = tcp_jiffies32(k)
  if (last.get() !== 0 && (now - last.get()) >>> 0 < sock_net(sk).ipv4.sysctl_tcp_invalid_ratelimit) return
  last.set(now)
  NET_INC_STATS(k, sk, 'LINUX_MIB_TCPCHALLENGEACK')
  tcp_send_ack(k, sk)
})

const tcp_send_dupack = kfunc(FILE, function tcp_send_dupack(k, sk: sock, skb: sk_buff): void {
  const cb = TCP_SKB_CB(k, skb)
  const tp = tcp_sk(k, sk)
  if (cb.end_seq !== cb.seq && before(cb.seq, tp.rcv_nxt)) {
    NET_INC_STATS(k, sk, 'LINUX_MIB_DELAYEDACKLOST')
    tcp_enter_quickack_mode(k, sk)
  }
  tcp_send_ack(k, sk)
})

/**
 * Timestamp, sequence number, RST and SYN of a segment of a synchronized connection.
 *
 * @returns false when the segment was answered or dropped here
 */
export const tcp_validate_incoming = kfunc(
  FILE,
  function tcp_validate_incoming(k, sk: sock, skb: sk_buff, th: tcphdr, sack: SackOption): boolean {
    const tp = tcp_sk(k, sk)
    const cb = TCP_SKB_CB(k, skb)
    const flags = tcp_flag_byte(th)
    const rst = (flags & TCPHDR_RST) !== 0
    const discard = (): boolean => {
      kfree_skb(k, skb)
      return false
    }
    if (
      tcp_fast_parse_options(k, skb, th, tp, sack) &&
      tp.rx_opt.saw_tstamp === 1 &&
      tcp_paws_reject(k, tp.rx_opt, rst)
    ) {
      if (!rst) {
        NET_INC_STATS(k, sk, 'LINUX_MIB_PAWSESTABREJECTED')
        if (!tcp_oow_rate_limited(k, sk, skb, lastOow(tp))) tcp_send_dupack(k, sk, skb)
        return discard()
      }
    }
    if (!tcp_sequence(tp, cb.seq, cb.end_seq)) {
      // RFC 793: a reset outside the window says nothing
      if (!rst) {
        if ((flags & TCPHDR_SYN) !== 0) tcp_send_challenge_ack(k, sk)
        else if (!tcp_oow_rate_limited(k, sk, skb, lastOow(tp))) tcp_send_dupack(k, sk, skb)
      }
      return discard()
    }
    if (rst) {
      // RFC 5961: exactly the next byte, or it is challenged
      if (cb.seq === tp.rcv_nxt) tcp_reset(k, sk, skb)
      else tcp_send_challenge_ack(k, sk)
      return discard()
    }
    if ((flags & TCPHDR_SYN) !== 0) {
      TCP_INC_STATS(k, sk, 'TCP_MIB_INERRS')
      tcp_send_challenge_ack(k, sk)
      return discard()
    }
    return true
  },
)

/** Send what the ACK allows, then the ACK that is due. */
export function tcp_data_snd_check(k: Kernel, sk: sock): void {
  tcp_push_pending_frames(k, sk)
  tcp_check_space(k, sk)
}

/** Writers wait for room that an ACK made. */
export const tcp_check_space = kfunc(FILE, function tcp_check_space(k, sk: sock): void {
  const SOCK_NOSPACE = 1n << 2n
  if (sk.sk_socket !== null && (sk.sk_socket.flags & SOCK_NOSPACE) !== 0n) {
    k.indirect<(k: Kernel, sk: sock) => void>(sk.sk_write_space)(k, sk)
  }
})

export function tcp_ack_snd_check(k: Kernel, sk: sock): void {
  if (inet_csk_ack_scheduled(k, sk)) __tcp_ack_snd_check(k, sk, true)
}

/** A full segment echoing a new timestamp tells the receiver a round trip. @see net/ipv4/tcp_input.c:tcp_rcv_rtt_measure_ts */
function tcp_rcv_rtt_measure_ts(k: Kernel, sk: sock, skb: sk_buff): void {
  const tp = tcp_sk(k, sk)
  const echo = tp.rx_opt.rcv_tsecr
  if (echo === tp.rcv_rtt_last_tsecr) return
  tp.rcv_rtt_last_tsecr = echo
  const cb = TCP_SKB_CB(k, skb)
  if ((cb.end_seq - cb.seq) >>> 0 < inet_csk(k, sk).icsk_ack.rcv_mss) return
  const us = Math.max((tcp_time_stamp(tp) - echo) >>> 0, 1) * 1000
  const known = tp.rcv_rtt_est.rtt_us
  tp.rcv_rtt_est.rtt_us = known === 0 ? us << 3 : known - (known >>> 3) + us
}

/** Is this the segment header prediction expects? */
function predicted(k: Kernel, tp: tcp_sock, th: tcphdr, skb: sk_buff): boolean {
  // PSH is not looked at
  const word = (k.mem.u32(th.$va + 12) & 0xffff_f7ff) >>> 0
  const cb = TCP_SKB_CB(k, skb)
  return word === tp.pred_flags && cb.seq === tp.rcv_nxt && !after(cb.ack_seq, tp.snd_nxt)
}

/** @returns false when the timestamp needs the slow path */
function fastTimestamp(k: Kernel, tp: tcp_sock, th: tcphdr, skb: sk_buff): boolean {
  if (tp.tcp_header_len !== 20 + TCPOLEN_TSTAMP_ALIGNED) return true
  if (!tcp_fast_parse_options(k, skb, th, tp, { blocks: [] }) || tp.rx_opt.saw_tstamp === 0) return false
  return ((tp.rx_opt.rcv_tsval - tp.rx_opt.ts_recent) | 0) >= 0
}

/**
 * A segment for an ESTABLISHED sock.
 * @see net/ipv4/tcp_input.c:tcp_rcv_established
 */
export const tcp_rcv_established = kfunc(FILE, function tcp_rcv_established(k, sk: sock, skb: sk_buff): void {
  const th = tcp_hdr(k, skb)
  const tp = tcp_sk(k, sk)
  const cb = TCP_SKB_CB(k, skb)
  const { len } = skb
  tcp_mstamp_refresh(k, tp)
  if (sk.sk_rx_dst === null) {
    const { sk_rx_dst_set } = deref(inet_csk(k, sk).icsk_af_ops)
    k.indirect<(k: Kernel, sk: sock, skb: sk_buff) => void>(sk_rx_dst_set)(k, sk, skb)
  }
  tp.rx_opt.saw_tstamp = 0
  if (predicted(k, tp, th, skb) && fastTimestamp(k, tp, th, skb)) {
    const header = tp.tcp_header_len
    const newTs = header === 20 + TCPOLEN_TSTAMP_ALIGNED && tp.rcv_nxt === tp.rcv_wup
    if (len === header) {
      // an ACK alone
      if (newTs) tcp_store_ts_recent(k, tp)
      tcp_ack(k, sk, skb, 0, { blocks: [] })
      __kfree_skb(k, skb)
      tcp_data_snd_check(k, sk)
      return
    }
    if (len > header && skb.truesize <= sk.sk_forward_alloc) {
      if (newTs) tcp_store_ts_recent(k, tp)
      tcp_rcv_rtt_measure_ts(k, sk, skb)
      skb_dst_drop(k, skb)
      skb_pull(k, skb, header)
      tcp_queue_rcv(k, sk, skb)
      tcp_event_data_recv(k, sk, skb)
      if (cb.ack_seq !== tp.snd_una) {
        tcp_ack(k, sk, skb, 1, { blocks: [] })
        tcp_data_snd_check(k, sk)
        if (inet_csk_ack_scheduled(k, sk)) __tcp_ack_snd_check(k, sk, false)
      } else __tcp_ack_snd_check(k, sk, false)
      tcp_data_ready(k, sk)
      return
    }
  }
  slowPath(k, sk, skb, th)
})

function slowPath(k: Kernel, sk: sock, skb: sk_buff, th: tcphdr): void {
  const flags = tcp_flag_byte(th)
  const sack: SackOption = { blocks: [] }
  if (skb.len < th.doff * 4) {
    TCP_INC_STATS(k, sk, 'TCP_MIB_INERRS')
    kfree_skb(k, skb)
    return
  }
  if ((flags & (TCPHDR_ACK | TCPHDR_RST | TCPHDR_SYN)) === 0) {
    kfree_skb(k, skb)
    return
  }
  if (!tcp_validate_incoming(k, sk, skb, th, sack)) return
  if (tcp_ack(k, sk, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT, sack) < 0) {
    kfree_skb(k, skb)
    return
  }
  tcp_rcv_rtt_measure_ts(k, sk, skb)
  tcp_data_queue(k, sk, skb)
  tcp_data_snd_check(k, sk)
  if (sk.sk_state === TCP_ESTABLISHED || inet_csk_ack_scheduled(k, sk)) tcp_ack_snd_check(k, sk)
}

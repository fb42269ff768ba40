/** Segments without payload: ACK, SYN, SYN-ACK, FIN, RST, probes. */

import { time_after, time_after_eq } from '../../../../abi/jiffies.ts'
import { htonl, htons } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { dst_entry, request_sock, sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { EHOSTUNREACH } from '../../../../abi/errno.ts'
import {
  ICSK_ACK_PUSHED,
  ICSK_ACK_SCHED,
  ICSK_ACK_TIMER,
  ICSK_TIME_RETRANS,
  MAX_TCP_HEADER,
  TCPHDR_ACK,
  TCPHDR_FIN,
  TCPHDR_RST,
  TCPHDR_SYN,
  TCP_DELACK_MAX,
  TCP_DELACK_MIN,
  TCP_HEADER_LEN,
  TCP_NAGLE_OFF,
  TCP_RTO_MAX,
  TCPOLEN_TSTAMP_ALIGNED,
} from '../../../../abi/tcp.ts'
import { HZ } from '../../../../abi/param.ts'
import { SOCK_DONE } from '../../../../abi/sock.ts'
import { TCP_CLOSE } from '../../../../abi/tcp_states.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { jiffies } from '../../../kernel/time/timekeeping.ts'
import {
  alloc_skb,
  skb_dst_set,
  skb_push,
  skb_reserve,
  skb_reset_transport_header,
} from '../../core/skbuff.ts'
import { dst_mtu } from '../../core/dst.ts'
import { sk_reset_timer } from '../../core/sock/timer.ts'
import { sk_mem_charge, sk_wmem_queued_add } from '../../core/sock/mem.ts'
import { __sk_dst_get } from '../../core/sock/dst.ts'
import {
  TCP_SKB_CB,
  inet_csk,
  inet_rsk,
  req_to_sk,
  tcp_hdr,
  tcp_rsk,
  tcp_sk,
} from '../../../include/net/casts.ts'
import { sock_hold, sock_net, sock_reset_flag } from '../../../include/net/sock.ts'
import {
  NET_INC_STATS,
  TCP_INC_STATS,
  inet_csk_in_pingpong_mode,
  tcp_clock_ns,
  tcp_full_space,
  tcp_init_wl,
  tcp_rtx_queue_insert,
  tcp_skb_timestamp_us,
  tcp_time_stamp,
  tcp_write_queue_tail,
  usecs_to_jiffies,
} from '../../../include/net/tcp.ts'
import { inet_csk_reset_xmit_timer } from '../inet_connection_sock/timers.ts'
import { sock_edemux } from '../../core/sock/edemux.ts'
import { tcp_initialize_rcv_mss } from '../tcp_input/rcv.ts'
import { tcp_write_queue_purge } from '../tcp/close.ts'
import {
  tcp_current_mss,
  dst_metric_advmss,
  tcp_mss_clamp,
  tcp_mtup_init,
  tcp_select_initial_window,
  tcp_sync_mss,
} from './mss.ts'
import { tcp_options_write, tcp_synack_options, type TcpOutOptions } from './options.ts'
import { __tcp_push_pending_frames, tcp_queue_skb } from './queue.ts'
import {
  __skb_header_release,
  __tcp_transmit_skb,
  pureAck,
  skb_set_tcp_pure_ack,
  tcp_acceptable_seq,
  tcp_init_nondata_skb,
  tcp_mstamp_refresh,
  tcp_stream_alloc_skb,
  tcp_transmit_skb,
} from './transmit.ts'

const FILE = 'net/ipv4/tcp_output.c'

// ---- acknowledgements

export const __tcp_send_ack = kfunc(FILE, function __tcp_send_ack(k, sk: sock, rcvNxt: number): void {
  if (sk.sk_state === TCP_CLOSE) return
  const skb = pureAck(k)
  tcp_init_nondata_skb(k, skb, tcp_acceptable_seq(tcp_sk(k, sk)), TCPHDR_ACK)
  // nothing waits for its buffer to be freed
  skb_set_tcp_pure_ack(skb)
  __tcp_transmit_skb(k, sk, skb, false, rcvNxt)
})

/** Acknowledge what has arrived, now. */
export const tcp_send_ack = kfunc(FILE, function tcp_send_ack(k, sk: sock): void {
  __tcp_send_ack(k, sk, tcp_sk(k, sk).rcv_nxt)
})

/** Acknowledge within a moment, so that data going the other way may carry it. */
export const tcp_send_delayed_ack = kfunc(FILE, function tcp_send_delayed_ack(k, sk: sock): void {
  const { icsk_ack, icsk_delack_timer, icsk_delack_max } = inet_csk(k, sk)
  let { ato } = icsk_ack
  if (ato > TCP_DELACK_MIN) {
    let most = HZ / 2
    if (inet_csk_in_pingpong_mode(k, sk) || (icsk_ack.pending & ICSK_ACK_PUSHED) !== 0) most = TCP_DELACK_MAX
    const srtt = tcp_sk(k, sk).srtt_us
    if (srtt !== 0) most = Math.min(most, Math.max(usecs_to_jiffies(srtt >>> 3), TCP_DELACK_MIN))
    ato = Math.min(ato, most)
  }
  ato = Math.min(ato, icsk_delack_max)
  const now = jiffies(k)
  let timeout = now + BigInt(ato)
  if ((icsk_ack.pending & ICSK_ACK_TIMER) !== 0) {
    // the timer that runs is nearly due
    const { wordSize } = k.mem
    if (!time_after(icsk_ack.timeout, now + BigInt(ato >> 2), wordSize)) {
      tcp_send_ack(k, sk)
      return
    }
    if (time_after_eq(timeout, icsk_ack.timeout, wordSize)) timeout = icsk_ack.timeout
  }
  icsk_ack.pending = icsk_ack.pending | ICSK_ACK_SCHED | ICSK_ACK_TIMER
  icsk_ack.timeout = timeout
  sk_reset_timer(k, sk, icsk_delack_timer, timeout)
})

/** An old sequence number provokes an ACK: is the peer there, is its window open? */
export const tcp_xmit_probe_skb = kfunc(
  FILE,
  function tcp_xmit_probe_skb(k, sk: sock, urgent: boolean, mib: string): number {
    const tp = tcp_sk(k, sk)
    const skb = pureAck(k)
    tcp_init_nondata_skb(k, skb, (tp.snd_una - (urgent ? 0 : 1)) >>> 0, TCPHDR_ACK)
    skb_set_tcp_pure_ack(skb)
    NET_INC_STATS(k, sk, mib)
    return tcp_transmit_skb(k, sk, skb, false)
  },
)

// ---- opening

/** @see net/ipv4/tcp_output.c:tcp_connect_init */
function tcp_connect_init(k: Kernel, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const icsk = inet_csk(k, sk)
  const dst = deref(__sk_dst_get(sk))
  const { ipv4 } = sock_net(sk)
  tp.tcp_header_len = TCP_HEADER_LEN + (ipv4.sysctl_tcp_timestamps !== 0 ? TCPOLEN_TSTAMP_ALIGNED : 0)
  if (tp.rx_opt.user_mss !== 0) tp.rx_opt.mss_clamp = tp.rx_opt.user_mss
  tp.max_window = 0
  tcp_mtup_init(k, sk)
  tcp_sync_mss(k, sk, dst_mtu(dst))
  tp.advmss = tcp_mss_clamp(tp, dst_metric_advmss(k, dst))
  tcp_initialize_rcv_mss(k, sk)
  const space = tp.advmss - (tp.rx_opt.ts_recent_stamp !== 0 ? tp.tcp_header_len - TCP_HEADER_LEN : 0)
  const window = tcp_select_initial_window(
    k,
    sk,
    tcp_full_space(sk),
    space,
    tp.window_clamp,
    ipv4.sysctl_tcp_window_scaling !== 0,
  )
  tp.rcv_wnd = window.rcv_wnd
  tp.window_clamp = window.window_clamp
  tp.rx_opt.rcv_wscale = window.rcv_wscale
  tp.rcv_ssthresh = tp.rcv_wnd
  sk.sk_err = 0
  sock_reset_flag(k, sk, SOCK_DONE)
  tp.snd_wnd = 0
  tcp_init_wl(tp, 0)
  tcp_write_queue_purge(k, sk)
  tp.snd_una = tp.write_seq
  tp.snd_sml = tp.write_seq
  tp.snd_up = tp.write_seq
  tp.snd_nxt = tp.write_seq
  tp.rcv_nxt = 0
  tp.rcv_wup = tp.rcv_nxt
  tp.copied_seq = tp.rcv_nxt
  icsk.icsk_rto = HZ
  icsk.icsk_retransmits = 0
  tp.retrans_out = 0
  tp.lost_out = 0
  tp.undo_marker = 0
  tp.undo_retrans = -1
  tp.sacked_out = 0
}

/**
 * Send the SYN and wait for its answer on the retransmission timer.
 * @returns 0 or a negative error number
 */
export const tcp_connect = kfunc(FILE, function tcp_connect(k, sk: sock): number {
  const tp = tcp_sk(k, sk)
  const { rebuild_header } = deref(inet_csk(k, sk).icsk_af_ops)
  if (k.indirect<(k: Kernel, sk: sock) => number>(rebuild_header)(k, sk) !== 0) return -EHOSTUNREACH
  tcp_connect_init(k, sk)
  const skb = tcp_stream_alloc_skb(k, sk, 0)
  tcp_init_nondata_skb(k, skb, tp.write_seq, TCPHDR_SYN)
  tcp_mstamp_refresh(k, tp)
  tp.retrans_stamp = tcp_time_stamp(tp)
  __skb_header_release(k, skb)
  sk_wmem_queued_add(sk, skb.truesize)
  sk_mem_charge(sk, skb.truesize)
  tp.write_seq = TCP_SKB_CB(k, skb).end_seq
  tp.packets_out = tp.packets_out + 1
  tcp_rtx_queue_insert(k, sk, skb)
  const err = tcp_transmit_skb(k, sk, skb, true)
  if (err === -111) return err
  // only now: the SYN carried the sequence number before
  tp.snd_nxt = tp.write_seq
  tp.pushed_seq = tp.write_seq
  TCP_INC_STATS(k, sk, 'TCP_MIB_ACTIVEOPENS')
  inet_csk_reset_xmit_timer(k, sk, ICSK_TIME_RETRANS, inet_csk(k, sk).icsk_rto, TCP_RTO_MAX)
  return 0
})

/**
 * The SYN-ACK of a request, owned by the request.
 *
 * @param sk  `struct sock *`, the listener
 * @param dst the way back; its reference goes to the packet
 * @see net/ipv4/tcp_output.c:tcp_make_synack
 */
export const tcp_make_synack = kfunc(
  FILE,
  function tcp_make_synack(k, sk: sock, dst: dst_entry, req: request_sock): sk_buff {
    const tp = tcp_sk(k, sk)
    const ireq = inet_rsk(k, req)
    const treq = tcp_rsk(k, req)
    const skb = alloc_skb(k, MAX_TCP_HEADER)
    skb_reserve(k, skb, MAX_TCP_HEADER)
    const owner = req_to_sk(k, req)
    skb.sk = owner
    skb.destructor = k.text(sock_edemux)
    sock_hold(owner)
    skb_dst_set(skb, dst)
    const mss = tcp_mss_clamp(tp, dst_metric_advmss(k, dst))
    skb.skb_mstamp_ns = tcp_clock_ns(k)
    // the first one is what the round trip is measured by
    if (treq.snt_synack === 0n) treq.snt_synack = tcp_skb_timestamp_us(skb)
    const opts: TcpOutOptions = {}
    const size = tcp_synack_options(k, req, mss, skb, opts) + TCP_HEADER_LEN
    skb.hash = treq.txhash
    skb.l4_hash = 1
    skb_push(k, skb, size)
    skb_reset_transport_header(k, skb)
    const th = tcp_hdr(k, skb)
    k.mem.fill(th.$va, 0, TCP_HEADER_LEN)
    th.source = from(ireq, 'ir_num').map(htons)
    th.dest = from(ireq, 'ir_rmt_port')
    skb.mark = ireq.ir_mark
    skb.ip_summed = 3
    th.seq = from(treq, 'snt_isn').map(htonl)
    th.ack_seq = from(treq, 'rcv_nxt').map(htonl)
    k.mem.setU16(th.$va + 12, ((size >> 2) << 4) | ((TCPHDR_SYN | TCPHDR_ACK) << 8))
    th.window = htons(Math.min(req.rsk_rcv_wnd, 65535))
    tcp_options_write(k, th.$va + TCP_HEADER_LEN, null, opts)
    TCP_INC_STATS(k, sk, 'TCP_MIB_OUTSEGS')
    return skb
  },
)

/** @see net/ipv4/tcp_output.c:tcp_rtx_synack */
export const tcp_rtx_synack = kfunc(FILE, function tcp_rtx_synack(k, sk: sock, req: request_sock): number {
  const treq = tcp_rsk(k, req)
  const ops = deref(treq.af_specific)
  treq.txhash = k.random.u32() || 1
  type SendSynack = (k: Kernel, sk: sock, dst: dst_entry | null, req: request_sock) => number
  const err = k.indirect<SendSynack>(ops.send_synack)(k, sk, null, req)
  if (err === 0) {
    TCP_INC_STATS(k, sk, 'TCP_MIB_RETRANSSEGS')
    NET_INC_STATS(k, sk, 'LINUX_MIB_TCPSYNRETRANS')
  }
  return err
})

// ---- closing

/** No more to send: the last segment that waits carries the FIN, or one of its own. */
export const tcp_send_fin = kfunc(FILE, function tcp_send_fin(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const tail = tcp_write_queue_tail(k, sk)
  if (tail !== null) {
    const cb = TCP_SKB_CB(k, tail)
    cb.tcp_flags = cb.tcp_flags | TCPHDR_FIN
    cb.end_seq = (cb.end_seq + 1) >>> 0
    tp.write_seq = (tp.write_seq + 1) >>> 0
  } else {
    const skb = tcp_stream_alloc_skb(k, sk, 0)
    tcp_init_nondata_skb(k, skb, tp.write_seq, TCPHDR_ACK | TCPHDR_FIN)
    tcp_queue_skb(k, sk, skb)
  }
  const mss = tcp_current_mss(k, sk)
  k.jump()
  __tcp_push_pending_frames(k, sk, mss, TCP_NAGLE_OFF)
})

/** Break the connection off. */
export const tcp_send_active_reset = kfunc(FILE, function tcp_send_active_reset(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  TCP_INC_STATS(k, sk, 'TCP_MIB_OUTRSTS')
  const skb = pureAck(k)
  tcp_init_nondata_skb(k, skb, tcp_acceptable_seq(tp), TCPHDR_ACK | TCPHDR_RST)
  tcp_mstamp_refresh(k, tp)
  tcp_transmit_skb(k, sk, skb, false)
})

/** Into TIME_WAIT, and what a stub answers there. */

import { after, before } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { inet_timewait_sock, sk_buff, sock, tcphdr } from '../../../../btf/vmlinux.ts'
import {
  TCPHDR_ACK,
  TCPHDR_RST,
  TCPHDR_SYN,
  TCP_TIMEWAIT_LEN,
  TCP_TW_ACK,
  TCP_TW_RST,
  TCP_TW_SUCCESS,
  TCP_TW_SYN,
} from '../../../../abi/tcp.ts'
import { TCP_FIN_WAIT2, TCP_TIME_WAIT } from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { local_bh_disable, local_bh_enable } from '../../../kernel/softirq.ts'
import { TCP_SKB_CB, inet_csk, tcp_flag_byte, tcp_sk, tcp_twsk } from '../../../include/net/casts.ts'
import {
  NET_INC_STATS,
  tcp_clock_ns,
  tcp_jiffies32,
  tcp_paws_reject,
  tcp_receive_window,
} from '../../../include/net/tcp.ts'
import { tcp_parse_options } from '../tcp_input/options.ts'
import {
  inet_twsk_alloc,
  inet_twsk_deschedule_put,
  inet_twsk_hashdance,
  inet_twsk_put,
  inet_twsk_reschedule,
  inet_twsk_schedule,
} from '../inet_timewait_sock.ts'
import { tcp_in_window } from './check_req.ts'
import { tcp_done } from '../tcp/state.ts'

const FILE = 'net/ipv4/tcp_minisocks.c'

/**
 * The sock gives way to a stub and is done.
 *
 * @param state TIME_WAIT, or FIN_WAIT2 of a sock no process has
 * @param timeo jiffies; at least so long
 * @see net/ipv4/tcp_minisocks.c:tcp_time_wait
 */
export const tcp_time_wait = kfunc(
  FILE,
  function tcp_time_wait(k, sk: sock, state: number, timeo: number): void {
    const tp = tcp_sk(k, sk)
    const icsk = inet_csk(k, sk)
    const tw = inet_twsk_alloc(k, sk, state)
    if (tw === null) NET_INC_STATS(k, sk, 'LINUX_MIB_TCPTIMEWAITOVERFLOW')
    else {
      const tcptw = tcp_twsk(k, tw)
      const rto = (icsk.icsk_rto << 2) - (icsk.icsk_rto >> 1)
      tw.tw_mark = sk.sk_mark
      tw.tw_priority = sk.sk_priority
      tw.tw_rcv_wscale = tp.rx_opt.rcv_wscale
      tcptw.tw_rcv_nxt = from(tp, 'rcv_nxt')
      tcptw.tw_snd_nxt = from(tp, 'snd_nxt')
      tcptw.tw_rcv_wnd = tcp_receive_window(tp)
      tcptw.tw_ts_recent = from(tp.rx_opt, 'ts_recent')
      tcptw.tw_ts_recent_stamp = tp.rx_opt.ts_recent_stamp
      tcptw.tw_ts_offset = from(tp, 'tsoffset')
      tcptw.tw_last_oow_ack_time = 0
      tcptw.tw_tx_delay = tp.tcp_tx_delay
      tw.tw_txhash = sk.sk_txhash
      tcptw.tw_md5_key = null
      let length = Math.max(timeo, rto)
      if (state === TCP_TIME_WAIT) length = TCP_TIMEWAIT_LEN
      local_bh_disable(k)
      inet_twsk_schedule(k, tw, length)
      inet_twsk_hashdance(k, tw, sk)
      local_bh_enable(k)
    }
    k.jump()
    tcp_done(k, sk)
  },
)

/** A segment for a stub that stands for FIN_WAIT2: it may bring the FIN. */
function finWait2(
  k: Kernel,
  tw: inet_timewait_sock,
  skb: sk_buff,
  th: tcphdr,
  saw: { ts: boolean; tsval: number; paws: boolean },
): number {
  const tcptw = tcp_twsk(k, tw)
  const cb = TCP_SKB_CB(k, skb)
  const flags = tcp_flag_byte(th)
  const end = (tcptw.tw_rcv_nxt + tcptw.tw_rcv_wnd) >>> 0
  if (saw.paws || !tcp_in_window(cb.seq, cb.end_seq, tcptw.tw_rcv_nxt, end)) return ackRationed(k, tw)
  if ((flags & TCPHDR_RST) !== 0) return kill(k, tw)
  if ((flags & TCPHDR_SYN) !== 0 && !before(cb.seq, tcptw.tw_rcv_nxt)) return TCP_TW_RST
  if ((flags & TCPHDR_ACK) === 0 || !after(cb.end_seq, tcptw.tw_rcv_nxt) || cb.end_seq === cb.seq) {
    inet_twsk_put(k, tw)
    return TCP_TW_SUCCESS
  }
  // data, or a FIN with data: nobody reads it
  if ((flags & 1) === 0 || cb.end_seq !== (tcptw.tw_rcv_nxt + 1) >>> 0) return TCP_TW_RST
  tw.tw_substate = TCP_TIME_WAIT
  tcptw.tw_rcv_nxt = from(cb, 'end_seq')
  if (saw.ts) {
    tcptw.tw_ts_recent_stamp = Number(tcp_clock_ns(k) / 1_000_000_000n)
    tcptw.tw_ts_recent = saw.tsval
  }
  inet_twsk_reschedule(k, tw)
  return TCP_TW_ACK
}

function kill(k: Kernel, tw: inet_timewait_sock): number {
  inet_twsk_deschedule_put(k, tw)
  return TCP_TW_SUCCESS
}

function ackRationed(k: Kernel, tw: inet_timewait_sock): number {
  const tcptw = tcp_twsk(k, tw)
  const now = tcp_jiffies32(k)
  const last = tcptw.tw_last_oow_ack_time
  if (last === 0 || (now - last) >>> 0 >= k.global('init_net', 'net').ipv4.sysctl_tcp_invalid_ratelimit) {
    tcptw.tw_last_oow_ack_time = now
    return TCP_TW_ACK
  }
  inet_twsk_put(k, tw)
  return TCP_TW_SUCCESS
}

/**
 * A segment for a stub.
 *
 * @returns TCP_TW_SUCCESS nothing to send; TCP_TW_RST; TCP_TW_ACK; TCP_TW_SYN a new connection may take the place
 * @see net/ipv4/tcp_minisocks.c:tcp_timewait_state_process
 */
export const tcp_timewait_state_process = kfunc(
  FILE,
  function tcp_timewait_state_process(k, tw: inet_timewait_sock, skb: sk_buff, th: tcphdr): number {
    const tcptw = tcp_twsk(k, tw)
    const cb = TCP_SKB_CB(k, skb)
    const flags = tcp_flag_byte(th)
    const rst = (flags & TCPHDR_RST) !== 0
    const options = k.local('tcp_options_received')
    const saw = { ts: false, tsval: 0, paws: false }
    if (th.doff * 4 > 20 && tcptw.tw_ts_recent_stamp !== 0) {
      tcp_parse_options(k, skb, options, false)
      if (options.saw_tstamp === 1) {
        options.ts_recent = tcptw.tw_ts_recent
        options.ts_recent_stamp = tcptw.tw_ts_recent_stamp
        saw.ts = true
        saw.tsval = options.rcv_tsval
        saw.paws = tcp_paws_reject(k, options, rst)
      }
    }
    if (tw.tw_substate === TCP_FIN_WAIT2) return finWait2(k, tw, skb, th, saw)
    // the last ACK again, or a reset that is allowed to end the wait
    if (!saw.paws && cb.seq === tcptw.tw_rcv_nxt && (cb.seq === cb.end_seq || rst)) {
      if (rst) {
        if (k.global('init_net', 'net').ipv4.sysctl_tcp_rfc1337 === 0) return kill(k, tw)
      } else inet_twsk_reschedule(k, tw)
      if (saw.ts) {
        tcptw.tw_ts_recent = saw.tsval
        tcptw.tw_ts_recent_stamp = Number(tcp_clock_ns(k) / 1_000_000_000n)
      }
      inet_twsk_put(k, tw)
      return TCP_TW_SUCCESS
    }
    // a new connection, certainly later than the old one
    const newer = after(cb.seq, tcptw.tw_rcv_nxt) || (saw.ts && ((tcptw.tw_ts_recent - saw.tsval) | 0) < 0)
    if ((flags & TCPHDR_SYN) !== 0 && !rst && (flags & TCPHDR_ACK) === 0 && !saw.paws && newer) {
      cb.tcp_tw_isn = (tcptw.tw_snd_nxt + 65535 + 2) >>> 0 || 1
      return TCP_TW_SYN
    }
    if (rst) {
      inet_twsk_put(k, tw)
      return TCP_TW_SUCCESS
    }
    // an old duplicate SYN or ACK: say where we are
    if (saw.paws || (flags & TCPHDR_ACK) !== 0) inet_twsk_reschedule(k, tw)
    return ackRationed(k, tw)
  },
  { locals: 24 },
)

/** Round trips and the time after which silence means loss. */

import type { request_sock, sock } from '../../../../btf/vmlinux.ts'
import { ICSK_TIME_RETRANS, TCP_RTO_MAX } from '../../../../abi/tcp.ts'
import { after } from '../../../../base/u32.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { inet_csk, tcp_rsk, tcp_sk } from '../../../include/net/casts.ts'
import {
  __tcp_set_rto,
  tcp_bound_rto,
  tcp_clock_ns,
  tcp_jiffies32,
  tcp_rto_min_us,
  tcp_time_stamp,
} from '../../../include/net/tcp.ts'
import { inet_csk_clear_xmit_timer, inet_csk_reset_xmit_timer } from '../inet_connection_sock/timers.ts'
import { minmax_reset } from '../tcp/init.ts'

const FILE = 'net/ipv4/tcp_input.c'

/**
 * Smooth a measurement into srtt, mean deviation and variance, Jacobson's way.
 * @param us microseconds
 * @see net/ipv4/tcp_input.c:tcp_rtt_estimator
 */
function tcp_rtt_estimator(k: Kernel, sk: sock, us: number): void {
  const tp = tcp_sk(k, sk)
  let m = us
  let srtt = tp.srtt_us
  if (srtt === 0) {
    srtt = m << 3
    tp.mdev_us = m << 1
    tp.rttvar_us = Math.max(tp.mdev_us, tcp_rto_min_us(k, sk))
    tp.mdev_max_us = tp.rttvar_us
    tp.rtt_seq = tp.snd_nxt
  } else {
    m -= srtt >>> 3
    srtt += m
    if (m < 0) {
      m = -m - (tp.mdev_us >>> 2)
      // deviation falls slowly when the path got faster
      if (m > 0) m >>= 3
    } else m -= tp.mdev_us >>> 2
    tp.mdev_us = tp.mdev_us + m
    if (tp.mdev_us > tp.mdev_max_us) {
      tp.mdev_max_us = tp.mdev_us
      if (tp.mdev_max_us > tp.rttvar_us) tp.rttvar_us = tp.mdev_max_us
    }
    if (after(tp.snd_una, tp.rtt_seq)) {
      if (tp.mdev_max_us < tp.rttvar_us) tp.rttvar_us = tp.rttvar_us - ((tp.rttvar_us - tp.mdev_max_us) >>> 2)
      tp.rtt_seq = tp.snd_nxt
      tp.mdev_max_us = tcp_rto_min_us(k, sk)
    }
  }
  tp.srtt_us = Math.max(1, srtt)
}

/** Keep the least round trip of the last minutes. @see lib/win_minmax.c:minmax_running_min */
function tcp_update_rtt_min(k: Kernel, sk: sock, us: number): void {
  const tp = tcp_sk(k, sk)
  const now = tcp_jiffies32(k)
  const best = k.mem.u32(tp.rtt_min.$va + 4)
  const since = (now - k.mem.u32(tp.rtt_min.$va)) >>> 0
  if (us <= best || since > 300 * 250) minmax_reset(k, tp, now, us)
}

const tcp_set_rto = (k: Kernel, sk: sock): void => {
  inet_csk(k, sk).icsk_rto = __tcp_set_rto(tcp_sk(k, sk))
  tcp_bound_rto(k, sk)
}

/**
 * An ACK tells a round trip: of a segment sent once, or by the echoed timestamp.
 *
 * @param seqRttUs  from the segment acknowledged; negative when it was sent twice
 * @param sackRttUs from a SACK
 * @returns false when nothing could be measured
 */
export const tcp_ack_update_rtt = kfunc(
  FILE,
  function tcp_ack_update_rtt(k, sk: sock, seqRttUs: number, sackRttUs: number): boolean {
    const tp = tcp_sk(k, sk)
    const { rx_opt } = tp
    let us = seqRttUs < 0 ? sackRttUs : seqRttUs
    if (us < 0 && rx_opt.saw_tstamp === 1 && rx_opt.rcv_tsecr !== 0) {
      const delta = (tcp_time_stamp(tp) - rx_opt.rcv_tsecr) >>> 0
      if (delta < 0x7fff_ffff / 1000) us = Math.max(delta, 1) * 1000
    }
    if (us < 0) return false
    tcp_update_rtt_min(k, sk, us)
    tcp_rtt_estimator(k, sk, us)
    tcp_set_rto(k, sk)
    inet_csk(k, sk).icsk_backoff = 0
    return true
  },
)

/**
 * The handshake's own round trip, from SYN-ACK to ACK; by the timestamp when the SYN-ACK was sent more than once.
 * @param req `struct request_sock *`, `null` when it is gone
 */
export const tcp_synack_rtt_meas = kfunc(
  FILE,
  function tcp_synack_rtt_meas(k, sk: sock, req: request_sock | null): void {
    let us = -1
    if (req !== null && req.num_retrans === 0) {
      const snt = tcp_rsk(k, req).snt_synack
      if (snt !== 0n) us = Number(tcp_clock_ns(k) / 1000n - snt)
    }
    tcp_ack_update_rtt(k, sk, us, -1)
  },
)

/** Nothing in flight: no timer. Otherwise it starts anew. */
export const tcp_rearm_rto = kfunc(FILE, function tcp_rearm_rto(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  if (tp.packets_out === 0) inet_csk_clear_xmit_timer(k, sk, ICSK_TIME_RETRANS)
  else inet_csk_reset_xmit_timer(k, sk, ICSK_TIME_RETRANS, inet_csk(k, sk).icsk_rto, TCP_RTO_MAX)
})

/** Speed at which segments may follow each other. */
export const tcp_update_pacing_rate = kfunc(FILE, function tcp_update_pacing_rate(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const { ipv4 } = k.global('init_net', 'net')
  let rate = BigInt(tp.mss_cache) * 80000n
  const slow = tp.snd_cwnd < Math.floor(tp.snd_ssthresh / 2)
  rate *= BigInt(slow ? ipv4.sysctl_tcp_pacing_ss_ratio : ipv4.sysctl_tcp_pacing_ca_ratio)
  rate *= BigInt(Math.max(tp.snd_cwnd, tp.packets_out))
  if (tp.srtt_us !== 0) rate /= BigInt(tp.srtt_us)
  const max = sk.sk_max_pacing_rate
  sk.sk_pacing_rate = rate < max ? rate : max
})

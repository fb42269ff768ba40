/** CUBIC, the default congestion control: slow start with its bookkeeping, then the cubic curve. */

import type { bictcp, sock } from '../../../btf/vmlinux.ts'
import { CA_EVENT_TX_START, TCP_CA_Loss } from '../../../abi/tcp.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { inet_csk, tcp_sk } from '../../include/net/casts.ts'
import { tcp_in_slow_start, tcp_jiffies32, tcp_mstamp32 } from '../../include/net/tcp.ts'
import {
  tcp_cong_avoid_ai,
  tcp_register_congestion_control,
  tcp_reno_undo_cwnd,
  tcp_slow_start,
} from './tcp_cong.ts'

const FILE = 'net/ipv4/tcp_cubic.c'
/** 717/1024: the window after a loss. */
const BETA = 717
const BICTCP_BETA_SCALE = 1024

/** The algorithm's state in the sock. */
const bictcp_of = (k: Kernel, sk: sock): bictcp => k.ref('bictcp', inet_csk(k, sk).$vaOf('icsk_ca_priv'))

function bictcp_reset(k: Kernel, ca: bictcp): void {
  k.mem.fill(ca.$va, 0, ca.$offsetof('unused'))
  ca.found = 0
}

/** A round of slow start begins. @see net/ipv4/tcp_cubic.c:bictcp_hystart_reset */
function bictcp_hystart_reset(k: Kernel, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const ca = bictcp_of(k, sk)
  ca.round_start = tcp_mstamp32(tp)
  ca.last_ack = ca.round_start
  ca.end_seq = tp.snd_nxt
  ca.curr_rtt = 0xffff_ffff
  ca.sample_cnt = 0
}

export const cubictcp_init = kfunc(FILE, function cubictcp_init(k, sk: sock): void {
  bictcp_reset(k, bictcp_of(k, sk))
  bictcp_hystart_reset(k, sk)
})

/** After an idle spell the curve's clock goes on from now. */
export const cubictcp_cwnd_event = kfunc(
  FILE,
  function cubictcp_cwnd_event(k, sk: sock, event: number): void {
    if (event !== CA_EVENT_TX_START) return
    const ca = bictcp_of(k, sk)
    const now = tcp_jiffies32(k)
    const delta = (now - tcp_sk(k, sk).lsndtime) | 0
    if (ca.epoch_start === 0 || delta <= 0) return
    ca.epoch_start = (ca.epoch_start + delta) >>> 0
    if (((ca.epoch_start - now) | 0) > 0) ca.epoch_start = now
  },
)

/** Segments to be acknowledged for each one the window grows. @see net/ipv4/tcp_cubic.c:bictcp_update */
function bictcp_update(k: Kernel, ca: bictcp, cwnd: number, acked: number): void {
  ca.ack_cnt = ca.ack_cnt + acked
  ca.last_cwnd = cwnd
  const now = tcp_jiffies32(k)
  ca.last_time = now
  if (ca.epoch_start === 0) {
    ca.epoch_start = now
    ca.ack_cnt = acked
    ca.tcp_cwnd = cwnd
    ca.bic_origin_point = Math.max(ca.last_max_cwnd, cwnd)
    const gap = Math.max(ca.last_max_cwnd - cwnd, 0)
    ca.bic_K = Math.round(Math.cbrt((gap * 2 ** 40) / 410))
  }
  const t = ((now - ca.epoch_start) * 1024) / 250
  const offset = Math.abs(t - ca.bic_K)
  const delta = Math.floor((410 * offset ** 3) / 2 ** 40)
  const target = t < ca.bic_K ? ca.bic_origin_point - delta : ca.bic_origin_point + delta
  const count = target > cwnd ? Math.floor(cwnd / (target - cwnd)) : 100 * cwnd
  ca.cnt = Math.max(ca.last_max_cwnd === 0 ? Math.min(count, 20) : count, 2)
}

export const cubictcp_cong_avoid = kfunc(
  FILE,
  function cubictcp_cong_avoid(k, sk: sock, _ack: number, acked: number): void {
    const tp = tcp_sk(k, sk)
    const left = tcp_in_slow_start(tp) ? tcp_slow_start(k, tp, acked) : acked
    if (left === 0) return
    const ca = bictcp_of(k, sk)
    bictcp_update(k, ca, tp.snd_cwnd, left)
    tcp_cong_avoid_ai(k, tp, ca.cnt, left)
  },
)

export const cubictcp_recalc_ssthresh = kfunc(FILE, function cubictcp_recalc_ssthresh(k, sk: sock): number {
  const tp = tcp_sk(k, sk)
  const ca = bictcp_of(k, sk)
  ca.epoch_start = 0
  const cwnd = tp.snd_cwnd
  // fast convergence: leave room for those who come
  ca.last_max_cwnd =
    cwnd < ca.last_max_cwnd ? Math.floor((cwnd * (BICTCP_BETA_SCALE + BETA)) / (2 * BICTCP_BETA_SCALE)) : cwnd
  return Math.max(Math.floor((cwnd * BETA) / BICTCP_BETA_SCALE), 2)
})

export const cubictcp_state = kfunc(FILE, function cubictcp_state(k, sk: sock, state: number): void {
  if (state !== TCP_CA_Loss) return
  bictcp_reset(k, bictcp_of(k, sk))
  bictcp_hystart_reset(k, sk)
})

export const cubictcp_acked = kfunc(FILE, function cubictcp_acked(k, sk: sock, rttUs: number): void {
  if (rttUs < 0) return
  const ca = bictcp_of(k, sk)
  const delay = Math.max(rttUs, 1)
  if (ca.delay_min === 0 || ca.delay_min > delay) ca.delay_min = delay
})

/** @see net/ipv4/tcp_cubic.c:cubictcp_register */
export const cubictcp_register = kfunc(FILE, function cubictcp_register(k): number {
  const ops = k.global('cubictcp', 'tcp_congestion_ops')
  ops.init = k.text(cubictcp_init)
  ops.ssthresh = k.text(cubictcp_recalc_ssthresh)
  ops.cong_avoid = k.text(cubictcp_cong_avoid)
  ops.set_state = k.text(cubictcp_state)
  ops.undo_cwnd = k.text(tcp_reno_undo_cwnd)
  ops.cwnd_event = k.text(cubictcp_cwnd_event)
  ops.pkts_acked = k.text(cubictcp_acked)
  ops.name.$setString('cubic')
  return tcp_register_congestion_control(k, ops)
})

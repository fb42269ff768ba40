/** What happens when a connection's timers run out: retransmission, delayed ACK, keepalive. */

import { time_after } from '../../../abi/jiffies.ts'
import type { sock, tcp_sock, timer_list } from '../../../btf/vmlinux.ts'
import { ETIMEDOUT } from '../../../abi/errno.ts'
import { SOCK_DEAD, SOCK_KEEPOPEN } from '../../../abi/sock.ts'
import {
  ICSK_ACK_TIMER,
  ICSK_TIME_PROBE0,
  ICSK_TIME_RETRANS,
  TCP_ATO_MIN,
  TCP_DELACK_TIMER_DEFERRED,
  TCP_RTO_MAX,
  TCP_TIMEWAIT_LEN,
  TCP_WRITE_TIMER_DEFERRED,
} from '../../../abi/tcp.ts'
import * as TCP from '../../../abi/tcp_states.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { jiffies } from '../../kernel/time/timekeeping.ts'
import { inet_csk, tcp_sk } from '../../include/net/casts.ts'
import { sock_flag, sock_hold, sock_net, sock_owned_by_user } from '../../include/net/sock.ts'
import {
  NET_INC_STATS,
  inet_csk_ack_scheduled,
  inet_csk_exit_pingpong_mode,
  inet_csk_in_pingpong_mode,
  tcp_jiffies32,
  tcp_rtx_queue_head,
  tcp_send_head,
  tcp_time_stamp,
  tcp_write_queue_empty,
} from '../../include/net/tcp.ts'
import { sk_error_report, sk_reset_timer, sock_put } from '../core/sock.ts'
import {
  inet_csk_delete_keepalive_timer,
  inet_csk_init_xmit_timers,
  inet_csk_reset_keepalive_timer,
  inet_csk_reset_xmit_timer,
} from './inet_connection_sock/timers.ts'
import { tcp_enter_loss } from './tcp_input/ack.ts'
import { keepaliveTime } from './tcp_input/transfer.ts'
import { tcp_done } from './tcp/state.ts'
import { tcp_write_queue_purge } from './tcp/close.ts'
import {
  rehash,
  tcp_mstamp_refresh,
  tcp_retransmit_skb,
  tcp_send_ack,
  tcp_send_active_reset,
  tcp_xmit_probe_skb,
} from './tcp_output.ts'
import { tcp_time_wait } from './tcp_minisocks/timewait.ts'
import { tcp_fin_time } from './tcp_input/state.ts'

const FILE = 'net/ipv4/tcp_timer.c'

/** @see net/ipv4/tcp_timer.c:tcp_init_xmit_timers @remarks pacing and compressed ACKs have no timers */
export const tcp_init_xmit_timers = kfunc(FILE, function tcp_init_xmit_timers(k, sk: sock): void {
  inet_csk_init_xmit_timers(k, sk, tcp_write_timer, tcp_delack_timer, tcp_keepalive_timer)
  const tp = tcp_sk(k, sk)
  initHrtimer(k, tp, 'pacing_timer', 'tcp_pace_kick')
  initHrtimer(k, tp, 'compressed_ack_timer', 'tcp_compressed_ack_kick')
})

/** An hrtimer that never starts, as memory shows it: not queued, on the soft monotonic base. @see kernel/time/hrtimer.c:__hrtimer_init */
function initHrtimer(
  k: Kernel,
  tp: tcp_sock,
  member: 'pacing_timer' | 'compressed_ack_timer',
  func: string,
): void {
  const timer = tp[member]
  k.mem.fill(timer.$va, 0, timer.$size)
  timer.node.node.__rb_parent_color = timer.$addr
  timer.is_soft = 1
  const at = k.symbols.get(func)
  if (at !== undefined) timer.function = at
  const bases = k.symbols.get('hrtimer_bases')
  // HRTIMER_BASE_MONOTONIC_SOFT
  if (bases !== undefined) {
    const clocks = k.types.offsetof('hrtimer_cpu_base', 'clock_base')
    const base = k.per_cpu_va('hrtimer_bases') + clocks + 4 * k.types.sizeof('hrtimer_clock_base')
    k.mem.setPointer(timer.$vaOf('base'), base)
  }
}

/** Work a timer found the sock busy for. @returns true when it was put off */
function deferred(sk: sock, bit: number): boolean {
  if (!sock_owned_by_user(sk)) return false
  const flag = BigInt(1 << bit)
  if ((sk.sk_tsq_flags & flag) === 0n) {
    sk.sk_tsq_flags = sk.sk_tsq_flags | flag
    sock_hold(sk)
  }
  return true
}

// ---- delayed ACK

export const tcp_delack_timer_handler = kfunc(FILE, function tcp_delack_timer_handler(k, sk: sock): void {
  const { icsk_ack, icsk_delack_timer, icsk_rto } = inet_csk(k, sk)
  if (((1 << sk.sk_state) & (TCP.TCPF_CLOSE | TCP.TCPF_LISTEN)) !== 0) return
  if ((icsk_ack.pending & ICSK_ACK_TIMER) === 0) return
  if (time_after(icsk_ack.timeout, jiffies(k), k.mem.wordSize)) {
    sk_reset_timer(k, sk, icsk_delack_timer, icsk_ack.timeout)
    return
  }
  icsk_ack.pending = icsk_ack.pending & ~ICSK_ACK_TIMER
  if (!inet_csk_ack_scheduled(k, sk)) return
  if (!inet_csk_in_pingpong_mode(k, sk)) icsk_ack.ato = Math.min(icsk_ack.ato << 1, icsk_rto)
  else {
    // no data came to carry the ACK: no conversation after all
    inet_csk_exit_pingpong_mode(k, sk)
    icsk_ack.ato = TCP_ATO_MIN
  }
  tcp_mstamp_refresh(k, tcp_sk(k, sk))
  tcp_send_ack(k, sk)
  NET_INC_STATS(k, sk, 'LINUX_MIB_DELAYEDACKS')
})

export const tcp_delack_timer = kfunc(FILE, function tcp_delack_timer(k, timer: timer_list): void {
  const sk = k.ref('sock', timer.$va - k.types.offsetof('inet_connection_sock', 'icsk_delack_timer'))
  if (!deferred(sk, TCP_DELACK_TIMER_DEFERRED)) tcp_delack_timer_handler(k, sk)
  else NET_INC_STATS(k, sk, 'LINUX_MIB_DELAYEDACKLOCKED')
  sock_put(k, sk)
})

// ---- retransmission

const tcp_write_err = (k: Kernel, sk: sock): void => {
  sk.sk_err = sk.sk_err_soft || ETIMEDOUT
  tcp_write_queue_purge(k, sk)
  tcp_done(k, sk)
  sk_error_report(k, sk)
  NET_INC_STATS(k, sk, 'LINUX_MIB_TCPABORTONTIMEOUT')
}

/** Milliseconds since the first retransmission against what `boundary` doublings take. @see retransmits_timed_out */
function retransmits_timed_out(k: Kernel, sk: sock, boundary: number, base: number): boolean {
  const icsk = inet_csk(k, sk)
  if (icsk.icsk_retransmits === 0) return false
  const start = tcp_sk(k, sk).retrans_stamp
  const unit = (base * 1000) / 250
  const thresh = Math.floor(Math.log2((TCP_RTO_MAX * 4) / unit))
  const timeout =
    boundary <= thresh
      ? (2 ** (boundary + 1) - 1) * unit
      : (2 ** (thresh + 1) - 1) * unit + (boundary - thresh) * TCP_RTO_MAX * 4
  return ((tcp_time_stamp(tcp_sk(k, sk)) - start - timeout) | 0) >= 0
}

/** @returns true when the connection was given up @see net/ipv4/tcp_timer.c:tcp_write_timeout */
function tcp_write_timeout(k: Kernel, sk: sock): boolean {
  const icsk = inet_csk(k, sk)
  const { ipv4 } = sock_net(sk)
  let expired: boolean
  if (((1 << sk.sk_state) & (TCP.TCPF_SYN_SENT | TCP.TCPF_SYN_RECV)) !== 0) {
    if (icsk.icsk_retransmits > 0) rehash(k, sk)
    expired = icsk.icsk_retransmits >= (icsk.icsk_syn_retries || ipv4.sysctl_tcp_syn_retries)
  } else {
    let retries = ipv4.sysctl_tcp_retries2
    if (retransmits_timed_out(k, sk, ipv4.sysctl_tcp_retries1, icsk.icsk_rto_min)) rehash(k, sk)
    // nobody waits for an orphan
    if (sock_flag(sk, SOCK_DEAD)) retries = ipv4.sysctl_tcp_orphan_retries || 8
    expired = retransmits_timed_out(k, sk, retries, icsk.icsk_rto_min)
  }
  if (expired) tcp_write_err(k, sk)
  return expired
}

/**
 * The oldest segment was not acknowledged in time: again, and wait twice as long.
 */
export const tcp_retransmit_timer = kfunc(FILE, function tcp_retransmit_timer(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const icsk = inet_csk(k, sk)
  if (tp.packets_out === 0) return
  const skb = tcp_rtx_queue_head(k, sk)
  if (skb === null) return
  NET_INC_STATS(k, sk, 'LINUX_MIB_TCPTIMEOUTS')
  if (tcp_write_timeout(k, sk)) return
  const shut = tp.snd_wnd === 0 && !sock_flag(sk, SOCK_DEAD)
  if (shut && ((1 << sk.sk_state) & (TCP.TCPF_SYN_SENT | TCP.TCPF_SYN_RECV)) === 0) {
    if (((tcp_jiffies32(k) - tp.rcv_tstamp) | 0) > TCP_RTO_MAX) {
      tcp_write_err(k, sk)
      return
    }
  }
  tcp_enter_loss(k, sk)
  icsk.icsk_retransmits = icsk.icsk_retransmits + 1
  if (tcp_retransmit_skb(k, sk, skb) > 0) {
    // the device had no room: soon again
    inet_csk_reset_xmit_timer(k, sk, ICSK_TIME_RETRANS, 125, TCP_RTO_MAX)
    return
  }
  icsk.icsk_backoff = icsk.icsk_backoff + 1
  icsk.icsk_rto = Math.min(icsk.icsk_rto << 1, TCP_RTO_MAX)
  inet_csk_reset_xmit_timer(k, sk, ICSK_TIME_RETRANS, icsk.icsk_rto, TCP_RTO_MAX)
})

/** The peer's window is shut: ask again. @see net/ipv4/tcp_timer.c:tcp_probe_timer */
function tcp_probe_timer(k: Kernel, sk: sock): void {
  const icsk = inet_csk(k, sk)
  const tp = tcp_sk(k, sk)
  if (tp.packets_out !== 0 || tcp_send_head(k, sk) === null) {
    icsk.icsk_probes_out = 0
    icsk.icsk_probes_tstamp = 0
    return
  }
  const { ipv4 } = sock_net(sk)
  if (icsk.icsk_probes_out >= ipv4.sysctl_tcp_retries2) {
    tcp_write_err(k, sk)
    return
  }
  tcp_mstamp_refresh(k, tp)
  tcp_xmit_probe_skb(k, sk, false, 'LINUX_MIB_TCPWINPROBE')
  icsk.icsk_probes_out = icsk.icsk_probes_out + 1
  if (icsk.icsk_backoff < ipv4.sysctl_tcp_retries2) icsk.icsk_backoff = icsk.icsk_backoff + 1
  const wait = Math.min(Math.max(icsk.icsk_rto, 50) * 2 ** icsk.icsk_backoff, TCP_RTO_MAX)
  inet_csk_reset_xmit_timer(k, sk, ICSK_TIME_PROBE0, wait, TCP_RTO_MAX)
}

export const tcp_write_timer_handler = kfunc(FILE, function tcp_write_timer_handler(k, sk: sock): void {
  const icsk = inet_csk(k, sk)
  if (((1 << sk.sk_state) & (TCP.TCPF_CLOSE | TCP.TCPF_LISTEN)) !== 0 || icsk.icsk_pending === 0) return
  if (time_after(icsk.icsk_timeout, jiffies(k), k.mem.wordSize)) {
    sk_reset_timer(k, sk, icsk.icsk_retransmit_timer, icsk.icsk_timeout)
    return
  }
  tcp_mstamp_refresh(k, tcp_sk(k, sk))
  const event = icsk.icsk_pending
  icsk.icsk_pending = 0
  if (event === ICSK_TIME_RETRANS) tcp_retransmit_timer(k, sk)
  else if (event === ICSK_TIME_PROBE0) tcp_probe_timer(k, sk)
})

export const tcp_write_timer = kfunc(FILE, function tcp_write_timer(k, timer: timer_list): void {
  const sk = k.ref('sock', timer.$va - k.types.offsetof('inet_connection_sock', 'icsk_retransmit_timer'))
  if (!deferred(sk, TCP_WRITE_TIMER_DEFERRED)) tcp_write_timer_handler(k, sk)
  sock_put(k, sk)
})

// ---- keepalive

export const tcp_set_keepalive = kfunc(FILE, function tcp_set_keepalive(k, sk: sock, val: number): void {
  if (((1 << sk.sk_state) & (TCP.TCPF_CLOSE | TCP.TCPF_LISTEN)) !== 0) return
  if (val !== 0 && !sock_flag(sk, SOCK_KEEPOPEN)) inet_csk_reset_keepalive_timer(k, sk, keepaliveTime(k, sk))
  else if (val === 0) inet_csk_delete_keepalive_timer(k, sk)
})

export const tcp_keepalive_timer = kfunc(FILE, function tcp_keepalive_timer(k, timer: timer_list): void {
  const sk = k.ref('sock', timer.$va - keepaliveOffset(k))
  keepalive(k, sk)
  sock_put(k, sk)
})

const keepaliveOffset = (k: Kernel): number =>
  k.types.has('inet_connection_sock', 'icsk_keepalive_timer')
    ? k.types.offsetof('inet_connection_sock', 'icsk_keepalive_timer')
    : k.types.offsetof('sock', 'sk_timer')

function keepalive(k: Kernel, sk: sock): void {
  const icsk = inet_csk(k, sk)
  const tp = tcp_sk(k, sk)
  if (sock_owned_by_user(sk)) {
    inet_csk_reset_keepalive_timer(k, sk, 12)
    return
  }
  if (sk.sk_state === TCP.TCP_LISTEN) return
  tcp_mstamp_refresh(k, tp)
  if (sk.sk_state === TCP.TCP_FIN_WAIT2 && sock_flag(sk, SOCK_DEAD)) {
    const left = tcp_fin_time(k, sk) - TCP_TIMEWAIT_LEN
    if (left > 0) {
      tcp_time_wait(k, sk, TCP.TCP_FIN_WAIT2, left)
      return
    }
    tcp_send_active_reset(k, sk)
    tcp_done(k, sk)
    return
  }
  if (!sock_flag(sk, SOCK_KEEPOPEN) || sk.sk_state === TCP.TCP_CLOSE || sk.sk_state === TCP.TCP_SYN_SENT)
    return
  let elapsed = keepaliveTime(k, sk)
  if (tp.packets_out === 0 && tcp_write_queue_empty(tp)) {
    const { ipv4 } = sock_net(sk)
    const idle = Math.min(
      (tcp_jiffies32(k) - icsk.icsk_ack.lrcvtime) >>> 0,
      (tcp_jiffies32(k) - tp.rcv_tstamp) >>> 0,
    )
    if (idle >= elapsed) {
      if (icsk.icsk_probes_out >= (tp.keepalive_probes || ipv4.sysctl_tcp_keepalive_probes)) {
        tcp_send_active_reset(k, sk)
        tcp_write_err(k, sk)
        return
      }
      tcp_xmit_probe_skb(k, sk, false, 'LINUX_MIB_TCPKEEPALIVE')
      icsk.icsk_probes_out = icsk.icsk_probes_out + 1
      elapsed = tp.keepalive_intvl || ipv4.sysctl_tcp_keepalive_intvl
    } else elapsed -= idle
  }
  inet_csk_reset_keepalive_timer(k, sk, elapsed)
}

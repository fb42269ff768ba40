/** Sizes: of segments by the path's MTU, of the window offered by the room there is. */

import type { dst_entry, sock, tcp_sock } from '../../../../btf/vmlinux.ts'
import { TCP_MAX_WSCALE, TCP_MIN_SND_MSS, TCP_MSS_DEFAULT, MAX_TCP_WINDOW } from '../../../../abi/tcp.ts'
import { SK_MEM_DEFAULT } from '../../../../abi/sock.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { dst_mtu } from '../../core/dst.ts'
import { sock_net } from '../../../include/net/sock.ts'
import { inet_csk, tcp_sk } from '../../../include/net/casts.ts'
import { tcp_full_space, tcp_receive_window, tcp_space } from '../../../include/net/tcp.ts'
import { __sk_dst_get } from '../../core/sock/dst.ts'
import { tcp_established_options } from './options.ts'

const FILE = 'net/ipv4/tcp_output.c'

const roundDown = (n: number, to: number): number => n - (n % to)
const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to

/** The segment size this end announces. @see include/net/dst.h:dst_metric_advmss */
export const dst_metric_advmss = (k: Kernel, dst: dst_entry): number =>
  Math.max(dst_mtu(dst) - 40, k.global('init_net', 'net').ipv4.ip_rt_min_advmss)

export const tcp_mss_clamp = (tp: tcp_sock, mss: number): number => {
  const user = tp.rx_opt.user_mss
  return user !== 0 && user < mss ? user : mss
}

/** @returns payload bytes without options @see net/ipv4/tcp_output.c:__tcp_mtu_to_mss */
function __tcp_mtu_to_mss(k: Kernel, sk: sock, pmtu: number): number {
  const icsk = inet_csk(k, sk)
  const header = deref(icsk.icsk_af_ops).net_header_len + 20
  const mss = Math.min(pmtu - header, tcp_sk(k, sk).rx_opt.mss_clamp) - icsk.icsk_ext_hdr_len
  return Math.max(mss, TCP_MIN_SND_MSS)
}

export const tcp_mtu_to_mss = kfunc(FILE, function tcp_mtu_to_mss(k, sk: sock, pmtu: number): number {
  return __tcp_mtu_to_mss(k, sk, pmtu) - (tcp_sk(k, sk).tcp_header_len - 20)
})

export const tcp_mss_to_mtu = kfunc(FILE, function tcp_mss_to_mtu(k, sk: sock, mss: number): number {
  const icsk = inet_csk(k, sk)
  return mss + tcp_sk(k, sk).tcp_header_len + icsk.icsk_ext_hdr_len + deref(icsk.icsk_af_ops).net_header_len
})

/** Bounds for probing the path's MTU, which is off by default. */
export const tcp_mtup_init = kfunc(FILE, function tcp_mtup_init(k, sk: sock): void {
  const icsk = inet_csk(k, sk)
  const { icsk_mtup } = icsk
  const { ipv4 } = sock_net(sk)
  icsk_mtup.$set('enabled', ipv4.sysctl_tcp_mtu_probing > 1 ? 1 : 0)
  icsk_mtup.$set('search_high', tcp_sk(k, sk).rx_opt.mss_clamp + 20 + deref(icsk.icsk_af_ops).net_header_len)
  icsk_mtup.$set('search_low', tcp_mss_to_mtu(k, sk, ipv4.sysctl_tcp_base_mss))
  icsk_mtup.$set('probe_size', 0)
})

/** A peer with a small window gets at least two segments into it. @see tcp_bound_to_half_wnd */
function boundToHalfWindow(tp: tcp_sock, size: number): number {
  const cutoff = tp.max_window > TCP_MSS_DEFAULT ? tp.max_window >>> 1 : tp.max_window
  return cutoff !== 0 && size > cutoff ? Math.max(cutoff, 68 - tp.tcp_header_len) : size
}

/** The path's MTU is `pmtu`: set the segment size to fit. */
export const tcp_sync_mss = kfunc(FILE, function tcp_sync_mss(k, sk: sock, pmtu: number): number {
  const tp = tcp_sk(k, sk)
  const icsk = inet_csk(k, sk)
  if (Number(icsk.icsk_mtup.$get('search_high')) > pmtu) icsk.icsk_mtup.$set('search_high', pmtu)
  const mss = boundToHalfWindow(tp, tcp_mtu_to_mss(k, sk, pmtu))
  icsk.icsk_pmtu_cookie = pmtu
  tp.mss_cache = mss
  return mss
})

/** The segment size now: less when this segment has more options than usual. */
export const tcp_current_mss = kfunc(FILE, function tcp_current_mss(k, sk: sock): number {
  const tp = tcp_sk(k, sk)
  const dst = __sk_dst_get(sk)
  let mss = tp.mss_cache
  if (dst !== null) {
    const mtu = dst_mtu(dst)
    if (mtu !== inet_csk(k, sk).icsk_pmtu_cookie) mss = tcp_sync_mss(k, sk, mtu)
  }
  const header = tcp_established_options(k, sk, null, {}) + 20
  return header === tp.tcp_header_len ? mss : mss - (header - tp.tcp_header_len)
})

/** First window, its bound and its shift. */
export interface InitialWindow {
  readonly rcv_wnd: number
  readonly window_clamp: number
  readonly rcv_wscale: number
}

/**
 * @param space bytes of buffer
 * @param mss   segments the window is a multiple of
 * @param clamp upper bound, 0 for none
 * @see net/ipv4/tcp_output.c:tcp_select_initial_window
 */
export const tcp_select_initial_window = kfunc(
  FILE,
  function tcp_select_initial_window(
    _k,
    sk: sock,
    space: number,
    mss: number,
    clamp: number,
    wscaleOk: boolean,
    initRcvWnd: number = 0,
  ): InitialWindow {
    const { ipv4 } = sock_net(sk)
    const bound = clamp === 0 ? 0xffff * 2 ** TCP_MAX_WSCALE : clamp
    let room = Math.min(bound, Math.max(space, 0))
    if (room > mss) room = roundDown(room, mss)
    let rcv_wnd = ipv4.sysctl_tcp_workaround_signed_windows !== 0 ? Math.min(room, MAX_TCP_WINDOW) : room
    if (initRcvWnd !== 0) rcv_wnd = Math.min(rcv_wnd, initRcvWnd * mss)
    let rcv_wscale = 0
    if (wscaleOk) {
      // the shift must do for the largest buffer the sock may grow to
      const most = Math.min(Math.max(room, ipv4.sysctl_tcp_rmem.num(2), SK_MEM_DEFAULT), bound)
      rcv_wscale = Math.min(Math.max(Math.floor(Math.log2(most)) - 15, 0), TCP_MAX_WSCALE)
    }
    return { rcv_wnd, window_clamp: Math.min(0xffff * 2 ** rcv_wscale, bound), rcv_wscale }
  },
)

/**
 * How much to offer now, in bytes: what the buffer holds, never a silly sliver.
 * @see net/ipv4/tcp_output.c:__tcp_select_window
 */
export const __tcp_select_window = kfunc(FILE, function __tcp_select_window(k, sk: sock): number {
  const tp = tcp_sk(k, sk)
  const { icsk_ack } = inet_csk(k, sk)
  const allowed = tcp_full_space(sk)
  const full = Math.min(tp.window_clamp, allowed)
  const mss = Math.min(icsk_ack.rcv_mss, full)
  const scale = tp.rx_opt.rcv_wscale
  let free = tcp_space(sk)
  if (mss <= 0) return 0
  if (free < full >> 1) {
    icsk_ack.quick = 0
    free = roundDown(Math.max(free, 0), 2 ** scale)
    if (free < allowed >> 4 || free < mss) return 0
  }
  free = Math.min(free, tp.rcv_ssthresh)
  if (scale !== 0) return roundUp(free, 2 ** scale)
  const window = tp.rcv_wnd
  if (window <= free - mss || window > free) return roundDown(free, mss)
  return mss === full && free > window + (full >> 1) ? free : window
})

/** The window field of the header; it never takes back what was offered. */
export function tcp_select_window(k: Kernel, sk: sock): number {
  const tp = tcp_sk(k, sk)
  const current = tcp_receive_window(tp)
  const scale = tp.rx_opt.rcv_wscale
  let window = __tcp_select_window(k, sk)
  if (window < current) window = roundUp(current, 2 ** scale)
  tp.rcv_wnd = window
  tp.rcv_wup = tp.rcv_nxt
  const field = Math.min(window, 65535 * 2 ** scale) >>> scale
  if (field === 0) tp.pred_flags = 0
  return field
}

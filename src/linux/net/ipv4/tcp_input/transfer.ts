/** A connection comes to stand: buffers, metrics, congestion control. */

import type { sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { TCP_ESTABLISHED } from '../../../../abi/tcp_states.ts'
import { SOCK_KEEPOPEN, SOCK_SNDBUF_LOCK } from '../../../../abi/sock.ts'
import { MAX_TCP_HEADER, TCP_INIT_CWND } from '../../../../abi/tcp.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { security_inet_conn_established } from '../../../security/security.ts'
import { SKB_DATA_ALIGN } from '../../core/skbuff.ts'
import { inet_csk, tcp_sk } from '../../../include/net/casts.ts'
import { sock_flag, sock_net } from '../../../include/net/sock.ts'
import { __tcp_fast_path_on, tcp_full_space, tcp_jiffies32 } from '../../../include/net/tcp.ts'
import { inet_csk_reset_keepalive_timer } from '../inet_connection_sock/timers.ts'
import { tcp_init_congestion_control } from '../tcp_cong.ts'
import { tcp_init_metrics } from '../tcp_metrics.ts'
import { tcp_mtup_init } from '../tcp_output.ts'
import { tcp_set_state } from '../tcp/state.ts'
import { tcp_mstamp_refresh } from '../tcp_output/transmit.ts'

const FILE = 'net/ipv4/tcp_input.c'

/** Room for an initial window's worth of segments, with their overhead. */
const tcp_sndbuf_expand = kfunc(FILE, function tcp_sndbuf_expand(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const shared = SKB_DATA_ALIGN(k.types.sizeof('skb_shared_info'))
  const raw = Math.max(tp.rx_opt.mss_clamp, tp.mss_cache) + MAX_TCP_HEADER + shared
  const each = 2 ** Math.ceil(Math.log2(raw)) + SKB_DATA_ALIGN(k.types.sizeof('sk_buff'))
  const segments = Math.max(TCP_INIT_CWND, tp.snd_cwnd, tp.reordering + 1)
  const wanted = 2 * segments * each
  if (sk.sk_sndbuf < wanted) sk.sk_sndbuf = Math.min(wanted, sock_net(sk).ipv4.sysctl_tcp_wmem.num(2))
})

/** The window's bounds by the receive buffer. @see net/ipv4/tcp_input.c:tcp_init_buffer_space */
function tcp_init_buffer_space(k: Kernel, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const appWin = sock_net(sk).ipv4.sysctl_tcp_app_win
  if ((sk.sk_userlocks & SOCK_SNDBUF_LOCK) === 0) tcp_sndbuf_expand(k, sk)
  tcp_mstamp_refresh(k, tp)
  tp.rcvq_space.time = tp.tcp_mstamp
  tp.rcvq_space.seq = tp.copied_seq
  const max = tcp_full_space(sk)
  if (tp.window_clamp >= max) {
    tp.window_clamp = max
    // a part of the window is the application's
    if (appWin !== 0 && max > 4 * tp.advmss) {
      tp.window_clamp = Math.max(max - (appWin >= 32 ? 0 : Math.floor(max / 2 ** appWin)), 4 * tp.advmss)
    }
  }
  // one segment is kept back
  if (appWin !== 0 && tp.window_clamp > 2 * tp.advmss && tp.window_clamp + tp.advmss > max) {
    tp.window_clamp = Math.max(2 * tp.advmss, max - tp.advmss)
  }
  tp.rcv_ssthresh = Math.min(tp.rcv_ssthresh, tp.window_clamp)
  tp.snd_cwnd_stamp = tcp_jiffies32(k)
  tp.rcvq_space.space = Math.min(tp.rcv_ssthresh, tp.rcv_wnd, TCP_INIT_CWND * tp.advmss)
}

/** Ready for data. @see net/ipv4/tcp_input.c:tcp_init_transfer */
export const tcp_init_transfer = kfunc(FILE, function tcp_init_transfer(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const icsk = inet_csk(k, sk)
  tcp_mtup_init(k, sk)
  k.indirect<(k: Kernel, sk: sock) => number>(deref(icsk.icsk_af_ops).rebuild_header)(k, sk)
  tcp_init_metrics(k, sk)
  // a handshake that needed several tries begins with one segment
  tp.snd_cwnd = tp.total_retrans > 1 && tp.undo_marker !== 0 ? 1 : TCP_INIT_CWND
  tp.snd_cwnd_stamp = tcp_jiffies32(k)
  if (icsk.icsk_ca_initialized === 0) tcp_init_congestion_control(k, sk)
  tcp_init_buffer_space(k, sk)
})

/** The client's side is established. @see net/ipv4/tcp_input.c:tcp_finish_connect */
export const tcp_finish_connect = kfunc(
  FILE,
  function tcp_finish_connect(k, sk: sock, skb: sk_buff | null): void {
    const tp = tcp_sk(k, sk)
    const icsk = inet_csk(k, sk)
    tcp_set_state(k, sk, TCP_ESTABLISHED)
    icsk.icsk_ack.lrcvtime = tcp_jiffies32(k)
    if (skb !== null) {
      const { sk_rx_dst_set } = deref(icsk.icsk_af_ops)
      k.indirect<(k: Kernel, sk: sock, skb: sk_buff) => void>(sk_rx_dst_set)(k, sk, skb)
      security_inet_conn_established(k, sk, skb)
    }
    tcp_init_transfer(k, sk)
    // congestion control is not fed by the handshake
    tp.lsndtime = tcp_jiffies32(k)
    if (sock_flag(sk, SOCK_KEEPOPEN)) inet_csk_reset_keepalive_timer(k, sk, keepaliveTime(k, sk))
    if (tp.rx_opt.snd_wscale === 0) __tcp_fast_path_on(tp, tp.snd_wnd)
    else tp.pred_flags = 0
  },
)

/** Jiffies of idleness before the first probe. @see include/net/tcp.h:keepalive_time_when */
export const keepaliveTime = (k: Kernel, sk: sock): number =>
  tcp_sk(k, sk).keepalive_time || sock_net(sk).ipv4.sysctl_tcp_keepalive_time

/** From request to child: the window of a request, the child's TCP part, the child's first segment. */

import { ntohs } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { dst_entry, request_sock, sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { SOCK_KEEPOPEN, SOCK_RCVBUF_LOCK } from '../../../../abi/sock.ts'
import {
  TCPOLEN_TSTAMP_ALIGNED,
  TCP_HEADER_LEN,
  TCP_INFINITE_SSTHRESH,
  TCP_INIT_CWND,
  TCP_TIMEOUT_INIT,
} from '../../../../abi/tcp.ts'
import { TCP_SYN_RECV } from '../../../../abi/tcp_states.ts'
import { INIT_LIST_HEAD } from '../../../../structures/list.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { __sk_add_backlog, sk_data_ready, sock_put } from '../../core/sock.ts'
import { inet_csk, inet_rsk, tcp_hdr, tcp_rsk, tcp_sk } from '../../../include/net/casts.ts'
import { sk_mark_napi_id_set, sock_flag, sock_owned_by_user } from '../../../include/net/sock.ts'
import { TCP_INC_STATS, tcp_clock_ns, tcp_full_space, tcp_jiffies32 } from '../../../include/net/tcp.ts'
import { inet_csk_clone_lock } from '../inet_connection_sock/listen.ts'
import { inet_csk_reset_keepalive_timer } from '../inet_connection_sock/timers.ts'
import { dst_metric_advmss, tcp_mss_clamp, tcp_select_initial_window } from '../tcp_output/mss.ts'
import { tcp_init_xmit_timers } from '../tcp_timer.ts'
import { minmax_reset } from '../tcp/init.ts'
import { keepaliveTime } from '../tcp_input/transfer.ts'
import { tcp_rcv_state_process } from '../tcp_input/state.ts'

const FILE = 'net/ipv4/tcp_minisocks.c'

/** The window the SYN-ACK offers. @see net/ipv4/tcp_minisocks.c:tcp_openreq_init_rwin */
export const tcp_openreq_init_rwin = kfunc(
  FILE,
  function tcp_openreq_init_rwin(k, req: request_sock, listener: sock, dst: dst_entry): void {
    const ireq = inet_rsk(k, req)
    const tp = tcp_sk(k, listener)
    const space = tcp_full_space(listener)
    const mss = tcp_mss_clamp(tp, dst_metric_advmss(k, dst))
    req.rsk_window_clamp = tp.window_clamp
    if (
      (listener.sk_userlocks & SOCK_RCVBUF_LOCK) !== 0 &&
      (req.rsk_window_clamp > space || req.rsk_window_clamp === 0)
    ) {
      req.rsk_window_clamp = space
    }
    const usable = mss - (ireq.tstamp_ok === 1 ? TCPOLEN_TSTAMP_ALIGNED : 0)
    const window = tcp_select_initial_window(
      k,
      listener,
      space,
      usable,
      req.rsk_window_clamp,
      ireq.wscale_ok === 1,
    )
    req.rsk_rcv_wnd = window.rcv_wnd
    req.rsk_window_clamp = window.window_clamp
    ireq.rcv_wscale = window.rcv_wscale
  },
)

/**
 * A child of the listener for a finished handshake, with TCP's numbers.
 *
 * @param skb the ACK that finished it
 * @returns the child in SYN_RECV, in no table yet
 * @see net/ipv4/tcp_minisocks.c:tcp_create_openreq_child
 */
export const tcp_create_openreq_child = kfunc(
  FILE,
  function tcp_create_openreq_child(k, sk: sock, req: request_sock, skb: sk_buff): sock | null {
    const newsk = inet_csk_clone_lock(k, sk, req)
    if (newsk === null) return null
    const ireq = inet_rsk(k, req)
    const treq = tcp_rsk(k, req)
    const newicsk = inet_csk(k, newsk)
    const newtp = tcp_sk(k, newsk)
    newtp.pred_flags = 0
    const rcv = from(treq, 'rcv_isn').map((isn) => (isn + 1) >>> 0)
    newtp.rcv_wup = rcv
    newtp.copied_seq = rcv
    newtp.rcv_nxt = rcv
    newtp.segs_in = 1
    const snd = from(treq, 'snt_isn').map((isn) => (isn + 1) >>> 0)
    newtp.snd_sml = snd
    newtp.snd_una = snd
    newtp.snd_nxt = snd
    newtp.snd_up = snd
    INIT_LIST_HEAD(k.mem, newtp.tsq_node.$va)
    INIT_LIST_HEAD(k.mem, newtp.tsorted_sent_queue.$va)
    newtp.snd_wl1 = from(treq, 'rcv_isn')
    newsk.sk_txhash = from(treq, 'txhash')
    newtp.total_retrans = req.num_retrans
    tcp_init_xmit_timers(k, newsk)
    newtp.write_seq = snd
    newtp.pushed_seq = snd
    // what the listener may have been set to stays; what belongs to a connection begins afresh
    newicsk.icsk_rto = TCP_TIMEOUT_INIT
    newtp.snd_ssthresh = TCP_INFINITE_SSTHRESH
    newtp.snd_cwnd = TCP_INIT_CWND
    minmax_reset(k, newtp, tcp_jiffies32(k), 0xffff_ffff)
    newicsk.icsk_ack.lrcvtime = tcp_jiffies32(k)
    if (sock_flag(newsk, SOCK_KEEPOPEN)) inet_csk_reset_keepalive_timer(k, newsk, keepaliveTime(k, newsk))
    const { rx_opt } = newtp
    rx_opt.tstamp_ok = ireq.tstamp_ok
    rx_opt.sack_ok = ireq.sack_ok
    newtp.window_clamp = from(req, 'rsk_window_clamp')
    newtp.rcv_ssthresh = from(req, 'rsk_rcv_wnd')
    newtp.rcv_wnd = from(req, 'rsk_rcv_wnd')
    rx_opt.wscale_ok = ireq.wscale_ok
    if (rx_opt.wscale_ok === 1) {
      rx_opt.snd_wscale = ireq.snd_wscale
      rx_opt.rcv_wscale = ireq.rcv_wscale
    } else {
      rx_opt.snd_wscale = 0
      rx_opt.rcv_wscale = 0
      newtp.window_clamp = Math.min(newtp.window_clamp, 65535)
    }
    newtp.snd_wnd = (ntohs(tcp_hdr(k, skb).window) << rx_opt.snd_wscale) >>> 0
    newtp.max_window = newtp.snd_wnd
    if (rx_opt.tstamp_ok === 1) {
      rx_opt.ts_recent = from(req, 'ts_recent')
      rx_opt.ts_recent_stamp = Number(tcp_clock_ns(k) / 1_000_000_000n)
      newtp.tcp_header_len = TCP_HEADER_LEN + TCPOLEN_TSTAMP_ALIGNED
    } else {
      rx_opt.ts_recent_stamp = 0
      newtp.tcp_header_len = TCP_HEADER_LEN
    }
    newtp.tsoffset = from(treq, 'ts_off')
    if (skb.len >= 536 + newtp.tcp_header_len) newicsk.icsk_ack.last_seg_size = skb.len - newtp.tcp_header_len
    rx_opt.mss_clamp = from(req, 'mss')
    TCP_INC_STATS(k, sk, 'TCP_MIB_PASSIVEOPENS')
    return newsk
  },
)

/**
 * The child takes the segment that made it; then whoever waits in accept() is woken.
 *
 * @param parent the listener
 * @see net/ipv4/tcp_minisocks.c:tcp_child_process
 */
export const tcp_child_process = kfunc(
  FILE,
  function tcp_child_process(k, parent: sock, child: sock, skb: sk_buff): number {
    const state = child.sk_state
    sk_mark_napi_id_set(child, skb)
    tcp_segs_in(k, child, skb)
    let ret = 0
    if (!sock_owned_by_user(child)) {
      ret = tcp_rcv_state_process(k, child, skb)
      if (state === TCP_SYN_RECV && child.sk_state !== state) sk_data_ready(k, parent)
    } else __sk_add_backlog(child, skb)
    sock_put(k, child)
    return ret
  },
)

/** Count a segment. @see include/net/tcp.h:tcp_segs_in */
export function tcp_segs_in(k: Kernel, sk: sock, skb: sk_buff): void {
  const tp = tcp_sk(k, sk)
  tp.segs_in = tp.segs_in + 1
  if (skb.len > tcp_hdr(k, skb).doff * 4) tp.data_segs_in = tp.data_segs_in + 1
}

/** The end of a connection as its own side wants it: shutdown, close, disconnect. */

import type { sock } from '../../../../btf/vmlinux.ts'
import { ECONNRESET } from '../../../../abi/errno.ts'
import { SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK, SOCK_DONE, SOCK_LINGER } from '../../../../abi/sock.ts'
import { SEND_SHUTDOWN, SHUTDOWN_MASK } from '../../../../abi/socket.ts'
import {
  TCPHDR_FIN,
  TCP_CA_Open,
  TCP_INFINITE_SSTHRESH,
  TCP_INIT_CWND,
  TCP_TIMEOUT_INIT,
  TCP_TIMEWAIT_LEN,
} from '../../../../abi/tcp.ts'
import * as TCP from '../../../../abi/tcp_states.ts'
import { INIT_LIST_HEAD } from '../../../../structures/list.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { __local_bh_enable_ip, local_bh_disable } from '../../../kernel/softirq.ts'
import { __kfree_skb, __skb_dequeue, __skb_queue_purge } from '../../core/skbuff.ts'
import {
  lock_sock,
  release_sock,
  sk_dst_reset,
  sk_error_report,
  sk_mem_reclaim,
  sock_put,
  __release_sock,
} from '../../core/sock.ts'
import { TCP_SKB_CB, inet_csk, inet_sk, tcp_sk } from '../../../include/net/casts.ts'
import {
  sk_prot,
  sk_rcv_saddr_set,
  sock_flag,
  sock_hold,
  sock_orphan,
  sock_reset_flag,
} from '../../../include/net/sock.ts'
import {
  NET_INC_STATS,
  tcp_rtx_queue_head,
  tcp_rtx_queue_unlink_and_free,
  tcp_unlink_write_queue,
  tcp_wmem_free_skb,
  tcp_send_head,
} from '../../../include/net/tcp.ts'
import { inet_put_port } from '../inet_hashtables.ts'
import {
  inet_csk_clear_xmit_timers,
  inet_csk_destroy_sock,
  inet_csk_listen_stop,
  inet_csk_reset_keepalive_timer,
} from '../inet_connection_sock.ts'
import { tcp_set_ca_state } from '../tcp_cong.ts'
import { tcp_send_active_reset, tcp_send_fin } from '../tcp_output.ts'
import { tcp_time_wait } from '../tcp_minisocks/timewait.ts'
import { skb_rbtree_purge } from '../tcp_input/close.ts'
import { tcp_fin_time } from '../tcp_input/state.ts'
import { tcp_orphan_count_inc } from './orphan.ts'
import { tcp_set_state } from './state.ts'

const FILE = 'net/ipv4/tcp.c'
/** State after close() by the state before; bit 4 says that a FIN goes out. */
const TCP_ACTION_FIN = 1 << 4
const new_state: Readonly<Record<number, number>> = {
  [TCP.TCP_ESTABLISHED]: TCP.TCP_FIN_WAIT1 | TCP_ACTION_FIN,
  [TCP.TCP_SYN_SENT]: TCP.TCP_CLOSE,
  [TCP.TCP_SYN_RECV]: TCP.TCP_FIN_WAIT1 | TCP_ACTION_FIN,
  [TCP.TCP_FIN_WAIT1]: TCP.TCP_FIN_WAIT1,
  [TCP.TCP_FIN_WAIT2]: TCP.TCP_FIN_WAIT2,
  [TCP.TCP_TIME_WAIT]: TCP.TCP_CLOSE,
  [TCP.TCP_CLOSE]: TCP.TCP_CLOSE,
  [TCP.TCP_CLOSE_WAIT]: TCP.TCP_LAST_ACK | TCP_ACTION_FIN,
  [TCP.TCP_LAST_ACK]: TCP.TCP_LAST_ACK,
  [TCP.TCP_LISTEN]: TCP.TCP_CLOSE,
  [TCP.TCP_CLOSING]: TCP.TCP_CLOSING,
}

/** @returns whether a FIN is to be sent @see net/ipv4/tcp.c:tcp_close_state */
function tcp_close_state(k: Kernel, sk: sock): boolean {
  const next = new_state[sk.sk_state] ?? TCP.TCP_CLOSE
  tcp_set_state(k, sk, next & 0xf)
  return (next & TCP_ACTION_FIN) !== 0
}

/** Everything that was to be sent is thrown away. */
export const tcp_write_queue_purge = kfunc(FILE, function tcp_write_queue_purge(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  for (let skb = tcp_send_head(k, sk); skb !== null; skb = tcp_send_head(k, sk)) {
    tcp_unlink_write_queue(k, sk, skb)
    tcp_wmem_free_skb(k, sk, skb)
  }
  for (let skb = tcp_rtx_queue_head(k, sk); skb !== null; skb = tcp_rtx_queue_head(k, sk)) {
    tcp_rtx_queue_unlink_and_free(k, sk, skb)
  }
  INIT_LIST_HEAD(k.mem, tp.tsorted_sent_queue.$va)
  tp.highest_sack = null
  tp.packets_out = 0
  inet_csk(k, sk).icsk_backoff = 0
})

/** No more to send: what waits goes out, then a FIN. */
export const tcp_shutdown = kfunc(FILE, function tcp_shutdown(k, sk: sock, how: number): void {
  if ((how & SEND_SHUTDOWN) === 0) return
  const sendable = TCP.TCPF_ESTABLISHED | TCP.TCPF_SYN_SENT | TCP.TCPF_SYN_RECV | TCP.TCPF_CLOSE_WAIT
  if (((1 << sk.sk_state) & sendable) !== 0 && tcp_close_state(k, sk)) {
    k.jump()
    tcp_send_fin(k, sk)
  }
})

/** Bytes nobody read are dropped. @returns whether there were any */
function dropUnread(k: Kernel, sk: sock): boolean {
  let unread = false
  for (
    let skb = __skb_dequeue(k, sk.sk_receive_queue);
    skb !== null;
    skb = __skb_dequeue(k, sk.sk_receive_queue)
  ) {
    const cb = TCP_SKB_CB(k, skb)
    const end = (cb.end_seq - ((cb.tcp_flags & TCPHDR_FIN) !== 0 ? 1 : 0)) >>> 0
    if (((end - tcp_sk(k, sk).copied_seq) | 0) > 0) unread = true
    __kfree_skb(k, skb)
  }
  return unread
}

/** How the connection is ended: reset when data was unread, else with a FIN. */
function beginClose(k: Kernel, sk: sock): void {
  if (sk.sk_state === TCP.TCP_LISTEN) {
    tcp_set_state(k, sk, TCP.TCP_CLOSE)
    inet_csk_listen_stop(k, sk)
    return
  }
  const unread = dropUnread(k, sk)
  if (sk.sk_state === TCP.TCP_CLOSE) return
  sk_mem_reclaim(k, sk)
  if (unread) {
    // RFC 2525: the peer must learn that its data was lost
    NET_INC_STATS(k, sk, 'LINUX_MIB_TCPABORTONCLOSE')
    tcp_set_state(k, sk, TCP.TCP_CLOSE)
    tcp_send_active_reset(k, sk)
  } else if (sock_flag(sk, SOCK_LINGER) && sk.sk_lingertime === 0n) {
    k.indirect<(k: Kernel, sk: sock, flags: number) => number>(sk_prot(sk).disconnect)(k, sk, 0)
    NET_INC_STATS(k, sk, 'LINUX_MIB_TCPABORTONDATA')
  } else if (tcp_close_state(k, sk)) tcp_send_fin(k, sk)
}

/** An orphan in FIN_WAIT2 waits in a stub, a closed one is destroyed. */
function settleOrphan(k: Kernel, sk: sock): void {
  if (sk.sk_state === TCP.TCP_FIN_WAIT2) {
    const tp = tcp_sk(k, sk)
    if (tp.linger2 < 0) {
      tcp_set_state(k, sk, TCP.TCP_CLOSE)
      tcp_send_active_reset(k, sk)
    } else {
      const timeout = tcp_fin_time(k, sk)
      if (timeout > TCP_TIMEWAIT_LEN) inet_csk_reset_keepalive_timer(k, sk, timeout - TCP_TIMEWAIT_LEN)
      else {
        tcp_time_wait(k, sk, TCP.TCP_FIN_WAIT2, timeout)
        return
      }
    }
  }
  if (sk.sk_state === TCP.TCP_CLOSE) inet_csk_destroy_sock(k, sk)
}

/**
 * The process lets the sock go; it lives on as long as the protocol needs it.
 * @see net/ipv4/tcp.c:__tcp_close
 * @remarks SO_LINGER with a time does not wait
 */
export const __tcp_close = kfunc(FILE, function __tcp_close(k, sk: sock, _timeout: number): void {
  sk.sk_shutdown = SHUTDOWN_MASK
  beginClose(k, sk)
  const state = sk.sk_state
  sock_hold(sk)
  sock_orphan(k, sk)
  local_bh_disable(k)
  // packets that came while the sock was owned
  if (sk.sk_backlog.tail !== null) __release_sock(k, sk)
  tcp_orphan_count_inc(k)
  // the backlog may have closed and destroyed it already
  if (state === TCP.TCP_CLOSE || sk.sk_state !== TCP.TCP_CLOSE) settleOrphan(k, sk)
  __local_bh_enable_ip(k)
})

/** @see net/ipv4/tcp.c:tcp_close */
export const tcp_close = kfunc(FILE, function tcp_close(k, sk: sock, timeout: number): void {
  lock_sock(k, sk)
  __tcp_close(k, sk, timeout)
  release_sock(k, sk)
  sock_put(k, sk)
})

const tcp_need_reset = (state: number): boolean =>
  ((1 << state) &
    (TCP.TCPF_ESTABLISHED |
      TCP.TCPF_CLOSE_WAIT |
      TCP.TCPF_FIN_WAIT1 |
      TCP.TCPF_FIN_WAIT2 |
      TCP.TCPF_SYN_RECV)) !==
  0

/**
 * Back to an unconnected sock.
 * @returns 0
 * @see net/ipv4/tcp.c:tcp_disconnect
 */
export const tcp_disconnect = kfunc(FILE, function tcp_disconnect(k, sk: sock, _flags: number): number {
  const inet = inet_sk(k, sk)
  const icsk = inet_csk(k, sk)
  const tp = tcp_sk(k, sk)
  const old = sk.sk_state
  if (old !== TCP.TCP_CLOSE) tcp_set_state(k, sk, TCP.TCP_CLOSE)
  if (old === TCP.TCP_LISTEN) inet_csk_listen_stop(k, sk)
  else if (
    tcp_need_reset(old) ||
    (tp.snd_nxt !== tp.write_seq && ((1 << old) & (TCP.TCPF_CLOSING | TCP.TCPF_LAST_ACK)) !== 0)
  ) {
    tcp_send_active_reset(k, sk)
    sk.sk_err = ECONNRESET
  } else if (old === TCP.TCP_SYN_SENT) sk.sk_err = ECONNRESET
  inet_csk_clear_xmit_timers(k, sk)
  __skb_queue_purge(k, sk.sk_receive_queue)
  tp.copied_seq = tp.rcv_nxt
  tp.urg_data = 0
  tcp_write_queue_purge(k, sk)
  skb_rbtree_purge(k, tp.out_of_order_queue.$va)
  inet.inet_dport = 0
  if ((sk.sk_userlocks & SOCK_BINDADDR_LOCK) === 0) {
    inet.inet_saddr = 0
    sk_rcv_saddr_set(k, sk, 0)
  }
  sk.sk_shutdown = 0
  sock_reset_flag(k, sk, SOCK_DONE)
  tp.srtt_us = 0
  tp.mdev_us = 1_000_000
  tp.rcv_rtt_last_tsecr = 0
  tp.write_seq = (tp.write_seq + tp.max_window + 2) >>> 0 || 1
  icsk.icsk_backoff = 0
  icsk.icsk_probes_out = 0
  icsk.icsk_rto = TCP_TIMEOUT_INIT
  tp.snd_ssthresh = TCP_INFINITE_SSTHRESH
  tp.snd_cwnd = TCP_INIT_CWND
  tp.snd_cwnd_cnt = 0
  tp.delivered = 0
  tcp_set_ca_state(k, sk, TCP_CA_Open)
  tp.retrans_out = 0
  tp.lost_out = 0
  tp.sacked_out = 0
  tp.total_retrans = 0
  icsk.icsk_ack.rcv_mss = 88
  k.mem.fill(tp.rx_opt.$va, 0, tp.rx_opt.$size)
  sk_dst_reset(k, sk)
  if ((sk.sk_userlocks & SOCK_BINDPORT_LOCK) === 0 && inet_csk(k, sk).icsk_bind_hash !== null)
    inet_put_port(k, sk)
  sk_error_report(k, sk)
  return 0
})

/** The peer ends: its FIN, its RST. */

import type { sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { ECONNREFUSED, ECONNRESET, EPIPE } from '../../../../abi/errno.ts'
import { SOCK_DEAD, SOCK_DONE } from '../../../../abi/sock.ts'
import { RCV_SHUTDOWN } from '../../../../abi/socket.ts'
import * as TCP from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { sk_error_report, sk_mem_reclaim, sk_state_change } from '../../core/sock.ts'
import { rb_erase, rb_first } from '../../../../structures/rbtree.ts'
import { kfree_skb } from '../../core/skbuff.ts'
import { tcp_sk } from '../../../include/net/casts.ts'
import { sock_flag, sock_set_flag } from '../../../include/net/sock.ts'
import { inet_csk_enter_pingpong_mode, inet_csk_schedule_ack } from '../../../include/net/tcp.ts'
import { tcp_done, tcp_set_state } from '../tcp/state.ts'
import { tcp_write_queue_purge } from '../tcp/close.ts'
import { tcp_send_ack } from '../tcp_output.ts'
import { tcp_time_wait } from '../tcp_minisocks/timewait.ts'

const FILE = 'net/ipv4/tcp_input.c'

/** Everything out of order is thrown away. @see net/ipv4/tcp.c:skb_rbtree_purge */
export function skb_rbtree_purge(k: Kernel, root: number): void {
  for (let node = rb_first(k.mem, root); node !== 0; node = rb_first(k.mem, root)) {
    rb_erase(k.mem, node, root)
    const skb = k.ref('sk_buff', node - k.types.offsetof('sk_buff', 'rbnode'))
    k.mem.fill(node, 0, 3 * k.mem.wordSize)
    kfree_skb(k, skb)
  }
}

/**
 * The peer has no more to send.
 * @see net/ipv4/tcp_input.c:tcp_fin
 */
export const tcp_fin = kfunc(FILE, function tcp_fin(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  inet_csk_schedule_ack(k, sk)
  sk.sk_shutdown = sk.sk_shutdown | RCV_SHUTDOWN
  sock_set_flag(k, sk, SOCK_DONE)
  switch (sk.sk_state) {
    case TCP.TCP_SYN_RECV:
    case TCP.TCP_ESTABLISHED:
      tcp_set_state(k, sk, TCP.TCP_CLOSE_WAIT)
      // the answer may come with the ACK
      inet_csk_enter_pingpong_mode(k, sk)
      break
    case TCP.TCP_CLOSE_WAIT:
    case TCP.TCP_CLOSING:
      // a FIN again: only its ACK
      break
    case TCP.TCP_LAST_ACK:
      break
    case TCP.TCP_FIN_WAIT1:
      // both close at the same time
      tcp_send_ack(k, sk)
      tcp_set_state(k, sk, TCP.TCP_CLOSING)
      break
    case TCP.TCP_FIN_WAIT2:
      tcp_send_ack(k, sk)
      tcp_time_wait(k, sk, TCP.TCP_TIME_WAIT, 0)
      break
  }
  skb_rbtree_purge(k, tp.out_of_order_queue.$va)
  tp.rx_opt.num_sacks = 0
  sk_mem_reclaim(k, sk)
  if (sock_flag(sk, SOCK_DEAD)) return
  sk_state_change(k, sk)
})

/** @see net/ipv4/tcp_input.c:tcp_done_with_error */
export const tcp_done_with_error = kfunc(FILE, function tcp_done_with_error(k, sk: sock, err: number): void {
  sk.sk_err = err
  tcp_write_queue_purge(k, sk)
  tcp_done(k, sk)
  if (!sock_flag(sk, SOCK_DEAD)) sk_error_report(k, sk)
})

/** The connection is broken off: by state, refused, closed at both ends, or reset. */
export const tcp_reset = kfunc(FILE, function tcp_reset(k, sk: sock, _skb: sk_buff): void {
  switch (sk.sk_state) {
    case TCP.TCP_SYN_SENT:
      tcp_done_with_error(k, sk, ECONNREFUSED)
      break
    case TCP.TCP_CLOSE_WAIT:
      tcp_done_with_error(k, sk, EPIPE)
      break
    case TCP.TCP_CLOSE:
      return
    default:
      tcp_done_with_error(k, sk, ECONNRESET)
  }
})

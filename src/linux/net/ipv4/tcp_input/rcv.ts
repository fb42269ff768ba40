/** Data that arrives: into the receive queue, out of order into a tree; and how the window follows. */

import { after, before } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { sk_buff, sock, tcp_sock } from '../../../../btf/vmlinux.ts'
import { ENOMEM } from '../../../../abi/errno.ts'
import {
  ICSK_ACK_NOW,
  ICSK_ACK_PUSHED,
  ICSK_ACK_PUSHED2,
  TCPHDR_FIN,
  TCP_ATO_MIN,
  TCP_MIN_MSS,
  TCP_MSS_DEFAULT,
  TCP_MAX_QUICKACKS,
  TCP_NUM_SACKS,
} from '../../../../abi/tcp.ts'
import { SOCK_DEAD } from '../../../../abi/sock.ts'
import { rb_erase, rb_first } from '../../../../structures/rbtree.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { __kfree_skb, __skb_queue_tail, kfree_skb, skb_dst_drop, skb_pull } from '../../core/skbuff.ts'
import { sk_data_ready, sk_rmem_schedule, skb_set_owner_r } from '../../core/sock.ts'
import { TCP_SKB_CB, inet_csk, tcp_hdr, tcp_sk } from '../../../include/net/casts.ts'
import { sk_rmem_alloc_get, sock_flag } from '../../../include/net/sock.ts'
import {
  NET_INC_STATS,
  inet_csk_in_pingpong_mode,
  inet_csk_schedule_ack,
  tcp_enter_quickack_mode,
  tcp_fast_path_check,
  tcp_full_space,
  tcp_incr_quickack,
  tcp_jiffies32,
  tcp_rbtree_insert,
  tcp_receive_window,
  tcp_space,
  tcp_is_sack,
} from '../../../include/net/tcp.ts'
import { tcp_send_ack, tcp_send_delayed_ack } from '../tcp_output.ts'
import { tcp_fin } from './close.ts'

const FILE = 'net/ipv4/tcp_input.c'

/** A first guess at the size of the peer's segments. */
export const tcp_initialize_rcv_mss = kfunc(FILE, function tcp_initialize_rcv_mss(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const hint = Math.min(tp.advmss, tp.mss_cache, tp.rcv_wnd >>> 1, TCP_MSS_DEFAULT)
  inet_csk(k, sk).icsk_ack.rcv_mss = Math.max(hint, TCP_MIN_MSS)
})

/** Learn the size of the peer's segments from full ones. @see net/ipv4/tcp_input.c:tcp_measure_rcv_mss */
function tcp_measure_rcv_mss(k: Kernel, sk: sock, skb: sk_buff): void {
  const { icsk_ack } = inet_csk(k, sk)
  const last = icsk_ack.last_seg_size
  icsk_ack.last_seg_size = 0
  const { len } = skb
  if (len >= icsk_ack.rcv_mss) {
    icsk_ack.rcv_mss = Math.min(len, tcp_sk(k, sk).advmss)
    return
  }
  const whole = len + tcp_hdr(k, skb).doff * 4
  if (whole >= TCP_MSS_DEFAULT + 20) {
    icsk_ack.last_seg_size = len
    if (len === last) {
      icsk_ack.rcv_mss = len
      return
    }
  }
  if ((icsk_ack.pending & ICSK_ACK_PUSHED) !== 0) icsk_ack.pending = icsk_ack.pending | ICSK_ACK_PUSHED2
  icsk_ack.pending = icsk_ack.pending | ICSK_ACK_PUSHED
}

/** One round trip of the receiver: a window's worth has come. @see net/ipv4/tcp_input.c:tcp_rcv_rtt_measure */
function tcp_rcv_rtt_measure(tp: tcp_sock): void {
  const est = tp.rcv_rtt_est
  if (est.time !== 0n) {
    if (before(tp.rcv_nxt, est.seq)) return
    const us = Math.max(1, Number(tp.tcp_mstamp - est.time))
    const known = est.rtt_us
    est.rtt_us = known === 0 ? us << 3 : Math.min(known, us << 3)
  }
  est.seq = (tp.rcv_nxt + tp.rcv_wnd) >>> 0
  est.time = tp.tcp_mstamp
}

/** Data came: grow what is offered while it fits. @see net/ipv4/tcp_input.c:tcp_grow_window */
export const tcp_grow_window = kfunc(FILE, function tcp_grow_window(k, sk: sock, skb: sk_buff): void {
  const tp = tcp_sk(k, sk)
  const room = Math.min(tp.window_clamp, tcp_space(sk)) - tp.rcv_ssthresh
  if (room <= 0) return
  const incr = skb.truesize <= 2 * skb.len ? 2 * tp.advmss : 0
  if (incr === 0) return
  tp.rcv_ssthresh = tp.rcv_ssthresh + Math.min(room, Math.max(incr, 2 * skb.len))
  const { icsk_ack } = inet_csk(k, sk)
  icsk_ack.quick = icsk_ack.quick | 1
})

/**
 * Data came: an ACK is due, the interval between segments is learned, the window may grow.
 * @see net/ipv4/tcp_input.c:tcp_event_data_recv
 */
export const tcp_event_data_recv = kfunc(FILE, function tcp_event_data_recv(k, sk: sock, skb: sk_buff): void {
  const tp = tcp_sk(k, sk)
  const { icsk_ack, icsk_rto } = inet_csk(k, sk)
  inet_csk_schedule_ack(k, sk)
  tcp_measure_rcv_mss(k, sk, skb)
  tcp_rcv_rtt_measure(tp)
  const now = tcp_jiffies32(k)
  if (icsk_ack.ato === 0) {
    // the first data: acknowledge at once for a while
    tcp_incr_quickack(k, sk, TCP_MAX_QUICKACKS)
    icsk_ack.ato = TCP_ATO_MIN
  } else {
    const m = (now - icsk_ack.lrcvtime) | 0
    if (m <= TCP_ATO_MIN / 2) icsk_ack.ato = (icsk_ack.ato >> 1) + TCP_ATO_MIN / 2
    else if (m < icsk_ack.ato) icsk_ack.ato = Math.min((icsk_ack.ato >> 1) + m, icsk_rto)
    else if (m > icsk_rto) tcp_incr_quickack(k, sk, TCP_MAX_QUICKACKS)
  }
  icsk_ack.lrcvtime = now
  if (skb.len >= 128) tcp_grow_window(k, sk, skb)
})

/** `rcv_nxt` moves on, and the count of bytes with it. */
export function tcp_rcv_nxt_update(tp: tcp_sock, skb: sk_buff, k: Kernel): void {
  const cb = TCP_SKB_CB(k, skb)
  const delta = (cb.end_seq - tp.rcv_nxt) >>> 0
  tp.bytes_received = tp.bytes_received + BigInt(delta)
  tp.rcv_nxt = from(cb, 'end_seq')
}

/** In order: to the receive queue. @see net/ipv4/tcp_input.c:tcp_queue_rcv */
export const tcp_queue_rcv = kfunc(FILE, function tcp_queue_rcv(k, sk: sock, skb: sk_buff): boolean {
  const tp = tcp_sk(k, sk)
  tcp_rcv_nxt_update(tp, skb, k)
  __skb_queue_tail(k, sk.sk_receive_queue, skb)
  skb_set_owner_r(k, skb, sk)
  return false
})

/** Is there room for the segment? */
const tcp_try_rmem_schedule = kfunc(
  FILE,
  function tcp_try_rmem_schedule(k, sk: sock, _skb: sk_buff, size: number): number {
    if (sk_rmem_alloc_get(sk) > sk.sk_rcvbuf || !sk_rmem_schedule(k, sk, size)) return -ENOMEM
    return 0
  },
)

/** The reader may want what has come. */
export const tcp_data_ready = kfunc(FILE, function tcp_data_ready(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const avail = (tp.rcv_nxt - tp.copied_seq) | 0
  if (
    avail < sk.sk_rcvlowat &&
    (sk.sk_shutdown & 1) === 0 &&
    !sock_flag(sk, SOCK_DEAD) &&
    avail < tcp_full_space(sk)
  )
    return
  k.jump()
  sk_data_ready(k, sk)
})

// ---- out of order

/** The blocks a SACK will report: ranges of the tree, the newest first. @see net/ipv4/tcp_input.c:tcp_sack_new_ofo_skb */
function updateSacks(k: Kernel, sk: sock, start: number, end: number): void {
  const tp = tcp_sk(k, sk)
  const at = (i: number): number => tp.selective_acks.$va + 8 * i
  const blocks: [number, number][] = []
  let first: [number, number] = [start, end]
  for (let i = 0; i < tp.rx_opt.num_sacks; i++) {
    const block: [number, number] = [k.mem.u32(at(i)), k.mem.u32(at(i) + 4)]
    if (!after(block[0], first[1]) && !before(block[1], first[0])) {
      first = [
        before(block[0], first[0]) ? block[0] : first[0],
        after(block[1], first[1]) ? block[1] : first[1],
      ]
    } else blocks.push(block)
  }
  storeSacks(k, tp, [first, ...blocks])
}

function storeSacks(k: Kernel, tp: tcp_sock, blocks: [number, number][]): void {
  const kept = blocks.slice(0, TCP_NUM_SACKS)
  kept.forEach(([from, to], i) => {
    k.mem.setU32(tp.selective_acks.$va + 8 * i, from)
    k.mem.setU32(tp.selective_acks.$va + 8 * i + 4, to)
  })
  tp.rx_opt.num_sacks = kept.length
}

/** Blocks that the queue has caught up with are reported no more. @see net/ipv4/tcp_input.c:tcp_sack_remove */
function tcp_sack_remove(k: Kernel, tp: tcp_sock): void {
  const blocks: [number, number][] = []
  for (let i = 0; i < tp.rx_opt.num_sacks; i++) {
    const at = tp.selective_acks.$va + 8 * i
    const block: [number, number] = [k.mem.u32(at), k.mem.u32(at + 4)]
    if (before(tp.rcv_nxt, block[0])) blocks.push(block)
  }
  storeSacks(k, tp, blocks)
}

/** A gap before it: keep it in the tree until the gap closes. @see net/ipv4/tcp_input.c:tcp_data_queue_ofo */
const tcp_data_queue_ofo = (k: Kernel, sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(k, sk)
  const cb = TCP_SKB_CB(k, skb)
  if (tcp_try_rmem_schedule(k, sk, skb, skb.truesize) !== 0) {
    NET_INC_STATS(k, sk, 'LINUX_MIB_TCPOFODROP')
    kfree_skb(k, skb)
    return
  }
  tp.pred_flags = 0
  inet_csk_schedule_ack(k, sk)
  tp.rcv_ooopack = tp.rcv_ooopack + 1
  NET_INC_STATS(k, sk, 'LINUX_MIB_TCPOFOQUEUE')
  const { seq, end_seq } = cb
  tcp_rbtree_insert(k, tp.out_of_order_queue.$va, skb)
  const last = tp.ooo_last_skb
  if (last === null || after(seq, TCP_SKB_CB(k, last).seq)) tp.ooo_last_skb = skb
  if (tcp_is_sack(tp)) updateSacks(k, sk, seq, end_seq)
  skb_set_owner_r(k, skb, sk)
}

/** The first of the tree that `rcv_nxt` has reached, unlinked. */
function takeOfo(k: Kernel, tp: tcp_sock): sk_buff | null {
  const root = tp.out_of_order_queue.$va
  const node = rb_first(k.mem, root)
  if (node === 0) return null
  const skb = k.ref('sk_buff', node - k.types.offsetof('sk_buff', 'rbnode'))
  if (after(TCP_SKB_CB(k, skb).seq, tp.rcv_nxt)) return null
  rb_erase(k.mem, node, root)
  k.mem.fill(node, 0, 3 * k.mem.wordSize)
  if (tp.ooo_last_skb?.$va === skb.$va) tp.ooo_last_skb = null
  return skb
}

/** The gap closed: what waited behind it follows. @see net/ipv4/tcp_input.c:tcp_ofo_queue */
function tcp_ofo_queue(k: Kernel, sk: sock): void {
  const tp = tcp_sk(k, sk)
  for (let skb = takeOfo(k, tp); skb !== null; skb = takeOfo(k, tp)) {
    const cb = TCP_SKB_CB(k, skb)
    if (!after(cb.end_seq, tp.rcv_nxt)) {
      kfree_skb(k, skb)
      continue
    }
    tcp_rcv_nxt_update(tp, skb, k)
    __skb_queue_tail(k, sk.sk_receive_queue, skb)
    if ((cb.tcp_flags & TCPHDR_FIN) !== 0) {
      tcp_fin(k, sk)
      return
    }
  }
}

/** Does something wait behind a gap? */
const hasGap = (tp: tcp_sock): boolean => tp.out_of_order_queue.rb_node !== null

/** All of it was received before: say so. */
function duplicate(k: Kernel, sk: sock, skb: sk_buff): void {
  NET_INC_STATS(k, sk, 'LINUX_MIB_DELAYEDACKLOST')
  tcp_enter_quickack_mode(k, sk)
  inet_csk_schedule_ack(k, sk)
  kfree_skb(k, skb)
}

/**
 * Take a segment's payload and FIN.
 *
 * @param skb header still in front; the sock takes it over or it is freed
 * @see net/ipv4/tcp_input.c:tcp_data_queue
 */
export const tcp_data_queue = kfunc(FILE, function tcp_data_queue(k, sk: sock, skb: sk_buff): void {
  const tp = tcp_sk(k, sk)
  const cb = TCP_SKB_CB(k, skb)
  if (cb.seq === cb.end_seq) {
    __kfree_skb(k, skb)
    return
  }
  skb_dst_drop(k, skb)
  skb_pull(k, skb, tcp_hdr(k, skb).doff * 4)
  tp.rx_opt.dsack = 0
  if (!after(cb.end_seq, tp.rcv_nxt)) return duplicate(k, sk, skb)
  if (!before(cb.seq, (tp.rcv_nxt + tcp_receive_window(tp)) >>> 0)) return duplicate(k, sk, skb)
  if (after(cb.seq, tp.rcv_nxt)) return tcp_data_queue_ofo(k, sk, skb)
  if (tcp_receive_window(tp) === 0) return duplicate(k, sk, skb)
  if (tcp_try_rmem_schedule(k, sk, skb, skb.truesize) !== 0) {
    NET_INC_STATS(k, sk, 'LINUX_MIB_TCPRCVQDROP')
    inet_csk_schedule_ack(k, sk)
    kfree_skb(k, skb)
    return
  }
  tcp_queue_rcv(k, sk, skb)
  if (skb.len > 0) tcp_event_data_recv(k, sk, skb)
  if ((cb.tcp_flags & TCPHDR_FIN) !== 0) tcp_fin(k, sk)
  if (hasGap(tp)) {
    tcp_ofo_queue(k, sk)
    // a gap closed: tell the sender at once
    if (!hasGap(tp)) {
      const { icsk_ack } = inet_csk(k, sk)
      icsk_ack.pending = icsk_ack.pending | ICSK_ACK_NOW
    }
  }
  if (tp.rx_opt.num_sacks !== 0) tcp_sack_remove(k, tp)
  tcp_fast_path_check(k, sk)
  if (!sock_flag(sk, SOCK_DEAD)) tcp_data_ready(k, sk)
})

// ---- the ACK that is due

/**
 * At once when two segments wait, in quick mode, or out of order; else a moment later.
 * @see net/ipv4/tcp_input.c:__tcp_ack_snd_check
 */
export const __tcp_ack_snd_check = kfunc(
  FILE,
  function __tcp_ack_snd_check(k, sk: sock, ofoPossible: boolean): void {
    const tp = tcp_sk(k, sk)
    const { icsk_ack } = inet_csk(k, sk)
    const full = ((tp.rcv_nxt - tp.rcv_wup) | 0) > icsk_ack.rcv_mss
    const now =
      full ||
      (icsk_ack.quick !== 0 && !inet_csk_in_pingpong_mode(k, sk)) ||
      (icsk_ack.pending & ICSK_ACK_NOW) !== 0
    if (now || (ofoPossible && tp.out_of_order_queue.rb_node !== null)) tcp_send_ack(k, sk)
    else tcp_send_delayed_ack(k, sk)
  },
)

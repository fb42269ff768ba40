/** What include/net/tcp.h inlines: windows, clocks, timers' values, the queues of what was sent. */

import type { Va } from '../../../base/addr.ts'
import type { sk_buff, sock, tcp_sock, tcp_options_received, tcphdr } from '../../../btf/vmlinux.ts'
import { after, before, htonl } from '../../../base/u32.ts'
import { HZ } from '../../../abi/param.ts'
import {
  ICSK_ACK_SCHED,
  TCPHDR_ACK,
  TCP_ATO_MIN,
  TCP_MAX_QUICKACKS,
  TCP_PAWS_MSL,
  TCP_PAWS_WRAP,
  TCP_RTO_MAX,
} from '../../../abi/tcp.ts'
import { rb_add, rb_erase, rb_first, rb_next } from '../../../structures/rbtree.ts'
import { list_del, list_move_tail } from '../../../structures/list.ts'
import type { Kernel } from '../../kernel.ts'
import { perKernel } from '../../kernel.ts'
import { ktime_get_ns, jiffies32 } from '../../kernel/time/timekeeping.ts'
import { deref } from '../../deref.ts'
import { __skb_unlink, kfree_skb, skb_peek, skb_peek_tail, skb_queue_empty } from '../../net/core/skbuff.ts'
import { sk_mem_uncharge, sk_wmem_queued_add } from '../../net/core/sock/mem.ts'
import { inet_csk, tcp_sk, TCP_SKB_CB } from './casts.ts'
import { sock_net } from './sock.ts'

// ---- clocks

export const tcp_jiffies32 = jiffies32
export const tcp_clock_ns = ktime_get_ns
/** Microseconds of the sock's own clock, low half. */
export const tcp_mstamp32 = (tp: tcp_sock): number => tp.$mem.u32(tp.$va + tp.$offsetof('tcp_mstamp'))

/** The timestamp option counts milliseconds. @see include/net/tcp.h:tcp_time_stamp */
export const tcp_time_stamp = (tp: tcp_sock): number => Number((tp.tcp_mstamp / 1000n) & 0xffff_ffffn)
export const tcp_time_stamp_raw = (k: Kernel): number => Number((tcp_clock_ns(k) / 1_000_000n) & 0xffff_ffffn)
/** @see include/net/tcp.h:tcp_skb_timestamp */
export const tcp_skb_timestamp = (skb: sk_buff): number =>
  Number((skb.skb_mstamp_ns / 1_000_000n) & 0xffff_ffffn)
export const tcp_skb_timestamp_us = (skb: sk_buff): bigint => skb.skb_mstamp_ns / 1000n

export const usecs_to_jiffies = (us: number): number => Math.ceil((us * HZ) / 1_000_000)
export const jiffies_to_usecs = (j: number): number => (j * 1_000_000) / HZ

// ---- windows

/** How much of the window offered last is left. */
export const tcp_receive_window = (tp: tcp_sock): number =>
  Math.max(0, (tp.rcv_wup + tp.rcv_wnd - tp.rcv_nxt) | 0)

/** Sequence number after the window the peer granted. */
export const tcp_wnd_end = (tp: tcp_sock): number => (tp.snd_una + tp.snd_wnd) >>> 0

/** Of a buffer's bytes, those that payload may use: tcp_adv_win_scale gives the rest to overhead. */
export function tcp_win_from_space(sk: sock, space: number): number {
  const scale = (sock_net(sk).ipv4.sysctl_tcp_adv_win_scale << 24) >> 24
  return scale <= 0 ? space >> -scale : space - (space >> scale)
}

export const tcp_full_space = (sk: sock): number => tcp_win_from_space(sk, sk.sk_rcvbuf)
export const tcp_space = (sk: sock): number =>
  tcp_win_from_space(sk, sk.sk_rcvbuf - sk.sk_backlog.len - sk.sk_backlog.rmem_alloc.counter)

export const tcp_init_wl = (tp: tcp_sock, seq: number): void => void (tp.snd_wl1 = seq)
export const tcp_update_wl = tcp_init_wl

/** Segments in flight, by what SACK and loss detection know. */
export const tcp_left_out = (tp: tcp_sock): number => tp.sacked_out + tp.lost_out
export const tcp_packets_in_flight = (tp: tcp_sock): number =>
  tp.packets_out - tcp_left_out(tp) + tp.retrans_out
export const tcp_in_slow_start = (tp: tcp_sock): boolean => tp.snd_cwnd < tp.snd_ssthresh
export const tcp_in_initial_slowstart = (tp: tcp_sock): boolean => tp.snd_ssthresh >= 0x7fff_ffff

export const tcp_is_sack = (tp: tcp_sock): boolean => tp.rx_opt.sack_ok !== 0

/** Header prediction: the fourth word of the header a segment in order must have. */
export function __tcp_fast_path_on(tp: tcp_sock, sndWnd: number): void {
  tp.pred_flags = htonl(((tp.tcp_header_len << 26) | (TCPHDR_ACK << 16) | sndWnd) >>> 0)
}
export const tcp_fast_path_on = (tp: tcp_sock): void =>
  __tcp_fast_path_on(tp, tp.snd_wnd >>> tp.rx_opt.snd_wscale)

export function tcp_fast_path_check(k: Kernel, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const inOrder = tp.out_of_order_queue.rb_node === null
  if (inOrder && tp.rcv_wnd !== 0 && tp.urg_data === 0 && sk.sk_backlog.rmem_alloc.counter < sk.sk_rcvbuf) {
    tcp_fast_path_on(tp)
  }
}

// ---- retransmission time

export const __tcp_set_rto = (tp: tcp_sock): number => usecs_to_jiffies((tp.srtt_us >>> 3) + tp.rttvar_us)
export const tcp_rto_min = (k: Kernel, sk: sock): number => inet_csk(k, sk).icsk_rto_min
export const tcp_rto_min_us = (k: Kernel, sk: sock): number => jiffies_to_usecs(tcp_rto_min(k, sk))
export const tcp_bound_rto = (k: Kernel, sk: sock): void => {
  const icsk = inet_csk(k, sk)
  if (icsk.icsk_rto > TCP_RTO_MAX) icsk.icsk_rto = TCP_RTO_MAX
}
export const tcp_min_rtt = (tp: tcp_sock): number => tp.$mem.u32(tp.$va + tp.$offsetof('rtt_min') + 4)

// ---- acknowledgements

export const inet_csk_schedule_ack = (k: Kernel, sk: sock): void => {
  const { icsk_ack } = inet_csk(k, sk)
  icsk_ack.pending = icsk_ack.pending | ICSK_ACK_SCHED
}
export const inet_csk_ack_scheduled = (k: Kernel, sk: sock): boolean =>
  (inet_csk(k, sk).icsk_ack.pending & ICSK_ACK_SCHED) !== 0

/** A conversation, where data answers data: then ACKs may wait for it. */
export const inet_csk_in_pingpong_mode = (k: Kernel, sk: sock): boolean =>
  inet_csk(k, sk).icsk_ack.pingpong >= 1
export const inet_csk_enter_pingpong_mode = (k: Kernel, sk: sock): void => {
  inet_csk(k, sk).icsk_ack.pingpong = 1
}
export const inet_csk_exit_pingpong_mode = (k: Kernel, sk: sock): void => {
  inet_csk(k, sk).icsk_ack.pingpong = 0
}
export const inet_csk_inc_pingpong_cnt = (k: Kernel, sk: sock): void => {
  const { icsk_ack } = inet_csk(k, sk)
  if (icsk_ack.pingpong < 255) icsk_ack.pingpong = icsk_ack.pingpong + 1
}

/** Acknowledge the next segments at once. @see net/ipv4/tcp_input.c:tcp_incr_quickack */
export function tcp_incr_quickack(k: Kernel, sk: sock, max: number): void {
  const { icsk_ack } = inet_csk(k, sk)
  const quickacks = Math.floor(tcp_sk(k, sk).rcv_wnd / (2 * icsk_ack.rcv_mss)) || 2
  const bounded = Math.min(quickacks, max)
  if (bounded > icsk_ack.quick) icsk_ack.quick = bounded
}
export function tcp_enter_quickack_mode(k: Kernel, sk: sock, max = TCP_MAX_QUICKACKS): void {
  tcp_incr_quickack(k, sk, max)
  inet_csk_exit_pingpong_mode(k, sk)
  inet_csk(k, sk).icsk_ack.ato = TCP_ATO_MIN
}
export function tcp_dec_quickack_mode(k: Kernel, sk: sock): void {
  const { icsk_ack } = inet_csk(k, sk)
  if (icsk_ack.quick === 0) return
  icsk_ack.quick = icsk_ack.quick - 1
  if (icsk_ack.quick === 0) icsk_ack.ato = TCP_ATO_MIN
}

// ---- PAWS

/** Is the timestamp not older than the last one? @see include/net/tcp.h:tcp_paws_check */
export function tcp_paws_check(k: Kernel, rx: tcp_options_received, paws: number): boolean {
  if (((rx.ts_recent - rx.rcv_tsval) | 0) <= paws) return true
  const seconds = Number(tcp_clock_ns(k) / 1_000_000_000n)
  if (seconds - rx.ts_recent_stamp >= TCP_PAWS_WRAP) return true
  // some stacks send 0 in their first segments
  return rx.ts_recent === 0
}

export function tcp_paws_reject(k: Kernel, rx: tcp_options_received, rst: boolean): boolean {
  if (tcp_paws_check(k, rx, 0)) return false
  const seconds = Number(tcp_clock_ns(k) / 1_000_000_000n)
  return !(rst && seconds - rx.ts_recent_stamp >= TCP_PAWS_MSL)
}

// ---- what waits to be sent, and what waits to be acknowledged

export const tcp_write_queue_empty = (tp: tcp_sock): boolean => tp.write_seq === tp.snd_nxt
export const tcp_send_head = (k: Kernel, sk: sock): sk_buff | null => skb_peek(k, sk.sk_write_queue)
export const tcp_write_queue_tail = (k: Kernel, sk: sock): sk_buff | null =>
  skb_peek_tail(k, sk.sk_write_queue)
export const tcp_queue_empty = (k: Kernel, sk: sock): boolean => skb_queue_empty(k, sk.sk_write_queue)

const offsets = perKernel((k) => ({
  rbnode: k.types.offsetof('sk_buff', 'rbnode'),
  anchor: k.types.offsetof('sk_buff', 'tcp_tsorted_anchor'),
}))
const rtxRoot = (sk: sock): Va => sk.tcp_rtx_queue.$va
const skbOf = (k: Kernel, node: Va): sk_buff | null =>
  node === 0 ? null : k.ref('sk_buff', node - offsets(k).rbnode)

export const tcp_rtx_queue_head = (k: Kernel, sk: sock): sk_buff | null =>
  skbOf(k, rb_first(k.mem, rtxRoot(sk)))
export const tcp_rtx_queue_empty = (k: Kernel, sk: sock): boolean => k.mem.pointer(rtxRoot(sk)) === 0
export const skb_rb_next = (k: Kernel, skb: sk_buff): sk_buff | null =>
  skbOf(k, rb_next(k.mem, skb.$va + offsets(k).rbnode))

/** The buffer was sent last. */
export function tcp_tsorted_move_tail(k: Kernel, tp: tcp_sock, skb: sk_buff): void {
  list_move_tail(k.mem, skb.$va + offsets(k).anchor, tp.tsorted_sent_queue.$va)
}

/** Order by sequence number. @see net/ipv4/tcp_output.c:tcp_rbtree_insert */
export function tcp_rbtree_insert(k: Kernel, root: Va, skb: sk_buff): void {
  const seq = TCP_SKB_CB(k, skb).seq
  rb_add(k.mem, skb.$va + offsets(k).rbnode, root, (other) =>
    before(seq, TCP_SKB_CB(k, deref(skbOf(k, other))).seq),
  )
}
export function tcp_rtx_queue_insert(k: Kernel, sk: sock, skb: sk_buff): void {
  tcp_rbtree_insert(k, rtxRoot(sk), skb)
}
/**
 * The link in the order of sending lies where route and destructor will be: clear it before the buffer goes.
 * @see include/net/tcp.h:tcp_skb_tsorted_anchor_cleanup
 */
export function tcp_skb_tsorted_anchor_cleanup(skb: sk_buff): void {
  skb.destructor = 0n
  skb._skb_refdst = 0n
}
export function tcp_rtx_queue_unlink(k: Kernel, sk: sock, skb: sk_buff): void {
  tcp_skb_tsorted_anchor_cleanup(skb)
  rb_erase(k.mem, skb.$va + offsets(k).rbnode, rtxRoot(sk))
  // the node lies where next, prev and dev are
  k.mem.fill(skb.$va + offsets(k).rbnode, 0, 3 * k.mem.wordSize)
}
/** Off the queue and freed. */
export function tcp_rtx_queue_unlink_and_free(k: Kernel, sk: sock, skb: sk_buff): void {
  list_del(k.mem, skb.$va + offsets(k).anchor)
  tcp_rtx_queue_unlink(k, sk, skb)
  tcp_wmem_free_skb(k, sk, skb)
}
export function tcp_unlink_write_queue(k: Kernel, sk: sock, skb: sk_buff): void {
  tcp_skb_tsorted_anchor_cleanup(skb)
  __skb_unlink(k, skb, sk.sk_write_queue)
}
export function tcp_wmem_free_skb(k: Kernel, sk: sock, skb: sk_buff): void {
  const size = skb.truesize
  sk_wmem_queued_add(sk, -size)
  sk_mem_uncharge(k, sk, size)
  kfree_skb(k, skb)
}

/** Segments a buffer is worth. */
export const tcp_skb_pcount = (k: Kernel, skb: sk_buff): number => TCP_SKB_CB(k, skb).tcp_gso_segs

/** Length of what follows the TCP header. */
export const tcp_payload = (skb: sk_buff, th: tcphdr): number => skb.len - th.doff * 4

/** Is `seq` beyond what the peer granted? */
export const beyondWindow = (tp: tcp_sock, seq: number): boolean => after(seq, tcp_wnd_end(tp))

/** Count an event of the protocol where a statistics table is set up. @see include/net/snmp.h */
export function NET_INC_STATS(k: Kernel, sk: sock, event: string): void {
  count(k, sock_net(sk).mib.net_statistics?.$va ?? 0, event)
}
export function TCP_INC_STATS(k: Kernel, sk: sock, event: string): void {
  count(k, sock_net(sk).mib.tcp_statistics?.$va ?? 0, event)
}
const indexes = perKernel(() => new Map<string, number>())
function count(k: Kernel, table: Va, event: string): void {
  if (table === 0) return
  const known = indexes(k)
  let index = known.get(event)
  if (index === undefined) known.set(event, (index = Number(k.types.enumerator(event) ?? 0n)))
  const at = table + k.per_cpu_offset() + index * k.mem.wordSize
  k.mem.setWord(at, k.mem.word(at) + 1n)
}

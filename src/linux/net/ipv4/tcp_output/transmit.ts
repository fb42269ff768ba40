/** One segment on its way: header, options, checksum, and down to IP. */

import { htonl, htons } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { inet_sock, sk_buff, sock, tcp_sock } from '../../../../btf/vmlinux.ts'
import { after, before } from '../../../../base/u32.ts'
import { ENOBUFS } from '../../../../abi/errno.ts'
import {
  CA_EVENT_TX_START,
  ICSK_TIME_DACK,
  MAX_TCP_HEADER,
  TCPHDR_ACK,
  TCPHDR_SYN,
} from '../../../../abi/tcp.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { refcount_add, refcount_sub_and_test } from '../../../lib/refcount.ts'
import {
  __alloc_skb,
  alloc_skb,
  skb_clone,
  skb_orphan,
  skb_push,
  skb_reserve,
  skb_reset_transport_header,
  skb_shinfo,
} from '../../core/skbuff.ts'
import { __sk_free_last, __sock_wfree } from '../../core/sock.ts'
import { TCP_SKB_CB, inet_csk, inet_sk, tcp_hdr, tcp_sk } from '../../../include/net/casts.ts'
import {
  inet_csk_inc_pingpong_cnt,
  TCP_INC_STATS,
  tcp_clock_ns,
  tcp_dec_quickack_mode,
  tcp_jiffies32,
  tcp_packets_in_flight,
  tcp_tsorted_move_tail,
  tcp_wnd_end,
} from '../../../include/net/tcp.ts'
import { inet_csk_clear_xmit_timer } from '../inet_connection_sock/timers.ts'
import { tcp_ca_event } from '../tcp_cong.ts'
import { tcp_rate_skb_sent } from '../tcp_rate.ts'
import { tcp_select_window } from './mss.ts'
import { tcp_established_options, tcp_options_write, tcp_syn_options, type TcpOutOptions } from './options.ts'

const FILE = 'net/ipv4/tcp_output.c'
const CHECKSUM_PARTIAL = 3

/** Bring the sock's clock up to now. @see net/ipv4/tcp_output.c:tcp_mstamp_refresh */
export const tcp_mstamp_refresh = kfunc(FILE, function tcp_mstamp_refresh(k, tp: tcp_sock): void {
  const now = tcp_clock_ns(k)
  tp.tcp_clock_cache = now
  tp.tcp_mstamp = now / 1000n
})

/** A control block for a segment without payload; SYN and FIN count one. @see tcp_init_nondata_skb */
export function tcp_init_nondata_skb(k: Kernel, skb: sk_buff, seq: number, flags: number): void {
  const cb = TCP_SKB_CB(k, skb)
  skb.ip_summed = CHECKSUM_PARTIAL
  cb.tcp_flags = flags
  cb.tcp_gso_segs = 1
  cb.seq = seq
  cb.end_seq = (seq + ((flags & 3) !== 0 ? 1 : 0)) >>> 0
}

/** A buffer with room for all headers, marked as carrying an ACK alone, which costs its socket nothing. */
export function pureAck(k: Kernel): sk_buff {
  const skb = alloc_skb(k, MAX_TCP_HEADER)
  skb_reserve(k, skb, MAX_TCP_HEADER)
  return skb
}
export const skb_set_tcp_pure_ack = (skb: sk_buff): void => void (skb.truesize = 2)
const skb_is_tcp_pure_ack = (skb: sk_buff): boolean => skb.truesize === 2

/** @param size bytes of payload there will be @see net/ipv4/tcp.c:tcp_stream_alloc_skb */
export const tcp_stream_alloc_skb = kfunc(
  'net/ipv4/tcp.c',
  function tcp_stream_alloc_skb(k, _sk: sock, size: number): sk_buff {
    const skb = __alloc_skb(k, MAX_TCP_HEADER + size, true)
    skb_reserve(k, skb, MAX_TCP_HEADER)
    // the link in the order of sending
    const anchor = skb.$vaOf('tcp_tsorted_anchor')
    k.mem.setPointer(anchor, anchor)
    k.mem.setPointer(anchor + k.mem.wordSize, anchor)
    return skb
  },
)

/** Nobody writes into the header any more: clones may each push their own. @see __skb_header_release */
export function __skb_header_release(k: Kernel, skb: sk_buff): void {
  skb.nohdr = 1
  skb_shinfo(k, skb).dataref.counter = 1 + (1 << 16)
}

/** The sequence number of a segment without payload: never beyond the window. */
export function tcp_acceptable_seq(tp: tcp_sock): number {
  const end = tcp_wnd_end(tp)
  const slack = tp.rx_opt.wscale_ok === 1 && (tp.snd_nxt - end) >>> 0 < 2 ** tp.rx_opt.rcv_wscale
  return !before(end, tp.snd_nxt) || slack ? tp.snd_nxt : end
}

/** Buffer given back by the device. The reference it held on the sock may be the last. */
export const tcp_wfree = kfunc(FILE, function tcp_wfree(k, skb: sk_buff): void {
  const sk = skb.sk
  if (sk !== null && refcount_sub_and_test(skb.truesize, sk.sk_wmem_alloc)) __sk_free_last(k, sk)
})

/** The window and the ACK just sent settle what was owed. @see net/ipv4/tcp_output.c:tcp_event_ack_sent */
function tcp_event_ack_sent(k: Kernel, sk: sock, rcvNxt: number): void {
  if (rcvNxt !== tcp_sk(k, sk).rcv_nxt) return
  tcp_dec_quickack_mode(k, sk)
  inet_csk_clear_xmit_timer(k, sk, ICSK_TIME_DACK)
}

/** @see net/ipv4/tcp_output.c:tcp_event_data_sent */
function tcp_event_data_sent(k: Kernel, sk: sock, tp: tcp_sock): void {
  const { icsk_ack } = inet_csk(k, sk)
  const now = tcp_jiffies32(k)
  if (tcp_packets_in_flight(tp) === 0) tcp_ca_event(k, sk, CA_EVENT_TX_START)
  tp.lsndtime = now
  // an answer soon after data: a conversation
  if ((now - icsk_ack.lrcvtime) >>> 0 < icsk_ack.ato) inet_csk_inc_pingpong_cnt(k, sk)
}

/** A copy whose data is shared; the original stays for retransmission. */
function cloneForSending(k: Kernel, skb: sk_buff): sk_buff {
  const anchor = skb.$vaOf('tcp_tsorted_anchor')
  const saved = k.mem.read(anchor, 2 * k.mem.wordSize)
  k.mem.fill(anchor, 0, saved.length)
  const clone = skb_clone(k, skb)
  k.mem.write(anchor, saved)
  // where the original is in its tree
  k.mem.fill(clone.$va, 0, 3 * k.mem.wordSize)
  return clone
}

function writeHeader(
  k: Kernel,
  sk: sock,
  inet: inet_sock,
  skb: sk_buff,
  rcvNxt: number,
  size: number,
  opts: TcpOutOptions,
): void {
  const tp = tcp_sk(k, sk)
  const th = tcp_hdr(k, skb)
  const cb = TCP_SKB_CB(k, skb)
  const syn = (cb.tcp_flags & TCPHDR_SYN) !== 0
  th.source = from(inet, 'inet_sport')
  th.dest = from(inet, 'inet_dport')
  th.seq = from(cb, 'seq').map(htonl)
  th.ack_seq = rcvNxt === tp.rcv_nxt ? from(tp, 'rcv_nxt').map(htonl) : htonl(rcvNxt)
  k.mem.setU16(th.$va + 12, ((size >> 2) << 4) | (cb.tcp_flags << 8))
  th.check = 0
  th.urg_ptr = 0
  th.window = htons(syn ? Math.min(tp.rcv_wnd, 65535) : tcp_select_window(k, sk))
  tcp_options_write(k, th.$va + 20, tp, opts)
}

/**
 * Send a segment.
 *
 * @param skb     payload, control block filled
 * @param clone   keep `skb`: it may have to be sent again
 * @param rcvNxt  what to acknowledge
 * @returns 0 or a negative error number
 * @see net/ipv4/tcp_output.c:__tcp_transmit_skb
 */
export const __tcp_transmit_skb = kfunc(
  FILE,
  function __tcp_transmit_skb(k, sk: sock, skb: sk_buff, clone: boolean, rcvNxt: number): number {
    const tp = tcp_sk(k, sk)
    const inet = inet_sk(k, sk)
    const cache = tp.tcp_clock_cache
    if (cache > tp.tcp_wstamp_ns) tp.tcp_wstamp_ns = cache
    skb.skb_mstamp_ns = tp.tcp_wstamp_ns
    const out = clone ? cloneForSending(k, skb) : skb
    const cb = TCP_SKB_CB(k, out)
    const opts: TcpOutOptions = {}
    const syn = (cb.tcp_flags & TCPHDR_SYN) !== 0
    const options = syn ? tcp_syn_options(k, sk, out, opts) : tcp_established_options(k, sk, out, opts)
    const size = options + 20
    const payload = out.len
    skb_push(k, out, size)
    skb_reset_transport_header(k, out)
    skb_orphan(k, out)
    out.sk = sk
    out.destructor = skb_is_tcp_pure_ack(out) ? k.text(__sock_wfree) : k.text(tcp_wfree)
    refcount_add(out.truesize, sk.sk_wmem_alloc)
    writeHeader(k, sk, inet, out, rcvNxt, size, opts)
    const ops = deref(inet_csk(k, sk).icsk_af_ops)
    k.indirect<(k: Kernel, sk: sock, skb: sk_buff) => void>(ops.send_check)(k, sk, out)
    if ((cb.tcp_flags & TCPHDR_ACK) !== 0) tcp_event_ack_sent(k, sk, rcvNxt)
    if (payload !== 0) {
      tcp_event_data_sent(k, sk, tp)
      tp.data_segs_out = tp.data_segs_out + 1
      tp.bytes_sent = tp.bytes_sent + BigInt(payload)
    }
    if (after(cb.end_seq, tp.snd_nxt) || cb.seq === cb.end_seq) TCP_INC_STATS(k, sk, 'TCP_MIB_OUTSEGS')
    tp.segs_out = tp.segs_out + 1
    out.hash = sk.sk_txhash
    out.l4_hash = 1
    // IP's control block lies where TCP's was
    k.mem.fill(out.$vaOf('cb'), 0, 24)
    const err = k.indirect<(k: Kernel, sk: sock, skb: sk_buff, fl: unknown) => number>(ops.queue_xmit)(
      k,
      sk,
      out,
      inet.cork.fl,
    )
    if (err === 0 && clone) {
      tcp_tsorted_move_tail(k, tp, skb)
      tcp_rate_skb_sent(k, sk, skb)
    }
    return err === 0 || err === -ENOBUFS ? err : err < 0 ? err : 0
  },
)

/** @see net/ipv4/tcp_output.c:tcp_transmit_skb */
export const tcp_transmit_skb = (k: Kernel, sk: sock, skb: sk_buff, clone: boolean): number =>
  __tcp_transmit_skb(k, sk, skb, clone, tcp_sk(k, sk).rcv_nxt)

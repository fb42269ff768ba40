/** Delivery rate: what was delivered when a segment left, so that its ACK tells how fast the path is. */

import type { sk_buff, sock } from '../../../btf/vmlinux.ts'
import { kfunc } from '../../kfunc.ts'
import { TCP_SKB_CB, tcp_sk } from '../../include/net/casts.ts'
import { tcp_skb_timestamp_us } from '../../include/net/tcp.ts'

const FILE = 'net/ipv4/tcp_rate.c'

/** Remember with the segment how much had been delivered. */
export const tcp_rate_skb_sent = kfunc(FILE, function tcp_rate_skb_sent(k, sk: sock, skb: sk_buff): void {
  const tp = tcp_sk(k, sk)
  const { tx } = TCP_SKB_CB(k, skb)
  // nothing in flight: the interval begins with this segment
  if (tp.packets_out === 0) {
    const now = tcp_skb_timestamp_us(skb)
    tp.first_tx_mstamp = now
    tp.delivered_mstamp = now
  }
  tx.$set('first_tx_mstamp', tp.first_tx_mstamp)
  tx.$set('delivered_mstamp', tp.delivered_mstamp)
  tx.$set('delivered', tp.delivered)
  tx.$set('is_app_limited', tp.app_limited !== 0 ? 1 : 0)
})

/** A segment has arrived. @see net/ipv4/tcp_rate.c:tcp_rate_skb_delivered */
export const tcp_rate_skb_delivered = kfunc(
  FILE,
  function tcp_rate_skb_delivered(k, sk: sock, skb: sk_buff): void {
    const tp = tcp_sk(k, sk)
    const { tx } = TCP_SKB_CB(k, skb)
    if (tx.$get('delivered_mstamp') === 0n) return
    tp.first_tx_mstamp = tcp_skb_timestamp_us(skb)
    tx.$set('delivered_mstamp', 0n)
  },
)

/** An ACK delivered something. @see net/ipv4/tcp_rate.c:tcp_rate_gen */
export const tcp_rate_gen = kfunc(FILE, function tcp_rate_gen(k, sk: sock, delivered: number): void {
  const tp = tcp_sk(k, sk)
  // the application limited what was sent until this much is delivered
  if (tp.app_limited !== 0 && ((tp.delivered - tp.app_limited) | 0) > 0) tp.app_limited = 0
  if (delivered > 0) tp.delivered_mstamp = tp.tcp_mstamp
})

/** Did the sender stop because it had no more to send? */
export const tcp_rate_check_app_limited = kfunc(FILE, function tcp_rate_check_app_limited(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  const idle = ((tp.write_seq - tp.snd_nxt) | 0) < tp.mss_cache && sk.sk_wmem_alloc.refs.counter < 4096
  if (idle && tp.packets_out < tp.snd_cwnd && tp.lost_out <= tp.retrans_out) {
    tp.app_limited = (tp.delivered + tp.packets_out) >>> 0 || 1
  }
})

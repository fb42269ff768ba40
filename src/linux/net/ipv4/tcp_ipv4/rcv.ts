/** Segments as IP delivers them: which sock, and what it is: full, half open, in TIME_WAIT, none. */

import { ntohl, ntohs } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { iphdr, sk_buff, sock, tcphdr } from '../../../../btf/vmlinux.ts'
import { TCP_LISTEN, TCP_ESTABLISHED, TCP_NEW_SYN_RECV, TCP_TIME_WAIT } from '../../../../abi/tcp_states.ts'
import { TCPHDR_FIN, TCPHDR_SYN, TCP_TW_ACK, TCP_TW_RST, TCP_TW_SYN } from '../../../../abi/tcp.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { security_sock_rcv_skb } from '../../../security/security.ts'
import { kfree_skb, skb_dst } from '../../core/skbuff.ts'
import { dst_release } from '../../core/dst.ts'
import { sk_add_backlog, sock_put } from '../../core/sock.ts'
import {
  TCP_SKB_CB,
  inet_reqsk,
  inet_twsk,
  ip_hdr,
  tcp_flag_byte,
  tcp_hdr,
} from '../../../include/net/casts.ts'
import {
  sk_incoming_cpu_update,
  sk_mark_napi_id,
  sock_hold,
  sock_owned_by_user,
  sock_rps_save_rxhash,
} from '../../../include/net/sock.ts'
import { reqsk_put } from '../../../include/net/request_sock.ts'
import { NET_INC_STATS } from '../../../include/net/tcp.ts'
import { __inet_lookup_established, __inet_lookup_listener } from '../inet_hashtables.ts'
import { inet_csk_reqsk_queue_drop_and_put } from '../inet_connection_sock.ts'
import { inet_twsk_deschedule_put } from '../inet_timewait_sock.ts'
import {
  tcp_check_req,
  tcp_child_process,
  tcp_segs_in,
  tcp_timewait_state_process,
} from '../tcp_minisocks.ts'
import { tcp_rcv_established, tcp_rcv_state_process } from '../tcp_input.ts'
import { tcp_v4_send_reset, tcp_v4_timewait_ack } from './reply.ts'

const FILE = 'net/ipv4/tcp_ipv4.c'

/** The device the packet came by. @see include/net/inet_sock.h:inet_iif */
export const inet_iif = (skb: sk_buff): number => skb.skb_iif

/** What TCP keeps of the header beside the packet; IP's own part moves behind it. */
const tcp_v4_fill_cb = (k: Kernel, skb: sk_buff, iph: iphdr, th: tcphdr): void => {
  const cb = TCP_SKB_CB(k, skb)
  const flags = tcp_flag_byte(th)
  // IP's control block is at the start, TCP's own begins there
  k.mem.copy(cb.header.$va, skb.$vaOf('cb'), k.types.sizeof('inet_skb_parm'))
  cb.seq = from(th, 'seq').map(ntohl)
  const length =
    ((flags & TCPHDR_SYN) !== 0 ? 1 : 0) + ((flags & TCPHDR_FIN) !== 0 ? 1 : 0) + skb.len - th.doff * 4
  cb.end_seq = (cb.seq + length) >>> 0
  cb.ack_seq = from(th, 'ack_seq').map(ntohl)
  cb.tcp_flags = flags
  cb.tcp_tw_isn = 0
  cb.ip_dsfield = iph.tos
  cb.sacked = 0
}

/** @see net/ipv4/tcp_ipv4.c:tcp_add_backlog @returns false when it was dropped */
export const tcp_add_backlog = kfunc(FILE, function tcp_add_backlog(k, sk: sock, skb: sk_buff): boolean {
  const limit = sk.sk_rcvbuf + (sk.sk_sndbuf >> 1) + 64 * 1024
  if (sk_add_backlog(sk, skb, limit)) return true
  NET_INC_STATS(k, sk, 'LINUX_MIB_TCPBACKLOGDROP')
  return false
})

/** A segment of a full sock that nobody owns now. @returns 0 @see net/ipv4/tcp_ipv4.c:tcp_v4_do_rcv */
export const tcp_v4_do_rcv = kfunc(FILE, function tcp_v4_do_rcv(k, sk: sock, skb: sk_buff): number {
  if (sk.sk_state === TCP_ESTABLISHED) {
    sock_rps_save_rxhash(sk, skb)
    sk_mark_napi_id(sk, skb)
    checkRxDst(k, sk, skb)
    tcp_rcv_established(k, sk, skb)
    return 0
  }
  if (sk.sk_state !== TCP_LISTEN) {
    sock_rps_save_rxhash(sk, skb)
    sk_mark_napi_id(sk, skb)
  }
  if (tcp_rcv_state_process(k, sk, skb) !== 0) {
    tcp_v4_send_reset(k, sk, skb)
    kfree_skb(k, skb)
  }
  return 0
})

/** The remembered input route holds only for the device it is of. */
function checkRxDst(k: Kernel, sk: sock, skb: sk_buff): void {
  const dst = sk.sk_rx_dst
  if (dst === null) return
  if (sk.sk_rx_dst_ifindex === skb.skb_iif && dst.obsolete <= 0) return
  sk.sk_rx_dst = null
  dst_release(k, dst)
}

/** @returns the sock, held unless it is a listener */
function lookup(k: Kernel, skb: sk_buff, iph: iphdr, th: tcphdr): { sk: sock; refcounted: boolean } | null {
  const dport = ntohs(th.dest)
  const found = __inet_lookup_established(k, iph.saddr, th.source, iph.daddr, dport)
  if (found !== null) return { sk: found, refcounted: true }
  const listener = __inet_lookup_listener(k, iph.daddr, dport, inet_iif(skb))
  return listener === null ? null : { sk: listener, refcounted: false }
}

/**
 * A TCP segment from IP.
 *
 * @param skb `struct sk_buff *` — IP header behind it, `data` at the TCP header
 * @returns 0
 * @see net/ipv4/tcp_ipv4.c:tcp_v4_rcv
 */
export const tcp_v4_rcv = kfunc(FILE, function tcp_v4_rcv(k, skb: sk_buff): number {
  const drop = (): number => {
    kfree_skb(k, skb)
    return 0
  }
  if (skb.pkt_type !== 0 || skb.len < 20) return drop()
  const th = tcp_hdr(k, skb)
  const iph = ip_hdr(k, skb)
  if (th.doff < 5 || skb.len < th.doff * 4) return drop()
  const found = lookup(k, skb, iph, th)
  if (found === null) {
    tcp_v4_fill_cb(k, skb, iph, th)
    tcp_v4_send_reset(k, null, skb)
    return drop()
  }
  const { sk, refcounted } = found
  if (sk.sk_state === TCP_TIME_WAIT) return timeWait(k, sk, skb, iph, th)
  if (sk.sk_state === TCP_NEW_SYN_RECV) return newSynRecv(k, sk, skb, iph, th)
  return process(k, sk, skb, iph, th, refcounted)
})

/** A full sock: at once, or onto its backlog. */
function process(k: Kernel, sk: sock, skb: sk_buff, iph: iphdr, th: tcphdr, refcounted: boolean): number {
  if (security_sock_rcv_skb(k, sk, skb) !== 0) {
    kfree_skb(k, skb)
    if (refcounted) sock_put(k, sk)
    return 0
  }
  tcp_v4_fill_cb(k, skb, iph, th)
  skb.dev = null
  if (sk.sk_state === TCP_LISTEN) tcp_v4_do_rcv(k, sk, skb)
  else {
    sk_incoming_cpu_update(k, sk)
    tcp_segs_in(k, sk, skb)
    if (!sock_owned_by_user(sk)) tcp_v4_do_rcv(k, sk, skb)
    else if (!tcp_add_backlog(k, sk, skb)) kfree_skb(k, skb)
  }
  if (refcounted) sock_put(k, sk)
  return 0
}

/** A half-open connection: the ACK makes a child. */
function newSynRecv(k: Kernel, reqSk: sock, skb: sk_buff, iph: iphdr, th: tcphdr): number {
  const req = inet_reqsk(k, reqSk)
  const sk = deref(req.rsk_listener)
  if (sk.sk_state !== TCP_LISTEN) {
    // the listener is gone: as if the request had never been
    inet_csk_reqsk_queue_drop_and_put(k, sk, req)
    const found = lookup(k, skb, iph, th)
    if (found !== null) return process(k, found.sk, skb, iph, th, found.refcounted)
    tcp_v4_fill_cb(k, skb, iph, th)
    tcp_v4_send_reset(k, null, skb)
    kfree_skb(k, skb)
    return 0
  }
  sock_hold(sk)
  if (security_sock_rcv_skb(k, sk, skb) !== 0) {
    reqsk_put(k, req)
    sock_put(k, sk)
    kfree_skb(k, skb)
    return 0
  }
  tcp_v4_fill_cb(k, skb, iph, th)
  const nsk = tcp_check_req(k, sk, skb, req)
  if (nsk === null) {
    reqsk_put(k, req)
    kfree_skb(k, skb)
  } else if (nsk.$va === sk.$va) {
    // not what was expected: the listener judges it
    reqsk_put(k, req)
    return processHeld(k, sk, skb)
  } else if (tcp_child_process(k, sk, nsk, skb) !== 0) {
    tcp_v4_send_reset(k, nsk, skb)
    kfree_skb(k, skb)
  }
  sock_put(k, sk)
  return 0
}

function processHeld(k: Kernel, sk: sock, skb: sk_buff): number {
  skb.dev = null
  tcp_v4_do_rcv(k, sk, skb)
  sock_put(k, sk)
  return 0
}

/** A stub: it answers, or gives way to a new connection. */
function timeWait(k: Kernel, twSk: sock, skb: sk_buff, iph: iphdr, th: tcphdr): number {
  const tw = inet_twsk(k, twSk)
  tcp_v4_fill_cb(k, skb, iph, th)
  switch (tcp_timewait_state_process(k, tw, skb, th)) {
    case TCP_TW_SYN: {
      const listener = __inet_lookup_listener(k, iph.daddr, ntohs(th.dest), inet_iif(skb))
      if (listener !== null) {
        inet_twsk_deschedule_put(k, tw)
        return process(k, listener, skb, iph, th, false)
      }
      tcp_v4_timewait_ack(k, tw, skb)
      break
    }
    case TCP_TW_ACK:
      tcp_v4_timewait_ack(k, tw, skb)
      break
    case TCP_TW_RST:
      tcp_v4_send_reset(k, twSk, skb)
      inet_twsk_deschedule_put(k, tw)
      break
  }
  kfree_skb(k, skb)
  return 0
}

/** Keep the route the packet came by: the next one need not ask. @see net/ipv4/af_inet.c:inet_sk_rx_dst_set */
export const inet_sk_rx_dst_set = kfunc(
  'net/ipv4/af_inet.c',
  function inet_sk_rx_dst_set(k, sk: sock, skb: sk_buff): void {
    const dst = skb_dst(k, skb)
    if (dst === null) return
    dst.__refcnt.counter = dst.__refcnt.counter + 1
    sk.sk_rx_dst = dst
    sk.sk_rx_dst_ifindex = skb.skb_iif
  },
)

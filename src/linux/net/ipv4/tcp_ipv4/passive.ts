/** The listener's side: requests from SYNs, SYN-ACKs, children from ACKs. */

import { from } from '../../../../btf/ref.ts'
import type { dst_entry, net, request_sock, rtable, sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { RTCF_BROADCAST, RTCF_MULTICAST } from '../../../../abi/if.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { security_inet_conn_request } from '../../../security/security.ts'
import { skb_dst } from '../../core/skbuff.ts'
import { dst_mtu } from '../../core/dst.ts'
import {
  secure_tcp_seq,
  secure_tcp_seq_and_ts_off,
  secure_tcp_ts_off,
  type SeqAndTsOff,
} from '../../core/secure_seq.ts'
import { sk_setup_caps } from '../../core/sock.ts'
import {
  inet_csk,
  inet_rsk,
  inet_sk,
  ip_hdr,
  req_to_sk,
  tcp_hdr,
  tcp_sk,
} from '../../../include/net/casts.ts'
import { sk_acceptq_is_full, sk_daddr_set, sk_rcv_saddr_set } from '../../../include/net/sock.ts'
import { NET_INC_STATS } from '../../../include/net/tcp.ts'
import { __inet_inherit_port, inet_ehash_nolisten } from '../inet_hashtables.ts'
import {
  inet_csk_prepare_forced_close,
  inet_csk_route_child_sock,
  inet_csk_route_req,
} from '../inet_connection_sock.ts'
import { ip_build_and_send_pkt } from '../ip_output.ts'
import { tcp_ca_openreq_child } from '../tcp_cong.ts'
import { tcp_conn_request } from '../tcp_input/conn_request.ts'
import { tcp_initialize_rcv_mss } from '../tcp_input/rcv.ts'
import { tcp_create_openreq_child } from '../tcp_minisocks/openreq.ts'
import { dst_metric_advmss, tcp_make_synack, tcp_mss_clamp, tcp_sync_mss } from '../tcp_output.ts'
import { tcp_done } from '../tcp/state.ts'
import { inet_iif, inet_sk_rx_dst_set } from './rcv.ts'
import { __tcp_v4_send_check } from './reply.ts'

const FILE = 'net/ipv4/tcp_ipv4.c'
const SKB_GSO_TCPV4 = 1

/** The connection's addresses are the packet's, turned round. @see net/ipv4/tcp_ipv4.c:tcp_v4_init_req */
function tcp_v4_init_req(k: Kernel, req: request_sock, skb: sk_buff): void {
  const iph = ip_hdr(k, skb)
  const sk = req_to_sk(k, req)
  sk_rcv_saddr_set(k, sk, from(iph, 'daddr'))
  sk_daddr_set(k, sk, from(iph, 'saddr'))
  inet_rsk(k, req).ireq_opt = null
}

/** Addresses, the security hook, the way back. @returns null drops the SYN */
export const tcp_v4_route_req = kfunc(
  FILE,
  function tcp_v4_route_req(k, sk: sock, skb: sk_buff, req: request_sock): dst_entry | null {
    tcp_v4_init_req(k, req, skb)
    if (security_inet_conn_request(k, sk, skb, req) !== 0) return null
    return inet_csk_route_req(k, sk, req)
  },
)

/** @see net/ipv4/tcp_ipv4.c:tcp_v4_init_seq_and_ts_off */
export const tcp_v4_init_seq_and_ts_off = kfunc(
  FILE,
  function tcp_v4_init_seq_and_ts_off(k, skb: sk_buff): SeqAndTsOff {
    const iph = ip_hdr(k, skb)
    const th = tcp_hdr(k, skb)
    return secure_tcp_seq_and_ts_off(k, k.global('init_net', 'net'), iph.daddr, iph.saddr, th.dest, th.source)
  },
)

/** Before both came of one hash: the sequence number alone. @see net/ipv4/tcp_ipv4.c:tcp_v4_init_seq */
export const tcp_v4_init_seq = kfunc(FILE, function tcp_v4_init_seq(k, skb: sk_buff): number {
  const iph = ip_hdr(k, skb)
  const th = tcp_hdr(k, skb)
  return secure_tcp_seq(k, iph.daddr, iph.saddr, th.dest, th.source)
})

/** And the offset of the timestamp clock. @see net/ipv4/tcp_ipv4.c:tcp_v4_init_ts_off */
export const tcp_v4_init_ts_off = kfunc(FILE, function tcp_v4_init_ts_off(k, net: net, skb: sk_buff): number {
  const iph = ip_hdr(k, skb)
  return secure_tcp_ts_off(k, net, iph.daddr, iph.saddr)
})

/**
 * @param dst the way back, given up to the packet; `null` looks it up
 * @returns 0 or a negative error number
 * @see net/ipv4/tcp_ipv4.c:tcp_v4_send_synack
 */
export const tcp_v4_send_synack = kfunc(
  FILE,
  function tcp_v4_send_synack(k, sk: sock, dst: dst_entry | null, req: request_sock): number {
    const ireq = inet_rsk(k, req)
    const route = dst ?? inet_csk_route_req(k, sk, req)
    if (route === null) return -1
    const skb = tcp_make_synack(k, sk, route, req)
    __tcp_v4_send_check(k, skb, ireq.ir_loc_addr, ireq.ir_rmt_addr)
    const err = ip_build_and_send_pkt(
      k,
      skb,
      sk,
      from(ireq, 'ir_loc_addr'),
      from(ireq, 'ir_rmt_addr'),
      null,
      inet_sk(k, sk).tos,
    )
    return err > 0 ? 0 : err
  },
)

/** @see net/ipv4/tcp_ipv4.c:tcp_v4_conn_request */
export const tcp_v4_conn_request = kfunc(
  FILE,
  function tcp_v4_conn_request(k, sk: sock, skb: sk_buff): number {
    const dst = skb_dst(k, skb)
    const flags = dst === null ? 0 : dst.$cast<rtable>('rtable').rt_flags
    // nobody connects to everybody
    if ((flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) {
      NET_INC_STATS(k, sk, 'LINUX_MIB_LISTENDROPS')
      return 0
    }
    const ops = k.global('tcp_request_sock_ops', 'request_sock_ops')
    const af = k.global('tcp_request_sock_ipv4_ops', 'tcp_request_sock_ops')
    return tcp_conn_request(k, ops, af, sk, skb)
  },
  { sibling: true },
)

/**
 * A child for the ACK of a SYN-ACK, in the tables in place of its request.
 *
 * @param own set when the child took the request's place
 * @returns `null` when the accept queue is full, no route leads back or memory is short
 * @see net/ipv4/tcp_ipv4.c:tcp_v4_syn_recv_sock
 */
export const tcp_v4_syn_recv_sock = kfunc(
  FILE,
  function tcp_v4_syn_recv_sock(
    k,
    sk: sock,
    skb: sk_buff,
    req: request_sock,
    own: { own_req: boolean },
  ): sock | null {
    if (sk_acceptq_is_full(sk)) {
      NET_INC_STATS(k, sk, 'LINUX_MIB_LISTENOVERFLOWS')
      NET_INC_STATS(k, sk, 'LINUX_MIB_LISTENDROPS')
      return null
    }
    const newsk = tcp_create_openreq_child(k, sk, req, skb)
    if (newsk === null) return null
    newsk.sk_gso_type = SKB_GSO_TCPV4
    inet_sk_rx_dst_set(k, newsk, skb)
    const newtp = tcp_sk(k, newsk)
    const newinet = inet_sk(k, newsk)
    const ireq = inet_rsk(k, req)
    const iph = ip_hdr(k, skb)
    sk_daddr_set(k, newsk, from(ireq, 'ir_rmt_addr'))
    sk_rcv_saddr_set(k, newsk, from(ireq, 'ir_loc_addr'))
    newsk.sk_bound_dev_if = from(ireq, 'ir_iif')
    newinet.inet_saddr = from(ireq, 'ir_loc_addr')
    newinet.inet_opt = null
    newinet.mc_index = inet_iif(skb)
    newinet.mc_ttl = from(iph, 'ttl')
    newinet.rcv_tos = from(iph, 'tos')
    inet_csk(k, newsk).icsk_ext_hdr_len = 0
    newinet.inet_id.counter = k.random.u32() & 0xffff
    const dst = inet_csk_route_child_sock(k, sk, newsk, req)
    if (dst === null) {
      inet_csk_prepare_forced_close(k, newsk)
      tcp_done(k, newsk)
      return null
    }
    sk_setup_caps(k, newsk, dst)
    tcp_ca_openreq_child(k, newsk)
    tcp_sync_mss(k, newsk, dst_mtu(dst))
    newtp.advmss = tcp_mss_clamp(tcp_sk(k, sk), dst_metric_advmss(k, dst))
    tcp_initialize_rcv_mss(k, newsk)
    if (__inet_inherit_port(k, sk, newsk) < 0) {
      inet_csk_prepare_forced_close(k, newsk)
      tcp_done(k, newsk)
      return null
    }
    const dup = { found: null as sock | null }
    own.own_req = inet_ehash_nolisten(k, newsk, req_to_sk(k, req), dup)
    if (own.own_req) ireq.ireq_opt = null
    return newsk
  },
)

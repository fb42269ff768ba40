/** connect(), and the beginning and end of a TCP sock over IPv4. */

import { from } from '../../../../btf/ref.ts'
import type { sock, sockaddr_in } from '../../../../btf/vmlinux.ts'
import { EAFNOSUPPORT, EINVAL, ENETUNREACH } from '../../../../abi/errno.ts'
import { IPPROTO_TCP } from '../../../../abi/in.ts'
import { RTCF_BROADCAST, RTCF_MULTICAST } from '../../../../abi/if.ts'
import { AF_INET } from '../../../../abi/socket.ts'
import { TCP_MSS_DEFAULT } from '../../../../abi/tcp.ts'
import { TCP_CLOSE, TCP_SYN_SENT } from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { tcp_seq_and_ts_off } from '../../core/secure_seq.ts'
import { sk_dst_reset, sk_setup_caps } from '../../core/sock.ts'
import { dst_release } from '../../core/dst.ts'
import type { Sockaddr } from '../../../include/net/proto_ops.ts'
import { inet_csk, inet_sk, tcp_sk } from '../../../include/net/casts.ts'
import { sk_daddr_set, sk_set_txhash, sock_net } from '../../../include/net/sock.ts'
import { skb_rbtree_purge } from '../tcp_input/close.ts'
import {
  inet_bhash2_reset_saddr,
  inet_bhash2_update_saddr,
  inet_hash_connect,
  inet_put_port,
} from '../inet_hashtables.ts'
import { inet_csk_clear_xmit_timers, routeOf, sk_sockets_allocated_add } from '../inet_connection_sock.ts'
import { ip_route_output_flow } from '../route.ts'
import { tcp_cleanup_congestion_control } from '../tcp_cong.ts'
import { tcp_connect } from '../tcp_output.ts'
import { tcp_write_queue_purge } from '../tcp/close.ts'
import { tcp_init_sock } from '../tcp/init.ts'
import { tcp_set_state } from '../tcp/state.ts'

const FILE = 'net/ipv4/tcp_ipv4.c'
const SKB_GSO_TCPV4 = 1

/** Give up what a failed connect() took. */
function failed(k: Kernel, sk: sock, err: number): number {
  tcp_set_state(k, sk, TCP_CLOSE)
  inet_bhash2_reset_saddr(k, sk)
  sk_dst_reset(k, sk)
  sk.sk_route_caps = 0n
  inet_sk(k, sk).inet_dport = 0
  return err
}

/**
 * Choose source address and port, enter the table in SYN_SENT, send the SYN.
 *
 * @param uaddr `struct sockaddr *`, the kernel's copy
 * @returns 0 or a negative error number
 * @see net/ipv4/tcp_ipv4.c:tcp_v4_connect
 */
export const tcp_v4_connect = kfunc(
  FILE,
  function tcp_v4_connect(k, sk: sock, uaddr: Sockaddr, addrLen: number): number {
    const usin = uaddr.$cast<sockaddr_in>('sockaddr_in')
    const inet = inet_sk(k, sk)
    const tp = tcp_sk(k, sk)
    if (addrLen < 16) return -EINVAL
    if (usin.sin_family !== AF_INET) return -EAFNOSUPPORT
    const route = ip_route_output_flow(k, {
      saddr: inet.inet_saddr,
      daddr: usin.sin_addr.s_addr,
      sport: inet.inet_sport,
      dport: usin.sin_port,
      oif: sk.sk_bound_dev_if,
      tos: inet.tos,
      proto: IPPROTO_TCP,
    })
    if (typeof route === 'number') return route
    if ((route.rt.rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST)) !== 0) {
      dst_release(k, route.dst)
      return -ENETUNREACH
    }
    if (inet.inet_saddr === 0) {
      const err = inet_bhash2_update_saddr(k, sk, route.saddr)
      if (err !== 0) {
        dst_release(k, route.dst)
        return err
      }
    }
    if (tp.rx_opt.ts_recent_stamp !== 0 && sk.sk_daddr !== route.daddr) {
      // what was learned of another peer means nothing
      tp.rx_opt.ts_recent = 0
      tp.rx_opt.ts_recent_stamp = 0
      tp.write_seq = 0
    }
    inet.inet_dport = from(usin, 'sin_port')
    const named = usin.sin_addr.s_addr === route.daddr
    sk_daddr_set(k, sk, named ? from(usin.sin_addr, 's_addr') : route.daddr)
    inet_csk(k, sk).icsk_ext_hdr_len = 0
    tp.rx_opt.mss_clamp = TCP_MSS_DEFAULT
    // in SYN_SENT with no port the sock takes its place in the table
    tcp_set_state(k, sk, TCP_SYN_SENT)
    const err = inet_hash_connect(k, sk)
    dst_release(k, route.dst)
    if (err !== 0) return failed(k, sk, err)
    sk_set_txhash(k, sk)
    const again = routeOf(k, sk)
    if (typeof again === 'number') return failed(k, sk, again)
    sk.sk_gso_type = SKB_GSO_TCPV4
    sk_setup_caps(k, sk, again.dst)
    const st = tcp_seq_and_ts_off(
      k,
      sock_net(sk),
      inet.inet_saddr,
      sk.sk_daddr,
      inet.inet_sport,
      usin.sin_port,
    )
    if (tp.write_seq === 0) tp.write_seq = st.seq
    tp.tsoffset = st.ts_off
    inet.inet_id.counter = k.random.u32() & 0xffff
    const sent = tcp_connect(k, sk)
    return sent === 0 ? 0 : failed(k, sk, sent)
  },
)

export const tcp_v4_pre_connect = kfunc(
  FILE,
  function tcp_v4_pre_connect(_k, _sk: sock, _addr: unknown, len: number): number {
    return len < 16 ? -EINVAL : 0
  },
)

/** @see net/ipv4/tcp_ipv4.c:tcp_v4_init_sock */
export const tcp_v4_init_sock = kfunc(FILE, function tcp_v4_init_sock(k, sk: sock): number {
  tcp_init_sock(k, sk)
  inet_csk(k, sk).icsk_af_ops = k.global('ipv4_specific', 'inet_connection_sock_af_ops')
  const md5 = k.symbols.get('tcp_sock_ipv4_specific')
  if (md5 !== undefined) tcp_sk(k, sk).af_specific = md5
  return 0
})

/** What a sock holds of TCP's: timers, congestion control, queues, its port. */
export const tcp_v4_destroy_sock = kfunc(FILE, function tcp_v4_destroy_sock(k, sk: sock): void {
  inet_csk_clear_xmit_timers(k, sk)
  tcp_cleanup_congestion_control(k, sk)
  tcp_write_queue_purge(k, sk)
  skb_rbtree_purge(k, tcp_sk(k, sk).out_of_order_queue.$va)
  if (inet_csk(k, sk).icsk_bind_hash !== null) inet_put_port(k, sk)
  sk_sockets_allocated_add(k, sk, -1)
})

/** A request's own memory: its IP options. */
export const tcp_v4_reqsk_destructor = kfunc(
  FILE,
  function tcp_v4_reqsk_destructor(_k, _req: unknown): void {},
)

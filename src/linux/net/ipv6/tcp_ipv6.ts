/**
 * TCP over IPv6, as far as a socket is one: `tcpv6_prot`, and the operations by which a connection knows its
 * network layer. Its only segments are those of IPv4 peers, which meet a socket that is not IPV6_V6ONLY.
 *
 * @see net/ipv6/tcp_ipv6.c
 */

import { htons } from '../../../base/u32.ts'
import { from } from '../../../btf/ref.ts'
import type { inet_protosw, request_sock, sk_buff, sock, sockaddr_in6 } from '../../../btf/vmlinux.ts'
import { EAFNOSUPPORT, EINVAL, ENETUNREACH } from '../../../abi/errno.ts'
import { ETH_P_IP } from '../../../abi/if.ts'
import { IPPROTO_TCP, SOCKADDR_IN6_LEN } from '../../../abi/in.ts'
import { SIN6_LEN_RFC2133 } from '../../../abi/in6.ts'
import { INET_PROTOSW_ICSK, INET_PROTOSW_PERMANENT } from '../../../abi/sock.ts'
import { AF_INET, AF_INET6, SOCK_STREAM } from '../../../abi/socket.ts'
import { inet_csk, inet_sk, ip_hdr, tcp_sk } from '../../include/net/casts.ts'
import { ipv6_addr_v4mapped } from '../ipv4/inet_hashtables.ts'
import { inet6_sk_generic, pinfo, s6_addr32 } from '../../include/net/ipv6.ts'
import type { Sockaddr } from '../../include/net/proto_ops.ts'
import { ipv6_only_sock } from '../../include/net/sock.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { kstrdup } from '../../mm/slab.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_PANIC, SLAB_TYPESAFE_BY_RCU } from '../../mm/slab_common.ts'
import { proto_register } from '../core/sock/alloc.ts'
import { kfree_skb } from '../core/skbuff.ts'
import {
  fillOps,
  inet_iif,
  tcp_v4_conn_request,
  tcp_v4_connect,
  tcp_v4_do_rcv,
  tcp_v4_syn_recv_sock,
} from '../ipv4/tcp_ipv4.ts'
import { tcp_init_sock } from '../ipv4/tcp.ts'
import { inet6_hash } from './inet6_hashtables.ts'
import { ipv6_getsockopt, ipv6_setsockopt } from './ipv6_sockglue.ts'

const FILE = 'net/ipv6/tcp_ipv6.c'
const IPV6_HEADER_BYTES = 40
const FRAGMENT_HEADER_BYTES = 8
const IPV4_HEADER_BYTES = 20
/** Its counter among those of all protocols, which are numbered as they register. */
const INUSE_IDX = 10
const CACHE = { flags: SLAB_ACCOUNT | SLAB_PANIC | SLAB_TYPESAFE_BY_RCU }

const fromIPv4 = (skb: sk_buff): boolean => skb.protocol === htons(ETH_P_IP)

/** @returns 0 @see net/ipv6/tcp_ipv6.c:tcp_v6_init_sock */
export const tcp_v6_init_sock = kfunc(FILE, function tcp_v6_init_sock(k: Kernel, sk: sock): number {
  tcp_init_sock(k, sk)
  useIPv6(k, sk)
  return 0
})

/** @returns 0 or -EINVAL @see net/ipv6/tcp_ipv6.c:tcp_v6_pre_connect */
export const tcp_v6_pre_connect = kfunc(
  FILE,
  function tcp_v6_pre_connect(_k: Kernel, _sk: sock, _uaddr: Sockaddr, len: number): number {
    return len < SIN6_LEN_RFC2133 ? -EINVAL : 0
  },
)

/** A connection to `::ffff:a.b.c.d` is one of IPv4. */
function useIPv4(k: Kernel, sk: sock): void {
  inet_csk(k, sk).icsk_af_ops = k.global('ipv6_mapped', 'inet_connection_sock_af_ops')
  sk.sk_backlog_rcv = k.text(tcp_v4_do_rcv)
  tcp_sk(k, sk).af_specific = k.global('tcp_sock_ipv6_mapped_specific', 'tcp_sock_af_ops')
}

function useIPv6(k: Kernel, sk: sock): void {
  inet_csk(k, sk).icsk_af_ops = k.global('ipv6_specific', 'inet_connection_sock_af_ops')
  sk.sk_backlog_rcv = k.text(tcp_v6_do_rcv)
  tcp_sk(k, sk).af_specific = k.global('tcp_sock_ipv6_specific', 'tcp_sock_af_ops')
}

/**
 * @returns 0, or -EINVAL, -EAFNOSUPPORT, -ENETUNREACH or what IPv4 answers
 * @see net/ipv6/tcp_ipv6.c:tcp_v6_connect
 * @remarks there is no route to any IPv6 host: only mapped IPv4 addresses are reached
 */
export const tcp_v6_connect = kfunc(
  FILE,
  function tcp_v6_connect(k: Kernel, sk: sock, uaddr: Sockaddr, len: number): number {
    const usin = uaddr.$cast<sockaddr_in6>('sockaddr_in6')
    if (len < SIN6_LEN_RFC2133) return -EINVAL
    if (usin.sin6_family !== AF_INET6) return -EAFNOSUPPORT
    if (!ipv6_addr_v4mapped(usin.sin6_addr) || ipv6_only_sock(sk)) return -ENETUNREACH
    const sin = k.local('sockaddr_in')
    sin.sin_family = AF_INET
    sin.sin_port = from(usin, 'sin6_port')
    sin.sin_addr.s_addr = s6_addr32(usin.sin6_addr, 3)
    useIPv4(k, sk)
    const error = tcp_v4_connect(k, sk, sin, sin.$size)
    if (error !== 0) useIPv6(k, sk)
    else pinfo(k, sk).saddr = sk.sk_v6_rcv_saddr
    return error
  },
  { locals: 16 },
)

/** A segment of a sock nobody owns. @returns 0 */
export const tcp_v6_do_rcv = kfunc(FILE, function tcp_v6_do_rcv(k: Kernel, sk: sock, skb: sk_buff): number {
  if (fromIPv4(skb)) return tcp_v4_do_rcv(k, sk, skb)
  kfree_skb(k, skb)
  return 0
})

/** A SYN for a listener. @returns 0 */
export const tcp_v6_conn_request = kfunc(
  FILE,
  function tcp_v6_conn_request(k: Kernel, sk: sock, skb: sk_buff): number {
    return fromIPv4(skb) ? tcp_v4_conn_request(k, sk, skb) : 0
  },
)

/** A child whose peer speaks IPv4: from here on it is one of IPv4 that shows mapped addresses. */
const tcp_v6_mapped_child_init = kfunc(
  FILE,
  function tcp_v6_mapped_child_init(k: Kernel, newsk: sock, sk: sock, skb: sk_buff): void {
    const np = inet6_sk_generic(k, newsk)
    inet_sk(k, newsk).pinet6 = np
    k.mem.copy(np.$va, pinfo(k, sk).$va, np.$size)
    np.saddr = newsk.sk_v6_rcv_saddr
    useIPv4(k, newsk)
    np.ipv6_mc_list = null
    np.ipv6_ac_list = null
    np.ipv6_fl_list = null
    np.pktoptions = null
    np.opt = null
    np.mcast_oif = inet_iif(skb)
    np.mcast_hops = from(ip_hdr(k, skb), 'ttl')
    np.rcv_flowinfo = 0
    if (np.repflow === 1) np.flow_label = 0
  },
)

/**
 * A child for the ACK that ends a handshake.
 *
 * @param own set when the child took the request's place
 * @see net/ipv6/tcp_ipv6.c:tcp_v6_syn_recv_sock
 */
export const tcp_v6_syn_recv_sock = kfunc(
  FILE,
  function tcp_v6_syn_recv_sock(
    k: Kernel,
    sk: sock,
    skb: sk_buff,
    req: request_sock,
    own: { own_req: boolean },
  ): sock | null {
    if (!fromIPv4(skb)) return null
    const newsk = tcp_v4_syn_recv_sock(k, sk, skb, req, own)
    if (newsk !== null) tcp_v6_mapped_child_init(k, newsk, sk, skb)
    return newsk
  },
)

/** What a connection asks its network layer: IPv6, or IPv4 beneath an IPv6 socket. */
function initAfOps(k: Kernel): void {
  const own = k.global('ipv6_specific', 'inet_connection_sock_af_ops')
  const mapped = k.global('ipv6_mapped', 'inet_connection_sock_af_ops')
  for (const ops of [own, mapped]) {
    ops.sockaddr_len = SOCKADDR_IN6_LEN
    fillOps(k, ops, {
      conn_request: tcp_v6_conn_request,
      syn_recv_sock: tcp_v6_syn_recv_sock,
      setsockopt: ipv6_setsockopt,
      getsockopt: ipv6_getsockopt,
      addr2sockaddr: 'inet6_csk_addr2sockaddr',
    })
  }
  own.net_header_len = IPV6_HEADER_BYTES
  own.net_frag_header_len = FRAGMENT_HEADER_BYTES
  fillOps(k, own, {
    queue_xmit: 'inet6_csk_xmit',
    send_check: 'tcp_v6_send_check',
    rebuild_header: 'inet6_sk_rebuild_header',
    sk_rx_dst_set: 'inet6_sk_rx_dst_set',
    mtu_reduced: 'tcp_v6_mtu_reduced',
  })
  mapped.net_header_len = IPV4_HEADER_BYTES
  fillOps(k, mapped, {
    queue_xmit: 'ip_queue_xmit',
    send_check: 'tcp_v4_send_check',
    rebuild_header: 'inet_sk_rebuild_header',
    sk_rx_dst_set: 'inet_sk_rx_dst_set',
    mtu_reduced: 'tcp_v4_mtu_reduced',
  })
}

/** Signatures (RFC 2385): nobody asks for them, but the tables are there. */
function initMd5Ops(k: Kernel): void {
  fillOps(k, k.global('tcp_sock_ipv6_specific', 'tcp_sock_af_ops'), {
    md5_lookup: 'tcp_v6_md5_lookup',
    calc_md5_hash: 'tcp_v6_md5_hash_skb',
    md5_parse: 'tcp_v6_parse_md5_keys',
  })
  fillOps(k, k.global('tcp_sock_ipv6_mapped_specific', 'tcp_sock_af_ops'), {
    md5_lookup: 'tcp_v4_md5_lookup',
    calc_md5_hash: 'tcp_v4_md5_hash_skb',
    md5_parse: 'tcp_v6_parse_md5_keys',
  })
}

/** Half-open and finished connections, and the caches they come from; those of IPv4 peers are IPv4's. Both are of IPv4's size. */
function initMiniSocks(k: Kernel): void {
  const request = k.global('tcp6_request_sock_ops', 'request_sock_ops')
  request.family = AF_INET6
  request.obj_size = k.types.sizeof('tcp_request_sock')
  fillOps(k, request, {
    rtx_syn_ack: 'tcp_rtx_synack',
    send_ack: 'tcp_v6_reqsk_send_ack',
    send_reset: 'tcp_v6_send_reset',
    destructor: 'tcp_v6_reqsk_destructor',
    syn_ack_timeout: 'tcp_syn_ack_timeout',
  })
  request.slab_name = BigInt(kstrdup(k, 'request_sock_TCPv6'))
  request.slab = kmem_cache_create(k, 'request_sock_TCPv6', request.obj_size, CACHE)
  const timewait = k.global('tcp6_timewait_sock_ops', 'timewait_sock_ops')
  timewait.twsk_obj_size = k.types.sizeof('tcp_timewait_sock')
  fillOps(k, timewait, { twsk_unique: 'tcp_twsk_unique', twsk_destructor: 'tcp_twsk_destructor' })
  timewait.twsk_slab_name = BigInt(kstrdup(k, 'tw_sock_TCPv6'))
  timewait.twsk_slab = kmem_cache_create(k, 'tw_sock_TCPv6', timewait.twsk_obj_size, CACHE)
}

/**
 * `tcpv6_prot` is `tcp_prot` where addresses do not matter. Its socks have the IPv6 part behind TCP's.
 * @param k `tcp_prot` is filled
 */
export function register_tcpv6_prot(k: Kernel): void {
  const prot = k.global('tcpv6_prot', 'proto')
  k.mem.copy(prot.$va, k.global('tcp_prot', 'proto').$va, prot.$size)
  initAfOps(k)
  initMd5Ops(k)
  initMiniSocks(k)
  prot.name.$setString('TCPv6')
  prot.obj_size = k.types.sizeof('tcp6_sock')
  prot.inuse_idx = INUSE_IDX
  fillOps(k, prot, {
    pre_connect: tcp_v6_pre_connect,
    connect: tcp_v6_connect,
    init: tcp_v6_init_sock,
    backlog_rcv: tcp_v6_do_rcv,
    hash: inet6_hash,
    rsk_prot: 'tcp6_request_sock_ops',
    twsk_prot: 'tcp6_timewait_sock_ops',
  })
  proto_register(k, prot)
}

/** @returns what socket(AF_INET6, SOCK_STREAM) is to find @see net/ipv6/tcp_ipv6.c:tcpv6_init */
export function tcpv6_init(k: Kernel): inet_protosw {
  const sw = k.global('tcpv6_protosw', 'inet_protosw')
  sw.type = SOCK_STREAM
  sw.protocol = IPPROTO_TCP
  sw.prot = k.global('tcpv6_prot', 'proto')
  sw.ops = k.global('inet6_stream_ops', 'proto_ops')
  sw.flags = INET_PROTOSW_PERMANENT | INET_PROTOSW_ICSK
  return sw
}

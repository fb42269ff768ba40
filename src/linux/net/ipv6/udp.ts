/**
 * UDP sockets of AF_INET6, as far as IPv4 peers go: bound to `::` they hear datagrams of IPv4, whose addresses they name
 * as `::ffff:a.b.c.d`.
 *
 * @see net/ipv6/udp.c
 * @remarks no IPv6 packets: sending to another than a mapped address is ENETUNREACH
 */

import { toVa } from '../../../base/addr.ts'
import { from } from '../../../btf/ref.ts'
import type { inet_protosw, msghdr, sock, sockaddr_in, sockaddr_in6 } from '../../../btf/vmlinux.ts'
import { EINVAL, ENETUNREACH } from '../../../abi/errno.ts'
import { IPPROTO_UDP, SOCKADDR_IN6_LEN } from '../../../abi/in.ts'
import { INET_PROTOSW_PERMANENT } from '../../../abi/sock.ts'
import { AF_INET, AF_INET6, SOCK_DGRAM } from '../../../abi/socket.ts'
import type { Sockaddr } from '../../include/net/proto_ops.ts'
import { ipv6_addr_set_v4mapped, sk_daddr_set, sk_rcv_saddr_set } from '../../include/net/sock.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { lock_sock, proto_register, release_sock } from '../core/sock.ts'
import { ip_hdr, skb_transport_header } from '../core/skbuff.ts'
import { __ip4_datagram_connect } from '../ipv4/datagram.ts'
import { ipv6_addr_v4mapped } from '../ipv4/inet_hashtables.ts'
import { fillOps } from '../ipv4/tcp_ipv4/tables.ts'
import { udp_init_sock } from '../ipv4/udp/init.ts'
import { udp_v6_get_port, udp_v6_rehash } from '../ipv4/udp/port.ts'
import { receive, udp_destruct_common, type NameSender } from '../ipv4/udp/recvmsg.ts'
import { udp_sendmsg } from '../ipv4/udp/send.ts'
import { inet6_sock_destruct } from './af_inet6/create.ts'
import { init_inet6_ops } from './af_inet6/stream.ts'

const FILE = 'net/ipv6/udp.c'
/** Where the IPv4 address of a mapped one is. */
const MAPPED_AT = 12
const INUSE_IDX = 11

export const udpv6_destruct_sock = kfunc(FILE, function udpv6_destruct_sock(k: Kernel, sk: sock): void {
  udp_destruct_common(k, sk)
  inet6_sock_destruct(k, sk)
})

export const udpv6_init_sock = kfunc(FILE, function udpv6_init_sock(k: Kernel, sk: sock): number {
  udp_init_sock(k, sk)
  sk.sk_destruct = k.text(udpv6_destruct_sock)
  return 0
})

/** The IPv4 form of a mapped address, in place. @returns false when it is an IPv6 one */
function narrow(k: Kernel, at: number): boolean {
  const sin6 = k.ref('sockaddr_in6', at)
  if (sin6.sin6_family === AF_INET) return true
  if (!ipv6_addr_v4mapped(sin6.sin6_addr)) return false
  const address = k.mem.u32(sin6.sin6_addr.$va + MAPPED_AT)
  const sin: sockaddr_in = sin6.$cast('sockaddr_in')
  sin.sin_family = AF_INET
  sin.sin_addr.s_addr = address
  return true
}

/** @returns bytes sent, or a negative errno */
export const udpv6_sendmsg = kfunc(
  FILE,
  function udpv6_sendmsg(k: Kernel, sk: sock, msg: msghdr, len: number): number {
    if (msg.msg_name !== 0n && !narrow(k, toVa(msg.msg_name, k.mem.wordSize))) return -ENETUNREACH
    return udp_sendmsg(k, sk, msg, len)
  },
)

/** @see net/ipv6/datagram.c:ip6_datagram_connect */
export const ip6_datagram_connect = kfunc(
  'net/ipv6/datagram.c',
  function ip6_datagram_connect(k: Kernel, sk: sock, uaddr: Sockaddr, len: number): number {
    if (len < 2) return -EINVAL
    if (!narrow(k, uaddr.$va)) return -ENETUNREACH
    lock_sock(k, sk)
    const err = __ip4_datagram_connect(k, sk, uaddr, len)
    if (err === 0) {
      sk_daddr_set(k, sk, sk.sk_daddr)
      sk_rcv_saddr_set(k, sk, sk.sk_rcv_saddr)
      udp_v6_rehash(k, sk)
    }
    release_sock(k, sk)
    return err
  },
)

/** The sender, as a mapped address. */
const nameSender: NameSender = (k, msg, skb) => {
  const sin6: sockaddr_in6 = k.ref('sockaddr_in6', msg.msg_name)
  sin6.sin6_family = AF_INET6
  sin6.sin6_port = from(k.ref('udphdr', skb_transport_header(k, skb)), 'source')
  sin6.sin6_flowinfo = 0
  sin6.sin6_scope_id = 0
  ipv6_addr_set_v4mapped(k, sin6.sin6_addr.$va, from(ip_hdr(k, skb), 'saddr'))
  return SOCKADDR_IN6_LEN
}

/** @returns bytes of one datagram, or a negative errno */
export const udpv6_recvmsg = kfunc(
  FILE,
  function* udpv6_recvmsg(
    k: Kernel,
    sk: sock,
    msg: msghdr,
    len: number,
    flags: number,
    addrlen: { len: number } = { len: 0 },
  ): Generator<unknown, number> {
    return yield* receive(k, sk, msg, len, flags, addrlen, nameSender)
  },
)

/** `udpv6_prot` and `inet6_dgram_ops`: IPv4's but for addresses. @param k UDP of IPv4 is registered */
export function register_udpv6(k: Kernel): void {
  const prot = k.global('udpv6_prot', 'proto')
  k.mem.copy(prot.$va, k.global('udp_prot', 'proto').$va, prot.$size)
  prot.name.$setString('UDPv6')
  prot.obj_size = k.types.sizeof('udp6_sock')
  prot.inuse_idx = INUSE_IDX
  fillOps(k, prot, {
    pre_connect: 'udpv6_pre_connect',
    connect: ip6_datagram_connect,
    init: udpv6_init_sock,
    sendmsg: udpv6_sendmsg,
    recvmsg: udpv6_recvmsg,
    rehash: udp_v6_rehash,
    get_port: udp_v6_get_port,
  })
  proto_register(k, prot)
  init_inet6_ops(k, 'inet6_dgram_ops', 'inet_dgram_ops')
}

/** @returns what socket(AF_INET6, SOCK_DGRAM) is to find @see net/ipv6/udp.c:udpv6_init */
export function udpv6_init(k: Kernel): inet_protosw {
  const sw = k.global('udpv6_protosw', 'inet_protosw')
  sw.type = SOCK_DGRAM
  sw.protocol = IPPROTO_UDP
  sw.prot = k.global('udpv6_prot', 'proto')
  sw.ops = k.global('inet6_dgram_ops', 'proto_ops')
  sw.flags = INET_PROTOSW_PERMANENT
  return sw
}

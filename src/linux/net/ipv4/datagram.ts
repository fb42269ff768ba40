/** connect(2) of a datagram socket: a default destination, and a filter for what is received. @see net/ipv4/datagram.c */

import { from } from '../../../btf/ref.ts'
import type { sock, sockaddr_in } from '../../../btf/vmlinux.ts'
import { EACCES, EAFNOSUPPORT, EINVAL } from '../../../abi/errno.ts'
import { RTCF_BROADCAST } from '../../../abi/if.ts'
import { SOCK_BROADCAST } from '../../../abi/sock.ts'
import { AF_INET } from '../../../abi/socket.ts'
import { TCP_ESTABLISHED } from '../../../abi/tcp_states.ts'
import { inet_sk } from '../../include/net/casts.ts'
import type { Sockaddr } from '../../include/net/proto_ops.ts'
import { sk_prot, sk_set_txhash, sock_flag } from '../../include/net/sock.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { dst_release } from '../core/dst.ts'
import { __sk_dst_set, lock_sock, release_sock, sk_dst_reset } from '../core/sock.ts'
import { rememberFlow } from './inet_connection_sock/route.ts'
import { ip_route_output_flow } from './route.ts'

const FILE = 'net/ipv4/datagram.c'

/**
 * @param uaddr `struct sockaddr *`, the kernel's copy
 * @returns 0, -EINVAL, -EAFNOSUPPORT, -ENETUNREACH, -EACCES
 */
export const __ip4_datagram_connect = kfunc(
  FILE,
  function __ip4_datagram_connect(k: Kernel, sk: sock, uaddr: Sockaddr, len: number): number {
    const usin = uaddr.$cast<sockaddr_in>('sockaddr_in')
    const inet = inet_sk(k, sk)
    if (len < usin.$size) return -EINVAL
    if (usin.sin_family !== AF_INET) return -EAFNOSUPPORT
    sk_dst_reset(k, sk)
    const route = ip_route_output_flow(k, {
      saddr: inet.inet_saddr,
      daddr: usin.sin_addr.s_addr,
      sport: inet.inet_sport,
      dport: usin.sin_port,
      oif: sk.sk_bound_dev_if,
      tos: inet.tos,
      proto: sk.sk_protocol,
    })
    if (typeof route === 'number') return route
    if ((route.rt.rt_flags & RTCF_BROADCAST) !== 0 && !sock_flag(sk, SOCK_BROADCAST)) {
      dst_release(k, route.dst)
      return -EACCES
    }
    if (inet.inet_saddr === 0) inet.inet_saddr = route.saddr
    if (sk.sk_rcv_saddr === 0) {
      sk.sk_rcv_saddr = route.saddr
      const { rehash } = sk_prot(sk)
      if (rehash !== 0n) k.indirect<(k: Kernel, sk: sock) => void>(rehash)(k, sk)
    }
    const named = usin.sin_addr.s_addr === route.daddr
    sk.sk_daddr = named ? from(usin.sin_addr, 's_addr') : route.daddr
    inet.inet_dport = from(usin, 'sin_port')
    rememberFlow(k, sk, route, route.daddr, inet.inet_dport, inet.inet_sport)
    sk.sk_state = TCP_ESTABLISHED
    sk_set_txhash(k, sk)
    inet.inet_id.counter = k.random.u32() & 0xffff
    __sk_dst_set(k, sk, route.dst)
    return 0
  },
)

export const ip4_datagram_connect = kfunc(
  FILE,
  function ip4_datagram_connect(k: Kernel, sk: sock, uaddr: Sockaddr, len: number): number {
    lock_sock(k, sk)
    const ret = __ip4_datagram_connect(k, sk, uaddr, len)
    release_sock(k, sk)
    return ret
  },
)

/** bind(), getsockname(), getpeername() of IPv6. @see net/ipv6/af_inet6.c:__inet6_bind, inet6_getname */

import { htons, ntohs } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { net_device, sock, sockaddr_in6, socket } from '../../../../btf/vmlinux.ts'
import {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EINVAL,
  ENODEV,
  ENOTCONN,
} from '../../../../abi/errno.ts'
import { RTN_LOCAL } from '../../../../abi/if.ts'
import { PROT_SOCK, SOCKADDR_IN6_LEN } from '../../../../abi/in.ts'
import {
  IPV6_ADDR_ANY,
  IPV6_ADDR_MAPPED,
  IPV6_ADDR_MULTICAST,
  LOOPBACK4_IPV6,
  SIN6_LEN_RFC2133,
} from '../../../../abi/in6.ts'
import { SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK } from '../../../../abi/sock.ts'
import { AF_INET6, SOCK_STREAM } from '../../../../abi/socket.ts'
import { TCP_CLOSE, TCP_SYN_SENT } from '../../../../abi/tcp_states.ts'
import { deref } from '../../../deref.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import {
  __ipv6_addr_needs_scope_id,
  ipv6_addr_clear,
  ipv6_iface_scope_id,
  pinfo,
  s6_addr32,
} from '../../../include/net/ipv6.ts'
import type { ProtoGetPort } from '../../../include/net/proto.ts'
import type { Sockaddr } from '../../../include/net/proto_ops.ts'
import { ipv6_only_sock, sk_prot } from '../../../include/net/sock.ts'
import { kfunc } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { capable, CAP_NET_BIND_SERVICE } from '../../../kernel/capability.ts'
import { for_each_netdev } from '../../core/dev.ts'
import { lock_sock, release_sock } from '../../core/sock/lock.ts'
import { ipv6_addr_any } from '../../ipv4/inet_hashtables.ts'
import { inet_addr_type } from '../../ipv4/route.ts'
import { ipv6_chk_addr } from '../addrconf.ts'
import { __ipv6_addr_type } from '../addrconf_core.ts'

const FILE = 'net/ipv6/af_inet6.c'

/** @returns 0, -EINVAL, -EAFNOSUPPORT, -EADDRNOTAVAIL, -EACCES, -EADDRINUSE, -ENODEV */
export const inet6_bind = kfunc(
  FILE,
  function inet6_bind(k: Kernel, sock: socket, uaddr: Sockaddr, len: number): number {
    if (len < SIN6_LEN_RFC2133) return -EINVAL
    return __inet6_bind(k, deref(sock.sk), uaddr, len)
  },
  { sibling: true },
)

export const __inet6_bind = kfunc(
  FILE,
  function __inet6_bind(k: Kernel, sk: sock, uaddr: Sockaddr, len: number): number {
    const addr = uaddr.$cast<sockaddr_in6>('sockaddr_in6')
    if (addr.sin6_family !== AF_INET6) return -EAFNOSUPPORT
    const type = __ipv6_addr_type(k, addr.sin6_addr)
    if ((type & IPV6_ADDR_MULTICAST) !== 0 && sk.sk_type === SOCK_STREAM) return -EINVAL
    const port = ntohs(addr.sin6_port)
    if (port !== 0 && port < PROT_SOCK && !capable(k, CAP_NET_BIND_SERVICE)) return -EACCES
    lock_sock(k, sk)
    try {
      if (sk.sk_state !== TCP_CLOSE || inet_sk(k, sk).inet_num !== 0) return -EINVAL
      const v4addr = usable(k, sk, addr, len, type)
      if (typeof v4addr === 'object') return v4addr.error
      return bindLocked(k, sk, addr, port, type, v4addr)
    } finally {
      release_sock(k, sk)
    }
  },
)

/**
 * May the socket have this address?
 * @returns the IPv4 address that goes with it, network order
 */
function usable(
  k: Kernel,
  sk: sock,
  { sin6_addr, sin6_scope_id }: sockaddr_in6,
  len: number,
  type: number,
): number | { readonly error: number } {
  if (type === IPV6_ADDR_ANY) return 0
  if (type === IPV6_ADDR_MAPPED) {
    // an IPv4 address for a socket that wants no IPv4
    if (ipv6_only_sock(sk)) return { error: -EINVAL }
    const v4addr = s6_addr32(sin6_addr, 3)
    const ours = v4addr === 0 || inet_addr_type(k, v4addr) === RTN_LOCAL
    return ours ? v4addr : { error: -EADDRNOTAVAIL }
  }
  if (__ipv6_addr_needs_scope_id(type)) {
    if (len >= SOCKADDR_IN6_LEN && sin6_scope_id !== 0) sk.sk_bound_dev_if = sin6_scope_id
    if (sk.sk_bound_dev_if === 0) return { error: -EINVAL }
  }
  const dev = boundDevice(k, sk)
  if (dev === undefined) return { error: -ENODEV }
  const multicast = (type & IPV6_ADDR_MULTICAST) !== 0
  return multicast || ipv6_chk_addr(k, sin6_addr, dev, false) ? LOOPBACK4_IPV6 : { error: -EADDRNOTAVAIL }
}

/** @returns null when the socket is bound to none, undefined when that device is gone */
function boundDevice(k: Kernel, sk: sock): net_device | null | undefined {
  const ifindex = sk.sk_bound_dev_if
  return ifindex === 0 ? null : [...for_each_netdev(k)].find((dev) => dev.ifindex === ifindex)
}

function bindLocked(
  k: Kernel,
  sk: sock,
  addr: sockaddr_in6,
  port: number,
  type: number,
  v4addr: number,
): number {
  const inet = inet_sk(k, sk)
  inet.inet_rcv_saddr = v4addr
  inet.inet_saddr = v4addr
  sk.sk_v6_rcv_saddr = addr.sin6_addr
  if ((type & IPV6_ADDR_MULTICAST) === 0) pinfo(k, sk).saddr = addr.sin6_addr
  const before = sk.sk_ipv6only
  // an IPv6 address of its own: IPv4 cannot come by it
  if (type !== IPV6_ADDR_ANY && type !== IPV6_ADDR_MAPPED) sk.sk_ipv6only = 1
  if (port !== 0 || inet.bind_address_no_port === 0) {
    if (k.indirect<ProtoGetPort>(sk_prot(sk).get_port)(k, sk, port) !== 0) {
      sk.sk_ipv6only = before
      inet_reset_saddr(k, sk)
      return -EADDRINUSE
    }
  }
  if (type !== IPV6_ADDR_ANY) sk.sk_userlocks = sk.sk_userlocks | SOCK_BINDADDR_LOCK
  if (port !== 0) sk.sk_userlocks = sk.sk_userlocks | SOCK_BINDPORT_LOCK
  inet.inet_sport = htons(inet.inet_num)
  inet.inet_dport = 0
  inet.inet_daddr = 0
  return 0
}

/** No local address, of either family. @see include/net/ip.h:inet_reset_saddr */
function inet_reset_saddr(k: Kernel, sk: sock): void {
  const inet = inet_sk(k, sk)
  inet.inet_rcv_saddr = 0
  inet.inet_saddr = 0
  ipv6_addr_clear(k, pinfo(k, sk).saddr)
  ipv6_addr_clear(k, sk.sk_v6_rcv_saddr)
}

/**
 * @param peer 0: this end; otherwise the other, which must be connected (2: even while connecting)
 * @returns the length of the address, or -ENOTCONN
 */
export const inet6_getname = kfunc(
  FILE,
  function inet6_getname(k: Kernel, sock: socket, uaddr: Sockaddr, peer: number): number {
    const sk = deref(sock.sk)
    const inet = inet_sk(k, sk)
    const np = pinfo(k, sk)
    const sin = uaddr.$cast<sockaddr_in6>('sockaddr_in6')
    sin.sin6_family = AF_INET6
    sin.sin6_flowinfo = 0
    sin.sin6_scope_id = 0
    lock_sock(k, sk)
    try {
      if (peer !== 0) {
        const open = sk.sk_state !== TCP_CLOSE && sk.sk_state !== TCP_SYN_SENT
        if (inet.inet_dport === 0 || (!open && peer === 1)) return -ENOTCONN
        sin.sin6_port = from(inet, 'inet_dport')
        sin.sin6_addr = sk.sk_v6_daddr
        if (np.sndflow === 1) sin.sin6_flowinfo = from(np, 'flow_label')
      } else {
        sin.sin6_port = from(inet, 'inet_sport')
        sin.sin6_addr = ipv6_addr_any(sk.sk_v6_rcv_saddr) ? np.saddr : sk.sk_v6_rcv_saddr
      }
      const type = __ipv6_addr_type(k, sin.sin6_addr)
      sin.sin6_scope_id = ipv6_iface_scope_id(type, sk.sk_bound_dev_if)
    } finally {
      release_sock(k, sk)
    }
    return SOCKADDR_IN6_LEN
  },
)

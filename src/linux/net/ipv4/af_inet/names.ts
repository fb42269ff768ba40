/** bind(), getsockname(), getpeername() of IPv4. @see net/ipv4/af_inet.c:__inet_bind, inet_getname */

import { htons, ntohs } from '../../../../base/u32.ts'
import { from } from '../../../../btf/ref.ts'
import type { sock, sockaddr_in, socket } from '../../../../btf/vmlinux.ts'
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENOTCONN } from '../../../../abi/errno.ts'
import { RTN_BROADCAST, RTN_LOCAL } from '../../../../abi/if.ts'
import { INADDR_ANY, PROT_SOCK, SOCKADDR_IN_LEN, ipv4_is_multicast } from '../../../../abi/in.ts'
import { SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK } from '../../../../abi/sock.ts'
import { AF_INET, AF_UNSPEC } from '../../../../abi/socket.ts'
import { TCP_CLOSE, TCP_SYN_SENT } from '../../../../abi/tcp_states.ts'
import { deref } from '../../../deref.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import type { Sockaddr } from '../../../include/net/proto_ops.ts'
import type { ProtoGetPort } from '../../../include/net/proto.ts'
import { sk_prot, sk_rcv_saddr_set } from '../../../include/net/sock.ts'
import { kfunc } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { capable, CAP_NET_BIND_SERVICE } from '../../../kernel/capability.ts'
import { sk_dst_reset } from '../../core/sock/dst.ts'
import { lock_sock, release_sock } from '../../core/sock/lock.ts'
import { inet_addr_type } from '../route.ts'

const FILE = 'net/ipv4/af_inet.c'

/** @returns 0, -EINVAL, -EAFNOSUPPORT, -EADDRNOTAVAIL, -EACCES, -EADDRINUSE */
export const inet_bind = kfunc(
  FILE,
  function inet_bind(k: Kernel, sock: socket, uaddr: Sockaddr, len: number): number {
    if (len < SOCKADDR_IN_LEN) return -EINVAL
    return __inet_bind(k, deref(sock.sk), uaddr)
  },
  { sibling: true },
)

export const __inet_bind = kfunc(FILE, function __inet_bind(k: Kernel, sk: sock, uaddr: Sockaddr): number {
  const addr = uaddr.$cast<sockaddr_in>('sockaddr_in')
  const wanted = addr.sin_addr.s_addr
  if (addr.sin_family !== AF_INET && !(addr.sin_family === AF_UNSPEC && wanted === INADDR_ANY))
    return -EAFNOSUPPORT
  const kind = wanted === INADDR_ANY ? RTN_LOCAL : inet_addr_type(k, wanted)
  if (kind !== RTN_LOCAL && kind !== RTN_BROADCAST && !ipv4_is_multicast(wanted)) return -EADDRNOTAVAIL
  const port = ntohs(addr.sin_port)
  if (port !== 0 && port < PROT_SOCK && !capable(k, CAP_NET_BIND_SERVICE)) return -EACCES
  lock_sock(k, sk)
  try {
    return bindLocked(k, sk, addr, port, kind)
  } finally {
    release_sock(k, sk)
  }
})

function bindLocked(k: Kernel, sk: sock, addr: sockaddr_in, port: number, kind: number): number {
  const inet = inet_sk(k, sk)
  if (sk.sk_state !== TCP_CLOSE || inet.inet_num !== 0) return -EINVAL
  const source = from(addr.sin_addr, 's_addr')
  sk_rcv_saddr_set(k, sk, source)
  inet.inet_saddr = kind === RTN_BROADCAST || ipv4_is_multicast(source.value) ? 0 : source
  if (port !== 0 || inet.bind_address_no_port === 0) {
    if (k.indirect<ProtoGetPort>(sk_prot(sk).get_port)(k, sk, port) !== 0) {
      inet.inet_saddr = 0
      sk_rcv_saddr_set(k, sk, 0)
      return -EADDRINUSE
    }
  }
  if (inet.inet_rcv_saddr !== 0) sk.sk_userlocks = sk.sk_userlocks | SOCK_BINDADDR_LOCK
  if (port !== 0) sk.sk_userlocks = sk.sk_userlocks | SOCK_BINDPORT_LOCK
  inet.inet_sport = htons(inet.inet_num)
  inet.inet_daddr = 0
  inet.inet_dport = 0
  sk_dst_reset(k, sk)
  return 0
}

/**
 * @param peer 0: this end; otherwise the other, which must be connected (2: even while connecting)
 * @returns the length of the address, or -ENOTCONN
 */
export const inet_getname = kfunc(
  FILE,
  function inet_getname(k: Kernel, sock: socket, uaddr: Sockaddr, peer: number): number {
    const sk = deref(sock.sk)
    const inet = inet_sk(k, sk)
    const sin = uaddr.$cast<sockaddr_in>('sockaddr_in')
    sin.sin_family = AF_INET
    if (peer !== 0) {
      const open = sk.sk_state !== TCP_CLOSE && sk.sk_state !== TCP_SYN_SENT
      if (inet.inet_dport === 0 || (!open && peer === 1)) return -ENOTCONN
      sin.sin_port = from(inet, 'inet_dport')
      sin.sin_addr.s_addr = from(inet, 'inet_daddr')
    } else {
      sin.sin_port = from(inet, 'inet_sport')
      sin.sin_addr.s_addr =
        inet.inet_rcv_saddr !== 0 ? from(inet, 'inet_rcv_saddr') : from(inet, 'inet_saddr')
    }
    k.mem.fill(sin.$vaOf('__pad'), 0, 8)
    return SOCKADDR_IN_LEN
  },
)

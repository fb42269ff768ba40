/** socket(AF_INET6, …) and its end. @see net/ipv6/af_inet6.c:inet6_create, inet6_release */

import { toVa, type Va } from '../../../../base/addr.ts'
import type { inet_protosw, ipv6_pinfo, net, sock, socket } from '../../../../btf/vmlinux.ts'
import { EINVAL, EPROTONOSUPPORT, ESOCKTNOSUPPORT } from '../../../../abi/errno.ts'
import { IPPROTO_IP, IP_PMTUDISC_WANT } from '../../../../abi/in.ts'
import { IPV6_DEFAULT_MCASTHOPS, IPV6_PMTUDISC_WANT } from '../../../../abi/in6.ts'
import { INET_PROTOSW_ICSK } from '../../../../abi/sock.ts'
import { PF_INET6, SOCK_SUPPORT_ZC, SS_UNCONNECTED } from '../../../../abi/socket.ts'
import { list_for_each_entry } from '../../../../structures/list.ts'
import { deref } from '../../../deref.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import { inet6_sk_generic, pinfo } from '../../../include/net/ipv6.ts'
import type { ProtoInit } from '../../../include/net/proto.ts'
import { sock_net } from '../../../include/net/sock.ts'
import { kfunc } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { sk_alloc, sk_common_release, sock_init_data } from '../../core/sock.ts'
import { kfree_skb } from '../../core/skbuff.ts'
import { inet_release, inet_sock_destruct } from '../../ipv4/af_inet/create.ts'

const FILE = 'net/ipv6/af_inet6.c'
/** `FLOWLABEL_REFLECT_ESTABLISHED` of `sysctl.flowlabel_reflect`. */
const FLOWLABEL_REFLECT_ESTABLISHED = 1

/** The list of a socket type's protocols in `inetsw6`. */
export const inetsw6 = (k: Kernel, type: number): Va =>
  toVa(k.sym('inetsw6'), k.mem.wordSize) + type * k.types.sizeof('list_head')

/** A protocol by type and number, 0 being any. @returns a negative errno when there is none */
function findProtosw(k: Kernel, type: number, protocol: number): inet_protosw | number {
  let error = -ESOCKTNOSUPPORT
  for (const answer of list_for_each_entry(k.types, k.mem, inetsw6(k, type), 'inet_protosw', 'list')) {
    if (protocol === IPPROTO_IP || protocol === answer.protocol) return answer
    error = -EPROTONOSUPPORT
  }
  return error
}

/** The IPv6 part, as every protocol begins with it. */
function initPinfo(k: Kernel, sk: sock): ipv6_pinfo {
  const np = inet6_sk_generic(k, sk)
  np.hop_limit = -1
  np.mcast_hops = IPV6_DEFAULT_MCASTHOPS
  np.mc_loop = 1
  np.mc_all = 1
  np.pmtudisc = IPV6_PMTUDISC_WANT
  np.repflow = sock_net(sk).ipv6.sysctl.flowlabel_reflect & FLOWLABEL_REFLECT_ESTABLISHED
  return np
}

/** The IPv4 part: the socket may meet IPv4 peers too. */
function initInet(k: Kernel, sk: sock, np: ipv6_pinfo): void {
  const inet = inet_sk(k, sk)
  inet.pinet6 = np
  inet.uc_ttl = -1
  inet.mc_loop = 1
  inet.mc_ttl = 1
  inet.mc_index = 0
  inet.mc_list = null
  inet.rcv_tos = 0
  inet.pmtudisc = IP_PMTUDISC_WANT
}

/**
 * @param kern not 0 for a socket of the kernel's own
 * @returns 0, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT
 * @see net/ipv6/af_inet6.c:inet6_create
 * @remarks raw sockets are not simulated
 */
export const inet6_create = kfunc(
  FILE,
  function inet6_create(k: Kernel, net: net, sock: socket, protocol: number, kern: number): number {
    const answer = findProtosw(k, sock.type, protocol)
    if (typeof answer === 'number') return answer
    sock.state = SS_UNCONNECTED
    sock.ops = answer.ops
    const prot = deref(answer.prot)
    const sk = sk_alloc(k, net, PF_INET6, prot, kern !== 0)
    sock_init_data(k, sock, sk)
    if ((answer.flags & INET_PROTOSW_ICSK) !== 0) {
      inet_sk(k, sk).is_icsk = 1
      sock.flags = sock.flags | BigInt(1 << SOCK_SUPPORT_ZC)
    }
    sk.sk_destruct = k.text(inet6_sock_destruct)
    sk.sk_family = PF_INET6
    sk.sk_protocol = answer.protocol
    sk.sk_backlog_rcv = prot.backlog_rcv
    initInet(k, sk, initPinfo(k, sk))
    sk.sk_ipv6only = net.ipv6.sysctl.bindv6only
    sk.sk_txrehash = net.core.sysctl_txrehash
    const { init } = prot
    const error = init === 0n ? 0 : k.indirect<ProtoInit>(init)(k, sk)
    if (error !== 0) sk_common_release(k, sk)
    return error
  },
)

/** What the IPv6 part holds is given back. @see net/ipv6/af_inet6.c:inet6_cleanup_sock */
export const inet6_cleanup_sock = kfunc(FILE, function inet6_cleanup_sock(k: Kernel, sk: sock): void {
  const np = pinfo(k, sk)
  for (const member of ['pktoptions', 'rxpmtu'] as const) {
    const skb = np[member]
    if (skb === null) continue
    np[member] = null
    kfree_skb(k, skb)
  }
})

export const inet6_sock_destruct = kfunc(FILE, function inet6_sock_destruct(k: Kernel, sk: sock): void {
  inet6_cleanup_sock(k, sk)
  inet_sock_destruct(k, sk)
})

/**
 * The last descriptor is closed.
 * @returns 0, or -EINVAL
 * @see net/ipv6/af_inet6.c:inet6_release
 * @remarks there are no multicast or anycast memberships to leave
 */
export const inet6_release = kfunc(
  FILE,
  function inet6_release(k: Kernel, sock: socket): number {
    return sock.sk === null ? -EINVAL : inet_release(k, sock)
  },
  { sibling: true },
)

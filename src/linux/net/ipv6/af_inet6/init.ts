/** IPv6 comes up: its addresses, its settings, its protocols, its family. @see net/ipv6/af_inet6.c:inet6_init */

import type { inet_protosw } from '../../../../btf/vmlinux.ts'
import { AF_INET6, SOCK_MAX } from '../../../../abi/socket.ts'
import { INIT_LIST_HEAD, list_add } from '../../../../structures/list.ts'
import { kfunc } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { init_net } from '../../core/net_namespace.ts'
import { sock_register } from '../../socket/create.ts'
import { addrconf_init } from '../addrconf.ts'
import { register_tcpv6_prot, tcpv6_init } from '../tcp_ipv6.ts'
import { register_udpv6, udpv6_init } from '../udp.ts'
import { inet6_create, inetsw6 } from './create.ts'
import { init_inet6_ops } from './stream.ts'

const INT_MAX = 0x7fff_ffff

/** A kind of socket one can ask for. @see net/ipv6/af_inet6.c:inet6_register_protosw */
export const inet6_register_protosw = kfunc(
  'net/ipv6/af_inet6.c',
  function inet6_register_protosw(k: Kernel, p: inet_protosw): void {
    list_add(k.mem, p.list.$va, inetsw6(k, p.type))
  },
)

/** Settings that sockets read or a dump shows. @see net/ipv6/af_inet6.c:inet6_net_init */
function inet6_net_init(k: Kernel): void {
  const { sysctl } = init_net(k).ipv6
  sysctl.bindv6only = 0
  sysctl.icmpv6_time = 250
  sysctl.flowlabel_consistency = 1
  sysctl.auto_flowlabels = 1
  sysctl.idgen_retries = 3
  sysctl.idgen_delay = 250
  sysctl.flowlabel_state_ranges = 0
  sysctl.max_dst_opts_cnt = 8
  sysctl.max_hbh_opts_cnt = 8
  sysctl.max_dst_opts_len = INT_MAX
  sysctl.max_hbh_opts_len = INT_MAX
}

/**
 * @param k IPv4 is up and the loopback device is registered
 * @remarks no packets: IPv6 has no receive handler, no routes and no neighbours, so a listener is never called
 * but by IPv4 peers of a socket that is not IPV6_V6ONLY
 */
export function inet6_init(k: Kernel): void {
  for (let type = 0; type < SOCK_MAX; type++) INIT_LIST_HEAD(k.mem, inetsw6(k, type))
  register_tcpv6_prot(k)
  init_inet6_ops(k, 'inet6_stream_ops', 'inet_stream_ops')
  register_udpv6(k)
  const family = k.global('inet6_family_ops', 'net_proto_family')
  family.family = AF_INET6
  family.create = k.text(inet6_create)
  sock_register(k, family)
  inet6_net_init(k)
  addrconf_init(k)
  inet6_register_protosw(k, tcpv6_init(k))
  inet6_register_protosw(k, udpv6_init(k))
}

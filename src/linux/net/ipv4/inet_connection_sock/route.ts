/** Routes of connections: for a request, for its child, for an established sock that lost its own. */

import type { dst_entry, request_sock, sock } from '../../../../btf/vmlinux.ts'
import { IPPROTO_TCP } from '../../../../abi/in.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { inet_rsk, inet_sk } from '../../../include/net/casts.ts'
import { sk_setup_caps } from '../../core/sock/dst.ts'
import { ip_route_output_flow, type Route } from '../route.ts'

const FILE = 'net/ipv4/inet_connection_sock.c'
const LOOPBACK_IFINDEX = 1

/**
 * Leave in `cork.fl` what a route was asked for and what came of it: device and source address.
 * @see include/net/flow.h:flowi4_init_output
 */
export function rememberFlow(
  k: Kernel,
  sk: sock,
  route: Route,
  daddr: number,
  dport: number,
  sport: number,
): void {
  const { fl } = inet_sk(k, sk).cork
  const { ip4 } = fl.u
  const { __fl_common } = ip4
  __fl_common.flowic_oif = route.dst.dev?.ifindex ?? 0
  __fl_common.flowic_iif = LOOPBACK_IFINDEX
  __fl_common.flowic_mark = sk.sk_mark
  __fl_common.flowic_tos = inet_sk(k, sk).tos & 0x1e
  __fl_common.flowic_proto = sk.sk_protocol
  __fl_common.flowic_uid.val = sk.sk_uid.val
  ip4.saddr = route.saddr
  ip4.daddr = daddr
  ip4.uli.ports.dport = dport
  ip4.uli.ports.sport = sport
}

/**
 * The way back to the peer of a request.
 * @returns the route, held; `null` when there is none
 * @see net/ipv4/inet_connection_sock.c:inet_csk_route_req
 */
export const inet_csk_route_req = kfunc(
  FILE,
  function inet_csk_route_req(k, sk: sock, req: request_sock): dst_entry | null {
    const ireq = inet_rsk(k, req)
    const route = ip_route_output_flow(k, {
      saddr: ireq.ir_loc_addr,
      daddr: ireq.ir_rmt_addr,
      sport: from16(ireq.ir_num),
      dport: ireq.ir_rmt_port,
      oif: ireq.ir_iif,
      tos: inet_sk(k, sk).tos,
      proto: IPPROTO_TCP,
    })
    return typeof route === 'number' ? null : route.dst
  },
)

const from16 = (port: number): number => ((port & 0xff) << 8) | (port >>> 8)

/**
 * As {@link inet_csk_route_req}, for the child; the flow stays in its `cork`.
 * @see net/ipv4/inet_connection_sock.c:inet_csk_route_child_sock
 */
export const inet_csk_route_child_sock = kfunc(
  FILE,
  function inet_csk_route_child_sock(k, sk: sock, newsk: sock, req: request_sock): dst_entry | null {
    const ireq = inet_rsk(k, req)
    const sport = from16(ireq.ir_num)
    const route = ip_route_output_flow(k, {
      saddr: ireq.ir_loc_addr,
      daddr: ireq.ir_rmt_addr,
      sport,
      dport: ireq.ir_rmt_port,
      oif: ireq.ir_iif,
      tos: inet_sk(k, sk).tos,
      proto: IPPROTO_TCP,
    })
    if (typeof route === 'number') return null
    rememberFlow(k, newsk, route, ireq.ir_rmt_addr, ireq.ir_rmt_port, sport)
    return route.dst
  },
)

/** A route for the sock's own addresses, kept in it. @see net/ipv4/inet_connection_sock.c:inet_csk_rebuild_route */
export const inet_csk_rebuild_route = kfunc(
  FILE,
  function inet_csk_rebuild_route(k, sk: sock): dst_entry | null {
    const route = routeOf(k, sk)
    if (typeof route === 'number') return null
    sk_setup_caps(k, sk, route.dst)
    return route.dst
  },
)

/** The way out of a sock by its own addresses and ports; the flow stays in `cork`. */
export function routeOf(k: Kernel, sk: sock): Route | number {
  const inet = inet_sk(k, sk)
  const route = ip_route_output_flow(k, {
    saddr: inet.inet_saddr,
    daddr: sk.sk_daddr,
    sport: inet.inet_sport,
    dport: sk.sk_dport,
    oif: sk.sk_bound_dev_if,
    tos: inet.tos,
    proto: sk.sk_protocol,
  })
  if (typeof route !== 'number') rememberFlow(k, sk, route, sk.sk_daddr, sk.sk_dport, inet.inet_sport)
  return route
}

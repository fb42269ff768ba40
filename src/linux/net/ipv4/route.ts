/**
 * Which way a packet goes: the host's own addresses, the networks its devices are on, the default gateway. A
 * route once found is kept, as the next hop's cached `struct rtable`.
 *
 * @see net/ipv4/route.c, net/ipv4/fib_frontend.c
 * @remarks the FIB's trie is not laid out: routes follow from the interfaces' addresses, which lie in memory
 */

import { htonl } from '../../../base/u32.ts'
import type { dst_entry, in_ifaddr, net_device, rtable, sk_buff } from '../../../btf/vmlinux.ts'
import { EHOSTUNREACH, ENETUNREACH, EINVAL } from '../../../abi/errno.ts'
import {
  RTCF_BROADCAST,
  RTCF_LOCAL,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_UNICAST,
  RT_SCOPE_HOST,
} from '../../../abi/if.ts'
import { ipv4_is_lbcast, ipv4_is_loopback } from '../../../abi/in.ts'
import { kfunc, type KFunctionInfo } from '../../kfunc.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kmem_cache_create, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../../mm/slab_common.ts'
import { kmem_cache_alloc } from '../../mm/slub.ts'
import { for_each_netdev } from '../core/dev.ts'
import { DST_METRICS_READ_ONLY, DST_NOPOLICY, DST_OBSOLETE_FORCE_CHK, dst_hold } from '../core/dst.ts'
import { init_net } from '../core/net_namespace.ts'
import { skb_dst_set_noref } from '../core/skbuff.ts'
import { for_each_ifa } from './devinet.ts'

/** The keys of a look-up; addresses and ports `__be`, 0 where open. */
export interface Flow {
  readonly saddr: number
  readonly daddr: number
  readonly sport: number
  readonly dport: number
  readonly oif: number
  readonly tos: number
  readonly proto: number
}

interface RouteState {
  readonly cache: Map<string, number>
  /** Default gateways: `__be32`, by device. */
  readonly gateways: { readonly gateway: number; readonly ifindex: number }[]
}
const state = perKernel<RouteState>(() => ({ cache: new Map(), gateways: [] }))
const rtableCache = perKernel((k) =>
  kmem_cache_create(k, 'ip_dst_cache', k.types.sizeof('rtable'), { flags: SLAB_HWCACHE_ALIGN | SLAB_PANIC }),
)

type Handler = { readonly kfunc: KFunctionInfo }
const handlers = perKernel(() => ({}) as { input: Handler; output: Handler; forward: Handler })

/**
 * @param input  `ip_local_deliver`: where packets for us go
 * @param output `ip_output`
 * @param forward `ip_forward`: where packets for others go, on a router
 * @see net/ipv4/route.c:ip_rt_init
 */
export function ip_rt_init(k: Kernel, input: Handler, output: Handler, forward: Handler): void {
  Object.assign(handlers(k), { input, output, forward })
  const ops = k.global('ipv4_dst_ops', 'dst_ops')
  ops.family = 2
  ops.kmem_cachep = rtableCache(k)
  ops.check = k.text(ipv4_dst_check)
}

/** A cached route is good until it is marked dead. @see net/ipv4/route.c:ipv4_dst_check */
const ipv4_dst_check = kfunc(
  'net/ipv4/route.c',
  function ipv4_dst_check(_k: Kernel, dst: dst_entry): dst_entry | null {
    return dst.obsolete > 0 ? null : dst
  },
)

/** Packets for other networks go through this neighbour. */
export function add_default_gateway(k: Kernel, gateway: number, dev: net_device): void {
  state(k).gateways.push({ gateway, ifindex: dev.ifindex })
}

/** @see net/ipv4/route.c:rt_dst_alloc */
const rt_dst_alloc = kfunc(
  'net/ipv4/route.c',
  function rt_dst_alloc(k: Kernel, dev: net_device, flags: number, type: number): rtable {
    const rt = k.ref('rtable', kmem_cache_alloc(k, rtableCache(k)))
    const { dst } = rt
    dst.dev = dev
    dst.ops = k.global('ipv4_dst_ops', 'dst_ops')
    dst._metrics = k.sym('dst_default_metrics') | DST_METRICS_READ_ONLY
    dst.obsolete = DST_OBSOLETE_FORCE_CHK
    dst.__refcnt.counter = 1
    dst.flags = type === RTN_LOCAL ? DST_NOPOLICY : 0
    dst.output = k.text(handlers(k).output)
    dst.input = (flags & RTCF_LOCAL) !== 0 ? k.text(handlers(k).input) : k.sym('dst_discard')
    rt.rt_flags = flags
    rt.rt_type = type
    k.mem.setPointer(rt.$vaOf('rt_uncached'), rt.$vaOf('rt_uncached'))
    k.mem.setPointer(rt.$vaOf('rt_uncached') + k.mem.wordSize, rt.$vaOf('rt_uncached'))
    return rt
  },
)

/** What a destination is to this host. */
interface Resolved {
  readonly type: number
  readonly dev: net_device
  readonly gateway: number
  /** The address to send from when none is chosen yet. */
  readonly source: number
}

/** @returns undefined when no route leads there */
function resolve(k: Kernel, daddr: number): Resolved | undefined {
  const lo = init_net(k).loopback_dev
  if (lo !== null && (ipv4_is_loopback(daddr) || isLocal(k, daddr))) {
    return { type: RTN_LOCAL, dev: lo, gateway: 0, source: daddr }
  }
  for (const dev of for_each_netdev(k)) {
    for (const ifa of for_each_ifa(k, dev)) {
      if (dev.$va === lo?.$va || ((daddr ^ ifa.ifa_address) & ifa.ifa_mask) !== 0) continue
      const type = daddr === ifa.ifa_broadcast ? RTN_BROADCAST : RTN_UNICAST
      return { type, dev, gateway: 0, source: ifa.ifa_local }
    }
  }
  for (const { gateway, ifindex } of state(k).gateways) {
    for (const dev of for_each_netdev(k)) {
      if (dev.ifindex !== ifindex) continue
      return { type: RTN_UNICAST, dev, gateway, source: inet_select_addr(k, dev) }
    }
  }
  return undefined
}

const isLocal = (k: Kernel, address: number): boolean => ip_dev_find(k, address) !== undefined

/** The device that has this address. @see net/ipv4/devinet.c:__ip_dev_find */
export function ip_dev_find(k: Kernel, address: number): { dev: net_device; ifa: in_ifaddr } | undefined {
  for (const dev of for_each_netdev(k)) {
    for (const ifa of for_each_ifa(k, dev)) if (ifa.ifa_local === address) return { dev, ifa }
  }
  return undefined
}

/** @see net/ipv4/fib_frontend.c:inet_addr_type */
export const inet_addr_type = (k: Kernel, address: number): number => {
  if (ipv4_is_lbcast(address)) return RTN_BROADCAST
  return ipv4_is_loopback(address) || isLocal(k, address) ? RTN_LOCAL : RTN_UNICAST
}

const inet_select_addr = kfunc(
  'net/ipv4/devinet.c',
  function inet_select_addr(k: Kernel, dev: net_device): number {
    for (const ifa of for_each_ifa(k, dev)) if (ifa.ifa_scope < RT_SCOPE_HOST) return ifa.ifa_local
    return 0
  },
)

/** A route and the addresses it settles. */
export interface Route {
  readonly rt: rtable
  readonly dst: dst_entry
  readonly saddr: number
  readonly daddr: number
}

/**
 * The way out for a flow, with a reference for the caller.
 * @returns the route, or a negative errno: ENETUNREACH when none leads there
 * @see net/ipv4/route.c:ip_route_output_key_hash_rcu
 */
export const ip_route_output_key_hash = kfunc(
  'net/ipv4/route.c',
  function ip_route_output_key_hash(k: Kernel, flow: Flow): Route | number {
    if (flow.saddr !== 0 && inet_addr_type(k, flow.saddr) !== RTN_LOCAL) return -EINVAL
    const daddr = flow.daddr === 0 ? (flow.saddr !== 0 ? flow.saddr : htonl(0x7f000001)) : flow.daddr
    const found = resolve(k, daddr)
    if (found === undefined) return -ENETUNREACH
    const rt = cached(k, `out ${found.dev.ifindex} ${found.type} ${found.gateway}`, () => {
      const flags = found.type === RTN_LOCAL ? RTCF_LOCAL : found.type === RTN_BROADCAST ? RTCF_BROADCAST : 0
      const made = rt_dst_alloc(k, found.dev, flags, found.type)
      if (found.gateway !== 0) {
        made.rt_uses_gateway = 1
        made.rt_gw_family = 2
        made.rt_gw4 = found.gateway
      }
      return made
    })
    dst_hold(rt.dst)
    return { rt, dst: rt.dst, saddr: flow.saddr !== 0 ? flow.saddr : found.source, daddr }
  },
)

/** @see net/ipv4/route.c:ip_route_output_flow */
export const ip_route_output_flow = kfunc(
  'net/ipv4/route.c',
  function ip_route_output_flow(k: Kernel, flow: Flow): Route | number {
    return ip_route_output_key_hash(k, flow)
  },
)
export const ip_route_output_ports = (k: Kernel, flow: Flow): Route | number => ip_route_output_flow(k, flow)

/**
 * Is this packet for us? Gives the buffer its route.
 * @returns 0, or a negative errno when it is not deliverable here
 * @see net/ipv4/route.c:ip_route_input_slow
 */
export const ip_route_input_noref = kfunc(
  'net/ipv4/route.c',
  function ip_route_input_noref(
    k: Kernel,
    skb: sk_buff,
    daddr: number,
    _saddr: number,
    _tos: number,
    dev: net_device,
  ): number {
    const found = resolve(k, daddr)
    const broadcast = found?.type === RTN_BROADCAST || ipv4_is_lbcast(daddr)
    if (found?.type !== RTN_LOCAL && !broadcast)
      return found === undefined ? -ENETUNREACH : route_on(k, skb, found, dev)
    const rt = cached(k, `in ${dev.ifindex} ${broadcast ? 'broadcast' : 'local'}`, () => {
      const lo = init_net(k).loopback_dev ?? dev
      const flags = RTCF_LOCAL | (broadcast ? RTCF_BROADCAST : 0)
      const made = rt_dst_alloc(k, broadcast ? dev : lo, flags, broadcast ? RTN_BROADCAST : RTN_LOCAL)
      made.rt_is_input = 1
      made.rt_iif = 0
      return made
    })
    skb_dst_set_noref(skb, rt.dst)
    return 0
  },
)

/** A packet for somebody else: only a router's devices take it. @see net/ipv4/route.c:__mkroute_input */
function route_on(k: Kernel, skb: sk_buff, found: Resolved, dev: net_device): number {
  if (!in_dev_forward(dev)) return -EHOSTUNREACH
  const rt = cached(k, `forward ${dev.ifindex} ${found.dev.ifindex} ${found.gateway}`, () => {
    const made = rt_dst_alloc(k, found.dev, 0, found.type)
    made.dst.input = k.text(handlers(k).forward)
    made.rt_is_input = 1
    made.rt_iif = dev.ifindex
    if (found.gateway !== 0) {
      made.rt_uses_gateway = 1
      made.rt_gw_family = 2
      made.rt_gw4 = found.gateway
    }
    return made
  })
  skb_dst_set_noref(skb, rt.dst)
  return 0
}

/** `net.ipv4.conf.DEV.forwarding`: the first of the device's settings. @see include/linux/inetdevice.h:IN_DEV_FORWARD */
const in_dev_forward = (dev: net_device): boolean => (dev.ip_ptr?.cnf.data.num(0) ?? 0) !== 0

function cached(k: Kernel, key: string, make: () => rtable): rtable {
  const known = state(k).cache.get(key)
  if (known !== undefined) return k.ref('rtable', known)
  const rt = make()
  state(k).cache.set(key, rt.$va)
  return rt
}

/** Where a packet on this route leaves: the gateway, or the destination itself. @see include/net/route.h:rt_nexthop */
export const rt_nexthop = (rt: rtable, daddr: number): number => (rt.rt_gw_family === 2 ? rt.rt_gw4 : daddr)

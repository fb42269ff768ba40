/** IPv4 addresses of devices. @see net/ipv4/devinet.c */

import { htonl } from '../../../base/u32.ts'
import type { in_device, in_ifaddr, net_device } from '../../../btf/vmlinux.ts'
import { IFF_LOOPBACK, RT_SCOPE_HOST, RT_SCOPE_UNIVERSE } from '../../../abi/if.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { kzalloc } from '../../mm/slab.ts'

/** `in_device.ifa_list`: the addresses of a device, primary first. */
export function* for_each_ifa(k: Kernel, dev: net_device): Generator<in_ifaddr> {
  let ifa = dev.ip_ptr?.ifa_list ?? null
  for (let hops = 0; ifa !== null && hops < 1000; hops++) {
    yield ifa
    ifa = ifa.ifa_next
  }
}

/** @see net/ipv4/devinet.c:inetdev_init */
export const inetdev_init = kfunc(
  'net/ipv4/devinet.c',
  function inetdev_init(k: Kernel, dev: net_device): in_device {
    const in_dev = k.ref('in_device', kzalloc(k, k.types.sizeof('in_device')))
    in_dev.dev = dev
    in_dev.refcnt.refs.counter = 2
    const conf = k.symbols.get('ipv4_devconf_dflt')
    if (conf !== undefined) in_dev.cnf = k.ref('ipv4_devconf', conf)
    dev.ip_ptr = in_dev
    return in_dev
  },
)

/**
 * Give a device an address.
 * @param address `__be32`
 * @param prefix  network bits
 * @see net/ipv4/devinet.c:__inet_insert_ifa
 */
export const __inet_insert_ifa = kfunc(
  'net/ipv4/devinet.c',
  function __inet_insert_ifa(k: Kernel, dev: net_device, address: number, prefix: number): in_ifaddr {
    const in_dev = dev.ip_ptr ?? inetdev_init(k, dev)
    const ifa = k.ref('in_ifaddr', kzalloc(k, k.types.sizeof('in_ifaddr')))
    const mask = inet_make_mask(prefix)
    const loopback = (dev.flags & IFF_LOOPBACK) !== 0
    ifa.ifa_dev = in_dev
    ifa.ifa_local = address
    ifa.ifa_address = address
    ifa.ifa_mask = mask
    ifa.ifa_prefixlen = prefix
    ifa.ifa_broadcast = loopback || prefix >= 31 ? 0 : (address | ~mask) >>> 0
    ifa.ifa_scope = loopback ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE
    ifa.ifa_flags = 0x80 // IFA_F_PERMANENT
    ifa.ifa_valid_lft = 0xffffffff
    ifa.ifa_preferred_lft = 0xffffffff
    ifa.ifa_label.$setString(dev.name.$string())
    let last: in_ifaddr | null = null
    for (const other of for_each_ifa(k, dev)) last = other
    if (last === null) in_dev.ifa_list = ifa
    else last.ifa_next = ifa
    return ifa
  },
)

/** @returns the netmask as `__be32` */
export const inet_make_mask = (prefix: number): number =>
  prefix === 0 ? 0 : htonl((0xffffffff << (32 - prefix)) >>> 0)

/** Dotted quad to `__be32`; NaN when it is none. @see net/core/utils.c:in_aton */
export function in_aton(text: string): number {
  const parts = text.split('.').map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : NaN))
  if (parts.length !== 4 || parts.some((part) => !(part <= 255))) return NaN
  const [a, b, c, d] = parts as [number, number, number, number]
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0
}

/** `__be32` to dotted quad. */
export const in_ntoa = (be: number): string =>
  `${be & 255}.${(be >>> 8) & 255}.${(be >>> 16) & 255}.${be >>> 24}`

/** What kind of address an IPv6 address is. */

import type { in6_addr } from '../../../btf/vmlinux.ts'
import { htonl, ntohl } from '../../../base/u32.ts'
import {
  IPV6_ADDR_ANY,
  IPV6_ADDR_COMPATv4,
  IPV6_ADDR_LINKLOCAL,
  IPV6_ADDR_LOOPBACK,
  IPV6_ADDR_MAPPED,
  IPV6_ADDR_MULTICAST,
  IPV6_ADDR_SITELOCAL,
  IPV6_ADDR_UNICAST,
} from '../../../abi/in6.ts'
import { kfunc } from '../../kfunc.ts'
import { s6_addr32 } from '../../include/net/ipv6.ts'

const ONE = htonl(1)
const MAPPED = htonl(0xffff)

/**
 * @returns IPV6_ADDR_… bits
 * @see net/ipv6/addrconf_core.c:__ipv6_addr_type
 * @remarks the scope, the kernel's upper half of the result, is left out
 */
export const __ipv6_addr_type = kfunc(
  'net/ipv6/addrconf_core.c',
  function __ipv6_addr_type(_k, addr: in6_addr): number {
    const first = ntohl(s6_addr32(addr, 0))
    const prefix = first >>> 29
    if (prefix !== 0 && prefix !== 7) return IPV6_ADDR_UNICAST
    if (first >>> 24 === 0xff) return IPV6_ADDR_MULTICAST // ff00::/8
    if (first >>> 22 === 0xfe80 >>> 6) return IPV6_ADDR_LINKLOCAL | IPV6_ADDR_UNICAST
    if (first >>> 22 === 0xfec0 >>> 6) return IPV6_ADDR_SITELOCAL | IPV6_ADDR_UNICAST
    if (first !== 0 || s6_addr32(addr, 1) !== 0) return IPV6_ADDR_UNICAST
    return typeOfLow(s6_addr32(addr, 2), s6_addr32(addr, 3))
  },
)

/** The addresses whose first eight bytes are zero. */
function typeOfLow(third: number, fourth: number): number {
  if (third === MAPPED) return IPV6_ADDR_MAPPED
  if (third !== 0) return IPV6_ADDR_UNICAST
  if (fourth === 0) return IPV6_ADDR_ANY
  return (fourth === ONE ? IPV6_ADDR_LOOPBACK : IPV6_ADDR_COMPATv4) | IPV6_ADDR_UNICAST
}

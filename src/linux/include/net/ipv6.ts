/** What include/net/ipv6.h inlines: addresses compared word by word, and where a sock keeps its IPv6 part. */

import type { Va } from '../../../base/addr.ts'
import type { in6_addr, ipv6_pinfo, sock } from '../../../btf/vmlinux.ts'
import { IPV6_ADDR_LINKLOCAL } from '../../../abi/in6.ts'
import { deref } from '../../deref.ts'
import type { Kernel } from '../../kernel.ts'
import { inet_sk } from './casts.ts'
import { sk_prot } from './sock.ts'

/** A word of an address as memory has it: network order read on a little-endian machine. */
export const s6_addr32 = (a: in6_addr, i: 0 | 1 | 2 | 3): number => a.$mem.u32(a.$va + 4 * i)

export function ipv6_addr_equal(a: in6_addr, b: in6_addr): boolean {
  return ([0, 1, 2, 3] as const).every((i) => s6_addr32(a, i) === s6_addr32(b, i))
}

/** @see include/net/ipv6.h:ipv6_addr_hash */
export const ipv6_addr_hash = (a: in6_addr): number =>
  (s6_addr32(a, 0) ^ s6_addr32(a, 1) ^ s6_addr32(a, 2) ^ s6_addr32(a, 3)) >>> 0

export function ipv6_addr_clear(k: Kernel, a: in6_addr): void {
  k.mem.fill(a.$va, 0, a.$size)
}

/** Is an address of this type one of many alike, so that only its device makes it one? */
export const __ipv6_addr_needs_scope_id = (type: number): boolean => (type & IPV6_ADDR_LINKLOCAL) !== 0

/** @returns the device an address of local scope belongs to, 0 for any other @see include/net/ipv6.h */
export const ipv6_iface_scope_id = (type: number, iface: number): number =>
  __ipv6_addr_needs_scope_id(type) ? iface : 0

/** The IPv6 part is the last of a sock, whatever the protocol. @see net/ipv6/af_inet6.c:inet6_sk_generic */
export function inet6_sk_generic(k: Kernel, sk: sock): ipv6_pinfo {
  const at: Va = sk.$va + sk_prot(sk).obj_size - k.types.sizeof('ipv6_pinfo')
  return k.ref('ipv6_pinfo', at)
}

/** The IPv6 part of a sock that has one. @see include/linux/ipv6.h:inet6_sk */
export const pinfo = (k: Kernel, sk: sock): ipv6_pinfo => deref(inet_sk(k, sk).pinet6)

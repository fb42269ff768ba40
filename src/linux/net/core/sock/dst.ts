/** The route a sock remembers, and what of the device's abilities it may use. */

import type { dst_entry, sock } from '../../../../btf/vmlinux.ts'
import { IPPROTO_TCP } from '../../../../abi/in.ts'
import { NO_QUEUE_MAPPING } from '../../../../abi/sock.ts'
import { MAX_TCP_HEADER } from '../../../../abi/tcp.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { deref } from '../../../deref.ts'
import { dst_hold, dst_release } from '../dst.ts'

/** Bits of `netdev_features_t`. @see include/linux/netdev_features.h */
const bit = (n: number): bigint => 1n << BigInt(n)
const NETIF_F_SG = bit(0)
const NETIF_F_HW_CSUM = bit(3)
const NETIF_F_GSO = bit(11)
const NETIF_F_TSO = bit(16)
/** What the kernel segments itself: TSO in its four forms, SCTP, UDP_L4, FRAGLIST. */
const NETIF_F_GSO_SOFTWARE = bit(16) | bit(18) | bit(19) | bit(20) | bit(30) | bit(33) | bit(34)
const NETIF_F_GSO_MASK = bit(35) - bit(16)

/** The route, not held. @see include/net/sock.h:__sk_dst_get */
export const __sk_dst_get = (sk: sock): dst_entry | null => sk.sk_dst_cache

/** Put a route in place of the old one, which is released. @see include/net/sock.h:__sk_dst_set */
export function __sk_dst_set(k: Kernel, sk: sock, dst: dst_entry | null): void {
  sk.sk_tx_queue_mapping = NO_QUEUE_MAPPING
  sk.sk_dst_pending_confirm = 0
  const old = sk.sk_dst_cache
  sk.sk_dst_cache = dst
  if (old !== null) dst_release(k, old)
}

export const sk_dst_reset = (k: Kernel, sk: sock): void => __sk_dst_set(k, sk, null)

/** The route, held. @see include/net/sock.h:sk_dst_get */
export function sk_dst_get(sk: sock): dst_entry | null {
  const dst = sk.sk_dst_cache
  if (dst !== null) dst_hold(dst)
  return dst
}

/** The route if it still holds, else null and forgotten. */
export const __sk_dst_check = kfunc(
  'net/core/sock.c',
  function __sk_dst_check(k, sk: sock, cookie: number): dst_entry | null {
    const dst = sk.sk_dst_cache
    if (dst === null || dst.obsolete === 0 || dst_check(k, dst, cookie) !== null) return dst
    sk_dst_reset(k, sk)
    return null
  },
)

/** Ask the route's family whether it still holds. @see include/net/dst.h:dst_check */
export function dst_check(k: Kernel, dst: dst_entry, cookie: number): dst_entry | null {
  if (dst.obsolete === 0) return dst
  const check = dst.ops?.check ?? 0n
  if (check === 0n) return dst
  return k.indirect<(k: Kernel, dst: dst_entry, cookie: number) => dst_entry | null>(check)(k, dst, cookie)
}

/**
 * Use a route, and with it what its device can do: checksums, scatter/gather, segmentation.
 *
 * @param dst `struct dst_entry *`, whose reference the sock takes over
 * @see net/core/sock.c:sk_setup_caps
 */
export const sk_setup_caps = kfunc(
  'net/core/sock.c',
  function sk_setup_caps(k, sk: sock, dst: dst_entry): void {
    const dev = deref(dst.dev)
    __sk_dst_set(k, sk, dst)
    let caps = dev.features
    let maxSegs = 1
    if (sk.sk_protocol === IPPROTO_TCP) caps |= NETIF_F_GSO
    if ((caps & NETIF_F_GSO) !== 0n) caps |= NETIF_F_GSO_SOFTWARE
    if (sk.sk_gso_disabled === 1) caps &= ~NETIF_F_GSO_MASK
    if ((caps & NETIF_F_TSO) !== 0n) {
      caps |= NETIF_F_SG | NETIF_F_HW_CSUM
      sk.sk_gso_max_size = dev.gso_max_size - (MAX_TCP_HEADER + 1)
      maxSegs = Math.max(dev.gso_max_segs, 1)
    }
    sk.sk_route_caps = caps
    sk.sk_gso_max_segs = maxSegs
  },
)

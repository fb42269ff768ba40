/** Routes as destinations: reference counts, and the metrics every route shares. @see net/core/dst.c, include/net/dst.h */

import type { dst_entry, net_device, sk_buff } from '../../../btf/vmlinux.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { kfree_skb } from './skbuff.ts'

/** `dst.obsolete`: ask `ops->check` before use. */
export const DST_OBSOLETE_FORCE_CHK = -1
export const DST_OBSOLETE_DEAD = 2
export const DST_NOXFRM = 0x0002
export const DST_NOPOLICY = 0x0004
/** Low bits of `dst._metrics`. */
export const DST_METRICS_READ_ONLY = 1n

/** @see include/net/dst.h:dst_hold */
export function dst_hold(dst: dst_entry): void {
  dst.__refcnt.counter = dst.__refcnt.counter + 1
}
export function dst_clone<T extends dst_entry | null>(dst: T): T {
  if (dst !== null) dst_hold(dst)
  return dst
}

/** @see net/core/dst.c:dst_release */
export const dst_release = kfunc(
  'net/core/dst.c',
  function dst_release(k: Kernel, dst: dst_entry | null): void {
    if (dst === null) return
    dst.__refcnt.counter = dst.__refcnt.counter - 1
  },
)

/** A packet that may not go this way. @see net/core/dst.c:dst_discard_out */
export const dst_discard_out = kfunc(
  'net/core/dst.c',
  function dst_discard_out(k: Kernel, _sk: unknown, skb: sk_buff): number {
    kfree_skb(k, skb)
    return 0
  },
)

/** The largest packet IPv4 can say the length of; lo's MTU is larger. @see include/net/ip.h */
const IP_MAX_MTU = 0xffff

/** The MTU of the way out. @see net/ipv4/route.c:ipv4_mtu */
export const dst_mtu = (dst: dst_entry): number => Math.min((dst.dev as net_device).mtu, IP_MAX_MTU)

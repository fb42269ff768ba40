/** The Internet checksum over guest memory. @see lib/checksum.c, arch/x86/include/asm/checksum_64.h */

import type { Va } from '../../../base/addr.ts'
import type { Kernel } from '../../kernel.ts'

/** Sum of 16-bit words as they lie in memory (so results are stored as they are). */
export function csum_partial(bytes: Uint8Array, sum = 0): number {
  let total = sum
  for (let i = 0; i + 1 < bytes.length; i += 2)
    total += (bytes[i] as number) | ((bytes[i + 1] as number) << 8)
  if (bytes.length % 2 === 1) total += bytes[bytes.length - 1] as number
  return fold(total)
}

function fold(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000)
  return folded
}

/** @returns the complement, as stored in a header's check field */
export const csum_fold = (sum: number): number => ~fold(sum) & 0xffff

/** @param ihl header length in 32-bit words */
export function ip_fast_csum(k: Kernel, iph: Va, ihl: number): number {
  let sum = 0
  for (let i = 0; i < ihl * 2; i++) sum += k.mem.u16(iph + i * 2)
  return csum_fold(sum)
}

/**
 * The pseudo-header's sum, not complemented: what a transport header holds until the device adds the rest.
 * @param saddr,daddr `__be32` as in memory
 */
export function csum_tcpudp_nofold(
  saddr: number,
  daddr: number,
  len: number,
  proto: number,
  sum = 0,
): number {
  const be = ((len & 0xff) << 8) | (len >>> 8)
  return fold(sum + (saddr & 0xffff) + (saddr >>> 16) + (daddr & 0xffff) + (daddr >>> 16) + be + (proto << 8))
}

/** @returns the complemented checksum of pseudo-header and `sum` */
export const csum_tcpudp_magic = (
  saddr: number,
  daddr: number,
  len: number,
  proto: number,
  sum: number,
): number => csum_fold(csum_tcpudp_nofold(saddr, daddr, len, proto, sum))

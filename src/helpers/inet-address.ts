/** Internet addresses as they lie in memory (network byte order) and as people write them. */

import type { Va } from '../base/addr.ts'
import type { Memory } from '../memory/memory.ts'

/** Dotted quad of four bytes as a little-endian load gives them (`__be32`). */
export function ipv4_text(be32: number): string {
  return `${be32 & 0xff}.${(be32 >>> 8) & 0xff}.${(be32 >>> 16) & 0xff}.${be32 >>> 24}`
}

/** The eight groups of a `struct in6_addr`, host order. */
export function in6_groups(mem: Memory, at: Va): number[] {
  const bytes = mem.read(at, 16)
  return Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number))
}

/** All eight groups, as `net -s` has them: nothing shortened. */
export function ipv6_full(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':')
}

/** The short form: the longest run of zero groups (two at least, the first of equals) as `::`. @see RFC 5952 */
export function ipv6_text(groups: readonly number[]): string {
  const { from, length } = longestZeros(groups)
  if (isV4Mapped(groups) || isV4Compatible(groups)) {
    const [high = 0, low = 0] = groups.slice(6)
    const quad = `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`
    return isV4Mapped(groups) ? `::ffff:${quad}` : `::${quad}`
  }
  if (length < 2) return ipv6_full(groups)
  return `${ipv6_full(groups.slice(0, from))}::${ipv6_full(groups.slice(from + length))}`
}

function longestZeros(groups: readonly number[]): { from: number; length: number } {
  let best = { from: 0, length: 0 }
  for (let i = 0; i < groups.length; i++) {
    let end = i
    while (groups[end] === 0) end++
    if (end - i > best.length) best = { from: i, length: end - i }
    if (end > i) i = end
  }
  return best
}

const isV4Mapped = (groups: readonly number[]): boolean =>
  groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff

const isV4Compatible = (groups: readonly number[]): boolean =>
  groups.slice(0, 6).every((group) => group === 0) && groups[6] !== 0

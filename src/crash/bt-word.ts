/** How `bt -f` and `bt -F` show one word of a stack: a number, a symbol, or the slab cache it points into. */

import { hex, hexFull, toVa, type Va } from '../base/addr.ts'
import { cache_of_phys } from '../helpers/slab-address.ts'
import { KernelText } from '../helpers/text.ts'
import type { Target } from '../target/target.ts'
import { withOffset } from './bt-text.ts'

/**
 * @param detail 0: `bt -f`; 1: `-F`, names; 2: `-FF`, names of caches with the address; `symbols`: no caches
 */
export function stackWord(
  target: Target,
  detail: 0 | 1 | 2 | 'symbols',
  radix: 10 | 16,
): (value: bigint) => string {
  const { wordSize } = target
  const plain = (value: bigint): string => hexFull(value, wordSize)
  if (detail === 0) return plain
  const text = new KernelText(target)
  const inDirectMap = (va: Va): boolean =>
    wordSize === 4 || (va >= target.pageOffset && va < target.pageOffset + 2 ** 46)
  return (value) => {
    const va = toVa(value, wordSize)
    if (Number.isNaN(va) || va === 0 || (wordSize === 8 && va > 0)) return plain(value)
    const hit = text.lookup(va)
    if (hit !== undefined) return withOffset(hit, radix).padEnd(wordSize * 2)
    const phys = detail === 'symbols' || !inDirectMap(va) ? undefined : target.virtToPhys(va)
    const cache = phys === undefined ? undefined : cache_of_phys(target, phys)
    if (cache === undefined) return plain(value)
    return `[${detail === 2 ? `${hex(value)}:` : ''}${cache}]`.padEnd(wordSize * 2)
  }
}

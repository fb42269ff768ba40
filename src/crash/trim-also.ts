/** `--also ADDR[:LEN]`: more memory for a trimmed dump. */

import { toVa, type Va } from '../base/addr.ts'
import { UsageError } from '../base/errors.ts'
import type { Target } from '../target/target.ts'

/** More is a mistake: a dump is trimmed to be small. */
const MOST = 1 << 30
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 }

/**
 * @param word a kernel address in hex or a symbol; after a colon the number of bytes, decimal or `0x…`, with `k` or `m`
 * after it. Without one: the symbol's size, or the page of the address.
 * @throws UsageError when it is neither
 */
export function alsoRange(target: Target, word: string): { va: Va; size: number } {
  const [, place = '', length] = /^([^:]+)(?::(.*))?$/.exec(word) ?? []
  const found = place === '' ? undefined : placeOf(target, place)
  if (found === undefined) throw new UsageError(word, `--also ${word}: no address and no symbol`)
  if (length === undefined) return found
  const [, digits, unit = ''] = /^(0x[0-9a-f]+|[0-9]+)([kmg]?)$/i.exec(length) ?? []
  const size = digits === undefined ? NaN : Number(digits) * (UNITS[unit.toLowerCase()] ?? NaN)
  if (!(size > 0 && size <= MOST)) throw new UsageError(word, `--also ${word}: ${length} is no length`)
  return { va: found.va, size }
}

function placeOf(target: Target, word: string): { va: Va; size: number } | undefined {
  const symbol = target.symbols.find(word)
  if (symbol !== undefined) return { va: symbol.va, size: Math.max(1, symbol.size) }
  if (!/^(0x)?[0-9a-f]{1,16}$/i.test(word)) return undefined
  const va = toVa(BigInt(`0x${word.replace(/^0x/i, '')}`), target.wordSize)
  return Number.isNaN(va) ? undefined : { va, size: 1 }
}

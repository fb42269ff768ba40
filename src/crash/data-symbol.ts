/** One symbol on one line, as `sym` prints it. */

import { hex } from '../base/addr.ts'
import type { KernelSymbol } from '../symbols/symbol.ts'

/**
 * `ffffffff81a52dd0 (T) schedule`.
 *
 * @param offset bytes into it
 */
export function symbolLine(symbol: KernelSymbol, offset = 0, hexOffset = false): string {
  const at = BigInt(symbol.va) + BigInt(offset)
  const plus = offset === 0 ? '' : hexOffset ? `+0x${offset.toString(16)}` : `+${offset}`
  const module = symbol.module === undefined ? '' : ` [${symbol.module}]`
  return `${hex(at)} (${symbol.type}) ${symbol.name}${plus}${module}`
}

/** Symbols with the number the compiler gave a `static` variable: `no_open_fops.8`. */

import { perKernel, type Kernel } from '../kernel.ts'

const found = perKernel(() => new Map<string, bigint>())

/**
 * The address of a static variable, whatever its number; the first one when several functions have one of that name.
 * @returns 0 when this kernel has none
 */
export function staticSymbol(k: Kernel, name: string): bigint {
  const known = found(k).get(name)
  if (known !== undefined) return known
  let address: bigint = k.symbols.get(name) ?? 0n
  if (address === 0n) {
    const prefix = `${name}.`
    for (const [symbol, at] of k.symbols) {
      if (symbol.startsWith(prefix) && /^\d+$/.test(symbol.slice(prefix.length))) {
        address = at
        break
      }
    }
  }
  found(k).set(name, address)
  return address
}

/** Symbols by name: those of the image and of modules, and static variables with the number the compiler gave them. */

import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { loadedModules } from './module/api.ts'
import { find_kallsyms_symbol_value } from './module/kallsyms.ts'

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

/**
 * A symbol's address: the kernel's own, else that of a loaded module.
 * @returns 0 when there is none
 * @see kernel/kallsyms.c:kallsyms_lookup_name
 */
export const kallsyms_lookup_name = kfunc(
  'kernel/kallsyms.c',
  function kallsyms_lookup_name(k, name: string): bigint {
    return k.symbols.get(name) ?? module_kallsyms_lookup_name(k, name)
  },
)

/** @see kernel/module/kallsyms.c:module_kallsyms_lookup_name */
const module_kallsyms_lookup_name = kfunc(
  'kernel/module/kallsyms.c',
  function module_kallsyms_lookup_name(k, name: string): bigint {
    for (const { mod } of loadedModules(k).values()) {
      const table = mod.kallsyms
      const value = table === null ? 0n : find_kallsyms_symbol_value(k, table, name)
      if (value !== 0n) return value
    }
    return 0n
  },
)

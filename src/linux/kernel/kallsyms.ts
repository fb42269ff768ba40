/** Symbols by name: those of the image and of modules, and static variables with the number the compiler gave them. */

import type { module } from '../../btf/vmlinux.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { loadedModules } from './module/api.ts'
import { each_kallsyms_symbol, find_kallsyms_symbol_value } from './module/kallsyms.ts'

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

/** Expanding one compressed name of the table, in nanoseconds of virtual time: a walk to the end takes milliseconds. */
const EXPAND_NS = 120

/**
 * Call `fn` for every symbol of the kernel by address, then for those of modules, until it returns something else than 0.
 *
 * @param fn `int (*)(void *data, const char *name, struct module *, unsigned long addr)`, without its data
 * @returns what the last call returned
 * @see kernel/kallsyms.c:kallsyms_on_each_symbol
 * @remarks the names come from the machine's index, which says what the compressed table in memory says.
 */
export const kallsyms_on_each_symbol = kfunc(
  'kernel/kallsyms.c',
  function kallsyms_on_each_symbol(
    k,
    fn: (name: string, mod: module | null, address: bigint) => number,
  ): number {
    let walked = 0
    let rc = 0
    for (const [name, address] of k.symbols) {
      walked++
      rc = fn(name, null, address)
      if (rc !== 0) break
    }
    k.clock.spend(walked * EXPAND_NS)
    return rc !== 0 ? rc : module_kallsyms_on_each_symbol(k, fn)
  },
)

/** @see kernel/module/kallsyms.c:module_kallsyms_on_each_symbol */
function module_kallsyms_on_each_symbol(
  k: Kernel,
  fn: (name: string, mod: module | null, address: bigint) => number,
): number {
  for (const { mod } of loadedModules(k).values()) {
    if (mod.kallsyms === null) continue
    for (const { name, address } of each_kallsyms_symbol(k, mod.kallsyms)) {
      const rc = fn(name, mod, address)
      if (rc !== 0) return rc
    }
  }
  return 0
}

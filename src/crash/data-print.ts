/** How a session prints C values: its radix, its limits, and the symbols after pointers. */

import type { PrintOptions } from '../render/c-value.ts'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'

/**
 * The symbol an address lies in as gdb names it, offset in decimal: `init_task+168`.
 */
export function symbolizer(target: Target): (address: bigint) => string | undefined {
  return (address) => {
    const hit = target.symbols.lookup(address)
    if (hit === undefined || hit.absolute) return undefined
    // the compiler numbers static variables of the same name; the program's own name is without
    return hit.offset === 0 ? hit.name.replace(/\.\d+$/, '') : `${hit.name}+${hit.offset}`
  }
}

/** @param radix the command's own `-x` or `-d`, else the session's */
export function printOptions(target: Target, context: Context, radix?: 10 | 16): PrintOptions {
  return {
    symbolize: symbolizer(target),
    radix: radix ?? context.radix,
    printMax: context.printMax,
    printArray: context.printArray,
    nullStop: context.nullStop,
  }
}

/** The radix that `-x` and `-d` choose; undefined for neither. */
export function radixOf(flags: { readonly x?: boolean; readonly d?: boolean }): 10 | 16 | undefined {
  return flags.x === true ? 16 : flags.d === true ? 10 : undefined
}

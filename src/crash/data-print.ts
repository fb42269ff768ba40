/** How a session prints C values: its radix, its limits, and the symbols after pointers. */

import type { KernelSymbol } from '../symbols/symbol.ts'
import type { PrintOptions } from '../render/c-value.ts'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'
import { isKernelAddress } from './data-address.ts'

/**
 * The symbol an address lies in as gdb names it, offset in decimal: `init_task+168`.
 */
export function symbolizer(target: Target): (address: bigint) => string | undefined {
  return (address) => {
    const hit = target.symbols.lookup(address)
    if (hit === undefined || hit.absolute || (hit.offset === 0 && isUnnamed(target, hit))) return undefined
    // the compiler numbers static variables of the same name; the program's own name is without
    return hit.offset === 0 ? hit.name.replace(/\.\d+$/, '') : `${hit.name}+${hit.offset}`
  }
}

/** Marks that the linker script sets and objects of no size: gdb prints no name there. */
const MARKS = /^(?:_sdata|_edata|__bss_st(?:art|op)|_end|__(?:start|end|stop)_\w+|__init_(?:begin|end))$/
const LOCK_KEY = /^(?:__key|qdisc_(?:tx_busylock|xmit_lock)_key)(?:\.\d+)?$/

function isUnnamed(target: Target, symbol: KernelSymbol): boolean {
  if (LOCK_KEY.test(symbol.name)) return target.types.findStruct('lock_class_key')?.size === 0
  if (!/^[dDbB]$/.test(symbol.type)) return false
  let at: KernelSymbol | undefined = symbol
  for (let hops = 0; hops < 16 && at?.va === symbol.va; hops++) {
    if (MARKS.test(at.name)) return true
    at = target.symbols.neighbours(at).next
  }
  return false
}

/** @param radix the command's own `-x` or `-d`, else the session's */
export function printOptions(target: Target, context: Context, radix?: 10 | 16): PrintOptions {
  return {
    symbolize: symbolizer(target),
    textAt: (address) => isKernelAddress(target, address),
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

/** One symbol on one line, as `sym` prints it. */

import { hex, toVa } from '../base/addr.ts'
import type { KernelSymbol, SymbolHit } from '../symbols/symbol.ts'
import type { Target } from '../target/target.ts'

/** The name crash shows: cut before `.isra.`, else before `.part.`, which the compiler added. */
export function symbolName({ name }: KernelSymbol): string {
  const cut = name.includes('.isra.') ? name.indexOf('.isra.') : name.indexOf('.part.')
  return cut < 0 ? name : name.slice(0, cut)
}

/** Is this the symbol's name, the compiler's endings aside? */
export function isSymbolNamed(symbol: KernelSymbol, name: string): boolean {
  return symbol.name === name || symbolName(symbol) === name
}

export interface SymbolLineOptions {
  /** bytes into the symbol */
  readonly offset?: number
  /** write that in hex */
  readonly hex?: boolean
  /** without the module's name */
  readonly bare?: boolean
}

/** `ffffffff81a52dd0 (T) schedule`. */
export function symbolLine(symbol: KernelSymbol, options: SymbolLineOptions = {}): string {
  const { offset = 0, bare = false } = options
  const at = BigInt(symbol.va) + BigInt(offset)
  const plus = offset === 0 ? '' : options.hex === true ? `+0x${offset.toString(16)}` : `+${offset}`
  const module = symbol.module === undefined || bare ? '' : ` [${symbol.module}]`
  return `${hex(at)} (${letter(symbol)}) ${symbolName(symbol)}${plus}${module}`
}

/** Per-CPU symbols are data, though the kernel's table calls them absolute; modules' data has no letter. */
function letter({ type, absolute, module, global }: KernelSymbol): string {
  if (module !== undefined) return !/^[tT]$/.test(type) ? '?' : global === true ? 'T' : 't'
  if (!absolute) return type
  return type === 'A' ? 'D' : type === 'a' ? 'd' : type
}

/** A symbol by name; VMCOREINFO names a few that the kernel's own table leaves out. */
export function findSymbol(target: Target, name: string): KernelSymbol | undefined {
  const found = target.symbols.find(name)
  if (found !== undefined) return found
  const at = target.vmcoreinfo.symbol(name)
  if (at === undefined) return undefined
  return { name, type: 'D', va: toVa(at, target.wordSize), size: 0, absolute: false }
}

/**
 * The symbol crash names for an address: of several at one place the first by name, and the last for an address
 * inside.
 */
export function crashSymbolAt(target: Target, address: bigint): SymbolHit | undefined {
  const hit = target.symbols.lookup(address)
  if (hit === undefined || hit.module !== undefined) return hit
  const same: KernelSymbol[] = [hit]
  for (let at = target.symbols.neighbours(hit).next; at?.va === hit.va && same.length < 64;) {
    same.push(at)
    at = target.symbols.neighbours(at).next
  }
  same.sort((a, b) => (a.name < b.name ? -1 : 1))
  const chosen = (hit.offset === 0 ? same[0] : same[same.length - 1]) as KernelSymbol
  return { ...chosen, offset: hit.offset }
}

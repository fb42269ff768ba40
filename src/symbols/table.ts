/** Names to addresses and back, over the kernel's symbols and those of its loaded modules. */

import { toAddr, toVa, type Addr, type Va } from '../base/addr.ts'
import { LookupError } from '../base/errors.ts'
import type { LoadedModule } from './modules.ts'
import { globPattern, type KernelSymbol, type SymbolHit, type SymbolSource } from './symbol.ts'

/** The kernel's symbols come first: a module's symbol of the same name is found after it. */
export class SymbolTable {
  readonly wordSize: 4 | 8
  readonly #source: SymbolSource
  readonly #loadModules: () => readonly LoadedModule[]
  readonly #found = new Map<string, KernelSymbol | undefined>()
  #modules: readonly LoadedModule[] | undefined

  /** @param modules called once, when a module's symbol is first needed */
  constructor(source: SymbolSource, wordSize: 4 | 8, modules: () => readonly LoadedModule[] = () => []) {
    this.#source = source
    this.wordSize = wordSize
    this.#loadModules = modules
  }

  /** Number of the kernel's own symbols. */
  get count(): number {
    return this.#source.count
  }

  /** Loaded modules, in the order of the kernel's list: the youngest first. */
  get modules(): readonly LoadedModule[] {
    return (this.#modules ??= this.#loadModules())
  }

  /** @throws LookupError NO_SYMBOL with the nearest names */
  address(name: string): Addr {
    return toAddr(this.va(name))
  }

  /** @throws LookupError NO_SYMBOL with the nearest names */
  va(name: string): Va {
    const symbol = this.find(name)
    if (symbol === undefined) throw new LookupError('symbol', name, this.nearest(name))
    return symbol.va
  }

  has(name: string): boolean {
    return this.find(name) !== undefined
  }

  /** The symbol of that name: the kernel's, else the first module's. */
  find(name: string): KernelSymbol | undefined {
    return this.findKernel(name) ?? this.#findModule(name)
  }

  /** The kernel's own symbol of that name; never looks at modules. */
  findKernel(name: string): KernelSymbol | undefined {
    if (!this.#found.has(name)) {
      const index = this.#source.find(name)[0]
      this.#found.set(name, index === undefined ? undefined : this.#symbol(index))
    }
    return this.#found.get(name)
  }

  /** All symbols of that name (local symbols may share one). */
  findAll(name: string): KernelSymbol[] {
    return [...this.#source.find(name).map((i) => this.#symbol(i)), ...this.#inModules(name)]
  }

  /** The symbol that holds an address. Several at one address: the first in the table, as the kernel has it. */
  lookup(at: Va | bigint): SymbolHit | undefined {
    const va = typeof at === 'bigint' ? toVa(at, this.wordSize) : at
    if (!Number.isFinite(va)) return undefined
    const index = this.#source.below(va)
    if (index >= 0) {
      const symbol = this.#symbol(this.#firstAt(index))
      const offset = va - symbol.va
      // on 32 bits an absolute symbol is a number below the kernel: nothing lies behind it
      const reach = this.wordSize === 4 && symbol.type === 'A' ? 0 : symbol.size
      if (offset === 0 || (offset > 0 && offset < reach)) return { ...symbol, offset }
    }
    return this.#lookupInModules(va)
  }

  /** The kernel's symbols at exactly this address, in the table's order. */
  sameAddress(va: Va): KernelSymbol[] {
    const found: KernelSymbol[] = []
    for (let index = this.#source.below(va); index >= 0 && this.#source.va(index) === va; index--) {
      found.unshift(this.#symbol(index))
    }
    return found
  }

  /** `name+offset` in hex, or undefined. */
  symbolize(at: Va | bigint): string | undefined {
    const hit = this.lookup(at)
    return hit && (hit.offset === 0 ? hit.name : `${hit.name}+0x${hit.offset.toString(16)}`)
  }

  /** The kernel's symbols in order of addresses. */
  *kernel(): Generator<KernelSymbol> {
    let waiting: { name: string; type: string; va: Va; index: number }[] = []
    for (const entry of this.#source.entries()) {
      if (waiting.length > 0 && (waiting[0] as { va: Va }).va !== entry.va) {
        yield* this.#sized(waiting, entry.va)
        waiting = []
      }
      waiting.push(entry)
    }
    yield* this.#sized(waiting, undefined)
  }

  /** The kernel's symbols, then each module's. */
  *all(): Generator<KernelSymbol> {
    yield* this.kernel()
    for (const module of this.modules) yield* module.symbols
  }

  /** All symbols whose name matches a pattern with `*` and `?`, or a regular expression. */
  *search(pattern: string | RegExp): Generator<KernelSymbol> {
    const wanted = typeof pattern === 'string' ? globPattern(pattern) : pattern
    for (const symbol of this.all()) if (wanted.test(symbol.name)) yield symbol
  }

  /** The symbols before and after one, by address (`sym -p`, `sym -n`). */
  neighbours(symbol: KernelSymbol): { previous: KernelSymbol | undefined; next: KernelSymbol | undefined } {
    if (symbol.module !== undefined) {
      const all = this.modules.find((m) => m.name === symbol.module)?.symbols ?? []
      const at = all.findIndex((s) => s.va === symbol.va && s.name === symbol.name)
      return { previous: all[at - 1], next: at < 0 ? undefined : all[at + 1] }
    }
    const at = this.#source.find(symbol.name).find((i) => this.#source.va(i) === symbol.va)
    if (at === undefined) return { previous: undefined, next: undefined }
    return {
      previous: at > 0 ? this.#symbol(at - 1) : undefined,
      next: at + 1 < this.count ? this.#symbol(at + 1) : undefined,
    }
  }

  /** Names that differ from this one in one or two characters. */
  nearest(name: string, limit = 3): string[] {
    const found: { name: string; distance: number }[] = []
    for (const entry of this.#source.entries()) {
      if (Math.abs(entry.name.length - name.length) > 2 || entry.name.slice(0, 2) !== name.slice(0, 2))
        continue
      const distance = editDistance(name, entry.name)
      if (distance <= 2) found.push({ name: entry.name, distance })
    }
    found.sort((a, b) => a.distance - b.distance)
    return [...new Set(found.map((f) => f.name))].slice(0, limit)
  }

  #findModule(name: string): KernelSymbol | undefined {
    for (const symbol of this.#inModules(name)) return symbol
    return undefined
  }

  *#inModules(name: string): Generator<KernelSymbol> {
    for (const module of this.modules)
      for (const symbol of module.symbols) if (symbol.name === name) yield symbol
  }

  #lookupInModules(va: Va): SymbolHit | undefined {
    const module = this.modules.find((m) => m.contains(va))
    if (module === undefined) return undefined
    let best: KernelSymbol | undefined
    for (const symbol of module.symbols) {
      if (symbol.va > va) break
      if (symbol.va !== best?.va && !symbol.absolute) best = symbol
    }
    return best && va - best.va < best.size ? { ...best, offset: va - best.va } : undefined
  }

  /** The first of the symbols at the same address. */
  #firstAt(index: number): number {
    const va = this.#source.va(index)
    let first = index
    while (first > 0 && this.#source.va(first - 1) === va) first--
    return first
  }

  #symbol(index: number): KernelSymbol {
    const source = this.#source
    const va = source.va(index)
    let next = index + 1
    while (next < source.count && source.va(next) === va) next++
    const absolute = source.absolute(index)
    const end = next < source.count && source.absolute(next) === absolute ? source.va(next) : va
    return { name: source.name(index), type: source.type(index), va, size: end - va, absolute }
  }

  *#sized(
    symbols: readonly { name: string; type: string; va: Va; index: number }[],
    end: Va | undefined,
  ): Generator<KernelSymbol> {
    for (const { name, type, va, index } of symbols) {
      const absolute = this.#source.absolute(index)
      const size = end === undefined || (absolute && end < 0) ? 0 : end - va
      yield { name, type, va, size, absolute }
    }
  }
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

/** `sym`: names to addresses and back, by module, by text, and their neighbours. */

import { hex, toVa } from '../base/addr.ts'
import { whatWasAt } from '../explain/oops.ts'
import type { LoadedModule } from '../symbols/modules.ts'
import type { KernelSymbol } from '../symbols/symbol.ts'
import type { Target } from '../target/target.ts'
import { hexNumber, matching, NoSymbol } from './data-address.ts'
import { crashSymbolAt, findSymbol, isSymbolNamed, symbolLine, symbolName } from './data-symbol.ts'
import { DumpCommand, type Invocation, type Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'

/** One row of `--json`. */
export interface SymbolRow {
  readonly name: string
  readonly address: bigint
  /** nm's letter, a capital for a global symbol; crash shows `?` for data of modules */
  readonly type: string
  readonly module?: string
  /** bytes into the symbol, when an address was asked for */
  readonly offset?: number
}

export const symFlags = {
  l: { name: 'list', summary: 'all symbols' },
  M: { name: 'modules', summary: "all modules' symbols" },
  m: { kind: 'values', name: 'module', summary: "one module's symbols" },
  p: { name: 'previous', summary: 'and the symbol before' },
  n: { name: 'next', summary: 'and the symbol after' },
  q: { kind: 'values', name: 'query', summary: 'symbols with this text in their names' },
} as const

type SymInvocation = Invocation<{ crashFlags: typeof symFlags }>

export abstract class SymCommand extends DumpCommand {
  static override crashFlags = symFlags

  override show(given: Invocation): Report {
    const { target, flags, words } = given as SymInvocation
    const listing = flags.l === true || flags.M === true || flags.m !== undefined || flags.q !== undefined
    if (!listing && words.length === 0) throw new Misuse()
    return new Symbols(given, target).report()
  }
}

class Symbols {
  readonly #invocation: SymInvocation
  readonly #target: Target
  readonly #rows: SymbolRow[] = []
  #failed = false

  constructor(invocation: SymInvocation, target: Target) {
    this.#invocation = invocation
    this.#target = target
  }

  report(): Report {
    const failed = (): boolean => this.#failed
    return {
      rows: this.#rows,
      text: this.#text(),
      get failed() {
        return failed()
      },
    }
  }

  *#text(): Generator<string> {
    const { flags, words } = this.#invocation
    if (flags.l === true) yield* this.#all()
    else if (flags.M === true) yield* this.#ofModules(this.#byAddress())
    for (const name of flags.m ?? []) yield* this.#ofModule(name)
    for (const text of flags.q ?? []) yield* this.#query(text)
    for (const word of words) yield* this.#one(word)
  }

  *#all(): Generator<string> {
    // several at one address: by name
    let group: KernelSymbol[] = []
    for (const symbol of this.#target.symbols.kernel()) {
      if (group[0]?.va !== symbol.va) {
        yield this.#lines(group)
        group = []
      }
      group.push(symbol)
    }
    yield this.#lines(group)
    yield* this.#ofModules(this.#byAddress())
  }

  #lines(group: KernelSymbol[]): string {
    group.sort((a, b) => (a.name < b.name ? -1 : 1))
    return group.map((symbol) => this.#line(symbol)).join('')
  }

  #byAddress(): LoadedModule[] {
    return [...this.#target.symbols.modules].sort((a, b) => start(a) - start(b))
  }

  *#ofModules(modules: readonly LoadedModule[]): Generator<string> {
    for (const module of modules) {
      const [first] = module.areas
      if (first === undefined) continue
      yield `${hex(first.start)} MODULE START: ${module.name}\n`
      for (const symbol of module.symbols) {
        if (symbol.absolute) continue
        yield this.#line(symbol, { bare: true })
      }
      yield `${hex(first.end)} MODULE END: ${module.name}\n`
    }
  }

  *#ofModule(name: string): Generator<string> {
    const module = this.#target.symbols.modules.find((its) => its.name === name)
    if (module !== undefined) yield* this.#ofModules([module])
    else this.#complain(`not found: ${name}`)
  }

  *#query(text: string): Generator<string> {
    let found = false
    for (const symbol of matching(this.#target, text)) {
      found = true
      yield this.#line(symbol)
    }
    if (found) return
    this.#failed = true
    yield '(none found)\n'
  }

  *#one(word: string): Generator<string> {
    const number = hexNumber(word)
    const named = [...this.#named(word)]
    if (named.length > 0) for (const symbol of named) yield* this.#around(symbol, 0)
    else if (number !== undefined) yield* this.#address(number)
    else {
      this.#failed = true
      yield new NoSymbol(this.#target, word).lines
    }
  }

  /** Crash's names are without the compiler's `.isra.0` and `.part.0`. */
  *#named(name: string): Generator<KernelSymbol> {
    const exact = this.#target.symbols.findAll(name)
    const own = exact.length > 0 ? undefined : findSymbol(this.#target, name)
    if (exact.length > 0) yield* exact
    else if (own !== undefined) yield own
    else if (/^[A-Za-z_.][\w.]*$/.test(name) && hexNumber(name) === undefined) {
      for (const symbol of matching(this.#target, name)) if (isSymbolNamed(symbol, name)) yield symbol
    }
  }

  *#address(address: bigint): Generator<string> {
    const va = toVa(address, this.#target.wordSize)
    const hit = Number.isNaN(va) ? undefined : crashSymbolAt(this.#target, address)
    if (hit === undefined || (hit.absolute && hit.offset > 0)) {
      this.#complain(`invalid address: ${hex(address)}${this.#gone(va)}`)
      return
    }
    yield* this.#around(hit, hit.offset)
  }

  /** A module that was there once; crash says nothing of it. */
  #gone(va: number): string {
    if (Number.isNaN(va)) return ''
    const { module, text } = whatWasAt(this.#target, BigInt.asUintN(this.#target.wordSize * 8, BigInt(va)))
    return module === undefined ? '' : `  [${text} lay there]`
  }

  *#around(symbol: KernelSymbol, offset: number): Generator<string> {
    const { flags } = this.#invocation
    const neighbours =
      flags.p === true || flags.n === true ? this.#target.symbols.neighbours(symbol) : undefined
    const { previous, next } = neighbours ?? {}
    if (flags.p === true && previous !== undefined) yield this.#line(previous, { single: true })
    yield this.#line(symbol, { single: true, offset })
    if (flags.n === true && next !== undefined) yield this.#line(next, { single: true })
  }

  /** @param how `single`: text has a blank where crash's line numbers would follow */
  #line(symbol: KernelSymbol, how: { bare?: boolean; single?: boolean; offset?: number } = {}): string {
    const { bare = false, single = false, offset = 0 } = how
    this.#rows.push({
      name: symbolName(symbol),
      address: BigInt.asUintN(64, BigInt(symbol.va) + BigInt(offset)),
      type: symbol.type,
      ...(symbol.module !== undefined && { module: symbol.module }),
      ...(offset > 0 && { offset }),
    })
    const text = symbolLine(symbol, { offset, hex: this.#invocation.context.radix === 16, bare })
    return `${text}${single && /^[tT]$/.test(symbol.type) ? ' ' : ''}\n`
  }

  #complain(line: string): void {
    this.#failed = true
    this.#invocation.note(line)
  }
}

const start = (module: LoadedModule): number => module.areas[0]?.start ?? 0

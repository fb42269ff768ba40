/** What all checks share: whose an address is, and the words for it. */

import { hex, toAddr, type Va } from '../../base/addr.ts'
import { CoredrillError, FaultError } from '../../base/errors.ts'
import { readString } from '../../helpers/kernel.ts'
import { KernelText } from '../../helpers/text.ts'
import type { Target } from '../../target/target.ts'
import type { Seen } from './entry.ts'
import { inModule, knownModules, pointerVa, type KnownModule, type KnownModules } from './modules-known.ts'

/** Whose an address of code is. */
export interface Owner {
  readonly kind: 'kernel' | 'init' | 'data' | 'module' | 'hidden' | 'nobody'
  /** `kernel`, a module's name, `nobody` */
  readonly name: string
  readonly symbol: string | null
  /** into the symbol */
  readonly offset: number
  readonly module?: KnownModule
}

/** What belongs at a place. */
export interface Expected {
  readonly symbol: string
  readonly at: bigint | null
}

/** How strict to be with modules: may one of the kernel's own be there without more ado? */
export type ModuleRule = 'any module' | 'tainted modules'

/** One run of the checks over one memory. */
export class CheckContext {
  readonly target: Target
  readonly text: KernelText
  readonly known: KnownModules
  /** what could not be read, a line each */
  readonly problems: string[]
  #lastUnloaded: string | undefined

  constructor(target: Target) {
    this.target = target
    this.text = new KernelText(target)
    this.known = knownModules(target)
    this.problems = [...this.known.problems]
  }

  /** Whose is the code at an address? */
  ownerOf(value: bigint): Owner {
    const va = pointerVa(this.target, value)
    const module = this.known.modules.find((each) => inModule(each, va))
    const hit = Number.isNaN(va) ? undefined : this.text.lookup(va)
    const symbol = hit === undefined ? null : `${hit.name}${hit.offset === 0 ? '' : `+0x${hex(hit.offset)}`}`
    const offset = hit?.offset ?? 0
    if (module !== undefined) {
      const kind = module.lists.has('modules') ? 'module' : 'hidden'
      return { kind, name: module.name, symbol, offset, module }
    }
    if (hit === undefined || hit.module !== undefined)
      return { kind: 'nobody', name: 'nobody', symbol, offset }
    const kind = !this.text.contains(va) ? 'data' : this.text.isInit(va) ? 'init' : 'kernel'
    return { kind, name: 'kernel', symbol, offset }
  }

  /** The kernel's function of a name, with its address. */
  expected(symbol: string): Expected {
    const found = this.target.symbols.findKernel(symbol)
    return { symbol, at: found === undefined ? null : toAddr(found.va) }
  }

  /** The pointer to a function that lies at `at`. */
  pointer(place: string, at: Va, rule: ModuleRule = 'any module', expected?: Expected): Seen {
    return this.judge(place, toAddr(at), this.target.mem.word(at), rule, expected)
  }

  /** A pointer to a function, judged by whose function it is. */
  judge(
    place: string,
    at: bigint,
    value: bigint,
    rule: ModuleRule = 'any module',
    expected?: Expected,
  ): Seen {
    const owner = this.ownerOf(value)
    const verdict = this.#verdict(owner, value, rule)
    return {
      place,
      at,
      value,
      symbol: owner.symbol,
      owner: owner.name,
      expected: expected?.symbol ?? null,
      expectedAt: expected?.at ?? null,
      found: verdict !== undefined,
      verdict: verdict ?? (owner.kind === 'module' ? `module ${owner.name}` : 'ok'),
    }
  }

  #verdict(
    { kind, name, symbol, offset, module }: Owner,
    value: bigint,
    rule: ModuleRule,
  ): string | undefined {
    switch (kind) {
      case 'kernel':
        return offset === 0 ? undefined : `inside of a function, not at its beginning: ${symbol}`
      case 'init':
        return `text that is freed after boot: ${symbol}`
      case 'data':
        return `no text: ${symbol ?? hex(value)}`
      case 'hidden':
        return `hooked by module ${name}, which is not in the list of modules`
      case 'module':
        if (rule === 'any module') return `hooked by module ${name}`
        return module?.taints === ''
          ? undefined
          : `hooked by module ${name} (taints ${module?.taints ?? '?'})`
      case 'nobody':
        return this.nobody(value)
    }
  }

  /** Words for an address in no text of the kernel and of no module. */
  nobody(value: bigint): string {
    const va = pointerVa(this.target, value)
    if (Number.isNaN(va)) return 'not an address'
    const mapped = this.isUnmapped(va) ? 'not mapped' : 'mapped'
    return `belongs to nobody: in no text of the kernel or a module, ${mapped}${this.lastUnloaded()}`
  }

  /** Do the page tables say that nothing is there? False where they are not in the dump. */
  isUnmapped(va: Va): boolean {
    try {
      this.target.mem.u8(va)
      return false
    } catch (error) {
      if (error instanceof FaultError) return error.reason === 'unmapped' || error.reason === 'non-canonical'
      throw error
    }
  }

  /** The module that went last, if the kernel remembers. @see kernel/module/main.c:last_unloaded_module */
  lastUnloaded(): string {
    this.#lastUnloaded ??= this.#readLastUnloaded()
    return this.#lastUnloaded === '' ? '' : `; module unloaded last: ${this.#lastUnloaded}`
  }

  #readLastUnloaded(): string {
    const at = this.target.symbols.findKernel('last_unloaded_module')
    if (at === undefined) return ''
    try {
      return readString(this.target.mem, at.va, 64).replace(/[^\w-].*$/s, '')
    } catch (error) {
      if (error instanceof CoredrillError) return ''
      throw error
    }
  }

  /** Go on after damage: what follows within `read` is lost and named. */
  *guard(place: string, read: () => Iterable<Seen>): Generator<Seen> {
    try {
      yield* read()
    } catch (error) {
      if (!(error instanceof CoredrillError)) throw error
      this.problems.push(`${place}: ${error.message}`)
    }
  }
}

/** `p`: an expression's value as gdb prints it, numbered; per-CPU variables by CPU. */

import { hex } from '../base/addr.ts'
import { CoredrillError, LookupError } from '../base/errors.ts'
import { declare } from '../btf/declare.ts'
import { CValue } from '../btf/value.ts'
import { evaluate, type Scope } from '../helpers/expression.ts'
import { cpu_count } from '../helpers/percpu.ts'
import { plainValue, type PlainValue } from '../render/c-plain.ts'
import { resultText } from '../render/c-value.ts'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'
import { parseCpus, perCpuPlaces } from './data-address.ts'
import { printOptions, radixOf } from './data-print.ts'
import { currentUserMemory } from './data-user.ts'
import { DumpCommand, type Invocation, type Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'

/** One value of `--json`. */
export interface ValueRow {
  readonly expression: string
  readonly type: string
  readonly cpu?: number
  readonly address?: bigint
  /** absent where a per-CPU variable was named without CPUs: only the places of its copies are told */
  readonly value?: PlainValue
}

export const printFlags = {
  x: { summary: 'numbers in hex' },
  d: { summary: 'numbers in decimal' },
  u: { summary: 'addresses are of the current task' },
} as const

type PrintInvocation = Invocation<{ crashFlags: typeof printFlags }>

export abstract class PrintCommand extends DumpCommand {
  static override crashFlags = printFlags
  static override optionStyle = 'first' as const
  /** What `px` and `pd` are for. */
  protected readonly radix: 10 | 16 | undefined = undefined

  override show(given: Invocation): Report {
    const invocation = given as PrintInvocation
    const expression = invocation.words.join(' ')
    if (expression === '') throw new Misuse()
    return new Printing(invocation, expression, this.radix).report()
  }
}

/** gdb's value history of a session: `$`, `$$`, `$7`. */
class History {
  readonly #values = new Map<number, CValue>()
  readonly #context: Context

  constructor(context: Context) {
    this.#context = context
  }

  static of(context: Context): History {
    const kept = context.kept.get('p')
    if (kept instanceof History) return kept
    const made = new History(context)
    context.kept.set('p', made)
    return made
  }

  add(value: CValue): number {
    const number = ++this.#context.lastValueNumber
    this.#values.set(number, value)
    return number
  }

  find(name: string): CValue | undefined {
    const last = this.#context.lastValueNumber
    if (name === '$') return this.#values.get(last)
    if (name === '$$') return this.#values.get(last - 1)
    const [, back, number] = /^\$(?:\$(\d+)|(\d+))$/.exec(name) ?? []
    if (back !== undefined) return this.#values.get(last - Number(back))
    return number === undefined ? undefined : this.#values.get(Number(number))
  }
}

class Printing {
  readonly #invocation: PrintInvocation
  readonly #expression: string
  readonly #radix: 10 | 16 | undefined
  readonly #scope: Scope
  readonly #history: History

  constructor(invocation: PrintInvocation, expression: string, radix: 10 | 16 | undefined) {
    const { target, context, flags } = invocation
    this.#invocation = invocation
    this.#expression = expression
    this.#radix = radixOf(flags) ?? radix
    this.#scope = flags.u === true ? userScope(target, context) : target
    this.#history = History.of(context)
  }

  report(): Report {
    const { target } = this.#invocation
    const [, name = '', spec] = /^([A-Za-z_]\w*)(?::([\w,-]*))?$/.exec(this.#expression) ?? []
    const perCpu = name !== '' && isPerCpu(target, name)
    if (spec !== undefined && !perCpu)
      throw new Misuse(`invalid expression: ${this.#expression}`, this.#expression)
    if (perCpu) return spec === undefined ? perCpuReport(target, name) : this.#perCpuValues(name, spec)
    const value = this.#evaluate()
    const leader = name !== '' && target.symbols.find(name) !== undefined ? `${name} = ` : ''
    return { rows: [this.#row(value)], text: this.#text(value, leader) }
  }

  #evaluate(): CValue {
    try {
      return evaluate(this.#scope, this.#expression, { names: (name) => this.#history.find(name) })
    } catch (error) {
      if (!(error instanceof CoredrillError)) throw error
      const reason = error instanceof LookupError ? '' : ` (${error.message})`
      throw new CoredrillError(error.code, `gdb request failed: p ${this.#expression}${reason}`)
    }
  }

  #perCpuValues(name: string, spec: string): Report {
    const { target } = this.#invocation
    const symbol = target.symbols.find(name)
    const type = target.typeOf(name)
    if (symbol === undefined || type === undefined)
      throw new CoredrillError('NO_TYPE', `gdb request failed: p ${this.#expression}`)
    const values = perCpuPlaces(target, BigInt(symbol.va), spec).map(({ cpu, addr: at }) => ({
      cpu: cpu ?? 0,
      value: CValue.at(target.types, target.mem, type, at),
    }))
    const texts = values.map(({ cpu, value }) => this.#text(value, `per_cpu(${name}, ${cpu}) = `))
    return { rows: values.map(({ cpu, value }) => ({ ...this.#row(value), cpu })), text: texts }
  }

  #text(value: CValue, leader: string): string {
    const { target, context } = this.#invocation
    const text = resultText(value, printOptions(target, context, this.#radix))
    const number = this.#history.add(value)
    // an array behind a name begins on a line of its own
    const apart = leader !== '' && text.startsWith('{') && !text.startsWith('{\n') ? '\n ' : ''
    return `${leader}$${number} = ${apart}${text}\n`
  }

  #row(value: CValue): ValueRow {
    const { target, context } = this.#invocation
    return {
      expression: this.#expression,
      type: declare(value.type, ''),
      ...(value.addr !== undefined && { address: value.addr }),
      value: plainValue(value, printOptions(target, context, this.#radix)),
    }
  }
}

function userScope(target: Target, context: Context): Scope {
  const mem = currentUserMemory(target, context)
  return { mem, types: target.types, symbols: target.symbols, typeOf: (name) => target.typeOf(name) }
}

/** A variable of which each CPU has its own. */
export function isPerCpu(target: Target, name: string): boolean {
  return target.symbols.find(name)?.absolute === true && target.types.btf.find(name, 'var') !== undefined
}

/** Without CPUs: the type and where the copies are. */
function perCpuReport(target: Target, name: string): Report {
  const type = target.typeOf(name)
  const symbol = target.symbols.find(name)
  if (type === undefined || symbol === undefined) throw new LookupError('symbol', name)
  const all = cpu_count(target) === 1 ? parseCpus(target, '0') : parseCpus(target, 'a')
  const places = perCpuPlaces(target, BigInt(symbol.va), all.join(','))
  const lines = places.map(({ cpu, addr: at }) => `  [${cpu ?? 0}]: ${hex(at)}\n`).join('')
  return {
    rows: places.map((place) => ({ expression: name, type: declare(type, ''), cpu: place.cpu, address: place.addr })), // prettier-ignore
    text: `PER-CPU DATA TYPE:\n  ${declare(type, name)};\nPER-CPU ADDRESSES:\n${lines}`,
  }
}

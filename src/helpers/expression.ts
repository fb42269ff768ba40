/**
 * C expressions over a kernel's memory: `((struct task_struct *)init_task.tasks.next)->pid`, evaluated with BTF's
 * types and the kernel's symbols, as gdb's `print` takes them.
 */

import { LookupError, UsageError } from '../base/errors.ts'
import { isStruct, strip, type Type } from '../btf/type.ts'
import type { Types } from '../btf/types.ts'
import { CValue } from '../btf/value.ts'
import type { Memory } from '../memory/memory.ts'
import { tokens, type Token } from './expression-lexer.ts'
import { binary, cast, dereference, isUntyped, logical, negate, truth, untyped } from './expression-values.ts'
import { arrayOf, enumerator, INT, literalType, pointerTo, promoted, TypeReader, ulong } from './expression-types.ts' // prettier-ignore

/** Where names are looked up. A target is one. */
export interface Scope {
  readonly mem: Memory
  readonly types: Types
  readonly symbols: {
    find(name: string): { readonly va: number; readonly type: string } | undefined
  }
  /** The C type of a global variable, where it is known. */
  typeOf(name: string): Type | undefined
}

export interface EvaluateOptions {
  /** Names that stand before the kernel's own: earlier results such as `$1`, or bindings of a caller. */
  readonly names?: (name: string) => CValue | undefined
}

/** Parentheses, stars and the like within each other: more is no expression. */
const MAX_DEPTH = 200

/**
 * Evaluate a C expression: names, numbers, members, casts, `*`, `&`, `[]`, `@`, `sizeof`, arithmetic, comparisons.
 *
 * @throws UsageError for what is no expression or has no meaning; LookupError for unknown names; FaultError when
 * a pointer leads nowhere
 * @remarks `.` follows a pointer to a struct as gdb's does. Nothing can be assigned or called.
 */
export function evaluate(scope: Scope, text: string, options: EvaluateOptions = {}): CValue {
  const parser = new Parser(scope, text, options)
  const value = parser.expression(0)
  parser.end()
  if (isUntyped(value)) {
    const name = text.trim()
    throw new UsageError(name, `'${name}' has unknown data type; cast it to its declared type`)
  }
  return value
}

/** A type's name as C has it: `struct list_head *`. Undefined when the text is none. */
export function parseTypeName(scope: Pick<Scope, 'types'>, text: string): Type | undefined {
  try {
    const list = tokens(text)
    const reader = new TypeReader(scope.types, list, 0, () => false)
    const type = reader.read()
    return list[reader.at]?.kind === 'end' ? type : undefined
  } catch (error) {
    if (error instanceof UsageError) return undefined
    throw error
  }
}

/** Binary operators by how tightly they bind; `?:` is below them all. */
const BINDING: Readonly<Record<string, number>> = {
  '||': 2, '&&': 3, '|': 4, '^': 5, '&': 6, '==': 7, '!=': 7, '<': 8, '>': 8, '<=': 8, '>=': 8,
  '<<': 9, '>>': 9, '@': 10, '+': 11, '-': 11, '*': 12, '/': 12, '%': 12 } // prettier-ignore

class Parser {
  readonly #scope: Scope
  readonly #text: string
  readonly #tokens: Token[]
  readonly #options: EvaluateOptions
  #at = 0
  #depth = 0

  constructor(scope: Scope, text: string, options: EvaluateOptions) {
    this.#scope = scope
    this.#text = text
    this.#tokens = tokens(text)
    this.#options = options
  }

  end(): void {
    if (this.#token.kind !== 'end') throw this.#syntax()
  }

  /** An expression whose operators bind at least as tightly as `binding`. */
  expression(binding: number): CValue {
    if (++this.#depth > MAX_DEPTH) throw new UsageError(this.#text, 'the expression is nested too deeply')
    let left = this.#unary()
    for (;;) {
      const operator = this.#token.kind === 'operator' ? this.#token.text : ''
      if (operator === '?' && binding <= 1) {
        left = this.#conditional(left)
        continue
      }
      const tightness = BINDING[operator]
      if (tightness === undefined || tightness < binding) break
      this.#at++
      left = this.#binary(operator, left, this.expression(tightness + 1))
    }
    this.#depth--
    return left
  }

  #conditional(condition: CValue): CValue {
    this.#expect('?')
    const yes = this.expression(0)
    this.#expect(':')
    const no = this.expression(1)
    return truth(condition) ? yes : no
  }

  #binary(operator: string, left: CValue, right: CValue): CValue {
    if (operator === '@') {
      const length = Number(right.integer())
      if (left.addr === undefined || length < 1 || length > 1 << 20)
        throw new UsageError(this.#text, `Invalid number ${length} of repetitions.`)
      return left.as(arrayOf(left.type, length))
    }
    if (operator === '||' || operator === '&&') return logical(operator, left, right)
    return binary(operator, left, right)
  }

  #unary(): CValue {
    const token = this.#token
    if (token.kind === 'operator') {
      switch (token.text) {
        case '&':
          this.#at++
          return this.#addressOf(this.#unaryNested())
        case '*':
          this.#at++
          return dereference(this.#unaryNested())
        case '-':
        case '~':
        case '!':
        case '+':
          this.#at++
          return negate(token.text, this.#unaryNested())
        case '(': {
          const type = this.#castType()
          if (type !== undefined) return cast(this.#unaryNested(), type)
        }
      }
    }
    if (token.kind === 'name' && token.text === 'sizeof') return this.#sizeof()
    return this.#postfix(this.#primary())
  }

  #unaryNested(): CValue {
    if (++this.#depth > MAX_DEPTH) throw new UsageError(this.#text, 'the expression is nested too deeply')
    const value = this.#unary()
    this.#depth--
    return value
  }

  /** `(type)` taken; or undefined, and nothing taken. */
  #castType(): Type | undefined {
    const reader = new TypeReader(this.#scope.types, this.#tokens, this.#at + 1, (name) =>
      this.#isVariable(name),
    )
    const type = reader.read()
    const close = this.#tokens[reader.at]
    if (type === undefined || close?.text !== ')') return undefined
    this.#at = reader.at + 1
    return type
  }

  #sizeof(): CValue {
    this.#at++
    const { types, mem } = this.#scope
    const type = this.#is('(') ? this.#castType() : undefined
    const size = types.sizeof(type ?? this.#unary().type)
    return CValue.ofInteger(types, mem, ulong(types), BigInt(size))
  }

  #addressOf(value: CValue): CValue {
    const { types, mem } = this.#scope
    if (value.addr === undefined || value.bitSize > 0)
      throw new UsageError(this.#text, 'Attempt to take address of value not located in memory.')
    return CValue.ofInteger(types, mem, pointerTo(value.type), value.addr)
  }

  #postfix(first: CValue): CValue {
    let value = first
    for (;;) {
      if (this.#take('[')) {
        const index = this.expression(0)
        this.#expect(']')
        const array = strip(value.type)
        value =
          array.kind === 'array'
            ? value.element(Number(index.integer()))
            : dereference(binary('+', value, index))
      } else if (this.#is('.') || this.#is('->')) {
        this.#at++
        value = this.#member(value)
      } else return value
    }
  }

  #member(of: CValue): CValue {
    const name = this.#name()
    const type = strip(of.type)
    const struct = type.kind === 'ptr' ? dereference(of) : of
    const inside = strip(struct.type)
    if (!isStruct(inside))
      throw new UsageError(name, `Attempt to extract a component of a value that is not a structure.`)
    if (!this.#scope.types.members(inside).has(name))
      throw new LookupError('member', `${inside.name === '' ? '' : `${inside.name}.`}${name}`)
    return struct.field(name)
  }

  #primary(): CValue {
    const { types, mem } = this.#scope
    const token = this.#token
    if (token.kind === 'number') {
      this.#at++
      return CValue.ofInteger(types, mem, literalType(types, token), token.value ?? 0n)
    }
    if (this.#take('(')) {
      const value = this.expression(0)
      this.#expect(')')
      return value
    }
    if (this.#take('{')) return this.#typedMemory()
    return this.#named(this.#name())
  }

  /** gdb's `{type} address`. */
  #typedMemory(): CValue {
    const reader = new TypeReader(this.#scope.types, this.#tokens, this.#at, () => false)
    const type = reader.read()
    if (type === undefined) throw this.#syntax()
    this.#at = reader.at
    this.#expect('}')
    return CValue.at(this.#scope.types, this.#scope.mem, type, this.#unary().integer())
  }

  #named(name: string): CValue {
    const own = this.#options.names?.(name)
    if (own !== undefined) return own
    const { types, mem, symbols } = this.#scope
    const symbol = symbols.find(name)
    if (symbol !== undefined) {
      const at = BigInt.asUintN(64, BigInt(symbol.va))
      const type = this.#scope.typeOf(name) ?? functionType(types, name, symbol.type)
      return type === undefined ? untyped(types, mem, at) : CValue.at(types, mem, type, at)
    }
    const found = enumerator(types, name)
    if (found === undefined) throw new LookupError('symbol', name)
    return CValue.ofInteger(types, mem, found.type, found.value)
  }

  #isVariable(name: string): boolean {
    return this.#options.names?.(name) !== undefined || this.#scope.symbols.find(name) !== undefined
  }

  #name(): string {
    const token = this.#token
    if (token.kind !== 'name') throw this.#syntax()
    this.#at++
    return token.text
  }

  get #token(): Token {
    return this.#tokens[this.#at] as Token
  }

  #is(text: string): boolean {
    return this.#token.kind === 'operator' && this.#token.text === text
  }

  #take(text: string): boolean {
    const is = this.#is(text)
    if (is) this.#at++
    return is
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#syntax()
  }

  #syntax(): UsageError {
    const rest = this.#text.slice(this.#token.at)
    return new UsageError(this.#text, `A syntax error in expression, near \`${rest}'.`)
  }
}

/** What a symbol of the text section is: BTF's prototype, or a function of which nothing is known. */
function functionType(types: Types, name: string, letter: string): Type | undefined {
  const func = types.btf.find(name, 'func')
  if (func?.kind === 'func') return func.proto
  if (letter !== 'T' && letter !== 't') return undefined
  return { kind: 'func_proto', id: 0, returns: promoted(types, INT), params: [], variadic: false }
}

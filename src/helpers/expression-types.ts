/** C type names in expressions, and the types that arithmetic gives. */

import { strip, type EnumType, type IntType, type Type } from '../btf/type.ts'
import type { Types } from '../btf/types.ts'
import { isSigned } from '../btf/value.ts'
import { UsageError } from '../base/errors.ts'
import type { Token } from './expression-lexer.ts'

export const VOID: Type = { kind: 'void', id: 0 }

const integer = (name: string, size: number, signed: boolean): IntType => ({
  kind: 'int', id: 0, name, size, signed, char: size === 1, bool: false }) // prettier-ignore

export const INT = integer('int', 4, true)
export const CHAR = integer('char', 1, true)
const UINT = integer('unsigned int', 4, false)
export const long = (types: Types): IntType => integer('long', types.pointerSize, true)
export const ulong = (types: Types): IntType => integer('unsigned long', types.pointerSize, false)

export const pointerTo = (target: Type): Type => ({ kind: 'ptr', id: 0, target })
export const arrayOf = (element: Type, length: number): Type => ({ kind: 'array', id: 0, element, length })

/** The type of a number as written. */
export function literalType(types: Types, token: Token): IntType {
  const value = token.value ?? 0n
  const suffix = token.suffix ?? ''
  if (suffix === 'c') return CHAR
  const unsigned = suffix.includes('u')
  const hexadecimal = /^0[xb0-7]/i.test(token.text)
  if (!suffix.includes('l')) {
    if (!unsigned && value < 1n << 31n) return INT
    if ((unsigned || hexadecimal) && value < 1n << 32n) return UINT
  }
  const bits = BigInt(types.pointerSize * 8)
  if (!unsigned && value < 1n << (bits - 1n)) return long(types)
  return types.pointerSize === 8 || value < 1n << 32n ? ulong(types) : integer('unsigned long long', 8, false)
}

/** What two operands become: C's usual arithmetic conversions. */
export function commonType(types: Types, a: Type, b: Type): IntType {
  const [left, right] = [promoted(types, a), promoted(types, b)]
  if (left.size !== right.size) return left.size > right.size ? left : right
  return left.signed ? right : left
}

/** At least an `int`. */
export function promoted(types: Types, type: Type): IntType {
  const t = strip(type)
  const size = types.sizeof(t)
  if (size < 4) return INT
  if (t.kind === 'int' && size > 8) return t
  const signed = isSigned(t)
  if (size === 4) return signed ? INT : UINT
  if (types.pointerSize === 8) return signed ? long(types) : ulong(types)
  return integer(signed ? 'long long' : 'unsigned long long', 8, signed)
}

const enumerators = new WeakMap<Types, Map<string, { type: EnumType; value: bigint }>>()

/** An enumerator with its enum. */
export function enumerator(types: Types, name: string): { type: EnumType; value: bigint } | undefined {
  let all = enumerators.get(types)
  if (all === undefined) {
    all = new Map()
    const { btf } = types
    for (let id = 1; id < btf.endId; id++) {
      if (btf.kindOf(id) !== 'enum') continue
      const type = btf.type(id)
      if (type.kind !== 'enum') continue
      for (const { name: its, value } of type.values) if (!all.has(its)) all.set(its, { type, value })
    }
    enumerators.set(types, all)
  }
  return all.get(name)
}

const BASE_WORDS = new Set(['unsigned', 'signed', 'long', 'short', 'int', 'char', 'void', '_Bool', 'float', 'double', '__int128']) // prettier-ignore
const QUALIFIERS = new Set(['const', 'volatile', 'restrict', '__user', '__rcu', '__percpu', '__iomem'])

/** Reads types out of tokens. */
export class TypeReader {
  readonly #types: Types
  readonly #tokens: readonly Token[]
  /** is this name a variable, and so no type? */
  readonly #isVariable: (name: string) => boolean
  at: number

  constructor(types: Types, list: readonly Token[], at: number, isVariable: (name: string) => boolean) {
    this.#types = types
    this.#tokens = list
    this.#isVariable = isVariable
    this.at = at
  }

  /** A type at this position; undefined (and nothing taken) when none begins here. @throws UsageError */
  read(): Type | undefined {
    const start = this.at
    const base = this.#base()
    if (base === undefined) {
      this.at = start
      return undefined
    }
    let type = base
    this.#skipQualifiers()
    for (; this.#is('*'); this.#skipQualifiers()) {
      this.at++
      type = pointerTo(type)
    }
    return this.#suffixes(type)
  }

  #suffixes(type: Type): Type {
    const lengths: number[] = []
    while (this.#is('[') && this.#peek(1).kind === 'number' && this.#is(']', 2)) {
      lengths.push(Number(this.#peek(1).value))
      this.at += 3
    }
    return lengths.reduceRight((element, length) => arrayOf(element, length), type)
  }

  #base(): Type | undefined {
    this.#skipQualifiers()
    const { kind, text } = this.#peek()
    if (kind !== 'name') return undefined
    if (text === 'struct' || text === 'union' || text === 'enum') {
      const name = this.#peek(1).text
      this.at += 2
      const found = this.#types.btf.find(name, text)
      if (found === undefined) throw new UsageError(name, `No ${text} type named ${name}.`)
      return found
    }
    if (BASE_WORDS.has(text)) return this.#baseWords()
    const typedef = this.#types.btf.find(text, 'typedef')
    const named = typedef ?? (this.#isVariable(text) ? undefined : this.#types.findStruct(text))
    if (named !== undefined) this.at++
    return named
  }

  #baseWords(): Type {
    const words: string[] = []
    for (; BASE_WORDS.has(this.#peek().text) || QUALIFIERS.has(this.#peek().text); this.at++)
      if (BASE_WORDS.has(this.#peek().text)) words.push(this.#peek().text)
    const has = (word: string): boolean => words.includes(word)
    const unsigned = has('unsigned')
    if (has('void')) return VOID
    if (has('_Bool')) return { ...integer('_Bool', 1, false), char: false, bool: true }
    if (has('double')) return { kind: 'float', id: 0, name: 'double', size: 8 }
    if (has('float')) return { kind: 'float', id: 0, name: 'float', size: 4 }
    if (has('char'))
      return integer(unsigned ? 'unsigned char' : has('signed') ? 'signed char' : 'char', 1, !unsigned)
    if (has('short')) return integer(unsigned ? 'unsigned short' : 'short', 2, !unsigned)
    if (has('__int128')) return integer(unsigned ? 'unsigned __int128' : '__int128', 16, !unsigned)
    const longs = words.filter((word) => word === 'long').length
    if (longs > 1) return integer(unsigned ? 'unsigned long long' : 'long long', 8, !unsigned)
    if (longs === 1) return unsigned ? ulong(this.#types) : long(this.#types)
    return unsigned ? UINT : INT
  }

  #skipQualifiers(): void {
    while (QUALIFIERS.has(this.#peek().text)) this.at++
  }

  #is(text: string, ahead = 0): boolean {
    const token = this.#peek(ahead)
    return token.kind === 'operator' && token.text === text
  }

  #peek(ahead = 0): Token {
    return (this.#tokens[this.at + ahead] ?? this.#tokens[this.#tokens.length - 1]) as Token
  }
}

/** `whatis`: what a name is — a struct, an enum, a typedef, a variable, a function — and which types have a size or a member. */

import { CoredrillError, UsageError } from '../base/errors.ts'
import { declare, enumText } from '../btf/declare.ts'
import type { Btf } from '../btf/parse.ts'
import { isStruct, strip, type EnumType, type Type } from '../btf/type.ts'
import type { Types } from '../btf/types.ts'
import { evaluate, parseTypeName } from '../helpers/expression.ts'
import { types_of_function, types_of_struct } from '../helpers/module-types.ts'
import type { Target } from '../target/target.ts'
import { countNumber } from './data-address.ts'
import { DumpCommand, type Invocation, type Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'
import { layoutText, memberRows, type MemberRow } from './struct-layout.ts'
import { typedefName } from './struct-command.ts'

/** One row of `--json`. */
export interface WhatisRow {
  readonly name: string
  /** its declaration on one line; of a struct, only its name */
  readonly declaration: string
  readonly size?: number
  readonly members?: readonly MemberRow[]
  readonly values?: Readonly<Record<string, bigint>>
}

export const whatisFlags = {
  o: { name: 'offsets', summary: "each member's offset" },
  r: { kind: 'value', name: 'range', summary: 'types of this size, or of sizes FROM-TO' },
  m: { kind: 'value', name: 'member', summary: 'types with a member of this type' },
} as const

type WhatisInvocation = Invocation<{ crashFlags: typeof whatisFlags }>

export abstract class WhatisCommand extends DumpCommand {
  static override crashFlags = whatisFlags

  override show(given: Invocation): Report {
    const { target, flags, words, context, note } = given as WhatisInvocation
    if (flags.r !== undefined || flags.m !== undefined) return search(target.types, flags.r, flags.m)
    if (words.length === 0) throw new Misuse()
    const name = words.join(' ').replace(/^(struct|union) +/, '')
    const radix = context.radix
    const found = describe(target, name, { offsets: flags.o === true, radix })
    if (found !== undefined) return found
    note(`cannot resolve: ${name}`)
    throw new Misuse()
  }
}

interface Shape {
  readonly offsets: boolean
  readonly radix: 10 | 16
}

function describe(target: Target, text: string, shape: Shape): Report | undefined {
  const enumName = text.replace(/^enum +/, '')
  const types = types_of_struct(target, text)
  const type = types?.findStruct(text)
  if (types !== undefined && type !== undefined) {
    const typedef = typedefName(types, text)
    const its = { ...shape, ...(typedef !== undefined && { typedef }) }
    const row: WhatisRow = { name: text, declaration: declare(type, ''), size: type.size, members: memberRows(types, type) } // prettier-ignore
    return { rows: [row], text: layoutText(types, type, its) }
  }
  const { btf } = target.types
  const named = btf.find(enumName, 'enum')
  if (named?.kind === 'enum') return enumReport(named)
  const typedef = btf.find(text, 'typedef')
  if (typedef?.kind === 'typedef') return typedefReport(target.types, typedef)
  return describeSymbol(target, text)
}

function enumReport(type: EnumType): Report {
  const lines = type.values.map(({ name, value }) => `  ${name} = ${value}\n`)
  const values = Object.fromEntries(type.values.map(({ name, value }) => [name, value]))
  const row: WhatisRow = { name: type.name, declaration: enumText(type), size: type.size, values }
  return { rows: [row], text: `enum ${type.name} {\n${lines.join('')}};\n` }
}

function typedefReport(types: Types, type: Type & { kind: 'typedef' }): Report {
  const declaration = `typedef ${declare(withoutTypedefs(type), type.name)}`
  const size = types.sizeof(type)
  return { rows: [{ name: type.name, declaration, size }], text: `${declaration};\nSIZE: ${size}\n` }
}

/** What a typedef stands for at last. */
function withoutTypedefs(type: Type): Type {
  let t = type
  for (let hops = 0; t.kind === 'typedef' && hops < 64; hops++) t = t.target
  return t
}

/** Variables, functions, type names with stars, and expressions. */
function describeSymbol(target: Target, text: string): Report | undefined {
  if (target.symbols.find(text) !== undefined) {
    const func = types_of_function(target, text)?.btf.find(text, 'func')
    const type = target.typeOf(text) ?? (func?.kind === 'func' ? func.proto : undefined)
    if (type !== undefined) return oneLine(target.types, text, declare(type, text), type)
  }
  const named = parseTypeName(target, text)
  if (named !== undefined) return oneLine(target.types, text, declare(named, ''), named)
  try {
    const { type } = evaluate(target, text)
    return oneLine(target.types, text, declare(type, ''), type)
  } catch (error) {
    if (error instanceof CoredrillError) return undefined
    throw error
  }
}

function oneLine(types: Types, name: string, declaration: string, type: Type): Report {
  return { rows: [{ name, declaration, size: types.sizeof(type) }], text: `${declaration};\n` }
}

/** `-r` and `-m`: the struct, union and typedef names that fit, by name. */
function search(types: Types, range: string | undefined, member: string | undefined): Report {
  const [from, to] = range === undefined ? [0, Infinity] : sizes(range)
  const found = new Map<string, number>()
  for (const [name, type] of namedStructs(types.btf)) {
    const plain = strip(type)
    if (!isStruct(plain) || plain.size < from || plain.size > to) continue
    if (member !== undefined && !hasMember(plain.members, member)) continue
    found.set(name, plain.size)
  }
  const rows = [...found].map(([name, size]) => ({ name, declaration: name, size }))
  rows.sort((a, b) => a.size - b.size || (a.name < b.name ? -1 : 1))
  if (rows.length === 0) return { rows, text: '(none found)\n' }
  const width = Math.max(4, ...rows.map(({ size }) => String(size).length))
  const lines = rows.map(({ name, size }) => `${String(size).padStart(width)}  ${name}\n`)
  return { rows, text: `${'SIZE'.padStart(width)}  TYPE\n${lines.join('')}` }
}

/** @throws UsageError for what is no size and no range */
function sizes(text: string): [from: number, to: number] {
  const [first = '', second] = text.split('-')
  const from = countNumber(first)
  const to = second === undefined ? from : countNumber(second)
  if (from === undefined || to === undefined) throw new UsageError(text, `invalid size or range: ${text}`)
  return [Number(from), Number(to)]
}

function* namedStructs(btf: Btf): Generator<[string, Type]> {
  for (let id = 1; id < btf.endId; id++) {
    const kind = btf.kindOf(id)
    if (kind !== 'struct' && kind !== 'union' && kind !== 'typedef') continue
    const type = btf.type(id)
    if ('name' in type && type.name !== '') yield [type.name, type]
  }
}

/** Has it a member of this type (by name, its stars aside) or of this name? */
function hasMember(
  members: readonly { readonly name: string; readonly type: Type }[],
  wanted: string,
): boolean {
  const plain = wanted.replace(/^(struct|union|enum) +/, '')
  return members.some(({ name, type }) => {
    if (name === plain) return true
    if (name === '' && isStruct(type)) return hasMember(type.members, wanted)
    const declaration = declare(type, '', -1).replace(/ ?[*([].*$/, '')
    return (
      declaration === wanted || declaration.replace(/^(const |volatile )*(struct|union|enum) /, '') === plain
    )
  })
}

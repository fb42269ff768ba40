/**
 * C types as C text: `int (*accept)(struct socket *, int)`, and whole struct declarations line by line, laid out
 * as gdb's `ptype` does.
 *
 * @remarks BTF does not keep the difference between `x[]` and `x[0]`; an array of no elements is written `[]`
 * when it is the last member and `[0]` elsewhere.
 */

import { isStruct, type EnumType, type StructType, type Type } from './type.ts'

/** One line of a struct declaration. */
export interface DeclarationLine {
  /** The text with its indentation. */
  readonly text: string
  /** The member that the line declares, or whose `}` it is; none for the other lines. */
  readonly member?: string
}

/** The compiler's names of the integer types, as C programmers (and crash) write them. */
const SPELLING: Readonly<Record<string, string>> = {
  'long int': 'long',
  'long unsigned int': 'unsigned long',
  'short int': 'short',
  'short unsigned int': 'unsigned short',
  'long long int': 'long long',
  'long long unsigned int': 'unsigned long long',
}

/** Deeper nesting than this is damage, not C. */
const MAX_DEPTH = 24

/** A type's name without a declarator: `struct sock *`, `unsigned long [4]`, `int (*)(void)`. */
export function typeName(type: Type, show = 0): string {
  return declare(type, '', show)
}

/**
 * A declaration on one line: `struct sock *sk`, `char comm[16]`.
 *
 * @param show as gdb's: below zero, even an anonymous struct is only `struct {...}`
 */
export function declare(type: Type, name: string, show = 0): string {
  return declareLines(type, name, show, 0).join('\n')
}

/**
 * The declaration of a struct or union with its members.
 *
 * @param typedef the name, when the struct was reached through a typedef
 */
export function structLines(type: StructType, typedef?: string): DeclarationLine[] {
  const body = structBody(type, 1, 0)
  const first = body[0] as DeclarationLine
  if (typedef === undefined) return body
  const last = body[body.length - 1] as DeclarationLine
  return [{ text: `typedef ${first.text}` }, ...body.slice(1, -1), { text: `${last.text} ${typedef};` }]
}

/** `enum pid_type {A, B = 4}`, one line, as a declaration has it. */
export function enumText(type: EnumType): string {
  const head = type.name === '' ? 'enum ' : `enum ${type.name} `
  let next = 0n
  const values = type.values.map(({ name, value }) => {
    const text = value === next ? name : `${name} = ${value}`
    next = value + 1n
    return text
  })
  return `${head}{${values.join(', ')}}`
}

function declareLines(type: Type, name: string, show: number, level: number): string[] {
  const base = baseLines(type, show, level)
  const [before, after] = declarator(type, name, false)
  const space = before + name + after === '' ? '' : ' '
  const last = base.length - 1
  base[last] = (base[last] ?? '') + space + before + name + after
  return base
}

/** The lines of what a declaration begins with: everything but pointers, arrays and parameters. */
function baseLines(type: Type, show: number, level: number, qualifiers = ''): string[] {
  const q = qualifiers
  switch (type.kind) {
    case 'const':
    case 'volatile':
    case 'restrict':
    case 'type_tag': {
      const [names, inner] = takeQualifiers(type)
      // qualifiers of a pointer are written after its star
      return baseLines(inner, show, level, inner.kind === 'ptr' ? q : q + names)
    }
    case 'ptr':
      return baseLines(type.target, show, level, q)
    case 'array':
      return baseLines(type.element, show, level, q)
    case 'func_proto':
      return baseLines(type.returns, show, level, q)
    case 'func':
      return baseLines(type.proto, show, level, q)
    case 'var':
      return baseLines(type.type, show, level, q)
    case 'struct':
    case 'union': {
      if (type.name !== '') return [`${q}${type.kind} ${type.name}`]
      if (show < 0 || level > MAX_DEPTH * 4) return [`${q}${type.kind} {...}`]
      const lines = structBody(type, show, level).map((line) => line.text)
      lines[0] = q + (lines[0] as string)
      return lines
    }
    case 'enum':
      if (type.name !== '') return [`${q}enum ${type.name}`]
      return [q + (show < 0 ? 'enum {...}' : enumText(type))]
    case 'fwd':
      return [`${q}${type.union ? 'union' : 'struct'} ${type.name}`]
    case 'void':
      return [`${q}void`]
    case 'datasec':
      return [`${q}${type.name}`]
    case 'int':
      return [q + (SPELLING[type.name] ?? type.name)]
    case 'typedef':
    case 'float':
    case 'decl_tag':
      return [`${q}${type.name}`]
  }
}

/** gdb writes `const` before `volatile`, whatever their order. */
function takeQualifiers(type: Type): [text: string, inner: Type] {
  let isConst = false
  let isVolatile = false
  let isRestrict = false
  let t = type
  for (let hops = 0; hops < 64; hops++) {
    if (t.kind === 'const') isConst = true
    else if (t.kind === 'volatile') isVolatile = true
    else if (t.kind === 'restrict') isRestrict = true
    else if (t.kind !== 'type_tag') break
    t = t.target
  }
  const text = `${isConst ? 'const ' : ''}${isVolatile ? 'volatile ' : ''}${isRestrict ? 'restrict ' : ''}`
  return [text, t]
}

/** What stands before and after the name. */
function declarator(type: Type, name: string, ofPointer: boolean, depth = 0): [string, string] {
  if (depth > MAX_DEPTH) return ['', '']
  switch (type.kind) {
    case 'const':
    case 'volatile':
    case 'restrict':
    case 'type_tag': {
      const [names, inner] = takeQualifiers(type)
      const [before, after] = declarator(inner, name, ofPointer, depth + 1)
      if (inner.kind !== 'ptr' || names === '') return [before, after]
      const tail = name !== '' || ofPointer ? names : names.trimEnd()
      return [`${before} ${tail}`, after]
    }
    case 'ptr': {
      const [before, after] = declarator(type.target, name, true, depth + 1)
      return [`${before}*`, after]
    }
    case 'array': {
      const [before, after] = declarator(type.element, name, false, depth + 1)
      const length = `[${type.length === 0 ? '' : type.length}]`
      return ofPointer ? [`${before}(`, `)${length}${after}`] : [before, length + after]
    }
    case 'func_proto': {
      const [before, after] = declarator(type.returns, name, false, depth + 1)
      const params = type.params.map((param) => typeName(param.type, 0))
      if (type.variadic) params.push('...')
      const list = `(${params.length === 0 ? 'void' : params.join(', ')})`
      return ofPointer ? [`${before}(`, `)${list}${after}`] : [before, list + after]
    }
    case 'func':
      return declarator(type.proto, name, ofPointer, depth + 1)
    case 'var':
      return declarator(type.type, name, ofPointer, depth + 1)
    default:
      return ['', '']
  }
}

function structBody(type: StructType, show: number, level: number): DeclarationLine[] {
  const blanks = ' '.repeat(level)
  const head = type.name === '' ? type.kind : `${type.kind} ${type.name}`
  const lines: DeclarationLine[] = [{ text: `${head} {` }]
  if (type.members.length === 0) lines.push({ text: `${blanks}    <no data fields>` })
  const last = type.members.length - 1
  type.members.forEach((member, i) => {
    const inner = member.name === '' && isStruct(member.type) ? show : show - 1
    const texts = declareLines(member.type, member.name, inner, level + 4)
    const end = texts.length - 1
    let text = texts[end] as string
    if (member.bitSize > 0) text += ` : ${member.bitSize}`
    else if (i !== last && text.endsWith('[]')) text = `${text.slice(0, -2)}[0]`
    texts[end] = `${text};`
    texts[0] = `${blanks}    ${texts[0] as string}`
    texts.forEach((line, j) => {
      if (j !== end) lines.push(lineOf(line))
      else lines.push(member.name === '' ? { text: line } : { text: line, member: member.name })
    })
  })
  lines.push({ text: `${blanks}}` })
  return lines
}

/** A line of a nested struct: its member's name, read back from the text as crash does. */
function lineOf(text: string): DeclarationLine {
  const member = memberOf(text)
  return member === undefined ? { text } : { text, member }
}

/** The name that a line such as `int (*f)(int);`, `char a[4];` or `} name;` declares. */
function memberOf(line: string): string | undefined {
  const text = line.trim()
  if (!text.endsWith(';') || text === '};') return undefined
  const pointer = /\(\**\s*(?:const |volatile )*(\w+)(?:\[\d*\])*\)/.exec(text)
  if (pointer !== null && text.includes(')(')) return pointer[1]
  return /(\w+)(?:\[\d*\])*(?: : \d+)?;$/.exec(text)?.[1]
}

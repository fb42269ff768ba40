/** Members out of a printed struct: `struct task_struct.pid,se.load init_task`. */

import { declare } from '../btf/declare.ts'
import { isStruct, strip, type Member, type StructType } from '../btf/type.ts'
import { CValue } from '../btf/value.ts'
import { valueText, type PrintOptions } from '../render/c-value.ts'

/** A member found, and how it is printed. */
export interface FoundMember {
  readonly value: CValue
  /** Anonymous structs it lies in: each indents by two. */
  readonly depth: number
  /** The last of its struct has no comma. */
  readonly last: boolean
}

/** A member by name, in the struct itself or in its anonymous ones. */
export function findMember(value: CValue, name: string, depth = 0): FoundMember | undefined {
  const type = strip(value.type)
  if (!isStruct(type) || depth > 16) return undefined
  const last = type.members.length - 1
  for (let i = 0; i <= last; i++) {
    const member = type.members[i] as Member
    if (member.name === name) return { value: value.member(member), depth, last: i === last }
    if (member.name !== '') continue
    const inside = findMember(value.member(member), name, depth + 1)
    if (inside !== undefined) return inside
  }
  return undefined
}

/** A path such as `sk.__sk_common.skc_daddr` or `pid_links[1].pprev`. */
export function findPath(value: CValue, path: string): FoundMember | undefined {
  let found: FoundMember | undefined
  let at = value
  for (const [, name, index] of path.matchAll(/([A-Za-z_$][\w$]*)|\[(\d+)\]|[^.]/g)) {
    if (name !== undefined) found = findMember(at, name)
    else if (index === undefined || strip(at.type).kind !== 'array') return undefined
    else found = { value: at.element(Number(index)), depth: 0, last: true }
    if (found === undefined) return undefined
    at = found.value
  }
  return found
}

/** Does the path have more than one step? */
export const isNested = (path: string): boolean => /[.[]/.test(path)

/**
 * A member's lines, `  pid = 1,`: with the comma and the indentation they have in the whole struct. Members by
 * path stand at the left.
 *
 * @returns undefined when there is no such member
 */
export function memberText(value: CValue, path: string, options: PrintOptions): string | undefined {
  const found = findPath(value, path)
  if (found === undefined) return undefined
  const depth = isNested(path) ? 0 : found.depth
  const text = valueText(found.value, options, depth + 1)
  return `${'  '.repeat(depth + 1)}${path} = ${text}${found.last ? '' : ','}\n`
}

/** A member with the declaration before it and what a pointer points to after it: `struct -p`. */
export function pointerMemberText(value: CValue, path: string, options: PrintOptions): string | undefined {
  const found = findPath(value, path)
  if (found === undefined) return undefined
  const type = strip(found.value.type)
  if (type.kind !== 'ptr') return memberText(value, path, options)
  const address = found.value.integer()
  const name = path.slice(path.lastIndexOf('.') + 1)
  const head = `  ${declare(found.value.type, name)} = 0x${address.toString(16)}\n`
  if (address === 0n) return `${head}  -> (null)\n`
  const symbol = options.symbolize?.(address)
  const arrow = symbol === undefined || symbol.includes('+') ? '  -> ' : `  -> <${symbol}> `
  const target = strip(type.target)
  if (target.kind === 'func_proto') return `${head}${arrow.trimEnd()}\n`
  if (target.kind === 'void' || target.kind === 'fwd') return `${head}${arrow.trimEnd()}\n`
  const inner = CValue.at(found.value.types, found.value.mem, type.target, address)
  const plain = { ...options, ...(target.kind === 'int' && { textAt: () => true }) }
  if (target.kind === 'int' && target.name === 'char') {
    const text = valueText(found.value, plain).replace(/^0x[0-9a-f]+(?: <[^>]*>)? ?/, '')
    return `${head}${arrow}${text}\n`
  }
  const [first = '', ...lines] = valueText(inner, options).split('\n')
  return `${head}${arrow}${[first, ...lines.map(shifted)].join('\n')}\n`
}

/** Crash moves its lines by five blanks, but long ones in pieces of as many characters as its buffer holds. */
function shifted(line: string): string {
  const pieces = line.match(/.{1,1499}/gs) ?? ['']
  return pieces.map((piece) => `     ${piece}`).join('')
}

/** The last name of a struct's members that cannot be found; for messages. */
export function typeLabel(type: StructType, asked: string): string {
  return type.name === '' ? asked : type.name
}

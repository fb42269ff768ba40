/** C values as plain data for `--json`: numbers, text, lists and objects. */

import { isStruct, strip } from '../btf/type.ts'
import type { CValue } from '../btf/value.ts'
import { enumValueText, holeText, isTextual, type PrintOptions } from './c-value.ts'

/**
 * - integers up to 32 bits: a number; wider ones and pointers: a bigint (printed `"0x…"`)
 * - `bool`: true or false; enums: the enumerator's name
 * - arrays of characters: text (bytes as Latin-1, cut at the NUL); other arrays: a list
 * - structs: an object; the members of anonymous structs stand in their parent
 * - what cannot be read: `{ "unreadable": "<excluded page>" }`
 */
export type PlainValue =
  null | boolean | number | bigint | string | readonly PlainValue[] | { readonly [name: string]: PlainValue }

const MAX_DEPTH = 32

export function plainValue(value: CValue, options: PrintOptions = {}, depth = 0): PlainValue {
  const type = strip(value.type)
  if (isStruct(type)) {
    const members: Record<string, PlainValue> = {}
    if (depth > MAX_DEPTH) return members
    for (const member of type.members) {
      const inside = plainValue(value.member(member), options, depth + 1)
      if (member.name !== '') members[member.name] ??= inside
      else if (inside !== null && typeof inside === 'object' && !Array.isArray(inside)) {
        for (const [name, its] of Object.entries(inside)) members[name] ??= its
      }
    }
    return members
  }
  if (type.kind === 'array') return plainArray(value, options, depth)
  const hole = value.hole()
  if (hole !== undefined) return { unreadable: holeText(hole.reason, value.addr) }
  switch (type.kind) {
    case 'int': {
      const number = value.integer()
      if (type.bool) return number !== 0n
      return type.size <= 4 ? Number(number) : number
    }
    case 'enum': {
      const number = value.integer()
      return type.values.some((known) => known.value === number) ? enumValueText(type, number) : Number(number) // prettier-ignore
    }
    case 'ptr':
      return value.integer()
    default:
      return null
  }
}

function plainArray(value: CValue, options: PrintOptions, depth: number): PlainValue {
  const type = strip(value.type)
  if (type.kind !== 'array') return null
  if (isTextual(type.element) && value.hole() === undefined) {
    const element = strip(type.element)
    if (element.kind === 'int' && element.name === 'char') {
      const end = value.bytes.indexOf(0)
      return Buffer.from(end < 0 ? value.bytes : value.bytes.subarray(0, end)).toString('latin1')
    }
    return Array.from(value.bytes.subarray(0, options.printMax ?? 256))
  }
  const shown = Math.min(type.length, options.printMax ?? 256)
  return Array.from({ length: shown }, (_, i) => plainValue(value.element(i), options, depth + 1))
}

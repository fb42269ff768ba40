/** Struct declarations with sizes and offsets: `struct X`, `struct -o X`, `struct X.member`. */

import { hex } from '../base/addr.ts'
import { declare, structLines } from '../btf/declare.ts'
import type { StructType } from '../btf/type.ts'
import type { Types } from '../btf/types.ts'

export interface LayoutOptions {
  readonly offsets: boolean
  readonly radix: 10 | 16
  /** Where the struct lies: addresses instead of offsets. */
  readonly at?: bigint
  /** The typedef's name it was asked for by. */
  readonly typedef?: string
}

/** A member's row in `--json`. */
export interface MemberRow {
  readonly name: string
  readonly type: string
  /** bytes from the start of the struct */
  readonly offset: number
  readonly bitOffset?: number
  readonly bitSize?: number
  readonly address?: bigint
}

/** The declaration, then `SIZE:`. */
export function layoutText(types: Types, type: StructType, options: LayoutOptions): string {
  const lines = structLines(type, options.typedef)
  const width = columnWidth(type, options)
  const texts = lines.map(({ text, member }, i) => {
    if (!options.offsets || i === 0 || i === lines.length - 1) return text
    const place = member === undefined ? undefined : types.members(type).get(member)
    const label = place === undefined ? '' : offsetLabel(place.bitOffset >>> 3, options)
    return `${label.padStart(width)} ${text.slice(4)}`
  })
  return `${texts.join('\n')}\nSIZE: ${sizeText(type.size, options.radix)}\n`
}

/** `struct X {`, the one member with its offset, `}`. Undefined when there is no such member. */
export function memberLayoutText(
  types: Types,
  type: StructType,
  member: string,
  options: LayoutOptions,
): string | undefined {
  const place = types.members(type).get(member)
  if (place === undefined) return undefined
  const label = offsetLabel(place.bitOffset >>> 3, options).padStart(columnWidth(type, options))
  const bits = place.bitSize > 0 ? ` : ${place.bitSize}` : ''
  const text = declare(place.type, member).replaceAll('\n', `\n${' '.repeat(columnWidth(type, options) - 3)}`)
  const [first, last] = options.typedef === undefined ? [`${type.kind} ${type.name} {`, '}'] : [`typedef ${type.kind} {`, `} ${options.typedef};`] // prettier-ignore
  return `${first}\n${label} ${text}${bits};\n${last}\n`
}

export function sizeText(size: number, radix: 10 | 16): string {
  return radix === 16 ? `0x${size.toString(16)}` : String(size)
}

/** The rows of a layout: named members, those of anonymous structs included. */
export function memberRows(types: Types, type: StructType, at?: bigint): MemberRow[] {
  return [...types.members(type)].map(([name, { type: its, bitOffset, bitSize }]) => ({
    name,
    type: declare(its, ''),
    offset: bitOffset >>> 3,
    ...(bitSize > 0 && { bitOffset, bitSize }),
    ...(at !== undefined && { address: BigInt.asUintN(64, at + BigInt(bitOffset >>> 3)) }),
  }))
}

function offsetLabel(offset: number, { at, radix }: LayoutOptions): string {
  if (at !== undefined) return `[${hex(at + BigInt(offset))}]`
  return `[${sizeText(offset, radix)}]`
}

/** Offsets stand right-justified in as many columns as the size has digits, and four. */
function columnWidth(type: StructType, { at, radix }: LayoutOptions): number {
  return (at === undefined ? sizeText(type.size, radix).length : hex(at).length) + 4
}

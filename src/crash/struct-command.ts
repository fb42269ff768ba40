/** What `struct`, `union` and `*` do: declarations without an address, contents with one. */

import { addr, hex } from '../base/addr.ts'
import { FaultError, UsageError } from '../base/errors.ts'
import { isStruct, strip, type StructType } from '../btf/type.ts'
import { CValue } from '../btf/value.ts'
import { plainValue, type PlainValue } from '../render/c-plain.ts'
import { holeText, valueText, type PrintOptions } from '../render/c-value.ts'
import { hexdump } from '../render/hexdump.ts'
import type { Types } from '../btf/types.ts'
import { types_of_struct } from '../helpers/module-types.ts'
import type { Target } from '../target/target.ts'
import { currentUserMemory } from './data-user.ts'
import { countNumber, cpuHeading, needPlaces, NoSymbol, type Placed } from './data-address.ts'
import { printOptions, radixOf } from './data-print.ts'
import { DumpCommand, type Invocation, type Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'
import { layoutText, memberLayoutText, memberRows, type LayoutOptions, type MemberRow } from './struct-layout.ts' // prettier-ignore
import { findPath, isNested, memberText, pointerMemberText } from './struct-members.ts'

/** One object of `--json`; without an address, its layout. */
export interface StructRow {
  readonly type: string
  readonly size: number
  readonly address?: bigint
  readonly cpu?: number
  /** without an address: the members and where they lie */
  readonly layout?: readonly MemberRow[]
  /** with an address: the members (or those asked for) and their values */
  readonly value?: PlainValue
}

export const structFlags = {
  f: { summary: 'the address is an offset in the dump file' },
  u: { summary: 'the address is of the current task' },
  x: { summary: 'numbers in hex' },
  d: { summary: 'numbers in decimal' },
  o: { name: 'offsets', summary: "each member's offset, or its address" },
  p: { name: 'pointers', summary: 'follow members that are pointers' },
  r: { name: 'raw', summary: 'the bytes, as rd shows them' },
  l: { kind: 'value', name: 'list', summary: 'the address is of this member, or this far into the struct' },
  c: { kind: 'value', name: 'count', summary: 'so many of them, one after the other' },
} as const

type StructInvocation = Invocation<{ crashFlags: typeof structFlags }>

/** What was asked: a type, members of it, and where. */
interface Request {
  /** those the type is from: the kernel's or a module's */
  readonly types: Types
  readonly type: StructType
  /** as it was named */
  readonly name: string
  readonly members: readonly string[]
  readonly places: readonly Placed[]
  readonly count: number
}

/** More objects than this are not asked for by people. */
const MAX_COUNT = 1 << 20

export abstract class StructCommand extends DumpCommand {
  static override crashFlags = structFlags
  /** What the type must be; undefined: either. */
  protected readonly wanted: 'struct' | 'union' | undefined = undefined

  override show(given: Invocation): Report {
    const invocation = given as StructInvocation
    let request: Request
    try {
      request = this.#request(invocation)
    } catch (error) {
      if (error instanceof NoSymbol) return { rows: [], text: error.lines, failed: true }
      throw error
    }
    if (request.places.length === 0) return showLayout(invocation, request)
    return new Contents(invocation, request).report()
  }

  #request({ target, flags, words }: StructInvocation): Request {
    const [first, ...rest] = words
    if (first === undefined) throw new Misuse()
    if (/[.,]$/.test(first)) throw new UsageError(first, `invalid format: ${first}`)
    const dot = first.indexOf('.')
    const name = dot < 0 ? first : first.slice(0, dot)
    const members = dot < 0 ? [] : first.slice(dot + 1).split(',')
    const types = types_of_struct(target, name) ?? target.types
    const type = this.#type(types, name)
    if (rest.length === 0 && flags.c !== undefined) throw new Misuse()
    let places: Placed[] = []
    let count = flags.c
    for (const word of rest) {
      if (places.length === 0) places = needPlaces(target, word)
      else if (count === undefined) count = word
      else throw new UsageError(word, 'too many arguments!')
    }
    return { types, type, name, members, places: moved(target, places, flags.l), count: countOf(count) }
  }

  #type(types: Types, name: string): StructType {
    const found = types.findStruct(name)
    if (found === undefined) {
      const other = types.btf.find(name, 'enum') ?? types.btf.find(name, 'typedef')
      if (other === undefined || this.wanted === undefined)
        throw new UsageError(name, `invalid data structure reference: ${name}`)
      throw new UsageError(name, `data type mismatch: ${name} is not a ${this.wanted}`)
    }
    if (this.wanted === 'union' && found.kind !== 'union')
      throw new UsageError(name, `data type mismatch: ${name} is not a union`)
    return found
  }
}

/** Places moved back by `-l`: a number, or a member's offset. */
function moved(target: Target, places: readonly Placed[], list: string | undefined): Placed[] {
  if (list === undefined) return [...places]
  const offset = offsetOf(target, list)
  return places.map((place) => ({ ...place, addr: addr(place.addr - offset) }))
}

/**
 * A number, or `struct.member`: its offset.
 * @throws UsageError
 */
export function offsetOf(target: Target, text: string): bigint {
  const dot = text.indexOf('.')
  if (dot < 0) {
    const number = countNumber(text)
    if (number === undefined) throw new UsageError(text, `invalid structure member offset: ${text}`)
    return number
  }
  const type = target.types.findStruct(text.slice(0, dot))
  const place = type && target.types.findPlace(type, text.slice(dot + 1))
  if (place === undefined) throw new UsageError(text, `invalid data structure reference: ${text}`)
  return BigInt(place.bitOffset >>> 3)
}

function countOf(word: string | undefined): number {
  if (word === undefined) return 1
  const negative = word.startsWith('-')
  const number = countNumber(negative ? word.slice(1) : word)
  if (number === undefined || number > MAX_COUNT) throw new UsageError(word, `invalid count: ${word}`)
  return negative ? -Number(number) : Number(number)
}

/** The typedef a type was reached through, when its own name is another. */
export function typedefName(types: Types, name: string): string | undefined {
  const own = types.btf.find(name, 'struct') ?? types.btf.find(name, 'union')
  return own === undefined ? name : undefined
}

function showLayout({ context, flags, note }: StructInvocation, request: Request): Report {
  const { types, type, name, members } = request
  const radix = radixOf(flags) ?? context.radix
  const typedef = typedefName(types, name)
  const options: LayoutOptions = {
    offsets: flags.o === true || members.length > 1,
    radix,
    ...(typedef !== undefined && { typedef }),
  }
  const rows: StructRow[] = [{ type: name, size: type.size, layout: memberRows(types, type) }]
  if (members.length > 1) note('multiple member format not supported in this syntax')
  if (members.length !== 1) return { rows, text: layoutText(types, type, options) }
  const member = members[0] as string
  const text = memberLayoutText(types, type, member, options)
  if (text === undefined) throw new UsageError(member, `invalid data structure reference: ${name}.${member}`)
  const layout = (rows[0] as StructRow).layout?.filter((row) => row.name === member) ?? []
  return { rows: [{ type: name, size: type.size, layout }], text }
}

/** The objects at the places asked for. */
class Contents {
  readonly #invocation: StructInvocation
  readonly #request: Request
  readonly #options: PrintOptions
  readonly #radix: 10 | 16
  readonly #rows: StructRow[] = []
  #failed = false

  constructor(invocation: StructInvocation, request: Request) {
    const { target, context, flags } = invocation
    this.#invocation = invocation
    this.#request = request
    this.#radix = radixOf(flags) ?? context.radix
    this.#options = printOptions(target, context, this.#radix)
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
    const { places, count, type } = this.#request
    for (const place of places) {
      yield cpuHeading(place)
      for (let i = 0; i < Math.abs(count); i++) {
        const at = addr(place.addr + BigInt((count < 0 ? -i : i) * type.size))
        if (i > 0) yield '\n'
        yield* this.#one(at, place.cpu)
      }
    }
  }

  *#one(at: bigint, cpu: number | undefined): Generator<string> {
    const { flags } = this.#invocation
    const { type, name, members } = this.#request
    const value = this.#value(at)
    const row = { type: name, size: type.size, address: at, ...(cpu !== undefined && { cpu }) }
    if (flags.r === true) {
      yield this.#raw(value)
      this.#rows.push(row)
    } else if (flags.o === true) {
      yield this.#layout(at)
      this.#rows.push({ ...row, layout: memberRows(this.#request.types, type, at) })
    } else if (members.length > 0) {
      yield* this.#members(value)
      this.#rows.push({ ...row, value: this.#plainMembers(value) })
    } else {
      this.#markHoles(value)
      yield `${this.#heading()} ${valueText(value, this.#options)}\n`
      this.#rows.push({ ...row, value: plainValue(value, this.#options) })
    }
  }

  #value(at: bigint): CValue {
    const { target, context, flags } = this.#invocation
    const mem = flags.u === true ? currentUserMemory(target, context) : target.mem
    if (flags.f === true) throw new UsageError('f', 'this target is not read by file offset')
    return CValue.at(this.#request.types, mem, this.#request.type, at)
  }

  #heading(): string {
    const { types, type, name } = this.#request
    const typedef = typedefName(types, name)
    return typedef === undefined ? `${type.kind} ${type.name}` : `${type.kind} ${typedef}`
  }

  #markHoles(value: CValue): void {
    const hole = value.hole()
    if (hole === undefined) return
    this.#failed = true
    this.#invocation.note(
      `${holeText(hole.reason, (value.addr ?? 0n) + BigInt(hole.from))} in ${this.#request.name}`,
    )
  }

  #raw(value: CValue): string {
    const hole = value.hole()
    if (hole !== undefined) throw new FaultError(value.addr ?? 0n, value.size, hole.reason)
    const { wordSize } = this.#invocation.target
    return hexdump(value.bytes, value.addr ?? 0n, { unit: wordSize, addressDigits: wordSize * 2 })
  }

  #layout(at: bigint): string {
    const { types, type, name, members } = this.#request
    const typedef = typedefName(types, name)
    const options = { offsets: true, radix: this.#radix, at, ...(typedef !== undefined && { typedef }) }
    if (members.length === 0) return layoutText(types, type, options)
    return members.map((member) => memberLayoutText(types, type, member, options) ?? '').join('')
  }

  *#members(value: CValue): Generator<string> {
    const { flags } = this.#invocation
    const { name, members } = this.#request
    for (const member of members) {
      const text =
        flags.p === true
          ? pointerMemberText(value, member, this.#options)
          : memberText(value, member, this.#options)
      if (text === undefined)
        throw new UsageError(member, `invalid data structure reference: ${name}.${member}`)
      if (findPath(value, member)?.value.hole() !== undefined) this.#failed = true
      yield text
    }
  }

  #plainMembers(value: CValue): PlainValue {
    const found = this.#request.members.map((member) => {
      const inside = findPath(value, member)
      return [member, inside === undefined ? null : plainValue(inside.value, this.#options)] as const
    })
    return Object.fromEntries(found)
  }
}

/** `struct` and address for messages: `(struct sock *)0xffff…`. */
export function objectName(type: StructType, at: bigint): string {
  return `(${type.kind} ${type.name} *)0x${hex(at)}`
}

/** Is the member one that `list -s` shows for every entry? Unknown ones are left out. */
export function knownMember(value: CValue, path: string): boolean {
  const type = strip(value.type)
  return isStruct(type) && (isNested(path) ? findPath(value, path) !== undefined : value.types.members(type).has(path)) // prettier-ignore
}

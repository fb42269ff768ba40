/**
 * A C value: a type together with the bytes that hold it, read from memory when first looked at. Bytes that
 * cannot be read leave holes, so that the rest can still be shown.
 */

import { addr, toVa, type Addr } from '../base/addr.ts'
import { FaultError, LookupError, UsageError, type FaultReason } from '../base/errors.ts'
import type { Memory } from '../memory/memory.ts'
import { isStruct, strip, type Member, type Type } from './type.ts'
import type { Types } from './types.ts'

/** Bytes that could not be read: offsets from the start of the value. */
export interface Hole {
  readonly from: number
  readonly to: number
  readonly reason: FaultReason
}

/** No C object of a kernel is larger; what says it is, is damage. */
const MAX_SIZE = 64 << 20
const PAGE = 4096

/** The bytes of one object, shared by the values inside it. */
class Extent {
  readonly #mem: Memory | undefined
  /** Address of byte 0; undefined for a computed value. */
  readonly addr: bigint | undefined
  readonly size: number
  #bytes: Uint8Array | undefined
  #holes: readonly Hole[] = []

  constructor(mem: Memory | undefined, at: bigint | undefined, size: number, bytes?: Uint8Array) {
    this.#mem = mem
    this.addr = at
    this.size = size
    this.#bytes = bytes
  }

  get bytes(): Uint8Array {
    return (this.#bytes ??= this.#load())
  }

  get holes(): readonly Hole[] {
    this.#bytes ??= this.#load()
    return this.#holes
  }

  #load(): Uint8Array {
    const mem = this.#mem as Memory
    if (this.size > MAX_SIZE) throw new UsageError(`${this.size}`, `an object of ${this.size} bytes`)
    const va = toVa(this.addr as bigint, mem.wordSize)
    if (Number.isNaN(va)) {
      this.#holes = [{ from: 0, to: this.size, reason: 'non-canonical' }]
      return new Uint8Array(this.size)
    }
    try {
      return mem.read(va, this.size)
    } catch (error) {
      if (!(error instanceof FaultError)) throw error
      return this.#loadPages(mem, va)
    }
  }

  #loadPages(mem: Memory, va: number): Uint8Array {
    const bytes = new Uint8Array(this.size)
    const holes: Hole[] = []
    for (let at = 0; at < this.size;) {
      const start = va + at
      const count = Math.min(PAGE - (start - Math.floor(start / PAGE) * PAGE), this.size - at)
      try {
        bytes.set(mem.read(start, count), at)
      } catch (error) {
        if (!(error instanceof FaultError)) throw error
        holes.push({ from: at, to: at + count, reason: error.reason })
      }
      at += count
    }
    this.#holes = holes
    return bytes
  }
}

export class CValue {
  readonly types: Types
  readonly mem: Memory
  readonly type: Type
  /** Width of a bit-field; 0 for anything else. */
  readonly bitSize: number
  readonly #extent: Extent
  /** Bits from the start of the extent. */
  readonly #bitOffset: number

  private constructor(
    types: Types,
    mem: Memory,
    type: Type,
    extent: Extent,
    bitOffset: number,
    bitSize: number,
  ) {
    this.types = types
    this.mem = mem
    this.type = type
    this.#extent = extent
    this.#bitOffset = bitOffset
    this.bitSize = bitSize
  }

  /** The object of that type at an address. */
  static at(types: Types, mem: Memory, type: Type, at: bigint): CValue {
    return new CValue(types, mem, type, new Extent(mem, addr(at), types.sizeof(type)), 0, 0)
  }

  /** A value that lies nowhere: the result of an expression. */
  static of(types: Types, mem: Memory, type: Type, bytes: Uint8Array): CValue {
    return new CValue(types, mem, type, new Extent(undefined, undefined, bytes.length, bytes), 0, 0)
  }

  /** An integer or pointer that lies nowhere. */
  static ofInteger(types: Types, mem: Memory, type: Type, value: bigint): CValue {
    const bytes = new Uint8Array(types.sizeof(type))
    let rest = value
    for (let i = 0; i < bytes.length; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn)
    return CValue.of(types, mem, type, bytes)
  }

  get size(): number {
    return this.types.sizeof(this.type)
  }

  /** Where it lies; undefined for a computed value. */
  get addr(): Addr | undefined {
    const base = this.#extent.addr
    return base === undefined ? undefined : addr(base + BigInt(Math.floor(this.#bitOffset / 8)))
  }

  /** The bytes; zero where they could not be read. */
  get bytes(): Uint8Array {
    const from = Math.floor(this.#bitOffset / 8)
    return this.#extent.bytes.subarray(from, from + this.size)
  }

  /** Why some of it cannot be read; undefined when all can. */
  hole(): Hole | undefined {
    if (this.#extent.holes.length === 0) return undefined
    const from = Math.floor(this.#bitOffset / 8)
    const to = from + Math.max(1, this.bitSize > 0 ? Math.ceil(this.bitSize / 8) : this.size)
    return this.#extent.holes.find((hole) => hole.from < to && hole.to > from)
  }

  /** A member of this struct or union. */
  member(member: Member): CValue {
    return this.#inside(member.type, this.#bitOffset + member.bitOffset, member.bitSize)
  }

  /**
   * A member by name, anonymous structs looked through.
   * @throws LookupError NO_MEMBER
   */
  field(name: string): CValue {
    const type = strip(this.type)
    const place = isStruct(type) ? this.types.members(type).get(name) : undefined
    if (place === undefined) throw new LookupError('member', name)
    return this.#inside(place.type, this.#bitOffset + place.bitOffset, place.bitSize)
  }

  /** An element of this array; one beyond its end is read where it would lie. */
  element(index: number): CValue {
    const type = strip(this.type)
    if (type.kind !== 'array') throw new LookupError('type', 'an array')
    const size = this.types.sizeof(type.element)
    const bitOffset = this.#bitOffset + index * size * 8
    const inside = index >= 0 && bitOffset / 8 + size <= this.#extent.size
    if (inside || this.#extent.addr === undefined) return this.#inside(type.element, bitOffset, 0)
    const at = this.#extent.addr + BigInt(this.#bitOffset / 8) + BigInt(index) * BigInt(size)
    return CValue.at(this.types, this.mem, type.element, at)
  }

  /** The same place seen as another type. */
  as(type: Type): CValue {
    const at = this.addr
    if (at === undefined) return CValue.of(this.types, this.mem, type, this.bytes)
    return CValue.at(this.types, this.mem, type, at)
  }

  /**
   * The value of an integer, enum, pointer or bit-field; sign by its type.
   * @throws FaultError where it cannot be read
   */
  integer(): bigint {
    const hole = this.hole()
    if (hole !== undefined) throw new FaultError(this.addr ?? 0n, this.size, hole.reason)
    const type = strip(this.type)
    if (type.kind === 'array' || type.kind === 'func' || type.kind === 'func_proto') return this.addr ?? 0n
    const size = type.kind === 'ptr' ? this.types.pointerSize : this.types.sizeof(type)
    const from = Math.floor(this.#bitOffset / 8)
    const skip = this.bitSize > 0 ? this.#bitOffset % 8 : 0
    const width = this.bitSize > 0 ? this.bitSize : size * 8
    const count = Math.ceil((skip + width) / 8)
    let raw = 0n
    for (let i = count - 1; i >= 0; i--) raw = (raw << 8n) | BigInt(this.#extent.bytes[from + i] ?? 0)
    raw >>= BigInt(skip)
    return isSigned(type) ? BigInt.asIntN(width, raw) : BigInt.asUintN(width, raw)
  }

  #inside(type: Type, bitOffset: number, bitSize: number): CValue {
    return new CValue(this.types, this.mem, type, this.#extent, bitOffset, bitSize)
  }
}

/** Is this integer type signed? `char` is, on x86, whatever BTF's encoding says. */
export function isSigned(type: Type): boolean {
  if (type.kind === 'int') return type.signed || type.name === 'char'
  return type.kind === 'enum' && type.values.some(({ value }) => value < 0n)
}

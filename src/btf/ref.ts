/**
 * Typed references: a place in memory together with the C type that lies there. Each struct has one class
 * whose getters and setters are closures made once from BTF, so reading `sk.sk_rcvbuf` costs what the load does.
 *
 * What a member reads as: integers up to 32 bits, enums and bit-fields are `number`; 64-bit integers, `long` and
 * `size_t` of either word size are `bigint`; a pointer to a struct is a reference or `null`, any other pointer a `bigint` address; a nested
 * struct is a reference into the same bytes; an array is an {@link ArrayRef}.
 */

import { addr, hex, toAddr, type Addr, type Va } from '../base/addr.ts'
import { FaultError, InvariantError, LookupError, ValidationError } from '../base/errors.ts'
import { SourceKind, Sourced, type Memory, type WritableMemory } from '../memory/memory.ts'
import { isStruct, strip, type StructType, type Type } from './type.ts'
import type { Place, Types } from './types.ts'

/** What a member can read as. */
export type Value = number | bigint | StructRef | ArrayRef | null
/** What can be stored into one; `undefined` never. */
export type Storable = number | bigint | StructRef | null | Sourced | Uint8Array

/** A struct (or union) somewhere in memory. Members come as properties; our own names begin with `$`. */
export class StructRef {
  // references are made by the million: they hold two fields of their own, see ownConstructor
  declare readonly $mem: Memory
  /** NaN when the pointer was not canonical. */
  declare readonly $va: Va
  /** The pointer that was not canonical. */
  declare $raw: bigint | undefined
  // on each struct's prototype
  declare readonly $types: Types
  declare readonly $type: StructType
  declare private readonly $members: ReadonlyMap<string, Place>

  get $addr(): Addr {
    return this.$raw !== undefined ? addr(this.$raw) : toAddr(this.$va)
  }

  get $size(): number {
    return this.$type.size
  }

  $has(path: string): boolean {
    return this.$types.findPlace(this.$type, path) !== undefined
  }

  private $place(path: string): Place {
    return this.$members.get(path) ?? this.$types.place(this.$type, path)
  }

  /** Byte offset of a member path. @throws LookupError NO_MEMBER */
  $offsetof(path: string): number {
    return this.$place(path).bitOffset >>> 3
  }

  /** Address of a member path. */
  $vaOf(path: string): Va {
    return this.$va + this.$offsetof(path)
  }

  /** Read a member by path. @throws LookupError when there is none, FaultError when it cannot be read */
  $get(path: string): Value {
    return readPlace(this, this.$place(path))
  }

  /** Read an integer member (or pointer) by path as an exact integer. */
  $int(path: string): bigint {
    const value = this.$get(path)
    if (typeof value === 'bigint') return value
    if (typeof value === 'number') return BigInt(value)
    if (value === null) return 0n
    if (value instanceof StructRef) return value.$addr
    throw new LookupError('member', `${this.$type.name}.${path} as an integer`)
  }

  /** Follow a nested struct or a pointer to a struct; `null` when the pointer is NULL. */
  $ref(path: string): StructRef | null {
    const value = this.$get(path)
    if (value === null || value instanceof StructRef) return value
    throw new LookupError('member', `${this.$type.name}.${path} as a struct`)
  }

  /** A struct inside this one. @throws ValidationError where damaged BTF has made it a pointer, and that is NULL */
  $inside(path: string): StructRef {
    const inside = this.$ref(path)
    if (inside === null) throw new ValidationError(this.$addr, `a struct ${path}`, 'NULL')
    return inside
  }

  $array(path: string): ArrayRef {
    const value = this.$get(path)
    if (value instanceof ArrayRef) return value
    throw new LookupError('member', `${this.$type.name}.${path} as an array`)
  }

  /** Store into a member by path. */
  $set(path: string, value: Storable): void {
    placeAccessor(this.$types, this.$place(path)).set(this, value)
  }

  /** The same address as another struct: `(struct inet_sock *)sk`. */
  $cast<T extends StructRef = StructRef>(name: string): T {
    return this.$types.refTo(this.$types.struct(name), this.$mem, this.$va, this.$raw) as T
  }

  /** The struct this is a member of: `container_of(this, struct name, path)`. */
  $containerOf<T extends StructRef = StructRef>(name: string, path: string): T {
    const type = this.$types.struct(name)
    return this.$types.refTo(type, this.$mem, this.$va - this.$types.offsetof(type, path)) as T
  }

  /** The `index`-th struct of an array that begins here. */
  $index(index: number): this {
    return this.$types.refTo(this.$type, this.$mem, this.$va + index * this.$type.size) as this
  }

  /** A copy of the bytes. */
  $bytes(): Uint8Array {
    return this.$mem.read(this.$check(0, this.$type.size), this.$type.size)
  }

  $equals(other: StructRef | null): boolean {
    return other !== null && (this.$va === other.$va || this.$addr === other.$addr)
  }

  /** @internal the address of `offset`, or a fault that names the impossible pointer */
  $check(offset: number, size: number): Va {
    const va = this.$va + offset
    if (Number.isNaN(va)) throw new FaultError(addr(this.$addr + BigInt(offset)), size, 'non-canonical')
    return va
  }

  toString(): string {
    return `(${this.$type.kind} ${this.$type.name} *)0x${hex(this.$addr)}`
  }
}

/** An array member; elements read as members do. */
export class ArrayRef {
  readonly $types: Types
  readonly $mem: Memory
  readonly $va: Va
  readonly $element: Type
  /** As declared: 0 for a flexible array. */
  readonly length: number
  private readonly stride: number
  private readonly access: Accessor

  constructor(types: Types, mem: Memory, va: Va, element: Type, length: number) {
    this.$types = types
    this.$mem = mem
    this.$va = va
    this.$element = element
    this.length = length
    this.stride = types.sizeof(element)
    this.access = elementAccessor(types, element)
  }

  get $addr(): Addr {
    return toAddr(this.$va)
  }

  get $stride(): number {
    return this.stride
  }

  $vaAt(index: number): Va {
    return this.$va + index * this.stride
  }

  /** The element; a flexible array has as many as the caller knows there are. */
  get(index: number): Value {
    return this.access.get(this.element(index))
  }

  /** An element that is an integer. */
  num(index: number): number {
    return Number(this.get(index))
  }

  /** An element that is a struct or a pointer to one. */
  ref(index: number): StructRef | null {
    const value = this.get(index)
    return value instanceof StructRef ? value : null
  }

  set(index: number, value: Storable): void {
    this.access.set(this.element(index), value)
  }

  /** A C string of at most the array's length, bytes as Latin-1. */
  $string(): string {
    const bytes = this.bytes()
    const end = bytes.indexOf(0)
    return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1')
  }

  bytes(): Uint8Array {
    return this.$mem.read(this.$va, this.length * this.stride)
  }

  /** Store a C string, NUL-padded to the whole array; cut to leave a NUL. */
  $setString(text: string): void {
    const bytes = new Uint8Array(this.length * this.stride)
    bytes.set(Buffer.from(text, 'latin1').subarray(0, bytes.length - 1))
    writable(this.$mem).write(this.$va, bytes)
  }

  private element(index: number): Located {
    return { $types: this.$types, $mem: this.$mem, $va: this.$va + index * this.stride }
  }
}

/** Read a member of `ref` so that storing the value elsewhere says where it came from. */
export function from<R extends StructRef, M extends keyof R & string>(ref: R, member: M): SourcedOf<R[M]> {
  const value = ref[member]
  const at = ref.$va + ref.$offsetof(member)
  const plain = value instanceof StructRef ? value.$addr : value === null ? 0n : value
  return new Sourced(plain as number | bigint, SourceKind.Memory, at) as SourcedOf<R[M]>
}

/** A number copied from memory stays a sourced number; everything else (pointers too) a sourced bigint. */
type SourcedOf<T> = [T] extends [number] ? Sourced<number> : Sourced<bigint>

interface Located {
  readonly $types: Types
  readonly $mem: Memory
  readonly $va: Va
  $check?(offset: number, size: number): Va
}

export interface Accessor {
  readonly get: (at: Located) => Value
  readonly set: (at: Located, value: Storable) => void
}

function writable(mem: Memory): WritableMemory {
  if (!('setU32' in mem)) throw new InvariantError('a store into memory that is only read')
  return mem as WritableMemory
}

const locate = (at: Located, offset: number, size: number): Va => {
  const va = at.$va + offset
  if (va !== va) at.$check?.(offset, size)
  return va
}

function placeAccessor(types: Types, place: Place): Accessor {
  return (place.accessor ??= accessor(types, place))
}

function elementAccessor(types: Types, type: Type): Accessor {
  let found = types.elementAccessors.get(type)
  if (found === undefined) {
    found = accessor(types, { type, bitOffset: 0, bitSize: 0 })
    types.elementAccessors.set(type, found)
  }
  return found
}

const readPlace = (at: StructRef, place: Place): Value => placeAccessor(at.$types, place).get(at)

/** Makes the references to one struct type. */
export type StructClass = new (mem: Memory, va: Va) => StructRef

let constructors = 0

/**
 * A constructor of its own text for each struct. One for all would see hundreds of shapes, and the engine would look
 * up each store in it: that was a tenth of a recording's time.
 */
function ownConstructor(): StructClass {
  // the number: the engine takes equal text for the same function
  const text = `return function StructRef(mem, va) { this.$mem = mem; this.$va = va } // ${constructors++}`
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- nothing of a dump goes into the text
  const make = new Function(text) as () => StructClass
  return make()
}

/** The class of references to one struct type. */
export function structClass(types: Types, type: StructType): StructClass {
  const Class = ownConstructor()
  const prototype = Object.create(StructRef.prototype, {
    $types: { value: types },
    $type: { value: type },
    $raw: { value: undefined, writable: true },
    $members: { value: types.members(type) },
  }) as StructRef
  Object.defineProperty(Class, 'prototype', { value: prototype })
  for (const [name, place] of types.members(type)) defineMember(Class, name, types, place)
  return Class
}

/** A member as a property of a struct's references. */
export function defineMember(Class: StructClass, name: string, types: Types, place: Place): void {
  const prototype = Class.prototype as StructRef
  const both = { configurable: true, enumerable: true }
  // the first use replaces itself by the accessor's own closures
  const use = (): Accessor => {
    const { get, set } = placeAccessor(types, place)
    Object.defineProperty(prototype, name, {
      ...both,
      get(this: StructRef) { return get(this) }, // prettier-ignore
      set(this: StructRef, value: Storable) { set(this, value) }, // prettier-ignore
    })
    return { get, set }
  }
  Object.defineProperty(prototype, name, {
    ...both,
    get(this: StructRef) { return use().get(this) }, // prettier-ignore
    set(this: StructRef, value: Storable) { use().set(this, value) }, // prettier-ignore
  })
}

/** How to read and write one member: the C rules, once per member. */
export function accessor(types: Types, place: Place): Accessor {
  const type = strip(place.type)
  const offset = place.bitOffset >>> 3
  switch (type.kind) {
    case 'int':
    case 'enum':
    case 'float': {
      const wide = type.kind === 'int' && (type.size === 8 || isWord(place.type, type.name))
      const signed = type.kind === 'int' ? type.signed : type.kind === 'enum' && isSignedEnum(type)
      if (place.bitSize > 0) return bitField(place, signed, type.kind === 'float' ? 4 : type.size)
      return integer(offset, type.size, signed, wide || type.size === 8)
    }
    case 'ptr':
      return pointer(types, offset, strip(type.target))
    case 'struct':
    case 'union':
      return nested(types, offset, type)
    case 'array': {
      const { element, length } = type
      return {
        get: (at) => new ArrayRef(at.$types, at.$mem, locate(at, offset, 0), element, length),
        set: (at, value) => {
          if (!(value instanceof Uint8Array)) throw new InvariantError('an array takes bytes')
          writable(at.$mem).write(locate(at, offset, value.length), value)
        },
      }
    }
    default:
      return {
        get: (at) => toAddr(locate(at, offset, 1)),
        set: () => {
          throw new InvariantError(`a store into a member of kind ${type.kind}`)
        },
      }
  }
}

/** Typedefs of the machine's word, which on 32 bits stand for `int`. */
const WORDS = /^(__kernel_)?(s?size_t|ptrdiff_t|u?long_t)$|^uintptr_t$/

/**
 * Is it `long`, or `size_t` and the like? Those read as bigints whatever the word size, so that code which uses them
 * is the same for both.
 * @param plain the name of the type behind all typedefs
 */
function isWord(type: Type, plain: string): boolean {
  if (/\blong\b/.test(plain)) return true
  let t = type
  for (let hops = 0; hops < 16; hops++) {
    if (t.kind === 'typedef') {
      if (WORDS.test(t.name)) return true
      t = t.target
    } else if (t.kind === 'const' || t.kind === 'volatile' || t.kind === 'restrict') t = t.target
    else return false
  }
  return false
}

function isSignedEnum(type: Type): boolean {
  return type.kind === 'enum' && type.values.some(({ value }) => value < 0n)
}

function integer(offset: number, size: number, signed: boolean, wide: boolean): Accessor {
  if (wide) return wideInteger(offset, size, signed)
  const shift = 32 - size * 8
  const get = (at: Located): number => {
    const va = locate(at, offset, size)
    const raw = size === 1 ? at.$mem.u8(va) : size === 2 ? at.$mem.u16(va) : at.$mem.u32(va)
    return signed ? (raw << shift) >> shift : raw
  }
  const store = (mem: WritableMemory, va: Va, value: number, kind?: SourceKind, from?: number): void => {
    if (size === 1) mem.setU8(va, value, kind, from)
    else if (size === 2) mem.setU16(va, value, kind, from)
    else mem.setU32(va, value, kind, from)
  }
  return {
    get,
    set: (at, value) => {
      const mem = at.$mem as WritableMemory
      if (typeof value === 'number') store(mem, locate(at, offset, size), value)
      else if (value instanceof Sourced)
        store(mem, locate(at, offset, size), Number(value.value), value.kind, value.at)
      else store(mem, locate(at, offset, size), Number(BigInt.asIntN(32, integerOf(value))))
    },
  }
}

function wideInteger(offset: number, size: number, signed: boolean): Accessor {
  return {
    get: (at) => {
      const va = locate(at, offset, size)
      const raw = size === 8 ? at.$mem.u64(va) : BigInt(at.$mem.u32(va))
      return signed ? BigInt.asIntN(size * 8, raw) : raw
    },
    set: (at, value) => {
      const mem = writable(at.$mem)
      const va = locate(at, offset, size)
      if (typeof value === 'bigint' && size === 8) {
        mem.setU64(va, BigInt.asUintN(64, value))
        return
      }
      const [plain, kind, from] = sourceOf(value)
      if (size === 8) mem.setU64(va, BigInt.asUintN(64, plain), kind, from)
      else mem.setU32(va, Number(BigInt.asUintN(32, plain)), kind, from)
    },
  }
}

function bitField(place: Place, signed: boolean, size: number): Accessor {
  const byte = place.bitOffset >>> 3
  const shift = BigInt(place.bitOffset & 7)
  const width = place.bitSize
  const bytes = Math.min(8, Math.ceil(((place.bitOffset & 7) + width) / 8))
  const mask = (1n << BigInt(width)) - 1n
  const raw = (at: Located): bigint => {
    let value = 0n
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(at.$mem.u8(locate(at, byte + i, 1)))
    return value
  }
  const wide = size === 8 && width > 32
  // most bit-fields are narrow flags that lie in one byte
  const small = bytes === 1 ? { shift: place.bitOffset & 7, mask: (1 << width) - 1 } : undefined
  return {
    get: (at) => {
      if (small !== undefined) {
        const bits = (at.$mem.u8(locate(at, byte, 1)) >>> small.shift) & small.mask
        return signed ? (bits << (32 - width)) >> (32 - width) : bits
      }
      const bits = (raw(at) >> shift) & mask
      const value = signed ? BigInt.asIntN(width, bits) : bits
      return wide ? value : Number(value)
    },
    set: (at, value) => {
      const mem = writable(at.$mem)
      if (small !== undefined && typeof value === 'number') {
        const va = locate(at, byte, 1)
        const mask = small.mask << small.shift
        mem.setU8(va, (mem.u8(va) & ~mask) | ((value << small.shift) & mask))
        return
      }
      const [plain, kind, from] = sourceOf(value)
      let merged = (raw(at) & ~(mask << shift)) | ((plain & mask) << shift)
      for (let i = 0; i < bytes; i++, merged >>= 8n) {
        mem.setU8(locate(at, byte + i, 1), Number(merged & 0xffn), kind, from)
      }
    },
  }
}

function pointer(types: Types, offset: number, target: Type): Accessor {
  const size = types.pointerSize
  const set = (at: Located, value: Storable): void => {
    const mem = writable(at.$mem)
    const va = locate(at, offset, size)
    if (value === null) mem.setPointer(va, 0)
    else if (value instanceof StructRef && !Number.isNaN(value.$va)) mem.setPointer(va, value.$va)
    else if (value instanceof StructRef) mem.setWord(va, value.$addr)
    else {
      const [plain, kind, from] = sourceOf(value)
      mem.setWord(va, BigInt.asUintN(64, plain), kind, from)
    }
  }
  if (!isStruct(target)) return { get: (at) => at.$mem.word(locate(at, offset, size)), set }
  let Class: StructClass | undefined
  return {
    get: (at) => {
      const va = locate(at, offset, size)
      const to = at.$mem.pointer(va)
      if (to === 0) return null
      if (to !== to) return types.refTo(target, at.$mem, to, at.$mem.word(va))
      return new (Class ??= types.classOf(target))(at.$mem, to)
    },
    set,
  }
}

function nested(types: Types, offset: number, type: StructType): Accessor {
  let Class: StructClass | undefined
  return {
    get: (at) => new (Class ??= types.classOf(type))(at.$mem, locate(at, offset, type.size)),
    set: (at, value) => {
      const mem = writable(at.$mem)
      const va = locate(at, offset, type.size)
      if (value instanceof StructRef) mem.copy(va, value.$va, type.size)
      else if (value instanceof Uint8Array) mem.write(va, value)
      else throw new InvariantError(`a store of ${typeof value} into struct ${type.name}`)
    },
  }
}

function integerOf(value: Storable): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return BigInt(value)
  if (value === null) return 0n
  if (value instanceof StructRef) return value.$addr
  if (value instanceof Sourced) return BigInt(value.value)
  throw new InvariantError('bytes stored into an integer')
}

function sourceOf(value: Storable): [bigint, SourceKind | undefined, number | undefined] {
  if (value instanceof Sourced) return [BigInt(value.value), value.kind, value.at]
  return [integerOf(value), undefined, undefined]
}

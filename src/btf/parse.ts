/**
 * BTF bytes to types, decoding only what is asked for: one pass finds where each record begins, a type is
 * decoded when first met, names are compared in place.
 *
 * @see Documentation/bpf/btf.rst
 */

import { DumpError } from '../base/errors.ts'
import { NameChains, StringTable, type ChainTables } from './name-index.ts'
import type { Member, Param, StructType, Type, TypeKind } from './type.ts'

const MAGIC = 0xeb9f
const HEADER_SIZE = 24
const RECORD_SIZE = 12
/** Bytes after the 12 common ones: fixed part and per-vlen part, by BTF_KIND number. */
const EXTRA: readonly (readonly [fixed: number, each: number])[] = [
  [0, 0], // 0 UNKN
  [4, 0], // 1 INT
  [0, 0], // 2 PTR
  [12, 0], // 3 ARRAY
  [0, 12], // 4 STRUCT
  [0, 12], // 5 UNION
  [0, 8], // 6 ENUM
  [0, 0], // 7 FWD
  [0, 0], // 8 TYPEDEF
  [0, 0], // 9 VOLATILE
  [0, 0], // 10 CONST
  [0, 0], // 11 RESTRICT
  [0, 0], // 12 FUNC
  [0, 8], // 13 FUNC_PROTO
  [4, 0], // 14 VAR
  [0, 12], // 15 DATASEC
  [0, 0], // 16 FLOAT
  [4, 0], // 17 DECL_TAG
  [0, 0], // 18 TYPE_TAG
  [0, 12], // 19 ENUM64
]
const KIND_NAMES: readonly TypeKind[] = [
  'void',
  'int',
  'ptr',
  'array',
  'struct',
  'union',
  'enum',
  'fwd',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'func',
  'func_proto',
  'var',
  'datasec',
  'float',
  'decl_tag',
  'type_tag',
  'enum',
]

export interface BtfOptions {
  readonly pointerSize: 4 | 8
  /** vmlinux's BTF, when this is a module's split BTF. */
  readonly base?: Btf
  /** What to call the bytes in an error message. */
  readonly name?: string
  /** What {@link Btf.index} gave for the same bytes; what cannot be theirs is not used. */
  readonly index?: BtfIndex
}

/** Where names are, so that finding them need not go through all the strings again. */
export interface BtfIndex extends ChainTables {
  readonly slots: Int32Array
}

/** One BTF blob. Ids begin at 1 (0 is void), or after the base's when split. */
export class Btf {
  readonly pointerSize: 4 | 8
  readonly base: Btf | undefined
  /** First id that is ours. */
  readonly startId: number
  /** One past the last id. */
  readonly endId: number
  /** The blob itself, header included. */
  readonly bytes: Uint8Array
  private readonly view: DataView
  private readonly typeStart: number
  private readonly stringStart: number
  private readonly stringLength: number
  private readonly startString: number
  /** Byte position of each record, by id - startId. */
  private readonly records: Uint32Array
  private readonly decoded: (Type | undefined)[] = []
  private strings: StringTable | undefined
  private chains: NameChains | undefined

  private constructor(bytes: Uint8Array, options: BtfOptions) {
    const name = options.name ?? 'BTF'
    const bad = (offset: number, problem: string): never => {
      throw new DumpError('BAD_FORMAT', name, offset, problem)
    }
    if (bytes.length < HEADER_SIZE) bad(0, 'BTF is shorter than its header')
    this.bytes = bytes
    this.pointerSize = options.pointerSize
    this.base = options.base
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.view = view
    if (view.getUint16(0, true) !== MAGIC) bad(0, 'not BTF (magic is not 0xeb9f)')
    const headerLength = view.getUint32(4, true)
    const typeLength = view.getUint32(12, true)
    this.typeStart = headerLength + view.getUint32(8, true)
    this.stringStart = headerLength + view.getUint32(16, true)
    this.stringLength = view.getUint32(20, true)
    if (this.typeStart + typeLength > bytes.length) bad(12, 'BTF type section reaches past the end')
    if (this.stringStart + this.stringLength > bytes.length) bad(20, 'BTF strings reach past the end')
    this.startId = this.base?.endId ?? 1
    this.startString = this.base === undefined ? 0 : this.base.startString + this.base.stringLength

    const end = this.typeStart + typeLength
    const found = new Uint32Array(Math.floor(typeLength / RECORD_SIZE))
    let count = 0
    let at = this.typeStart
    while (at + RECORD_SIZE <= end) {
      const info = view.getUint32(at + 4, true)
      const extra = EXTRA[(info >>> 24) & 0x1f]
      if (extra === undefined) {
        bad(at, `unknown BTF kind ${(info >>> 24) & 0x1f}`)
        break
      }
      found[count++] = at
      at += RECORD_SIZE + extra[0] + extra[1] * (info & 0xffff)
    }
    if (at !== end) bad(at, 'BTF type section ends inside a record')
    this.records = found.subarray(0, count)
    this.endId = this.startId + count
    if (options.index !== undefined) this.use(options.index)
  }

  /** @throws DumpError BAD_FORMAT naming the byte that is wrong */
  static parse(bytes: Uint8Array, options: BtfOptions): Btf {
    return new Btf(bytes, options)
  }

  /** The type with this id; ids out of range are `void`, as damaged BTF may hold any. */
  type(id: number): Type {
    if (id === 0) return { kind: 'void', id: 0 }
    if (id < this.startId) return this.base?.type(id) ?? { kind: 'void', id: 0 }
    const index = id - this.startId
    const known = this.decoded[index]
    if (known !== undefined) return known
    const at = this.records[index]
    if (at === undefined) return { kind: 'void', id: 0 }
    const type = this.decode(id, at)
    this.decoded[index] = type
    return type
  }

  /** All types of that name (and kind), this blob's first, then the base's. */
  findAll(name: string, kind?: TypeKind): Type[] {
    const own = [...this.idsOf(name)].map((id) => this.type(id))
    const all = this.base === undefined ? own : [...own, ...this.base.findAll(name)]
    return kind === undefined ? all : all.filter((type) => type.kind === kind)
  }

  /** The first type of that name and kind. */
  find(name: string, kind?: TypeKind): Type | undefined {
    for (const id of this.idsOf(name)) {
      if (kind === undefined || this.kindOf(id) === kind) return this.type(id)
    }
    return this.base?.find(name, kind)
  }

  /** The value of the first enumerator of that name, in whichever enum it stands. */
  findEnumerator(name: string): bigint | undefined {
    const offsets = this.nameOffsets(name)
    for (let id = this.startId; offsets.length > 0 && id < this.endId; id++) {
      const at = this.records[id - this.startId] as number
      const info = this.view.getUint32(at + 4, true)
      const kind = (info >>> 24) & 0x1f
      if (KIND_NAMES[kind] !== 'enum') continue
      const stride = EXTRA[kind]?.[1] ?? 8
      for (let i = 0, entry = at + RECORD_SIZE; i < (info & 0xffff); i++, entry += stride) {
        if (!offsets.includes(this.view.getUint32(entry, true))) continue
        const type = this.type(id)
        if (type.kind === 'enum') return type.values[i]?.value
      }
    }
    return this.base?.findEnumerator(name)
  }

  /** Every name in this blob, for completion and "nearest" hints. */
  typeNames(): Iterable<string> {
    const offsets = new Set<number>()
    for (const at of this.records) offsets.add(this.view.getUint32(at, true))
    offsets.delete(0)
    return [...offsets].map((offset) => this.string(offset))
  }

  kindOf(id: number): TypeKind {
    const at = this.records[id - this.startId]
    if (at === undefined) return this.base?.kindOf(id) ?? 'void'
    return KIND_NAMES[(this.view.getUint32(at + 4, true) >>> 24) & 0x1f] ?? 'void'
  }

  /** The string at a name offset (offsets continue the base's when split). */
  string(offset: number): string {
    if (this.base !== undefined && offset < this.startString) return this.base.string(offset)
    const start = offset - this.startString
    if (start < 0 || start >= this.stringLength) return ''
    const from = this.stringStart + start
    const limit = this.stringStart + this.stringLength
    let to = this.bytes.indexOf(0, from)
    if (to < 0 || to > limit) to = limit
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + from, to - from).toString('latin1')
  }

  /** Name offsets with that text; those of the base's strings too, which a split blob may use. */
  private nameOffsets(name: string): number[] {
    if (name === '') return []
    this.strings ??= new StringTable(this.stringSection())
    const own = this.strings.offsetsOf(name).map((offset) => offset + this.startString)
    return this.base === undefined ? own : [...this.base.nameOffsets(name), ...own]
  }

  private stringSection(): Uint8Array {
    return this.bytes.subarray(this.stringStart, this.stringStart + this.stringLength)
  }

  /** All that was found by going through the bytes, to be kept for the next time. */
  index(): BtfIndex {
    this.strings ??= new StringTable(this.stringSection())
    this.chains ??= this.makeChains()
    return { slots: this.strings.slots, ...this.chains.tables }
  }

  /** Tables made of the same bytes before: whatever they hold, nothing outside the bytes is read. */
  private use(index: BtfIndex): void {
    this.chains = NameChains.from(index, this.records.length)
    if (this.chains !== undefined) this.strings = new StringTable(this.stringSection(), index.slots)
  }

  private makeChains(): NameChains {
    return NameChains.of(this.records.map((at) => this.view.getUint32(at, true)))
  }

  /** Ids of this blob's types of that name, in order. */
  private *idsOf(name: string): Generator<number> {
    const offsets = this.nameOffsets(name)
    if (offsets.length === 0) return
    const chains = (this.chains ??= this.makeChains())
    const ids = offsets.flatMap((offset) => [...chains.recordsOf(offset)])
    if (offsets.length > 1) ids.sort((a, b) => a - b)
    for (const id of ids) yield this.startId + id
  }

  private decode(id: number, at: number): Type {
    const view = this.view
    const btf = this
    const name = this.string(view.getUint32(at, true))
    const info = view.getUint32(at + 4, true)
    const sizeOrType = view.getUint32(at + 8, true)
    const kindNumber = (info >>> 24) & 0x1f
    const vlen = info & 0xffff
    const flag = info >>> 31 === 1
    const body = at + RECORD_SIZE
    const kind = KIND_NAMES[kindNumber] as TypeKind
    switch (kind) {
      case 'int': {
        const encoding = view.getUint32(body, true) >>> 24
        return {
          kind,
          id,
          name,
          size: sizeOrType,
          signed: (encoding & 1) !== 0,
          char: (encoding & 2) !== 0 || (sizeOrType === 1 && /\bchar$/.test(name)),
          bool: (encoding & 4) !== 0,
        }
      }
      case 'float':
        return { kind, id, name, size: sizeOrType }
      case 'ptr':
        return { kind, id, get target() { return btf.type(sizeOrType) } } // prettier-ignore
      case 'array': {
        const element = view.getUint32(body, true)
        return { kind, id, length: view.getUint32(body + 8, true), get element() { return btf.type(element) } } // prettier-ignore
      }
      case 'struct':
      case 'union':
        return new LazyStruct(this, kind, id, name, sizeOrType, body, vlen, flag)
      case 'enum':
        return { kind, id, name, size: sizeOrType, signed: flag, values: this.enumValues(body, vlen, kindNumber === 19, flag) } // prettier-ignore
      case 'fwd':
        return { kind, id, name, union: flag }
      case 'typedef':
        return { kind, id, name, get target() { return btf.type(sizeOrType) } } // prettier-ignore
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type_tag':
        return { kind, id, name, get target() { return btf.type(sizeOrType) } } // prettier-ignore
      case 'func':
        return { kind, id, name, get proto() { return btf.type(sizeOrType) } } // prettier-ignore
      case 'func_proto':
        return this.funcProto(id, sizeOrType, body, vlen)
      case 'var':
        return { kind, id, name, linkage: view.getUint32(body, true), get type() { return btf.type(sizeOrType) } } // prettier-ignore
      case 'datasec': {
        const vars = Array.from({ length: vlen }, (_, i) => {
          const type = view.getUint32(body + i * 12, true)
          const offset = view.getUint32(body + i * 12 + 4, true)
          const size = view.getUint32(body + i * 12 + 8, true)
          return { offset, size, get type() { return btf.type(type) } } // prettier-ignore
        })
        return { kind, id, name, size: sizeOrType, vars }
      }
      case 'decl_tag':
        return { kind, id, name, get target() { return btf.type(sizeOrType) } } // prettier-ignore
      default:
        return { kind: 'void', id: 0 }
    }
  }

  private enumValues(body: number, vlen: number, wide: boolean, signed: boolean) {
    return Array.from({ length: vlen }, (_, i) => {
      const at = body + i * (wide ? 12 : 8)
      const name = this.string(this.view.getUint32(at, true))
      const low = this.view.getUint32(at + 4, true)
      const raw = wide ? (BigInt(this.view.getUint32(at + 8, true)) << 32n) | BigInt(low) : BigInt(low)
      // 32-bit enums before kind_flag's meaning was extended are stored signed either way
      const value = wide ? (signed ? BigInt.asIntN(64, raw) : raw) : BigInt(low | 0)
      return { name, value }
    })
  }

  private funcProto(id: number, returns: number, body: number, vlen: number): Type {
    const btf = this
    const params: Param[] = []
    let variadic = false
    for (let i = 0; i < vlen; i++) {
      const name = this.string(this.view.getUint32(body + i * 8, true))
      const type = this.view.getUint32(body + i * 8 + 4, true)
      if (i === vlen - 1 && type === 0 && name === '') variadic = true
      else params.push({ name, get type() { return btf.type(type) } }) // prettier-ignore
    }
    return { kind: 'func_proto', id, params, variadic, get returns() { return btf.type(returns) } } // prettier-ignore
  }

  /** Members of a struct record. @internal used by {@link LazyStruct} */
  members(body: number, vlen: number, bitfields: boolean): Member[] {
    const btf = this
    return Array.from({ length: vlen }, (_, i) => {
      const at = body + i * 12
      const name = this.string(this.view.getUint32(at, true))
      const type = this.view.getUint32(at + 4, true)
      const offset = this.view.getUint32(at + 8, true)
      return {
        name,
        bitOffset: bitfields ? offset & 0xffffff : offset,
        bitSize: bitfields ? offset >>> 24 : 0,
        get type() {
          return btf.type(type)
        },
      }
    })
  }
}

/** A struct whose member list is decoded when first looked at: most structs are only ever pointed to. */
class LazyStruct implements StructType {
  readonly kind: 'struct' | 'union'
  readonly id: number
  readonly name: string
  readonly size: number
  private readonly decode: () => Member[]
  private decodedMembers: readonly Member[] | undefined

  constructor(
    btf: Btf,
    kind: 'struct' | 'union',
    id: number,
    name: string,
    size: number,
    body: number,
    vlen: number,
    bitfields: boolean,
  ) {
    this.kind = kind
    this.id = id
    this.name = name
    this.size = size
    this.decode = () => btf.members(body, vlen, bitfields)
  }

  get members(): readonly Member[] {
    return (this.decodedMembers ??= this.decode())
  }
}

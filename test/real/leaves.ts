/**
 * What the bytes of a structure say, member by member, in a form that two machines can be compared by: numbers as
 * they are; pointers as NULL, as the kernel symbol they point at, as a place inside the structure itself, or just as
 * pointers, because where an object lies is chance.
 */

import type { StructRef } from '../../src/btf/ref.ts'
import { isStruct, strip, type Member, type StructType, type Type } from '../../src/btf/type.ts'
import type { Types } from '../../src/btf/types.ts'

/** The name of what lies at an address, when that belongs to the kernel's image or a module. */
export type Symbolize = (word: bigint) => string | undefined

/** Unions whose other members are not in use, by the end of their path. */
const IN_USE: Readonly<Record<string, string>> = {
  'cork.fl.u': 'ip4',
}
/** Bytes that are another structure: of the congestion control in use. */
const OVERLAYS: Readonly<Record<string, string>> = { icsk_ca_priv: 'bictcp' }

/** Arrays up to this many elements are compared element by element. */
const ELEMENTS_MAX = 64
const KERNEL_HALF = 0xffff_0000_0000_0000n

export class Leaves {
  readonly found = new Map<string, string>()
  private readonly types: Types
  private readonly ref: StructRef
  private readonly symbolize: Symbolize

  /** @param types the types to read with: those of one machine for both, so that members are the same */
  constructor(ref: StructRef, types: Types, symbolize: Symbolize) {
    this.ref = ref
    this.types = types
    this.symbolize = symbolize
    const { name } = ref.$type
    this.struct(types.struct(name), ref.$va, name)
  }

  private struct(type: StructType, va: number, path: string): void {
    for (const member of type.members) {
      const at = va + (member.bitOffset >>> 3)
      const name = member.name === '' ? path : `${path}.${member.name}`
      if (member.bitSize > 0) this.found.set(name, this.bits(at, member))
      else this.member(strip(member.type), at, name, member)
    }
  }

  private member(type: Type, va: number, path: string, member?: Member): void {
    const overlay = member === undefined ? undefined : OVERLAYS[member.name]
    if (overlay !== undefined && this.types.has(overlay)) {
      this.struct(this.types.struct(overlay), va, `${path}.${overlay}`)
    } else if (type.kind === 'struct') this.struct(type, va, path)
    else if (type.kind === 'union') this.union(type, va, path)
    else if (type.kind === 'array') this.array(type, va, path)
    else if (type.kind === 'ptr') this.found.set(path, this.pointer(this.word(va)))
    else if (this.types.sizeof(type) > 0) this.found.set(path, this.integer(va, this.types.sizeof(type)))
  }

  /** A union is read by the member in use, or the only type it has; else word by word. */
  private union(type: StructType, va: number, path: string): void {
    const inUse = Object.entries(IN_USE).find(([end]) => path.endsWith(end))?.[1]
    const [first] = type.members
    const chosen = type.members.find((m) => m.name === inUse) ?? (sameTypes(type) ? first : undefined)
    if (chosen !== undefined) {
      const name = chosen.name === '' ? path : `${path}.${chosen.name}`
      this.member(strip(chosen.type), va, name, chosen)
      return
    }
    const size = this.types.sizeof(type)
    const name = `${path}.${firstName(type)} (union)`
    if (size % 8 === 0 && va % 8 === 0) {
      for (let i = 0; i < size; i += 8) {
        this.found.set(size === 8 ? name : `${name}+${i}`, this.anyWord(this.word(va + i)))
      }
    } else this.found.set(name, hex(this.ref.$mem.read(va, size)))
  }

  private array(type: Type & { kind: 'array' }, va: number, path: string): void {
    const element = strip(type.element)
    const size = this.types.sizeof(element)
    const plain = element.kind !== 'ptr' && !isStruct(element) && element.kind !== 'array'
    if (plain) this.found.set(path, hex(this.ref.$mem.read(va, size * type.length)))
    else {
      for (let i = 0; i < Math.min(type.length, ELEMENTS_MAX); i++) {
        this.member(element, va + i * size, `${path}[${i}]`)
      }
    }
  }

  /** A word of unknown type: an address when it looks like one. */
  private anyWord(word: bigint): string {
    return word >= KERNEL_HALF && word < 0xffff_ffff_ffff_f000n
      ? this.pointer(word)
      : `0x${word.toString(16)}`
  }

  private pointer(word: bigint): string {
    if (word === 0n) return 'NULL'
    if (word < KERNEL_HALF)
      return word < 0x1000n || word >> 56n === 0xden ? `0x${word.toString(16)}` : 'user pointer'
    const inside = this.inside(word)
    if (inside !== undefined) return `itself+0x${inside.toString(16)}`
    return this.symbolize(word) ?? 'pointer'
  }

  private integer(va: number, size: number): string {
    const bytes = this.ref.$mem.read(va, size)
    let value = 0n
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0)
    return size === 8 && this.inside(value) !== undefined ? this.pointer(value) : String(value)
  }

  /** Where inside the structure an address points. */
  private inside(word: bigint): number | undefined {
    const offset = Number(BigInt.asIntN(64, word)) - this.ref.$va
    return word >= KERNEL_HALF && offset >= 0 && offset < this.ref.$type.size ? offset : undefined
  }

  private bits(va: number, { bitOffset, bitSize }: Member): string {
    const shift = bitOffset & 7
    const value = BigInt(this.integer(va, Math.ceil((shift + bitSize) / 8)))
    return String((value >> BigInt(shift)) & ((1n << BigInt(bitSize)) - 1n))
  }

  private word(va: number): bigint {
    return this.ref.$mem.word(va)
  }
}

const hex = (bytes: Uint8Array): string =>
  bytes.every((b) => b === 0) ? '0' : Buffer.from(bytes).toString('hex')

function sameTypes({ members }: StructType): boolean {
  const [first] = members
  if (first === undefined) return false
  const kinds = members.map((m) => strip(m.type))
  return kinds.every((t) => t === kinds[0] || (isStruct(t) && t.name !== '' && isStruct(kinds[0] as Type) && t.name === (kinds[0] as StructType).name)) // prettier-ignore
}

/** The name a reader knows the union by. */
function firstName(type: StructType): string {
  for (const member of type.members) {
    if (member.name !== '') return member.name
    const inner = strip(member.type)
    if (isStruct(inner)) return firstName(inner)
  }
  return ''
}

/**
 * Names to layouts: what is struct X's size, where is its member a.b[2].c, and a typed reference to one.
 */

import type { Va } from '../base/addr.ts'
import { LookupError } from '../base/errors.ts'
import type { Memory } from '../memory/memory.ts'
import type { Btf } from './parse.ts'
import { defineMember, structClass, type Accessor, type StructClass, type StructRef } from './ref.ts'
import { isStruct, strip, type Member, type StructType, type Type } from './type.ts'
import type { KernelStructs } from './vmlinux.ts'

/** Where a member lies, anonymous structs looked through. */
export interface Place {
  readonly type: Type
  /** Bits from the start of the struct asked about. */
  readonly bitOffset: number
  /** 0 unless a bit-field. */
  readonly bitSize: number
  /** @internal how the member is read and written, once that was asked */
  accessor?: Accessor
}

/** The StructRef of a name: with members when `vmlinux.ts` knows the struct. */
export type RefOf<N extends string> = N extends keyof KernelStructs ? KernelStructs[N] : StructRef

/** Paths remembered for one struct: whoever goes through an array by path shall not fill the memory. */
const PATHS_MAX = 256

/** Layouts over one kernel's BTF; with `btf.base`, a module's own types come first. */
export class Types {
  readonly btf: Btf
  private readonly structs = new Map<string, StructType | undefined>()
  private readonly classes = new Map<StructType, StructClass>()
  /** @internal how the elements of arrays are read */
  readonly elementAccessors = new Map<Type, Accessor>()
  private readonly named = new Map<string, StructClass>()
  private readonly enumerators = new Map<string, bigint | undefined>()
  private readonly places = new Map<StructType, Map<string, Place>>()
  /** What {@link findPlace} made of longer paths. */
  private readonly paths = new Map<StructType, Map<string, Place>>()

  constructor(btf: Btf) {
    this.btf = btf
  }

  get pointerSize(): 4 | 8 {
    return this.btf.pointerSize
  }

  /**
   * The struct or union of that tag, or behind a typedef of that name.
   * @throws LookupError NO_TYPE
   */
  struct(name: string): StructType {
    const found = this.findStruct(name)
    if (found === undefined) throw new LookupError('type', name)
    return found
  }

  findStruct(name: string): StructType | undefined {
    const known = this.structs.get(name)
    if (known !== undefined || this.structs.has(name)) return known
    let type = this.btf.find(name, 'struct') ?? this.btf.find(name, 'union')
    if (type === undefined) {
      const typedef = this.btf.find(name, 'typedef')
      const target = typedef === undefined ? undefined : strip(typedef)
      if (target !== undefined && isStruct(target)) type = target
    }
    const found = type !== undefined && isStruct(type) ? type : undefined
    this.structs.set(name, found)
    return found
  }

  /** Size in bytes of a struct by name, or of a type. */
  sizeof(type: string | Type): number {
    const t = typeof type === 'string' ? this.struct(type) : strip(type)
    switch (t.kind) {
      case 'int':
      case 'float':
      case 'struct':
      case 'union':
      case 'enum':
        return t.size
      case 'ptr':
        return this.pointerSize
      case 'array':
        return t.length * this.sizeof(t.element)
      case 'var':
        return this.sizeof(t.type)
      case 'datasec':
        return t.size
      case 'func':
      case 'func_proto':
      case 'void':
        return 1
      default:
        return 0
    }
  }

  /** Is there such a struct, and such a member path in it? Kernels are probed by this, never by version. */
  has(struct: string, path?: string): boolean {
    const type = this.findStruct(struct)
    if (type === undefined) return false
    return path === undefined || this.findPlace(type, path) !== undefined
  }

  /** Byte offset of a member path such as `__sk_common.skc_state` or `tasks[1].next`. @throws LookupError */
  offsetof(struct: string | StructType, path: string): number {
    return this.place(struct, path).bitOffset >>> 3
  }

  /** @throws LookupError NO_TYPE, NO_MEMBER */
  place(struct: string | StructType, path: string): Place {
    const type = typeof struct === 'string' ? this.struct(struct) : struct
    const place = this.findPlace(type, path)
    if (place === undefined) throw new LookupError('member', `${type.name}.${path}`)
    return place
  }

  /** Resolve a dotted path with array indexes. */
  findPlace(struct: StructType, path: string): Place | undefined {
    const simple = this.members(struct).get(path)
    if (simple !== undefined) return simple
    let known = this.paths.get(struct)
    if (known === undefined) this.paths.set(struct, (known = new Map<string, Place>()))
    let place = known.get(path)
    if (place !== undefined) return place
    place = this.walk(struct, path)
    if (place !== undefined && known.size < PATHS_MAX) known.set(path, place)
    return place
  }

  private walk(struct: StructType, path: string): Place | undefined {
    let type: Type = struct
    let bitOffset = 0
    let bitSize = 0
    for (const [, name, index] of path.matchAll(/([A-Za-z_$][\w$]*)|\[(\d+)\]|[^.]/g)) {
      const t = strip(type)
      if (name !== undefined) {
        const step: Place | undefined = isStruct(t) ? this.members(t).get(name) : undefined
        if (step === undefined) return undefined
        type = step.type
        bitOffset += step.bitOffset
        bitSize = step.bitSize
      } else if (index !== undefined) {
        if (t.kind !== 'array') return undefined
        type = t.element
        bitOffset += Number(index) * this.sizeof(t.element) * 8
        bitSize = 0
      } else return undefined
    }
    return { type, bitOffset, bitSize }
  }

  /** Named members, those of anonymous structs and unions included. */
  members(struct: StructType): Map<string, Place> {
    const known = this.places.get(struct)
    if (known !== undefined) return known
    const places = new Map<string, Place>()
    const add = (members: readonly Member[], base: number, depth: number): void => {
      for (const member of members) {
        const bitOffset = base + member.bitOffset
        if (member.name !== '') {
          if (!places.has(member.name)) {
            const { type, bitSize } = member
            places.set(member.name, { type, bitOffset, bitSize })
          }
          continue
        }
        const inner = strip(member.type)
        if (isStruct(inner) && depth < 16) add(inner.members, bitOffset, depth + 1)
      }
    }
    add(struct.members, 0, 0)
    this.places.set(struct, places)
    return places
  }

  /**
   * Give members further names, such as the kernel's own macros: `sk_state` for `__sk_common.skc_state`. Paths a
   * layout does not have are left out.
   */
  alias(struct: string, names: Readonly<Record<string, string>>): void {
    const type = this.findStruct(struct)
    if (type === undefined) return
    const members = this.members(type)
    for (const [name, path] of Object.entries(names)) {
      const place = this.findPlace(type, path)
      if (place === undefined || members.has(name)) continue
      members.set(name, place)
      const Class = this.classes.get(type)
      if (Class !== undefined) defineMember(Class, name, this, place)
    }
  }

  /** The value of an enumerator, in whichever enum it stands. */
  enumerator(name: string): bigint | undefined {
    if (!this.enumerators.has(name)) this.enumerators.set(name, this.btf.findEnumerator(name))
    return this.enumerators.get(name)
  }

  /** A typed reference to a struct at `va`. @throws LookupError when BTF has no such struct */
  ref<N extends string>(name: N, mem: Memory, va: Va): RefOf<N> {
    let Class = this.named.get(name)
    if (Class === undefined) this.named.set(name, (Class = this.classOf(this.struct(name))))
    return new Class(mem, va) as RefOf<N>
  }

  refTo(type: StructType, mem: Memory, va: Va, raw?: bigint): StructRef {
    const Class = this.classOf(type)
    const ref = new Class(mem, va)
    if (raw !== undefined) ref.$raw = raw
    return ref
  }

  classOf(type: StructType): StructClass {
    let found = this.classes.get(type)
    if (found === undefined) {
      found = structClass(this, type)
      this.classes.set(type, found)
    }
    return found
  }
}

/**
 * The part of a BTF blob that some roots need, as a blob of its own: whole bodies for the roots and whatever
 * they hold by value, then for what they point to, nearest first, until a budget is spent; the rest are FWDs.
 */

import type { Btf } from './parse.ts'
import { encodeBtf, type BtfRecord } from './encode.ts'
import type { StructType, Type, TypeKind } from './type.ts'

export interface ClosureRoots {
  /** Names with their kind; those a kernel has not are reported, not fatal. */
  readonly named: readonly { readonly kind: TypeKind; readonly name: string }[]
  /** Enumerators whose enum is wanted, for enums without a name. */
  readonly enumerators?: readonly string[]
}

export interface ClosureResult {
  readonly bytes: Uint8Array
  /** Structs and unions with a body, by name or not. */
  readonly bodies: number
  readonly forwards: number
  /** Roots this BTF does not have. */
  readonly missing: readonly string[]
}

/** A struct met only as a parameter waits this many levels longer than one behind a data pointer. */
const PROTOTYPE_DISTANCE = 2
/** What arrays are indexed with, first found. */
const INDEX_TYPES = ['__ARRAY_SIZE_TYPE__', 'long unsigned int', 'unsigned int', 'int']

/**
 * @param budget bytes the result should have; roots and what they hold by value are kept whatever it costs
 * @remarks Declaration tags are dropped, function linkage is written as static (what pahole writes for a kernel).
 */
export function closeOver(btf: Btf, roots: ClosureRoots, budget: number): ClosureResult {
  return new Closure(btf).run(roots, budget)
}

class Closure {
  private readonly btf: Btf
  /** Every type that gets a record. */
  private readonly kept = new Set<number>()
  /** Structs and unions whose record has members. */
  private readonly whole = new Set<number>()
  private readonly strings = new Set<string>()
  /** Structs met behind a pointer, by the number of pointers followed from a root. */
  private readonly queues: Set<StructType>[] = []
  private readonly arrayIndex: number
  private size = 25

  constructor(btf: Btf) {
    this.btf = btf
    const index = INDEX_TYPES.map((name) => btf.find(name, 'int')).find((type) => type !== undefined)
    this.arrayIndex = index?.id ?? 0
  }

  run(roots: ClosureRoots, budget: number): ClosureResult {
    if (this.arrayIndex !== 0) this.keep(this.btf.type(this.arrayIndex), 0)
    const missing: string[] = []
    for (const { kind, name } of roots.named) {
      const type = this.btf.find(name, kind)
      if (type === undefined) missing.push(`${kind} ${name}`)
      else this.keep(type, 0)
    }
    const enumerators = new Set(roots.enumerators)
    for (let id = 1; id < this.btf.endId; id++) {
      if (enumerators.size > 0 && this.btf.kindOf(id) === 'enum') this.keepEnum(id, enumerators)
    }
    for (const name of enumerators) missing.push(`enumerator ${name}`)
    this.serve(budget)
    const vars = this.sections()
    const ids = [...this.kept].sort((a, b) => a - b)
    const renumbered = new Map<number, number>([[0, 0]])
    ids.forEach((id, i) => renumbered.set(id, i + 1))
    const records = ids.map((id) => this.record(this.btf.type(id), renumbered))
    let forwards = 0
    for (const record of records) if (record.kind === 'fwd') forwards++
    return { bytes: encodeBtf([...records, ...vars(renumbered)]), bodies: this.whole.size, forwards, missing }
  }

  private keepEnum(id: number, wanted: Set<string>): void {
    const type = this.btf.type(id)
    if (type.kind !== 'enum') return
    const found = type.values.filter(({ name }) => wanted.has(name))
    if (found.length === 0) return
    this.keep(type, 0)
    for (const { name } of found) wanted.delete(name)
  }

  /** Give pointees their bodies, level by level, while the budget lasts. */
  private serve(budget: number): void {
    for (let depth = 0; depth < this.queues.length; depth++) {
      // small ones first: more of what a user follows becomes visible for the same bytes
      const level = [...(this.queues[depth] ?? [])]
      level.sort((a, b) => a.members.length - b.members.length || a.id - b.id)
      for (const type of level) {
        if (this.size >= budget) return
        this.keep(type, depth)
      }
    }
  }

  /** Keep a type and everything its layout needs; what it points to is queued. */
  private keep(type: Type, depth: number): void {
    if (type.kind === 'struct' || type.kind === 'union') {
      if (this.whole.has(type.id)) return
      this.whole.add(type.id)
      if (!this.kept.has(type.id)) this.account(type)
      this.kept.add(type.id)
      for (const member of type.members) {
        this.spend(12, member.name)
        this.keep(member.type, depth)
      }
      return
    }
    // a typedef met behind a pointer has its record but not yet what it stands for
    if (this.once(type) || 'target' in type) this.follow(type, depth)
  }

  private follow(type: Type, depth: number): void {
    switch (type.kind) {
      case 'ptr':
        return this.point(type.target, depth + 1)
      case 'decl_tag':
        return
      case 'array':
        return this.keep(type.element, depth)
      case 'typedef':
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type_tag':
        return this.keep(type.target, depth)
      case 'func':
        return this.point(type.proto, depth)
      case 'func_proto':
        this.point(type.returns, depth)
        for (const param of type.params) {
          this.spend(8, param.name)
          this.point(param.type, depth)
        }
        return
      case 'var':
        return this.keep(type.type, depth)
    }
  }

  /** Keep what a pointer leads to, but only the name of a struct, for now. */
  private point(type: Type, depth: number): void {
    switch (type.kind) {
      case 'struct':
      case 'union':
        if (type.name === '') return this.keep(type, depth)
        if (this.whole.has(type.id)) return
        ;(this.queues[depth] ??= new Set()).add(type)
        this.once(type)
        return
      case 'typedef':
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type_tag':
        // even when the record is known: the struct behind may be nearer by this way
        this.once(type)
        return this.point(type.target, depth)
      case 'func_proto':
        if (!this.once(type)) return
        this.point(type.returns, depth + PROTOTYPE_DISTANCE)
        for (const param of type.params) {
          this.spend(8, param.name)
          this.point(param.type, depth + PROTOTYPE_DISTANCE)
        }
        return
      default:
        this.keep(type, depth)
    }
  }

  /** Count a record the first time it is met. */
  private once(type: Type): boolean {
    if (type.kind === 'void' || this.kept.has(type.id)) return false
    this.kept.add(type.id)
    this.account(type)
    return true
  }

  private account(type: Type): void {
    this.spend(12, 'name' in type ? type.name : '')
    if (type.kind === 'int' || type.kind === 'var') this.spend(4, '')
    else if (type.kind === 'array') this.spend(12, '')
    else if (type.kind === 'enum') for (const { name } of type.values) this.spend(8, name)
  }

  private spend(bytes: number, name: string): void {
    this.size += bytes
    if (name === '' || this.strings.has(name)) return
    this.strings.add(name)
    this.size += name.length + 1
  }

  /** DATASECs cut down to the variables kept; their records come last, as ids must be known. */
  private sections(): (ids: ReadonlyMap<number, number>) => BtfRecord[] {
    const found: Extract<Type, { kind: 'datasec' }>[] = []
    for (let id = 1; id < this.btf.endId; id++) {
      const type = this.btf.kindOf(id) === 'datasec' ? this.btf.type(id) : undefined
      if (type?.kind === 'datasec' && type.vars.some((v) => this.kept.has(v.type.id))) found.push(type)
    }
    return (ids) =>
      found.map(({ name, size, vars }) => ({
        kind: 'datasec',
        name,
        size,
        vars: vars
          .filter((v) => ids.has(v.type.id))
          .map((v) => ({ type: ids.get(v.type.id) ?? 0, offset: v.offset, size: v.size })),
      }))
  }

  private record(type: Type, ids: ReadonlyMap<number, number>): BtfRecord {
    const id = (t: Type): number => ids.get(t.id) ?? 0
    switch (type.kind) {
      case 'struct':
      case 'union': {
        const { kind, name, size } = type
        if (!this.whole.has(type.id)) return { kind: 'fwd', name, union: kind === 'union' }
        return { kind, name, size, members: type.members.map((m) => ({ ...plain(m), type: id(m.type) })) }
      }
      case 'array':
        return {
          kind: 'array',
          element: id(type.element),
          index: id(this.btf.type(this.arrayIndex)),
          length: type.length,
        }
      case 'func_proto':
        return {
          kind: 'func_proto',
          returns: id(type.returns),
          params: type.params.map((p) => ({ name: p.name, type: id(p.type) })),
          variadic: type.variadic,
        }
      case 'func':
        return { kind: 'func', name: type.name, type: id(type.proto) }
      case 'var':
        return { kind: 'var', name: type.name, type: id(type.type), linkage: type.linkage }
      case 'typedef':
      case 'type_tag':
        return { kind: type.kind, name: type.name, type: id(type.target) }
      case 'ptr':
      case 'const':
      case 'volatile':
      case 'restrict':
        return { kind: type.kind, type: id(type.target) }
      case 'decl_tag':
        return { kind: 'decl_tag', name: type.name, type: id(type.target), component: -1 }
      case 'datasec':
        return { kind: 'datasec', name: type.name, size: type.size, vars: [] }
      case 'void':
        return { kind: 'ptr', type: 0 }
      default:
        return type
    }
  }
}

const plain = (m: { name: string; bitOffset: number; bitSize: number }) => ({
  name: m.name,
  bitOffset: m.bitOffset,
  bitSize: m.bitSize,
})

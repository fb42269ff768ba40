/** A structure as a tree: members in order, opened in place, pointers too. Values are read when a row is drawn. */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import { isStruct, strip, type StructType, type Type } from '../btf/type.ts'
import { CValue } from '../btf/value.ts'
import { isTextual } from '../render/c-value.ts'
import type { Target } from '../target/target.ts'
import { attempt, behindPointer, type Behind, type Subject } from './subject.ts'

/** How a row opens. */
export type Opens = 'members' | 'elements' | 'pointer'

export interface Node {
  /** from the root: `.__sk_common.skc_daddr`, `.sk->sk_family`, `.a[3]` */
  readonly path: string
  readonly depth: number
  readonly name: string
  readonly value: CValue
  readonly opens: Opens | undefined
  readonly isOpen: boolean
  /** the struct it is a member of, and where that lies */
  readonly parent: { readonly type: StructType; readonly va: Va } | undefined
}

/** Elements shown of one array at once; beyond that they come in groups. */
const GROUP = 64
/** Rows of one tree. */
const ROWS_MAX = 20_000
const DEPTH_MAX = 32

/** The value a tree is rooted in; undefined for bytes without a type. */
export function rootValue(target: Target, { type, va }: Subject): CValue | undefined {
  if (type === undefined) return undefined
  return CValue.at(target.types, target.mem, type, toAddr(Number.isNaN(va) ? 0 : va))
}

/**
 * The rows of a tree.
 *
 * @param turned  paths that are not as they begin: closed members opened, anonymous ones closed
 * @param filter  only members whose names have this text, however deep within the structure, and what they lie in
 */
export function treeNodes(
  target: Target,
  subject: Subject,
  turned: ReadonlySet<string>,
  filter = '',
): Node[] {
  const root = rootValue(target, subject)
  if (root === undefined) return []
  const builder = new Builder(target, turned, filter !== '')
  builder.add(root, '', 0, subject.va)
  if (builder.nodes.length === 0) builder.leaf(root, subject.label)
  return filter === '' ? builder.nodes : fitting(builder.nodes, filter)
}

/** Is this one of those a filter is after, not only one they lie in? */
export const fitsFilter = (node: Node, filter: string): boolean =>
  node.name.toLowerCase().includes(filter.toLowerCase())

/** Rows that fit, with those they lie in and what is open below them. */
function fitting(nodes: readonly Node[], filter: string): Node[] {
  const kept = new Set<Node>()
  const above: Node[] = []
  let within = Infinity
  for (const node of nodes) {
    above.length = node.depth
    above[node.depth] = node
    if (node.depth <= within) within = fitsFilter(node, filter) ? node.depth : Infinity
    if (within < Infinity) for (const each of above) kept.add(each)
  }
  return [...kept]
}

class Builder {
  readonly nodes: Node[] = []
  readonly #target: Target
  readonly #turned: ReadonlySet<string>
  /** every member of the structure itself is looked into, whatever is closed */
  readonly #deep: boolean

  constructor(target: Target, turned: ReadonlySet<string>, deep: boolean) {
    this.#target = target
    this.#turned = turned
    this.#deep = deep
  }

  leaf(value: CValue, name: string): void {
    this.nodes.push({ path: '', depth: 0, name, value, opens: undefined, isOpen: false, parent: undefined })
  }

  /** The members or elements of a value. */
  add(value: CValue, path: string, depth: number, va: Va): void {
    const type = strip(value.type)
    if (isStruct(type)) this.#members(value, type, path, depth, va)
    else if (type.kind === 'array') this.#elements(value, path, depth, 0, type.length)
  }

  #members(value: CValue, type: StructType, path: string, depth: number, va: Va): void {
    type.members.forEach((member, i) => {
      const inner = strip(member.type)
      const name = member.name === '' ? (inner.kind === 'union' ? 'union' : 'struct') : member.name
      // several anonymous members lie side by side
      const step = member.name === '' ? `.(${i})` : `.${member.name}`
      this.#row(value.member(member), path + step, name, depth, { type, va })
    })
  }

  #elements(value: CValue, path: string, depth: number, from: number, to: number): void {
    let stride = 1
    while (to - from > stride * GROUP) stride *= GROUP
    for (let at = from; at < to; at += stride) {
      if (stride === 1) this.#row(value.element(at), `${path}[${at}]`, `[${at}]`, depth, undefined)
      else this.#group(value, path, depth, at, Math.min(at + stride, to))
    }
  }

  #group(value: CValue, path: string, depth: number, from: number, to: number): void {
    const own = `${path}[${from}..${to - 1}]`
    const isOpen = this.#turned.has(own)
    if (!this.#push({ path: own, depth, name: `[${from} .. ${to - 1}]`, value: value.element(from), opens: 'elements', isOpen, parent: undefined })) return // prettier-ignore
    if (isOpen && depth < DEPTH_MAX) this.#elements(value, path, depth + 1, from, to)
  }

  #row(value: CValue, path: string, name: string, depth: number, parent: Node['parent']): void {
    const opens = opensAs(value.type)
    // an anonymous member is open from the start: the source names what is in it as if it were not there
    const isAnonymous = /\.\(\d+\)$/.test(path)
    const isOpen =
      opens !== undefined && (this.#turned.has(path) !== isAnonymous || (this.#deep && opens === 'members'))
    const node = { path, depth, name, value, opens, isOpen, parent }
    if (!this.#push(node) || !isOpen || depth >= DEPTH_MAX) return
    if (opens !== 'pointer') {
      this.add(value, path, depth + 1, toVa(value.addr ?? 0n, value.mem.wordSize))
      return
    }
    const to = followed(this.#target, node)
    const pointee = to === undefined ? undefined : rootValue(this.#target, to)
    if (pointee === undefined || to === undefined) return
    if (isStruct(strip(pointee.type))) this.add(pointee, `${path}->`, depth + 1, to.va)
    else this.#row(pointee, `${path}->`, `*${name}`, depth + 1, undefined)
  }

  #push(node: Node): boolean {
    if (this.nodes.length >= ROWS_MAX) return false
    this.nodes.push(node)
    return true
  }
}

function opensAs(type: Type): Opens | undefined {
  const plain = strip(type)
  if (isStruct(plain)) return plain.members.length > 0 ? 'members' : undefined
  if (plain.kind === 'array') return plain.length > 0 && !isTextual(plain.element) ? 'elements' : undefined
  if (plain.kind !== 'ptr') return undefined
  const target = strip(plain.target)
  return target.kind === 'func_proto' || isTextual(target) ? undefined : 'pointer'
}

/** Where the pointer of a row leads; undefined when nowhere, or nobody knows to what. */
export function followed(target: Target, node: Node): Subject | undefined {
  const type = strip(node.value.type)
  if (type.kind !== 'ptr') return undefined
  const raw = attempt(() => node.value.integer())
  const va = raw === undefined ? NaN : toVa(raw, target.wordSize)
  if (Number.isNaN(va) || va === 0) return undefined
  const behind: Behind | undefined = behindPointer(target, node.parent, node.name, type.target, va)
  return behind === undefined ? { label: node.name, type: undefined, va } : { ...behind, va }
}

/** Address and size in bytes of what a row shows; a bit-field's are the bytes it touches. */
export function extentOf(node: Node): { readonly va: Va; readonly size: number } {
  const { value } = node
  const va = toVa(value.addr ?? 0n, value.mem.wordSize)
  const size = value.bitSize > 0 ? Math.ceil(value.bitSize / 8) : value.size
  return { va, size: Math.max(1, size) }
}

/** The row above that a row lies in; -1 at the top. */
export function parentIndex(nodes: readonly Node[], index: number): number {
  const depth = nodes[index]?.depth ?? 0
  for (let i = index - 1; i >= 0; i--) if ((nodes[i] as Node).depth < depth) return i
  return -1
}

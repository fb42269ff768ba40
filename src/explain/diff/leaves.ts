/** Which members of an object changed: the bytes of two moments, read by one type. */

import { isStruct, strip, type StructType, type Type } from '../../btf/type.ts'
import type { Types } from '../../btf/types.ts'

/** A member without members, whose bytes are not the same. */
export interface ChangedLeaf {
  /** `__sk_common.skc_state`, `comm`, `slot[3]` */
  readonly path: string
  readonly type: Type
  /** from the object's start, in bits; a bit-field's width, else 0 */
  readonly bitOffset: number
  readonly bitSize: number
  /** bytes it touches: from the object's start */
  readonly from: number
  readonly size: number
}

/** Nested deeper than any struct of the kernel. */
const DEPTH_MAX = 24

/**
 * The members that differ, outermost first in the order of the type; of the members of a union the first that does.
 *
 * @param before  bytes of one object of that type
 * @param after   bytes of another, as long
 */
export function* changedLeaves(
  types: Types,
  type: Type,
  before: Uint8Array,
  after: Uint8Array,
): Generator<ChangedLeaf> {
  yield* walk(types, type, { path: '', bitOffset: 0, bitSize: 0 }, before, after, 0)
}

interface Place {
  readonly path: string
  readonly bitOffset: number
  readonly bitSize: number
}

function* walk(
  types: Types,
  of: Type,
  place: Place,
  before: Uint8Array,
  after: Uint8Array,
  depth: number,
): Generator<ChangedLeaf> {
  const type = strip(of)
  const from = Math.floor(place.bitOffset / 8)
  const bits = place.bitSize > 0 ? (place.bitOffset % 8) + place.bitSize : types.sizeof(type) * 8
  const size = Math.min(Math.ceil(bits / 8), before.length - from)
  if (depth > DEPTH_MAX || size <= 0 || !differ(before, after, place, from, size)) return
  if (isStruct(type)) yield* members(types, type, place, before, after, depth)
  else if (type.kind === 'array' && !isText(type.element)) {
    const each = types.sizeof(type.element) * 8
    for (let i = 0; i < type.length && each > 0; i++) {
      const element = { path: `${place.path}[${i}]`, bitOffset: place.bitOffset + i * each, bitSize: 0 }
      yield* walk(types, type.element, element, before, after, depth + 1)
    }
  } else yield { ...place, type: of, from, size }
}

function* members(
  types: Types,
  type: StructType,
  at: Place,
  before: Uint8Array,
  after: Uint8Array,
  depth: number,
): Generator<ChangedLeaf> {
  for (const { name, type: of, bitOffset, bitSize } of type.members) {
    const path = name === '' ? at.path : at.path === '' ? name : `${at.path}.${name}`
    const place = { path, bitOffset: at.bitOffset + bitOffset, bitSize }
    let found = false
    for (const leaf of walk(types, of, place, before, after, depth + 1)) {
      found = true
      yield leaf
    }
    if (found && type.kind === 'union') return
  }
}

/** An array of them is shown as a whole: a name, a buffer. */
function isText(element: Type): boolean {
  const type = strip(element)
  return type.kind === 'int' && type.size === 1
}

function differ(before: Uint8Array, after: Uint8Array, place: Place, from: number, size: number): boolean {
  for (let i = from; i < from + size; i++) {
    const bits = (before[i] ?? 0) ^ (after[i] ?? 0)
    if (bits !== 0 && (place.bitSize === 0 || (bits & maskOf(place, i)) !== 0)) return true
  }
  return false
}

/** The bits of byte `i` that belong to a bit-field. */
function maskOf({ bitOffset, bitSize }: Place, i: number): number {
  const low = Math.max(0, bitOffset - i * 8)
  const high = Math.min(8, bitOffset + bitSize - i * 8)
  return high <= low ? 0 : ((1 << high) - 1) & ~((1 << low) - 1)
}

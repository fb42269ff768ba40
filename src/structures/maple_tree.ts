/**
 * `struct maple_tree`: ranges of indexes to pointers in wide nodes. Since 6.1 it holds an address space's VMAs.
 *
 * A node's pointer carries its type: bits 3–6, over an address aligned to 256 bytes.
 */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { Types } from '../btf/types.ts'
import type { Memory } from '../memory/memory.ts'
import { xa_is_node } from './xarray.ts'

/** @see include/linux/maple_tree.h:enum maple_type */
const maple_leaf_64 = 1
const maple_range_64 = 2
const maple_arange_64 = 3
const NODE_MASK = 0xffn
/** a tree over 2^64 indexes with the smallest fan-out stays far below */
const HEIGHT_MAX = 31

/** A stored pointer and the indexes it is stored for. */
export interface MapleEntry {
  readonly first: number
  /** inclusive */
  readonly last: number
  readonly entry: bigint
}

interface NodeLayout {
  readonly pivots: number
  readonly pivotCount: number
  readonly slots: number
  readonly slotCount: number
}

const layouts = new WeakMap<Types, Map<string, NodeLayout>>()

function layout(types: Types, struct: 'maple_range_64' | 'maple_arange_64'): NodeLayout {
  let known = layouts.get(types)
  if (known === undefined) layouts.set(types, (known = new Map<string, NodeLayout>()))
  let found = known.get(struct)
  if (found === undefined) {
    const pivots = types.place(struct, 'pivot')
    const slots = types.place(struct, 'slot')
    found = {
      pivots: pivots.bitOffset >>> 3,
      pivotCount: types.sizeof(pivots.type) / types.pointerSize,
      slots: slots.bitOffset >>> 3,
      slotCount: types.sizeof(slots.type) / types.pointerSize,
    }
    known.set(struct, found)
  }
  return found
}

/** Reserved values the tree keeps for itself. @see include/linux/xarray.h:xa_is_internal */
const isInternal = (entry: bigint): boolean => (entry & 3n) === 2n

/**
 * Every stored pointer in ascending order; empty ranges are left out.
 *
 * @param tree address of the `struct maple_tree`
 * @throws ValidationError CORRUPT on a node of unknown type or a tree too high
 * @throws FaultError when a node cannot be read; entries before it have been delivered
 * @see include/linux/maple_tree.h:mt_for_each
 */
export function* mt_for_each(types: Types, mem: Memory, tree: Va): Generator<MapleEntry> {
  const root = mem.word(tree + types.offsetof('maple_tree', 'ma_root'))
  const max = mem.wordSize === 8 ? 2 ** 64 : 2 ** 32
  if (xa_is_node(root)) yield* walk(types, mem, root, { min: 0, max }, 0)
  else if (root !== 0n && !isInternal(root)) yield { first: 0, last: 0, entry: root }
}

interface Range {
  readonly min: number
  readonly max: number
}

function* walk(types: Types, mem: Memory, enode: bigint, range: Range, depth: number): Generator<MapleEntry> {
  for (const { from, to, value } of slotsOf(types, mem, enode, range, depth)) {
    if (value === 0n) continue
    if (!isLeaf(enode)) yield* walk(types, mem, value, { min: from, max: to }, depth + 1)
    else if (!isInternal(value)) yield { first: from, last: to, entry: value }
  }
}

/**
 * The pointer stored for an index.
 *
 * @returns undefined when there is none
 * @see lib/maple_tree.c:mtree_load
 */
export function mt_load(types: Types, mem: Memory, tree: Va, index: number): MapleEntry | undefined {
  let enode = mem.word(tree + types.offsetof('maple_tree', 'ma_root'))
  if (!xa_is_node(enode)) {
    return enode !== 0n && !isInternal(enode) && index === 0 ? { first: 0, last: 0, entry: enode } : undefined
  }
  let range: Range = { min: 0, max: mem.wordSize === 8 ? 2 ** 64 : 2 ** 32 }
  for (let depth = 0; ; depth++) {
    let next: { from: number; to: number; value: bigint } | undefined
    for (const slot of slotsOf(types, mem, enode, range, depth)) {
      if (index > slot.to) continue
      next = slot
      break
    }
    if (next === undefined || next.value === 0n) return undefined
    if (isLeaf(enode)) {
      return isInternal(next.value) ? undefined : { first: next.from, last: next.to, entry: next.value }
    }
    enode = next.value
    range = { min: next.from, max: next.to }
  }
}

const typeOf = (enode: bigint): number => Number((enode >> 3n) & 0xfn)
const isLeaf = (enode: bigint): boolean => typeOf(enode) < maple_range_64

/** The used slots of a node with their ranges: a slot ends at its pivot, the last one where the node does. */
function* slotsOf(
  types: Types,
  mem: Memory,
  enode: bigint,
  { min, max }: Range,
  depth: number,
): Generator<{ from: number; to: number; value: bigint }> {
  const type = typeOf(enode)
  const node = toVa(enode & ~NODE_MASK, mem.wordSize)
  if (Number.isNaN(node) || type < maple_leaf_64 || type > maple_arange_64 || depth > HEIGHT_MAX) {
    throw new ValidationError(
      toAddr(Number.isNaN(node) ? 0 : node),
      'a maple node',
      `type ${type} at depth ${depth}`,
    )
  }
  const { pivots, pivotCount, slots, slotCount } = layout(
    types,
    type === maple_arange_64 ? 'maple_arange_64' : 'maple_range_64',
  )
  let from = min
  for (let i = 0; i < slotCount; i++) {
    const pivot = i < pivotCount ? Number(mem.word(node + pivots + i * mem.wordSize)) : max
    const ends = pivot === 0 && i > 0
    const to = ends || pivot > max ? max : pivot
    yield { from, to, value: mem.word(node + slots + i * mem.wordSize) }
    if (to >= max) return
    from = to + 1
  }
}

/**
 * `struct xarray` (and the radix tree and IDR built on it): a trie of 64-way `xa_node`s, index to pointer.
 */

import { toAddr, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { Types } from '../btf/types.ts'
import type { Memory } from '../memory/memory.ts'

/** No node is higher than this many levels: 64 bits of index at 4 bits a level (CONFIG_BASE_SMALL). */
const LEVELS_MAX = 17

/** Is the entry a node rather than what the user stored? @see include/linux/xarray.h:xa_is_node */
export function xa_is_node(entry: bigint): boolean {
  return (entry & 3n) === 2n && BigInt.asUintN(64, entry) > 4096n
}

/** Integers stored as such: `(v << 1) | 1`. @see include/linux/xarray.h:xa_is_value */
export function xa_is_value(entry: bigint): boolean {
  return (entry & 1n) === 1n
}

/** @see include/linux/xarray.h:xa_to_value */
export function xa_to_value(entry: bigint): bigint {
  return BigInt.asUintN(64, entry) >> 1n
}

/** A sibling of a multi-index entry: internal, value below the slots of a node. */
function xa_is_internal(entry: bigint): boolean {
  return (entry & 3n) === 2n
}

interface Layout {
  readonly slots: number
  readonly slotCount: number
  readonly shift: number
  readonly head: number
}

const layouts = new WeakMap<Types, Layout>()

function layout(types: Types): Layout {
  let found = layouts.get(types)
  if (found === undefined) {
    const slots = types.place('xa_node', 'slots')
    found = {
      slots: slots.bitOffset >>> 3,
      slotCount: types.sizeof(slots.type) / types.pointerSize,
      shift: types.offsetof('xa_node', 'shift'),
      head: types.offsetof('xarray', 'xa_head'),
    }
    layouts.set(types, found)
  }
  return found
}

/** One stored pointer (or value entry) and the node that holds it. */
export interface XaEntry {
  readonly index: number
  /** The raw entry, tag bits included for values. */
  readonly entry: bigint
  /** Address of the slot. */
  readonly slot: Va
}

/**
 * Every present entry in ascending order of index.
 *
 * @param xa address of the `struct xarray` (an IDR's is `idr->idr_rt`)
 * @throws ValidationError CORRUPT when a node's shift does not go down by one level
 * @throws FaultError when a node cannot be read; entries before it have been delivered
 * @see include/linux/xarray.h:xa_for_each
 */
export function* xa_for_each(types: Types, mem: Memory, xa: Va): Generator<XaEntry> {
  const { head } = layout(types)
  const root = mem.word(xa + head)
  if (root === 0n) return
  if (!xa_is_node(root)) yield { index: 0, entry: root, slot: xa + head }
  else yield* walk(types, mem, nodeOf(mem, xa + head), 0, Infinity, 0)
}

function* walk(
  types: Types,
  mem: Memory,
  node: Va,
  base: number,
  parentShift: number,
  depth: number,
): Generator<XaEntry> {
  const { slots, slotCount, shift: shiftOffset } = layout(types)
  const shift = mem.u8(node + shiftOffset)
  if (shift >= parentShift || shift > 64 || depth > LEVELS_MAX) {
    throw new ValidationError(toAddr(node), `an xa_node with shift below ${parentShift}`, `shift ${shift}`)
  }
  for (let i = 0; i < slotCount; i++) {
    const slot = node + slots + i * mem.wordSize
    const entry = mem.word(slot)
    if (entry === 0n) continue
    const index = base + i * 2 ** shift
    if (shift > 0 && xa_is_node(entry)) yield* walk(types, mem, nodeOf(mem, slot), index, shift, depth + 1)
    else if (!xa_is_internal(entry)) yield { index, entry, slot }
  }
}

/**
 * The entry at one index.
 *
 * @returns the raw entry, 0n when there is none
 * @see lib/xarray.c:xa_load
 */
export function xa_load(types: Types, mem: Memory, xa: Va, index: number): bigint {
  const { head, slots, slotCount, shift: shiftOffset } = layout(types)
  let slot = xa + head
  let entry = mem.word(slot)
  let left = Infinity
  while (xa_is_node(entry)) {
    const node = nodeOf(mem, slot)
    const shift = mem.u8(node + shiftOffset)
    if (shift >= left)
      throw new ValidationError(toAddr(node), `an xa_node with shift below ${left}`, `shift ${shift}`)
    const at = Math.floor(index / 2 ** shift)
    // above the root only when the index is larger than the tree covers
    if (left === Infinity && at >= slotCount) return 0n
    left = shift
    slot = node + slots + (at % slotCount) * mem.wordSize
    entry = mem.word(slot)
    const sibling = Number(entry >> 2n)
    if (xa_is_internal(entry) && sibling < slotCount) {
      slot = node + slots + sibling * mem.wordSize
      entry = mem.word(slot)
    }
    if (shift === 0) break
  }
  if (left === Infinity && index !== 0) return 0n
  return entry
}

/** The node an entry points to: the pointer without its tag 2. */
function nodeOf(mem: Memory, slot: Va): Va {
  const va = mem.pointer(slot) - 2
  if (Number.isNaN(va)) {
    throw new ValidationError(toAddr(slot), 'an xa_node pointer', `0x${mem.word(slot).toString(16)}`)
  }
  return va
}

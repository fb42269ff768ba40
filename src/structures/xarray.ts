/**
 * `struct xarray` (and the radix tree and IDR built on it): a trie of 64-way `xa_node`s, index to pointer.
 */

import { toAddr, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { Types } from '../btf/types.ts'
import type { Memory, WritableMemory } from '../memory/memory.ts'

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

// --- write forms

/** Where nodes come from: the kernel's `radix_tree_node` cache. A node must come zeroed. */
export interface XaNodes {
  alloc(): Va
  free(node: Va): void
}

/** Bits of a slot index at one level. */
const XA_CHUNK_SHIFT = 6
/** Mark 0 means "free" where an xarray allocates ids. @see include/linux/xarray.h:XA_FREE_MARK */
const XA_FREE_MARK = 0
/** Root marks lie above the gfp bits. @see include/linux/xarray.h:XA_FLAGS_MARK */
const XA_FLAGS_MARK0 = 1 << 27
/** An id allocator: free slots are marked. @see include/linux/xarray.h:XA_FLAGS_TRACK_FREE, include/linux/radix-tree.h:ROOT_IS_IDR */
export const XA_FLAGS_TRACK_FREE = 4

/**
 * Put an entry at an index; 0n takes it out. Nodes come and go as needed, marks of free slots are kept where the
 * xarray tracks them.
 *
 * @param xa    address of the `struct xarray`
 * @param entry a pointer, or a value entry
 * @returns the entry that was there
 * @see lib/xarray.c:xa_store
 */
export function xa_store(
  types: Types,
  mem: WritableMemory,
  xa: Va,
  index: number,
  entry: bigint,
  nodes: XaNodes,
): bigint {
  const tree = new XaWriter(types, mem, xa, nodes)
  return entry === 0n ? tree.erase(index) : tree.store(index, entry)
}

/** One xarray being changed. */
class XaWriter {
  private readonly head: Va
  private readonly trackFree: boolean
  private readonly places: Layout
  private readonly types: Types
  private readonly mem: WritableMemory
  private readonly xa: Va
  private readonly nodes: XaNodes

  constructor(types: Types, mem: WritableMemory, xa: Va, nodes: XaNodes) {
    this.types = types
    this.mem = mem
    this.xa = xa
    this.nodes = nodes
    this.places = layout(types)
    this.head = xa + this.places.head
    this.trackFree = (mem.u32(this.flags) & XA_FLAGS_TRACK_FREE) !== 0
  }

  private get flags(): Va {
    return this.xa + this.types.offsetof('xarray', 'xa_flags')
  }

  store(index: number, entry: bigint): bigint {
    const { mem } = this
    this.grow(index)
    if (!xa_is_node(mem.word(this.head))) {
      const old = mem.word(this.head)
      mem.setWord(this.head, entry)
      this.markRoot()
      return old
    }
    let node = nodeOf(mem, this.head)
    for (let shift = this.shift(node); shift > 0; shift -= XA_CHUNK_SHIFT) {
      const at = Math.floor(index / 2 ** shift) % this.places.slotCount
      const slot = this.slot(node, at)
      if (mem.word(slot) === 0n) this.newNode(slot, node, at, shift - XA_CHUNK_SHIFT)
      node = nodeOf(mem, slot)
    }
    const at = index % this.places.slotCount
    const slot = this.slot(node, at)
    const old = mem.word(slot)
    mem.setWord(slot, entry)
    if (old === 0n) this.count(node, 1)
    this.markUp(node, at)
    return old
  }

  erase(index: number): bigint {
    const { mem, types, xa } = this
    const old = xa_load(types, mem, xa, index)
    if (old === 0n) return 0n
    if (!xa_is_node(mem.word(this.head))) {
      mem.setWord(this.head, 0n)
      this.markRoot()
      return old
    }
    let node = nodeOf(mem, this.head)
    for (let shift = this.shift(node); shift > 0; shift -= XA_CHUNK_SHIFT) {
      node = nodeOf(mem, this.slot(node, Math.floor(index / 2 ** shift) % this.places.slotCount))
    }
    let at = index % this.places.slotCount
    for (;;) {
      mem.setWord(this.slot(node, at), 0n)
      if (this.count(node, -1) > 0) break
      const parent = mem.pointer(node + types.offsetof('xa_node', 'parent'))
      at = mem.u8(node + types.offsetof('xa_node', 'offset'))
      this.nodes.free(node)
      if (parent === 0) {
        mem.setWord(this.head, 0n)
        this.markRoot()
        return old
      }
      node = parent
    }
    this.markUp(node, at)
    this.shrink()
    return old
  }

  /** Make the tree high enough for `index`. @see lib/xarray.c:xas_expand */
  private grow(index: number): void {
    const { mem } = this
    for (;;) {
      const top = mem.word(this.head)
      const isNode = xa_is_node(top)
      const shift = isNode ? this.shift(nodeOf(mem, this.head)) : -XA_CHUNK_SHIFT
      if (index < 2 ** (shift + XA_CHUNK_SHIFT)) return
      if (top === 0n) {
        let needed = 0
        while (index >= 2 ** (needed + XA_CHUNK_SHIFT)) needed += XA_CHUNK_SHIFT
        this.newNode(this.head, 0, 0, needed)
        return
      }
      const below = isNode ? nodeOf(mem, this.head) : 0
      const node = this.newNode(this.head, 0, 0, shift + XA_CHUNK_SHIFT)
      mem.setWord(this.slot(node, 0), top)
      this.count(node, 1)
      if (below !== 0) mem.setPointer(below + this.types.offsetof('xa_node', 'parent'), node)
      this.markUp(node, 0)
    }
  }

  /** Drop nodes of which only slot 0 is used. @see lib/xarray.c:xas_shrink */
  private shrink(): void {
    const { mem, types } = this
    for (;;) {
      const top = mem.word(this.head)
      if (!xa_is_node(top)) return
      const node = nodeOf(mem, this.head)
      const only = mem.word(this.slot(node, 0))
      if (mem.u8(node + types.offsetof('xa_node', 'count')) !== 1 || only === 0n) return
      if (this.shift(node) === 0) return
      mem.setWord(this.head, only)
      mem.setPointer(nodeOf(mem, this.head) + types.offsetof('xa_node', 'parent'), 0)
      this.nodes.free(node)
      this.markRoot()
    }
  }

  private newNode(link: Va, parent: Va, offset: number, shift: number): Va {
    const { mem, types } = this
    const node = this.nodes.alloc()
    const at = (member: string): Va => node + types.offsetof('xa_node', member)
    mem.setU8(at('shift'), shift)
    mem.setU8(at('offset'), offset)
    mem.setPointer(at('parent'), parent)
    mem.setPointer(at('array'), this.xa)
    mem.setPointer(at('private_list'), at('private_list'))
    mem.setPointer(at('private_list') + mem.wordSize, at('private_list'))
    if (this.trackFree) mem.fill(at('marks'), 0xff, this.places.slotCount / 8)
    mem.setPointer(link, node + 2)
    if (parent !== 0) this.count(parent, 1)
    return node
  }

  /** Bring the marks of free slots up to date from a slot to the root. */
  private markUp(from: Va, offset: number): void {
    if (!this.trackFree) return
    const { mem, types } = this
    const marks = types.offsetof('xa_node', 'marks') + XA_FREE_MARK
    let node = from
    let at = offset
    while (node !== 0) {
      const entry = mem.word(this.slot(node, at))
      const inner = this.shift(node) > 0 && xa_is_node(entry)
      const free = inner ? this.hasFree(nodeOf(mem, this.slot(node, at))) : entry === 0n
      const byte = node + marks + (at >>> 3)
      mem.setU8(byte, free ? mem.u8(byte) | (1 << (at & 7)) : mem.u8(byte) & ~(1 << (at & 7)))
      at = mem.u8(node + types.offsetof('xa_node', 'offset'))
      node = mem.pointer(node + types.offsetof('xa_node', 'parent'))
    }
    this.markRoot()
  }

  private markRoot(): void {
    if (!this.trackFree) return
    const { mem } = this
    const top = mem.word(this.head)
    const free = xa_is_node(top) ? this.hasFree(nodeOf(mem, this.head)) : top === 0n
    const flags = mem.u32(this.flags)
    const now = free ? flags | XA_FLAGS_MARK0 : flags & ~XA_FLAGS_MARK0
    if (now !== flags) mem.setU32(this.flags, now)
  }

  private hasFree(node: Va): boolean {
    const marks = this.mem.read(node + this.types.offsetof('xa_node', 'marks'), this.places.slotCount / 8)
    return marks.some((byte) => byte !== 0)
  }

  private shift(node: Va): number {
    return this.mem.u8(node + this.places.shift)
  }

  private slot(node: Va, at: number): Va {
    return node + this.places.slots + at * this.mem.wordSize
  }

  private count(node: Va, by: number): number {
    const at = node + this.types.offsetof('xa_node', 'count')
    const count = this.mem.u8(at) + by
    this.mem.setU8(at, count)
    return count
  }
}

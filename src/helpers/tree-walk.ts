/**
 * Trees as they lie in memory, entry by entry with its place: red-black trees, xarrays and radix trees, maple trees.
 * Nothing is taken for granted but the layout, so that a damaged tree, or none at all, shows what is there.
 */

import { addr } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { Types } from '../btf/types.ts'
import { xa_is_node } from '../structures/xarray.ts'

/** Reads a pointer; throws what the caller wants thrown. @param what e.g. `rb_node rb_left` */
export type ReadWord = (at: bigint, what: string) => bigint

/** What a walk needs of a kernel. */
export interface TreeMemory {
  readonly types: Types
  readonly word: ReadWord
}

/** An entry and where in the tree it stands. */
export interface TreeEntry {
  readonly entry: bigint
  /** `root/l/r`, `root/0/5` */
  readonly position: string
  /** what it is stored for; absent in a red-black tree */
  readonly index?: bigint
}

/** More nodes than any sane tree has. */
const ENTRIES_MAX = 10_000_000
const LEVELS_MAX = 31

/** The nodes a walk has come through. */
class Seen {
  readonly #nodes = new Set<bigint>()

  /** @throws TreeLoop for a node seen before, or one too many */
  add(node: bigint): void {
    if (this.#nodes.has(node) || this.#nodes.size >= ENTRIES_MAX) throw new TreeLoop(node)
    this.#nodes.add(node)
  }
}

/** A tree whose nodes lead back to one that was seen. */
export class TreeLoop extends ValidationError {
  readonly node: bigint
  constructor(node: bigint) {
    super(addr(node), 'a tree without loops', 'a node seen before')
    this.node = node
  }
}

/**
 * Nodes of a red-black tree: each before its left and then its right subtree.
 *
 * @param node `struct rb_node *`, the topmost; 0 for none
 * @param word gives undefined where a link cannot be read: that subtree is left out
 * @throws TreeLoop
 * @see include/linux/rbtree_types.h
 */
export function* rb_nodes(
  types: Types,
  word: (at: bigint, what: string) => bigint | undefined,
  node: bigint,
): Generator<TreeEntry> {
  const left = BigInt(types.offsetof('rb_node', 'rb_left'))
  const right = BigInt(types.offsetof('rb_node', 'rb_right'))
  const seen = new Seen()
  const open: (() => TreeEntry)[] = [() => ({ entry: node, position: 'root' })]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { entry, position } = next()
    if (entry === 0n) continue
    seen.add(entry)
    yield { entry, position }
    open.push(
      () => ({ entry: word(addr(entry + right), 'rb_node rb_right') ?? 0n, position: `${position}/r` }),
      () => ({ entry: word(addr(entry + left), 'rb_node rb_left') ?? 0n, position: `${position}/l` }),
    )
  }
}

/** The same nodes in key order. @throws TreeLoop; FaultError and the like from `word` */
export function* rb_nodes_in_order(types: Types, word: ReadWord, top: bigint): Generator<TreeEntry> {
  const left = BigInt(types.offsetof('rb_node', 'rb_left'))
  const right = BigInt(types.offsetof('rb_node', 'rb_right'))
  const seen = new Seen()
  const open: TreeEntry[] = []
  let at: TreeEntry = { entry: top, position: 'root' }
  while (at.entry !== 0n || open.length > 0) {
    if (at.entry !== 0n) {
      seen.add(at.entry)
      open.push(at)
      at = { entry: word(addr(at.entry + left), 'rb_node rb_left'), position: `${at.position}/l` }
      continue
    }
    const node = open.pop() as TreeEntry
    yield node
    at = { entry: word(addr(node.entry + right), 'rb_node rb_right'), position: `${node.position}/r` }
  }
}

/** How a kernel keeps its arrays of slots: xarrays, or the radix trees they replaced. */
interface SlotLayout {
  readonly head: bigint
  readonly shift: bigint
  readonly slots: bigint
  readonly slotCount: number
  /** the low bits that mark a node */
  readonly tag: bigint
  readonly names: { readonly root: string; readonly shift: string; readonly slot: string }
}

/** Which of the two a kernel has. */
export type SlotTree = 'xarray' | 'radix'

/** @returns undefined when the kernel has no such tree */
export function slot_layout(types: Types, kind: SlotTree): SlotLayout | undefined {
  const [root, member, node] =
    kind === 'xarray' ? ['xarray', 'xa_head', 'xa_node'] : ['radix_tree_root', 'rnode', 'radix_tree_node']
  if (!types.has(root, member) || !types.has(node, 'shift') || !types.has(node, 'slots')) return undefined
  const slots = types.place(node, 'slots')
  return {
    head: BigInt(types.offsetof(root, member)),
    shift: BigInt(types.offsetof(node, 'shift')),
    slots: BigInt(slots.bitOffset >>> 3),
    slotCount: types.sizeof(slots.type) / types.pointerSize,
    tag: kind === 'xarray' ? 2n : 1n,
    names: { root: `${root} ${member}`, shift: `${node} shift`, slot: `${node}.slots[off]` },
  }
}

/**
 * Entries of an xarray or radix tree in order of index; a node's slots that are empty are left out.
 *
 * @param start address of the root, or of a node
 * @remarks What a root holds without a node is delivered even when it is 0, its tag bits removed.
 */
export function* slot_entries(
  memory: TreeMemory,
  layout: SlotLayout,
  start: bigint,
  from: 'root' | 'node',
): Generator<TreeEntry> {
  let node = start
  if (from === 'root') {
    const head = memory.word(addr(start + layout.head), layout.names.root)
    node = head & ~3n
    if ((head & 3n) !== layout.tag) {
      yield { entry: node, position: 'direct', index: 0n }
      return
    }
  }
  const bits = Math.log2(layout.slotCount)
  const word = memory.word(addr(node + (layout.shift & ~7n)), layout.names.shift)
  const shift = Number((word >> ((layout.shift % 8n) * 8n)) & 0xffn)
  yield* slotsBelow(memory, layout, {
    seen: new Seen(),
    node,
    height: Math.floor(shift / bits) + 1,
    position: 'root',
    index: 0n,
  })
}

interface SlotNode {
  readonly seen: Seen
  readonly node: bigint
  readonly height: number
  readonly position: string
  readonly index: bigint
}

function* slotsBelow(memory: TreeMemory, layout: SlotLayout, at: SlotNode): Generator<TreeEntry> {
  if (at.height > LEVELS_MAX)
    throw new ValidationError(addr(at.node), 'a node of a tree', `height ${at.height}`)
  at.seen.add(at.node)
  for (let i = 0; i < layout.slotCount; i++) {
    const raw = memory.word(
      addr(at.node + layout.slots + BigInt(i * memory.types.pointerSize)),
      layout.names.slot,
    )
    if (raw === 0n) continue
    const tagged = (raw & 3n) === layout.tag
    // a second slot of an entry that spans several
    if (at.height > 1 && tagged && raw <= 4096n) continue
    const entry = tagged ? raw & ~layout.tag : raw
    const position = `${at.position}/${i}`
    const index = at.index * BigInt(layout.slotCount) + BigInt(i)
    if (at.height === 1 || !tagged)
      yield { entry, position, index: index * BigInt(layout.slotCount) ** BigInt(at.height - 1) }
    else
      yield* slotsBelow(memory, layout, {
        seen: at.seen,
        node: entry,
        height: at.height - 1,
        position,
        index,
      })
  }
}

/** @see include/linux/maple_tree.h:enum maple_type */
const MAPLE_TYPES = ['dense', 'leaf_64', 'range_64', 'arange_64'] as const
type MapleType = (typeof MAPLE_TYPES)[number]

interface MapleNode {
  readonly seen: Seen
  /** the pointer with its type in bits 3 to 6 */
  readonly enode: bigint
  readonly min: bigint
  readonly max: bigint
  readonly position: string
  readonly depth: number
}

/** Does the kernel have maple trees? */
export const has_maple_tree = (types: Types): boolean =>
  types.has('maple_tree', 'ma_root') && types.has('maple_node', 'slot')

/**
 * Entries of a maple tree in order of index.
 *
 * @param start address of the `struct maple_tree`, or a pointer to a node with its type
 * @throws ValidationError on a node of unknown type
 */
export function* maple_entries(
  memory: TreeMemory,
  start: bigint,
  from: 'root' | 'node',
): Generator<TreeEntry> {
  let enode = start
  if (from === 'root') {
    const root = BigInt(memory.types.offsetof('maple_tree', 'ma_root'))
    enode = memory.word(addr(start + root), 'maple_tree ma_root')
    if (!xa_is_node(enode)) {
      if (enode !== 0n) yield { entry: enode, position: 'root', index: 0n }
      return
    }
  }
  const max = (1n << BigInt(memory.types.pointerSize * 8)) - 1n
  yield* mapleBelow(memory, { seen: new Seen(), enode, min: 0n, max, position: 'root', depth: 0 })
}

function* mapleBelow(memory: TreeMemory, at: MapleNode): Generator<TreeEntry> {
  const type = MAPLE_TYPES[Number((at.enode >> 3n) & 0xfn)]
  if (type === undefined || at.depth > LEVELS_MAX)
    throw new ValidationError(addr(at.enode), 'a maple node', `0x${at.enode.toString(16)}`)
  at.seen.add(at.enode)
  let min = at.min
  for (const { slot, pivot, i, last } of mapleSlots(memory, at.enode & ~0xffn, type)) {
    const to = type === 'dense' ? at.min + BigInt(i) : (pivot ?? at.max)
    if (pivot === undefined && last && slot === 0n && type !== 'dense') return
    if (to === 0n && i > 0) return
    const position = `${at.position}/${i}`
    if (slot !== 0n) {
      const inner = type === 'range_64' || type === 'arange_64'
      if (inner)
        yield* mapleBelow(memory, { seen: at.seen, enode: slot, min, max: to, position, depth: at.depth + 1 })
      else yield { entry: slot, position, index: min }
    }
    if (to >= at.max) return
    min = to + 1n
  }
}

/** Slots with their pivots: the last has none, nor have those of a dense node. */
function* mapleSlots(
  { types, word }: TreeMemory,
  node: bigint,
  type: MapleType,
): Generator<{ slot: bigint; pivot: bigint | undefined; i: number; last: boolean }> {
  const size = types.pointerSize
  const struct = type === 'dense' ? 'maple_node' : type === 'arange_64' ? 'maple_arange_64' : 'maple_range_64'
  const slots = types.place(struct, 'slot')
  const count = types.sizeof(slots.type) / size
  const pivots = type === 'dense' ? undefined : types.place(struct, 'pivot')
  const pivotCount = pivots === undefined ? 0 : types.sizeof(pivots.type) / size
  const at = (place: { readonly bitOffset: number }, i: number): bigint =>
    addr(node + BigInt((place.bitOffset >>> 3) + i * size))
  for (let i = 0; i < count; i++) {
    const pivot = pivots === undefined || i >= pivotCount ? undefined : word(at(pivots, i), 'maple_node')
    yield { slot: word(at(slots, i), 'maple_node'), pivot, i, last: i === count - 1 }
  }
}

/**
 * `struct rb_root`: red-black trees in key order. Nodes are addresses of the embedded `rb_node`; 0 is none.
 */

import { toAddr, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { Memory, WritableMemory } from '../memory/memory.ts'

/** A red-black tree over 64-bit addresses is never higher than twice their bits. */
const DEPTH_MAX = 128
/** More nodes than any sane tree has. */
export const RB_NODES_MAX = 4_000_000

/** `__rb_parent_color`, `rb_right`, `rb_left`: three words in this order. @see include/linux/rbtree_types.h */
export const rb_right = (mem: Memory, node: Va): Va => mem.pointer(node + mem.wordSize)
export const rb_left = (mem: Memory, node: Va): Va => mem.pointer(node + 2 * mem.wordSize)

/** The parent: the first word without the colour bits. @see include/linux/rbtree_augmented.h:rb_parent */
export function rb_parent(mem: Memory, node: Va): Va {
  const word = mem.pointer(node)
  return word - (((word % 4) + 4) % 4)
}

/** The leftmost node, 0 when the tree is empty. @see lib/rbtree.c:rb_first */
export function rb_first(mem: Memory, root: Va): Va {
  const top = mem.pointer(root)
  return top === 0 ? 0 : extreme(mem, top, rb_left)
}

/** @see lib/rbtree.c:rb_last */
export function rb_last(mem: Memory, root: Va): Va {
  const top = mem.pointer(root)
  return top === 0 ? 0 : extreme(mem, top, rb_right)
}

/** The next node in key order, 0 after the last. @see lib/rbtree.c:rb_next */
export function rb_next(mem: Memory, node: Va): Va {
  const right = rb_right(mem, node)
  return right !== 0 ? extreme(mem, right, rb_left) : climb(mem, node, rb_right)
}

/** @see lib/rbtree.c:rb_prev */
export function rb_prev(mem: Memory, node: Va): Va {
  const left = rb_left(mem, node)
  return left !== 0 ? extreme(mem, left, rb_right) : climb(mem, node, rb_left)
}

/**
 * All nodes in key order.
 *
 * @param root address of the `struct rb_root` (an `rb_root_cached` begins with one)
 * @throws ValidationError CORRUPT when the tree is deeper or larger than a tree can be (a loop)
 */
export function* rb_for_each(mem: Memory, root: Va, limit = RB_NODES_MAX): Generator<Va> {
  let count = 0
  for (let node = rb_first(mem, root); node !== 0; node = rb_next(mem, node)) {
    if (++count > limit)
      throw new ValidationError(toAddr(root), `a tree of at most ${limit} nodes`, 'a larger one')
    yield node
  }
}

/** The structs of a tree in key order. @see include/linux/rbtree.h:rb_entry */
export function* rb_for_each_entry<N extends string>(
  types: Types,
  mem: Memory,
  root: Va,
  struct: N,
  member: string,
  limit = RB_NODES_MAX,
): Generator<RefOf<N>> {
  const offset = types.offsetof(struct, member)
  const type = types.struct(struct)
  for (const node of rb_for_each(mem, root, limit)) {
    yield types.refTo(type, mem, node - offset) as RefOf<N>
  }
}

/** A node at which a tree contradicts itself. */
export interface RbFault {
  readonly node: Va
  readonly problem: 'bad parent' | 'red below red' | 'black heights differ' | 'too deep'
}

/** Check parents, colours and black heights. @throws FaultError when a node cannot be read */
export function validate_rbtree(mem: Memory, root: Va): { count: number; faults: RbFault[] } {
  const faults: RbFault[] = []
  let count = 0
  const check = (node: Va, parent: Va, parentRed: boolean, depth: number): number => {
    if (node === 0) return 1
    if (depth > DEPTH_MAX || count > RB_NODES_MAX) {
      faults.push({ node, problem: 'too deep' })
      return 1
    }
    count++
    const red = (mem.u8(node) & 1) === 0
    if (rb_parent(mem, node) !== parent) faults.push({ node, problem: 'bad parent' })
    if (red && parentRed) faults.push({ node, problem: 'red below red' })
    const left = check(rb_left(mem, node), node, red, depth + 1)
    const right = check(rb_right(mem, node), node, red, depth + 1)
    if (left !== right) faults.push({ node, problem: 'black heights differ' })
    return left + (red ? 0 : 1)
  }
  check(mem.pointer(root), 0, false, 0)
  return { count, faults }
}

function extreme(mem: Memory, start: Va, step: (mem: Memory, node: Va) => Va): Va {
  let node = start
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    if (Number.isNaN(node)) break
    const to = step(mem, node)
    if (to === 0) return node
    node = to
  }
  throw new ValidationError(toAddr(start), 'a red-black subtree', 'bad pointers or a loop')
}

/** Go up until we come from the side that is not `from`. */
function climb(mem: Memory, start: Va, from: (mem: Memory, node: Va) => Va): Va {
  let node = start
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const parent = rb_parent(mem, node)
    if (parent === 0) return 0
    if (Number.isNaN(parent)) break
    if (from(mem, parent) !== node) return parent
    node = parent
  }
  throw new ValidationError(toAddr(start), 'a red-black tree', 'bad parent pointers or a loop')
}

// --- write forms

const RB_RED = 0
const RB_BLACK = 1

const isRed = (mem: Memory, node: Va): boolean => node !== 0 && (mem.u8(node) & 1) === RB_RED
const setParent = (mem: WritableMemory, node: Va, parent: Va): void =>
  mem.setPointer(node, parent + (mem.u8(node) & 1))
const setColor = (mem: WritableMemory, node: Va, color: number): void =>
  mem.setPointer(node, rb_parent(mem, node) + color)
const rightAt = (mem: Memory, node: Va): Va => node + mem.wordSize
const leftAt = (mem: Memory, node: Va): Va => node + 2 * mem.wordSize

/** A node on no tree is its own parent. @see include/linux/rbtree.h:RB_CLEAR_NODE */
export function RB_CLEAR_NODE(mem: WritableMemory, node: Va): void {
  mem.setPointer(node, node)
}

/** @see include/linux/rbtree.h:RB_EMPTY_NODE */
export function RB_EMPTY_NODE(mem: Memory, node: Va): boolean {
  return mem.pointer(node) === node
}

/**
 * Hang a node, red, below `parent` at the link found by the caller's search.
 * @param link address of the pointer it goes into: the root, or the parent's left or right
 * @see include/linux/rbtree.h:rb_link_node
 */
export function rb_link_node(mem: WritableMemory, node: Va, parent: Va, link: Va): void {
  mem.setPointer(node, parent)
  mem.setPointer(leftAt(mem, node), 0)
  mem.setPointer(rightAt(mem, node), 0)
  mem.setPointer(link, node)
}

/** Make the pointer that pointed at `old` point at `now`. */
function changeChild(mem: WritableMemory, root: Va, old: Va, now: Va, parent: Va): void {
  if (parent === 0) mem.setPointer(root, now)
  else mem.setPointer(rb_left(mem, parent) === old ? leftAt(mem, parent) : rightAt(mem, parent), now)
}

/** Turn `node` down and its child on the other side up. */
function rotate(mem: WritableMemory, root: Va, node: Va, toLeft: boolean): void {
  const [near, far] = toLeft ? [leftAt, rightAt] : [rightAt, leftAt]
  const up = mem.pointer(far(mem, node))
  const middle = mem.pointer(near(mem, up))
  const parent = rb_parent(mem, node)
  mem.setPointer(far(mem, node), middle)
  if (middle !== 0) setParent(mem, middle, node)
  setParent(mem, up, parent)
  changeChild(mem, root, node, up, parent)
  mem.setPointer(near(mem, up), node)
  setParent(mem, node, up)
}

/** Restore the rules after {@link rb_link_node}. @see lib/rbtree.c:rb_insert_color */
export function rb_insert_color(mem: WritableMemory, inserted: Va, root: Va): void {
  let node = inserted
  for (;;) {
    const parent = rb_parent(mem, node)
    if (parent === 0) {
      setColor(mem, node, RB_BLACK)
      return
    }
    if (!isRed(mem, parent)) return
    const grand = rb_parent(mem, parent)
    const parentIsLeft = rb_left(mem, grand) === parent
    const uncle = parentIsLeft ? rb_right(mem, grand) : rb_left(mem, grand)
    if (isRed(mem, uncle)) {
      setColor(mem, parent, RB_BLACK)
      setColor(mem, uncle, RB_BLACK)
      setColor(mem, grand, RB_RED)
      node = grand
      continue
    }
    let top = parent
    if ((rb_left(mem, parent) === node) !== parentIsLeft) {
      rotate(mem, root, parent, parentIsLeft)
      top = node
    }
    setColor(mem, top, RB_BLACK)
    setColor(mem, grand, RB_RED)
    rotate(mem, root, grand, !parentIsLeft)
    return
  }
}

/** Take a node out and restore the rules; its own links stay. @see lib/rbtree.c:rb_erase */
export function rb_erase(mem: WritableMemory, node: Va, root: Va): void {
  const left = rb_left(mem, node)
  const right = rb_right(mem, node)
  let parent = rb_parent(mem, node)
  let child: Va
  let black = !isRed(mem, node)
  if (left === 0 || right === 0) {
    child = left === 0 ? right : left
    changeChild(mem, root, node, child, parent)
    if (child !== 0) setParent(mem, child, parent)
  } else {
    const next = extreme(mem, right, rb_left)
    black = !isRed(mem, next)
    child = rb_right(mem, next)
    const above = parent
    if (next === right) parent = next
    else {
      parent = rb_parent(mem, next)
      mem.setPointer(leftAt(mem, parent), child)
      if (child !== 0) setParent(mem, child, parent)
      mem.setPointer(rightAt(mem, next), right)
      setParent(mem, right, next)
    }
    mem.setPointer(leftAt(mem, next), left)
    setParent(mem, left, next)
    changeChild(mem, root, node, next, above)
    mem.setPointer(next, above + (mem.u8(node) & 1))
  }
  if (black) fixAfterErase(mem, child, parent, root)
}

/** The subtree `start` below `above` lacks one black node. */
function fixAfterErase(mem: WritableMemory, start: Va, above: Va, root: Va): void {
  let node = start
  let parent = above
  while (parent !== 0 && !isRed(mem, node)) {
    const isLeft = rb_left(mem, parent) === node
    const sibling = (): Va => (isLeft ? rb_right(mem, parent) : rb_left(mem, parent))
    if (isRed(mem, sibling())) {
      setColor(mem, sibling(), RB_BLACK)
      setColor(mem, parent, RB_RED)
      rotate(mem, root, parent, isLeft)
    }
    const other = sibling()
    const outer = isLeft ? rb_right : rb_left
    const inner = isLeft ? rb_left : rb_right
    if (!isRed(mem, inner(mem, other)) && !isRed(mem, outer(mem, other))) {
      setColor(mem, other, RB_RED)
      node = parent
      parent = rb_parent(mem, node)
      continue
    }
    if (!isRed(mem, outer(mem, other))) {
      setColor(mem, inner(mem, other), RB_BLACK)
      setColor(mem, other, RB_RED)
      rotate(mem, root, other, !isLeft)
    }
    const up = sibling()
    setColor(mem, up, isRed(mem, parent) ? RB_RED : RB_BLACK)
    setColor(mem, parent, RB_BLACK)
    setColor(mem, outer(mem, up), RB_BLACK)
    rotate(mem, root, parent, isLeft)
    node = mem.pointer(root)
    break
  }
  if (node !== 0) setColor(mem, node, RB_BLACK)
}

/**
 * Insert by an order of nodes; equal ones go behind.
 * @param less is the new node before `other`?
 * @see include/linux/rbtree.h:rb_add
 */
export function rb_add(mem: WritableMemory, node: Va, root: Va, less: (other: Va) => boolean): boolean {
  let link = root
  let parent = 0
  let leftmost = true
  for (let at = mem.pointer(link); at !== 0; at = mem.pointer(link)) {
    parent = at
    if (less(at)) link = leftAt(mem, at)
    else {
      link = rightAt(mem, at)
      leftmost = false
    }
  }
  rb_link_node(mem, node, parent, link)
  rb_insert_color(mem, node, root)
  return leftmost
}

/** {@link rb_add} for a `struct rb_root_cached`, whose second word is the leftmost node. @see include/linux/rbtree.h:rb_add_cached */
export function rb_add_cached(
  mem: WritableMemory,
  node: Va,
  root: Va,
  less: (other: Va) => boolean,
): boolean {
  const leftmost = rb_add(mem, node, root, less)
  if (leftmost) mem.setPointer(root + mem.wordSize, node)
  return leftmost
}

/** @see include/linux/rbtree.h:rb_erase_cached */
export function rb_erase_cached(mem: WritableMemory, node: Va, root: Va): void {
  if (mem.pointer(root + mem.wordSize) === node) mem.setPointer(root + mem.wordSize, rb_next(mem, node))
  rb_erase(mem, node, root)
}

/**
 * `struct rb_root`: red-black trees in key order. Nodes are addresses of the embedded `rb_node`; 0 is none.
 */

import { toAddr, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { Memory } from '../memory/memory.ts'

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
    yield types.refTo(type, mem, node - offset) as StructRef as RefOf<N>
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

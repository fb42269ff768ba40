/**
 * `struct hlist_head`: singly headed list whose nodes point back at the pointer that points at them; ends in NULL.
 */

import { LIST_POISON1, LIST_POISON1_32, LIST_POISON2, LIST_POISON2_32 } from '../abi/poison.ts'
import { toAddr, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { Memory, WritableMemory } from '../memory/memory.ts'
import { entriesOf, LIST_HOPS_MAX } from './list.ts'

/** @see include/linux/list.h:hlist_empty */
export function hlist_empty(mem: Memory, head: Va): boolean {
  return mem.pointer(head) === 0
}

/**
 * The addresses of an hlist's nodes.
 *
 * @param head address of the `struct hlist_head`
 * @throws ValidationError CORRUPT on a non-canonical link or more than `limit` nodes (a loop)
 * @see include/linux/list.h:hlist_for_each
 */
export function* hlist_for_each(mem: Memory, head: Va, limit = LIST_HOPS_MAX): Generator<Va> {
  let from = head
  let node = mem.pointer(head)
  let mark = NaN
  for (let hops = 1, power = 1; node !== 0; hops++) {
    if (Number.isNaN(node)) {
      throw new ValidationError(toAddr(from), 'an hlist pointer', `0x${mem.word(from).toString(16)}`)
    }
    if (node === mark) throw new ValidationError(toAddr(from), 'an hlist that ends', 'a loop')
    if (hops > limit)
      throw new ValidationError(toAddr(head), `an hlist of at most ${limit} nodes`, 'a longer one')
    yield node
    if (hops === power) {
      mark = node
      power *= 2
    }
    from = node
    node = mem.pointer(node)
  }
}

/**
 * The structs an hlist links: `hlist_for_each_entry(types, mem, head, 'sock', 'sk_node')`.
 * @see include/linux/list.h:hlist_for_each_entry
 */
export function hlist_for_each_entry<N extends string>(
  types: Types,
  mem: Memory,
  head: Va,
  struct: N,
  member: string,
  limit = LIST_HOPS_MAX,
): Generator<RefOf<N>> {
  return entriesOf(types, mem, hlist_for_each(mem, head, limit), struct, member)
}

/** A node whose `*pprev` is not the node itself. */
export interface HlistFault {
  readonly node: Va
  readonly pprev: Va
}

/** Check the back pointers: `*node->pprev == node` for every node. @throws as {@link hlist_for_each} */
export function validate_hlist(mem: Memory, head: Va, limit = LIST_HOPS_MAX): HlistFault[] {
  const faults: HlistFault[] = []
  let link = head
  for (const node of hlist_for_each(mem, head, limit)) {
    const pprev = mem.pointer(node + mem.wordSize)
    if (pprev !== link) faults.push({ node, pprev })
    link = node
  }
  return faults
}

// --- write forms: `next` at the node, `pprev` one word behind it

/** @see include/linux/list.h:INIT_HLIST_NODE */
export function INIT_HLIST_NODE(mem: WritableMemory, node: Va): void {
  mem.setPointer(node, 0)
  mem.setPointer(node + mem.wordSize, 0)
}

/** Is the node on no list? @see include/linux/list.h:hlist_unhashed */
export function hlist_unhashed(mem: Memory, node: Va): boolean {
  return mem.word(node + mem.wordSize) === 0n
}

/** @see include/linux/list.h:hlist_add_head */
export function hlist_add_head(mem: WritableMemory, node: Va, head: Va): void {
  const first = mem.pointer(head)
  mem.setPointer(node, first)
  if (first !== 0) mem.setPointer(first + mem.wordSize, node)
  mem.setPointer(head, node)
  mem.setPointer(node + mem.wordSize, head)
}

/** Insert before a node that is on a list. @see include/linux/list.h:hlist_add_before */
export function hlist_add_before(mem: WritableMemory, node: Va, before: Va): void {
  const link = mem.pointer(before + mem.wordSize)
  mem.setPointer(node + mem.wordSize, link)
  mem.setPointer(node, before)
  mem.setPointer(before + mem.wordSize, node)
  mem.setPointer(link, node)
}

/** Insert behind a node that is on a list. @see include/linux/list.h:hlist_add_behind */
export function hlist_add_behind(mem: WritableMemory, node: Va, behind: Va): void {
  const after = mem.pointer(behind)
  mem.setPointer(node, after)
  mem.setPointer(behind, node)
  mem.setPointer(node + mem.wordSize, behind)
  if (after !== 0) mem.setPointer(after + mem.wordSize, node)
}

/** Append: the store lands in the last node's `next`, or in the head. @see include/linux/rculist.h:hlist_add_tail_rcu */
export function hlist_add_tail_rcu(mem: WritableMemory, node: Va, head: Va): void {
  let last = 0
  for (const at of hlist_for_each(mem, head)) last = at
  if (last === 0) {
    hlist_add_head(mem, node, head)
    return
  }
  mem.setPointer(node, 0)
  mem.setPointer(node + mem.wordSize, last)
  mem.setPointer(last, node)
}

/** @see include/linux/list.h:__hlist_del */
function __hlist_del(mem: WritableMemory, node: Va): void {
  const after = mem.pointer(node)
  const link = mem.pointer(node + mem.wordSize)
  mem.setPointer(link, after)
  if (after !== 0) mem.setPointer(after + mem.wordSize, link)
}

/** Take out and poison. @see include/linux/list.h:hlist_del */
export function hlist_del(mem: WritableMemory, node: Va): void {
  __hlist_del(mem, node)
  mem.setWord(node, mem.wordSize === 8 ? LIST_POISON1 : LIST_POISON1_32)
  mem.setWord(node + mem.wordSize, mem.wordSize === 8 ? LIST_POISON2 : LIST_POISON2_32)
}

/** Take out under readers: `next` stays. @see include/linux/rculist.h:hlist_del_rcu */
export function hlist_del_rcu(mem: WritableMemory, node: Va): void {
  __hlist_del(mem, node)
  mem.setWord(node + mem.wordSize, mem.wordSize === 8 ? LIST_POISON2 : LIST_POISON2_32)
}

/** Take out if it is on a list, and leave it on none. @see include/linux/list.h:hlist_del_init */
export function hlist_del_init(mem: WritableMemory, node: Va): void {
  if (hlist_unhashed(mem, node)) return
  __hlist_del(mem, node)
  INIT_HLIST_NODE(mem, node)
}

/** As {@link hlist_del_init} under readers: `next` stays. @see include/linux/rculist.h:hlist_del_init_rcu */
export function hlist_del_init_rcu(mem: WritableMemory, node: Va): void {
  if (hlist_unhashed(mem, node)) return
  __hlist_del(mem, node)
  mem.setPointer(node + mem.wordSize, 0)
}

/** Move a whole list to a head that is not in use. @see include/linux/list.h:hlist_move_list */
export function hlist_move_list(mem: WritableMemory, from: Va, to: Va): void {
  const first = mem.pointer(from)
  mem.setPointer(to, first)
  if (first !== 0) mem.setPointer(first + mem.wordSize, to)
  mem.setPointer(from, 0)
}

/**
 * `struct hlist_bl_head`: an hlist whose head keeps a lock in bit 0 (the dentry hash). Unlocked here.
 * @see include/linux/list_bl.h:hlist_bl_add_head
 */
export function hlist_bl_add_head(mem: WritableMemory, node: Va, head: Va): void {
  hlist_add_head(mem, node, head)
}

/**
 * `struct list_head`: the kernel's circular doubly linked list. `list_for_each_entry` trusts memory up to a
 * bound; `validate_list` explains what is wrong with one.
 */

import { LIST_POISON1, LIST_POISON1_32, LIST_POISON2, LIST_POISON2_32 } from '../abi/poison.ts'
import { toAddr, type Va } from '../base/addr.ts'
import { FaultError, ValidationError } from '../base/errors.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { Memory, WritableMemory } from '../memory/memory.ts'

/** More nodes than any sane list has; walks of damaged memory end here. */
export const LIST_HOPS_MAX = 1_000_000

/** `head->next`, and `head->prev` one word after it. */
const next = (mem: Memory, node: Va): Va => mem.pointer(node)
const prev = (mem: Memory, node: Va): Va => mem.pointer(node + mem.wordSize)

/** Is the list empty? A zeroed head (never initialised) counts as empty. @see include/linux/list.h:list_empty */
export function list_empty(mem: Memory, head: Va): boolean {
  const first = next(mem, head)
  return first === head || first === 0
}

/**
 * The addresses of a list's nodes, the head left out.
 *
 * @param head  address of the `struct list_head` that is the head
 * @param limit hops after which the walk gives up
 * @throws ValidationError CORRUPT on a NULL or non-canonical link, or a list that does not come back to its head
 * @throws FaultError where a node cannot be read; nodes before it have been delivered
 * @see include/linux/list.h:list_for_each
 */
export function* list_for_each(mem: Memory, head: Va, limit = LIST_HOPS_MAX): Generator<Va> {
  let node = next(mem, head)
  if (node === 0) return
  let from = head
  let mark = node
  for (let hops = 1, power = 2; node !== head; hops++) {
    if (node === 0 || Number.isNaN(node)) throw badLink(mem, from)
    if (hops > limit)
      throw new ValidationError(toAddr(head), `a list of at most ${limit} nodes`, 'a longer one')
    yield node
    from = node
    node = next(mem, node)
    // Brent: a tail that loops without passing the head
    if (node === mark && node !== head) {
      throw new ValidationError(toAddr(from), 'a next pointer leading back to the head', 'a loop')
    }
    if (hops === power) {
      mark = node
      power *= 2
    }
  }
}

/** The nodes from the last to the first. @see include/linux/list.h:list_for_each_prev */
export function* list_for_each_prev(mem: Memory, head: Va, limit = LIST_HOPS_MAX): Generator<Va> {
  let node = prev(mem, head)
  let from = head
  for (let hops = 1; node !== head && !(from === head && node === 0); hops++) {
    if (node === 0 || Number.isNaN(node)) throw badLink(mem, from + mem.wordSize)
    if (hops > limit)
      throw new ValidationError(toAddr(head), `a list of at most ${limit} nodes`, 'a longer one')
    yield node
    from = node
    node = prev(mem, node)
  }
}

/**
 * The structs a list links.
 *
 * @param struct the entries' struct, e.g. `task_struct`
 * @param member path of its `list_head`, e.g. `thread_node` or `pid_links[0]`
 * @see include/linux/list.h:list_for_each_entry
 */
export function list_for_each_entry<N extends string>(
  types: Types,
  mem: Memory,
  head: Va,
  struct: N,
  member: string,
  limit = LIST_HOPS_MAX,
): Generator<RefOf<N>> {
  return entriesOf(types, mem, list_for_each(mem, head, limit), struct, member)
}

/** The structs that have these nodes as a member, whatever kind of list the nodes are of. */
export function* entriesOf<N extends string>(
  types: Types,
  mem: Memory,
  nodes: Iterable<Va>,
  struct: N,
  member: string,
): Generator<RefOf<N>> {
  const offset = types.offsetof(struct, member)
  const type = types.struct(struct)
  for (const node of nodes) yield types.refTo(type, mem, node - offset) as RefOf<N>
}

/** One thing wrong with a list: the node at which it shows. */
export interface ListFault {
  readonly node: Va
  readonly problem: 'unreadable' | 'bad next' | 'bad prev' | 'loop' | 'too long'
  readonly error?: FaultError
}

/**
 * Check a list: every `next->prev` is the node itself and the walk returns to the head.
 *
 * @returns the number of nodes and what is wrong (the walk ends at what cannot be followed, `bad prev` goes on)
 */
export function validate_list(
  mem: Memory,
  head: Va,
  limit = LIST_HOPS_MAX,
): { count: number; faults: ListFault[] } {
  const faults: ListFault[] = []
  const seen = new Set<Va>()
  let count = 0
  let node = head
  for (;;) {
    let to: Va
    try {
      to = next(mem, node)
      if (to === 0 || Number.isNaN(to)) return { count, faults: [...faults, { node, problem: 'bad next' }] }
      if (prev(mem, to) !== node) faults.push({ node: to, problem: 'bad prev' })
    } catch (error) {
      if (!(error instanceof FaultError)) throw error
      return { count, faults: [...faults, { node, problem: 'unreadable', error }] }
    }
    if (to === head) return { count, faults }
    if (seen.has(to)) return { count, faults: [...faults, { node, problem: 'loop' }] }
    if (count >= limit) return { count, faults: [...faults, { node, problem: 'too long' }] }
    seen.add(to)
    count++
    node = to
  }
}

function badLink(mem: Memory, link: Va): ValidationError {
  return new ValidationError(toAddr(link), 'a list pointer', `0x${mem.word(link).toString(16)}`)
}

// --- write forms

/** An empty list points at itself. @see include/linux/list.h:INIT_LIST_HEAD */
export function INIT_LIST_HEAD(mem: WritableMemory, head: Va): void {
  mem.setPointer(head, head)
  mem.setPointer(head + mem.wordSize, head)
}

/** Insert between two neighbours, in the kernel's order of stores. @see include/linux/list.h:__list_add */
function __list_add(mem: WritableMemory, entry: Va, before: Va, after: Va): void {
  mem.setPointer(after + mem.wordSize, entry)
  mem.setPointer(entry, after)
  mem.setPointer(entry + mem.wordSize, before)
  mem.setPointer(before, entry)
}

/** Insert behind the head: a stack. @see include/linux/list.h:list_add */
export function list_add(mem: WritableMemory, entry: Va, head: Va): void {
  __list_add(mem, entry, head, next(mem, head))
}

/** Insert before the head: a queue. @see include/linux/list.h:list_add_tail */
export function list_add_tail(mem: WritableMemory, entry: Va, head: Va): void {
  __list_add(mem, entry, prev(mem, head), head)
}

/** Take out, leaving the entry's own links as they are. @see include/linux/list.h:__list_del_entry */
function __list_del_entry(mem: WritableMemory, entry: Va): void {
  const after = next(mem, entry)
  const before = prev(mem, entry)
  mem.setPointer(after + mem.wordSize, before)
  mem.setPointer(before, after)
}

/** Take out and poison the links. @see include/linux/list.h:list_del */
export function list_del(mem: WritableMemory, entry: Va): void {
  __list_del_entry(mem, entry)
  mem.setWord(entry, mem.wordSize === 8 ? LIST_POISON1 : LIST_POISON1_32)
  mem.setWord(entry + mem.wordSize, mem.wordSize === 8 ? LIST_POISON2 : LIST_POISON2_32)
}

/** Take out under readers: only the back link is poisoned. @see include/linux/rculist.h:list_del_rcu */
export function list_del_rcu(mem: WritableMemory, entry: Va): void {
  __list_del_entry(mem, entry)
  mem.setWord(entry + mem.wordSize, mem.wordSize === 8 ? LIST_POISON2 : LIST_POISON2_32)
}

/** Take out and leave the entry an empty list. @see include/linux/list.h:list_del_init */
export function list_del_init(mem: WritableMemory, entry: Va): void {
  __list_del_entry(mem, entry)
  INIT_LIST_HEAD(mem, entry)
}

/** @see include/linux/list.h:list_move */
export function list_move(mem: WritableMemory, entry: Va, head: Va): void {
  __list_del_entry(mem, entry)
  list_add(mem, entry, head)
}

/** @see include/linux/list.h:list_move_tail */
export function list_move_tail(mem: WritableMemory, entry: Va, head: Va): void {
  __list_del_entry(mem, entry)
  list_add_tail(mem, entry, head)
}

/** Append all of `list` to `head` and empty it. @see include/linux/list.h:list_splice_tail_init */
export function list_splice_tail_init(mem: WritableMemory, list: Va, head: Va): void {
  if (list_empty(mem, list)) return
  const first = next(mem, list)
  const last = prev(mem, list)
  const tail = prev(mem, head)
  mem.setPointer(first + mem.wordSize, tail)
  mem.setPointer(tail, first)
  mem.setPointer(last, head)
  mem.setPointer(head + mem.wordSize, last)
  INIT_LIST_HEAD(mem, list)
}

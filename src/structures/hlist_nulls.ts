/**
 * `struct hlist_nulls_head`: an hlist that ends in a *nulls* marker, an odd value that names the bucket, so that
 * a lockless reader notices when a node moved to another chain. TCP's ehash is made of these.
 */

import { LIST_POISON2, LIST_POISON2_32 } from '../abi/poison.ts'
import { toAddr, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { Memory, WritableMemory } from '../memory/memory.ts'
import { entriesOf, LIST_HOPS_MAX } from './list.ts'

/** Is this link an end marker? @see include/linux/list_nulls.h:is_a_nulls */
export function is_a_nulls(link: bigint): boolean {
  return (link & 1n) === 1n
}

/** The value in an end marker, usually the bucket. @see include/linux/list_nulls.h:get_nulls_value */
export function get_nulls_value(link: bigint): number {
  return Number(BigInt.asUintN(63, link >> 1n))
}

/** @see include/linux/list_nulls.h:hlist_nulls_empty */
export function hlist_nulls_empty(mem: Memory, head: Va): boolean {
  return is_a_nulls(mem.word(head))
}

/**
 * The addresses of the nodes of one chain. A zeroed head (a table never initialised) is an empty chain.
 *
 * @throws ValidationError CORRUPT on a NULL or non-canonical link inside a chain, or more than `limit` nodes
 * @see include/linux/list_nulls.h:hlist_nulls_for_each_entry
 */
export function* hlist_nulls_for_each(mem: Memory, head: Va, limit = LIST_HOPS_MAX): Generator<Va> {
  let from = head
  let mark = NaN
  for (let hops = 1, power = 1; ; hops++) {
    const link = mem.word(from)
    if (is_a_nulls(link) || (link === 0n && from === head)) return
    const node = mem.pointer(from)
    if (node === 0 || Number.isNaN(node)) {
      throw new ValidationError(toAddr(from), 'a node or a nulls marker', `0x${link.toString(16)}`)
    }
    if (node === mark) throw new ValidationError(toAddr(from), 'a chain that ends', 'a loop')
    if (hops > limit)
      throw new ValidationError(toAddr(head), `a chain of at most ${limit} nodes`, 'a longer one')
    yield node
    if (hops === power) {
      mark = node
      power *= 2
    }
    from = node
  }
}

/** The structs one chain links. @see include/linux/list_nulls.h:hlist_nulls_for_each_entry */
export function hlist_nulls_for_each_entry<N extends string>(
  types: Types,
  mem: Memory,
  head: Va,
  struct: N,
  member: string,
  limit = LIST_HOPS_MAX,
): Generator<RefOf<N>> {
  return entriesOf(types, mem, hlist_nulls_for_each(mem, head, limit), struct, member)
}

// --- write forms

/** The end marker that names a value. @see include/linux/list_nulls.h:NULLS_MARKER */
export function NULLS_MARKER(value: number): bigint {
  return (BigInt(value) << 1n) | 1n
}

/** @see include/linux/list_nulls.h:INIT_HLIST_NULLS_HEAD */
export function INIT_HLIST_NULLS_HEAD(mem: WritableMemory, head: Va, nulls: number): void {
  mem.setWord(head, NULLS_MARKER(nulls))
}

/** Is the node on no chain? @see include/linux/list_nulls.h:hlist_nulls_unhashed */
export function hlist_nulls_unhashed(mem: Memory, node: Va): boolean {
  return mem.word(node + mem.wordSize) === 0n
}

/** @see include/linux/rculist_nulls.h:hlist_nulls_add_head_rcu */
export function hlist_nulls_add_head(mem: WritableMemory, node: Va, head: Va): void {
  const first = mem.word(head)
  mem.setWord(node, first)
  mem.setPointer(node + mem.wordSize, head)
  mem.setPointer(head, node)
  if (!is_a_nulls(first)) mem.setPointer(mem.pointer(node) + mem.wordSize, node)
}

/** @see include/linux/rculist_nulls.h:hlist_nulls_add_tail_rcu */
export function hlist_nulls_add_tail(mem: WritableMemory, node: Va, head: Va): void {
  let last = 0
  for (const at of hlist_nulls_for_each(mem, head)) last = at
  if (last === 0) {
    hlist_nulls_add_head(mem, node, head)
    return
  }
  mem.setWord(node, mem.word(last))
  mem.setPointer(node + mem.wordSize, last)
  mem.setPointer(last, node)
}

/** @see include/linux/list_nulls.h:__hlist_nulls_del */
function __hlist_nulls_del(mem: WritableMemory, node: Va): void {
  const after = mem.word(node)
  const link = mem.pointer(node + mem.wordSize)
  mem.setWord(link, after)
  if (!is_a_nulls(after)) mem.setPointer(mem.pointer(node) + mem.wordSize, link)
}

/** Take out under readers: `next` stays, `pprev` is poisoned. @see include/linux/rculist_nulls.h:hlist_nulls_del_rcu */
export function hlist_nulls_del(mem: WritableMemory, node: Va): void {
  __hlist_nulls_del(mem, node)
  mem.setWord(node + mem.wordSize, mem.wordSize === 8 ? LIST_POISON2 : LIST_POISON2_32)
}

/** Take out if it is on a chain; `pprev` becomes NULL. @see include/linux/rculist_nulls.h:hlist_nulls_del_init_rcu */
export function hlist_nulls_del_init_rcu(mem: WritableMemory, node: Va): void {
  if (hlist_nulls_unhashed(mem, node)) return
  __hlist_nulls_del(mem, node)
  mem.setPointer(node + mem.wordSize, 0)
}

/** Put `node` in the place of `old` on its chain. @see include/linux/rculist_nulls.h:hlist_nulls_replace_init_rcu */
export function hlist_nulls_replace_init_rcu(mem: WritableMemory, old: Va, node: Va): void {
  const after = mem.word(old)
  const link = mem.pointer(old + mem.wordSize)
  mem.setWord(node, after)
  mem.setPointer(node + mem.wordSize, link)
  mem.setPointer(link, node)
  if (!is_a_nulls(after)) mem.setPointer(mem.pointer(old) + mem.wordSize, node)
  mem.setPointer(old + mem.wordSize, 0)
}

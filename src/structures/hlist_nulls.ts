/**
 * `struct hlist_nulls_head`: an hlist that ends in a *nulls* marker, an odd value that names the bucket, so that
 * a lockless reader notices when a node moved to another chain. TCP's ehash is made of these.
 */

import { toAddr, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { Memory } from '../memory/memory.ts'
import { LIST_HOPS_MAX } from './list.ts'

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
export function* hlist_nulls_for_each_entry<N extends string>(
  types: Types,
  mem: Memory,
  head: Va,
  struct: N,
  member: string,
  limit = LIST_HOPS_MAX,
): Generator<RefOf<N>> {
  const offset = types.offsetof(struct, member)
  const type = types.struct(struct)
  for (const node of hlist_nulls_for_each(mem, head, limit)) {
    yield types.refTo(type, mem, node - offset) as StructRef as RefOf<N>
  }
}

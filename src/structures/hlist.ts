/**
 * `struct hlist_head`: singly headed list whose nodes point back at the pointer that points at them; ends in NULL.
 */

import { toAddr, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { Memory } from '../memory/memory.ts'
import { LIST_HOPS_MAX } from './list.ts'

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
export function* hlist_for_each_entry<N extends string>(
  types: Types,
  mem: Memory,
  head: Va,
  struct: N,
  member: string,
  limit = LIST_HOPS_MAX,
): Generator<RefOf<N>> {
  const offset = types.offsetof(struct, member)
  const type = types.struct(struct)
  for (const node of hlist_for_each(mem, head, limit)) {
    yield types.refTo(type, mem, node - offset) as StructRef as RefOf<N>
  }
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

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Va } from '../../../src/base/addr.ts'
import { idr_alloc, idr_alloc_cyclic, idr_init, idr_remove } from '../../../src/structures/idr.ts'
import {
  hlist_add_head,
  hlist_add_tail_rcu,
  hlist_del,
  hlist_for_each,
  validate_hlist,
} from '../../../src/structures/hlist.ts'
import {
  INIT_HLIST_NULLS_HEAD,
  get_nulls_value,
  hlist_nulls_add_head,
  hlist_nulls_add_tail,
  hlist_nulls_del_init_rcu,
  hlist_nulls_for_each,
  hlist_nulls_replace_init_rcu,
  hlist_nulls_unhashed,
} from '../../../src/structures/hlist_nulls.ts'
import {
  INIT_LIST_HEAD,
  list_add,
  list_add_tail,
  list_del,
  list_for_each,
  list_splice_tail_init,
  validate_list,
} from '../../../src/structures/list.ts'
import { mt_build } from '../../../src/structures/maple_build.ts'
import { mt_for_each } from '../../../src/structures/maple_tree.ts'
import {
  rb_add_cached,
  rb_erase_cached,
  rb_first,
  rb_for_each,
  validate_rbtree,
} from '../../../src/structures/rbtree.ts'
import { xa_for_each, xa_load, xa_store, type XaNodes } from '../../../src/structures/xarray.ts'
import { kmalloc, kfree } from '../../../src/linux/mm/slab.ts'
import { bootedMachine } from '../../support/machine.ts'

const k = bootedMachine()
const { mem, types } = k
mem.journal.enabled = false

const WORDS = 64
const room = kmalloc(k, 8192)
const node = (i: number): Va => room + (i + 1) * WORDS
const index = (va: Va): number => (va - room) / WORDS - 1
const nodes: XaNodes = {
  alloc: () => {
    const va = kmalloc(k, 576)
    mem.fill(va, 0, 576)
    return va
  },
  free: (va) => kfree(k, va),
}

describe('list', () => {
  it('keeps the order of a queue and of a stack', () => {
    INIT_LIST_HEAD(mem, room)
    for (const i of [1, 2, 3]) list_add_tail(mem, node(i), room)
    list_add(mem, node(0), room)
    list_del(mem, node(2))
    expect([...list_for_each(mem, room)].map(index)).toEqual([0, 1, 3])
    expect(validate_list(mem, room)).toEqual({ count: 3, faults: [] })
    expect(mem.word(node(2))).toBe(0xdead000000000100n)
  })

  it('splices a list to the end of another and leaves it empty', () => {
    const other = node(60)
    INIT_LIST_HEAD(mem, room)
    INIT_LIST_HEAD(mem, other)
    list_add_tail(mem, node(1), room)
    for (const i of [2, 3]) list_add_tail(mem, node(i), other)
    list_splice_tail_init(mem, other, room)
    expect([...list_for_each(mem, room)].map(index)).toEqual([1, 2, 3])
    expect([...list_for_each(mem, other)]).toEqual([])
  })
})

describe('hlist', () => {
  it('head, tail and removal keep the back pointers', () => {
    mem.setPointer(room, 0)
    for (const i of [2, 1]) hlist_add_head(mem, node(i), room)
    hlist_add_tail_rcu(mem, node(3), room)
    hlist_del(mem, node(2))
    expect([...hlist_for_each(mem, room)].map(index)).toEqual([1, 3])
    expect(validate_hlist(mem, room)).toEqual([])
  })

  it('nulls: replacing keeps the place, the chain ends in its marker', () => {
    INIT_HLIST_NULLS_HEAD(mem, room, 77)
    for (const i of [2, 1]) hlist_nulls_add_head(mem, node(i), room)
    hlist_nulls_add_tail(mem, node(3), room)
    hlist_nulls_replace_init_rcu(mem, node(2), node(9))
    expect([...hlist_nulls_for_each(mem, room)].map(index)).toEqual([1, 9, 3])
    expect(hlist_nulls_unhashed(mem, node(2))).toBe(true)
    for (const i of [1, 9, 3]) hlist_nulls_del_init_rcu(mem, node(i))
    expect(get_nulls_value(mem.word(room))).toBe(77)
  })
})

describe('rbtree', () => {
  it('stays a red-black tree in key order through any inserts and erases', () => {
    const key = (va: Va): number => mem.u32(va + 32)
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(60), fc.nat(30)), { maxLength: 80 }), (steps) => {
        mem.fill(room, 0, 16)
        const there = new Set<number>()
        for (const [i, weight] of steps) {
          const at = node(i)
          if (there.delete(i)) rb_erase_cached(mem, at, room)
          else {
            mem.setU32(at + 32, weight)
            rb_add_cached(mem, at, room, (other) => weight < key(other))
            there.add(i)
          }
          expect(validate_rbtree(mem, room)).toEqual({ count: there.size, faults: [] })
          expect(mem.pointer(room + 8)).toBe(rb_first(mem, room))
        }
        const keys = [...rb_for_each(mem, room)].map(key)
        expect(keys).toEqual([...keys].sort((a, b) => a - b))
      }),
      { numRuns: 60 },
    )
  })
})

describe('xarray', () => {
  it('holds what a map would hold', () => {
    const xa = room
    const entry = fc.tuple(fc.oneof(fc.nat(200), fc.nat(200_000)), fc.boolean())
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 60 }), (steps) => {
        mem.fill(xa, 0, 16)
        const model = new Map<number, bigint>()
        for (const [at, store] of steps) {
          const value = store ? BigInt(at * 8 + 8) << 16n : 0n
          expect(xa_store(types, mem, xa, at, value, nodes)).toBe(model.get(at) ?? 0n)
          if (store) model.set(at, value)
          else model.delete(at)
        }
        const found = [...xa_for_each(types, mem, xa)].map(({ index: i, entry: e }) => [i, e])
        expect(found).toEqual([...model].sort(([a], [b]) => a - b))
        for (const i of [...model.keys()]) xa_store(types, mem, xa, i, 0n, nodes)
        expect(mem.word(xa + 8)).toBe(0n)
      }),
      { numRuns: 40 },
    )
  })

  it('idr: the lowest free id, cyclic ids go on, marks say what is free', () => {
    const idr = room
    idr_init(types, mem, idr)
    const ids = Array.from({ length: 130 }, () => idr_alloc(types, mem, idr, node(1), 0, 1000, nodes))
    expect(ids).toEqual(Array.from({ length: 130 }, (_, i) => i))
    idr_remove(types, mem, idr, 5, nodes)
    expect(idr_alloc(types, mem, idr, node(2), 0, 1000, nodes)).toBe(5)
    expect(idr_alloc_cyclic(types, mem, idr, node(3), 1, 1000, nodes)).toBe(130)
    expect(idr_alloc(types, mem, idr, node(3), 0, 100, nodes)).toBe(-1)
    expect(xa_load(types, mem, idr, 131)).toBe(0n)
    // a full node has no free mark, its neighbour the marks of the ids not handed out
    const root = mem.pointer(idr + 8) - 2
    const marks = mem.u64(root + types.offsetof('xa_node', 'marks'))
    expect(marks & 7n).toBe(4n)
  })
})

describe('maple tree', () => {
  it.each([1, 2, 15, 16, 40, 200, 700])('%i ranges read back in order', (count) => {
    const mt = room
    mem.fill(mt, 0, types.sizeof('maple_tree'))
    const ranges = Array.from({ length: count }, (_, i) => ({
      first: BigInt(i * 0x3000 + 0x1000),
      last: BigInt(i * 0x3000 + 0x1000 + (i % 3 === 0 ? 0x2fff : 0xfff)),
      entry: BigInt.asUintN(64, BigInt(node(i % 60))),
    }))
    let next = Math.ceil(kmalloc(k, 0x2_0000 - 512) / 256) * 256
    const alloc = (): Va => {
      mem.fill(next, 0, 256)
      return (next += 256) - 256
    }
    mt_build(types, mem, mt, ranges, { alloc, free: () => undefined })
    const found = [...mt_for_each(types, mem, mt)]
    expect(
      found.map(({ first, last, entry }) => ({ first: BigInt(first), last: BigInt(last), entry })),
    ).toEqual(ranges)
  })
})

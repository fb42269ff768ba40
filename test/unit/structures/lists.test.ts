import { beforeEach, describe, expect, test } from 'vitest'
import type { Va } from '../../../src/base/addr.ts'
import {
  hlist_empty,
  hlist_for_each,
  hlist_for_each_entry,
  validate_hlist,
} from '../../../src/structures/hlist.ts'
import {
  get_nulls_value,
  hlist_nulls_empty,
  hlist_nulls_for_each,
  is_a_nulls,
} from '../../../src/structures/hlist_nulls.ts'
import {
  list_empty,
  list_for_each,
  list_for_each_entry,
  list_for_each_prev,
  validate_list,
} from '../../../src/structures/list.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel
let head: Va

beforeEach(() => {
  k = new FlatKernel()
  head = k.room(16)
  k.emptyList(head)
})

/** `count` nodes on the list. */
function nodes(count: number): Va[] {
  return Array.from({ length: count }, () => {
    const node = k.room(16)
    k.append(head, node)
    return node
  })
}

const faultOf = (walk: () => Iterable<unknown>): unknown => {
  try {
    Array.from(walk())
    return undefined
  } catch (error) {
    return error
  }
}

describe('list', () => {
  test('empty, and a head that was never initialised', () => {
    expect(list_empty(k.mem, head)).toBe(true)
    expect([...list_for_each(k.mem, head)]).toEqual([])
    const zeroed = k.room(16)
    expect(list_empty(k.mem, zeroed)).toBe(true)
    expect([...list_for_each(k.mem, zeroed)]).toEqual([])
    expect([...list_for_each_prev(k.mem, zeroed)]).toEqual([])
  })

  test.each([1, 2, 3, 17])('%i nodes, both ways', (count) => {
    const made = nodes(count)
    expect([...list_for_each(k.mem, head)]).toEqual(made)
    expect([...list_for_each_prev(k.mem, head)]).toEqual([...made].reverse())
    expect(validate_list(k.mem, head)).toEqual({ count, faults: [] })
  })

  test('entries are the structs around their nodes', () => {
    const task = k.make('task_struct')
    k.append(head, task.$vaOf('sibling'))
    const found = [...list_for_each_entry(k.types, k.mem, head, 'task_struct', 'sibling')]
    expect(found.map((t) => t.$va)).toEqual([task.$va])
  })

  test('a tail that loops without its head ends in an error', () => {
    const made = nodes(5)
    k.mem.setPointer(made[4] as Va, made[2] as Va)
    expect(faultOf(() => list_for_each(k.mem, head))).toMatchObject({ code: 'CORRUPT' })
    expect(validate_list(k.mem, head).faults.map((f) => f.problem)).toContain('loop')
  })

  test('a NULL and a poisoned link name the place', () => {
    const made = nodes(2)
    k.mem.setU64(made[1] as Va, 0n)
    expect(faultOf(() => list_for_each(k.mem, head))).toMatchObject({ code: 'CORRUPT', found: '0x0' })
    k.mem.setU64(made[1] as Va, 0xdead000000000100n)
    expect(faultOf(() => list_for_each(k.mem, head))).toMatchObject({ found: '0xdead000000000100' })
    expect(validate_list(k.mem, head)).toEqual({ count: 2, faults: [{ node: made[1], problem: 'bad next' }] })
  })

  test('a node on a missing page: those before it are delivered', () => {
    const first = k.room(16)
    k.append(head, first)
    const lost = k.lonely(16)
    k.append(head, lost)
    k.mem.unmap(lost)
    const seen: Va[] = []
    const error = faultOf(function* () {
      for (const node of list_for_each(k.mem, head)) {
        seen.push(node)
        yield node
      }
    })
    expect(error).toMatchObject({ code: 'FAULT' })
    expect(seen).toEqual([first, lost])
    expect(validate_list(k.mem, head).faults).toMatchObject([{ problem: 'unreadable' }])
  })

  test('a wrong back pointer is told, the walk goes on', () => {
    const made = nodes(3)
    k.mem.setPointer((made[1] as Va) + 8, made[2] as Va)
    expect(validate_list(k.mem, head)).toEqual({ count: 3, faults: [{ node: made[1], problem: 'bad prev' }] })
  })

  test('no more nodes than the limit', () => {
    nodes(4)
    expect(faultOf(() => list_for_each(k.mem, head, 3))).toMatchObject({ code: 'CORRUPT' })
    expect([...list_for_each(k.mem, head, 4)]).toHaveLength(4)
  })
})

describe('hlist', () => {
  /** Push nodes at the front; the list has them in reverse. */
  function push(count: number): Va[] {
    const made: Va[] = []
    k.mem.setU64(head, 0n)
    for (let i = 0; i < count; i++) {
      const node = k.room(16)
      const first = k.mem.pointer(head)
      k.mem.setPointer(node, first)
      k.mem.setPointer(node + 8, head)
      if (first !== 0) k.mem.setPointer(first + 8, node)
      k.mem.setPointer(head, node)
      made.unshift(node)
    }
    return made
  }

  test.each([0, 1, 2, 9])('%i nodes', (count) => {
    const made = push(count)
    expect(hlist_empty(k.mem, head)).toBe(count === 0)
    expect([...hlist_for_each(k.mem, head)]).toEqual(made)
    expect(validate_hlist(k.mem, head)).toEqual([])
  })

  test('entries, and a wrong pprev', () => {
    const pid = k.make('task_struct')
    const node = pid.$vaOf('pid_links[0]')
    k.mem.setPointer(head, node)
    k.mem.setPointer(node + 8, 0x1234)
    const found = [...hlist_for_each_entry(k.types, k.mem, head, 'task_struct', 'pid_links[0]')]
    expect(found.map((t) => t.$va)).toEqual([pid.$va])
    expect(validate_hlist(k.mem, head)).toEqual([{ node, pprev: 0x1234 }])
  })

  test('a loop ends in an error', () => {
    const made = push(4)
    k.mem.setPointer(made[3] as Va, made[1] as Va)
    expect(faultOf(() => hlist_for_each(k.mem, head))).toMatchObject({ code: 'CORRUPT' })
  })
})

describe('hlist_nulls', () => {
  test('markers', () => {
    expect(is_a_nulls(0x1fn)).toBe(true)
    expect(get_nulls_value(0x1fn)).toBe(15)
    expect(is_a_nulls(0xffff888000000000n)).toBe(false)
  })

  test('an empty chain, a zeroed one, a chain of two', () => {
    k.mem.setU64(head, 0x7n)
    expect(hlist_nulls_empty(k.mem, head)).toBe(true)
    expect([...hlist_nulls_for_each(k.mem, head)]).toEqual([])
    k.mem.setU64(head, 0n)
    expect([...hlist_nulls_for_each(k.mem, head)]).toEqual([])
    const [a, b] = [k.room(16), k.room(16)]
    k.mem.setPointer(head, a)
    k.mem.setPointer(a, b)
    k.mem.setU64(b, 0x7n)
    expect([...hlist_nulls_for_each(k.mem, head)]).toEqual([a, b])
  })

  test('a chain cut short and a chain in a circle', () => {
    const [a, b] = [k.room(16), k.room(16)]
    k.mem.setPointer(head, a)
    k.mem.setU64(a, 0n)
    expect(faultOf(() => hlist_nulls_for_each(k.mem, head))).toMatchObject({ code: 'CORRUPT', found: '0x0' })
    k.mem.setPointer(a, b)
    k.mem.setPointer(b, a)
    expect(faultOf(() => hlist_nulls_for_each(k.mem, head))).toMatchObject({ code: 'CORRUPT' })
  })
})

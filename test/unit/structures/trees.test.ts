import { beforeEach, describe, expect, test } from 'vitest'
import type { Va } from '../../../src/base/addr.ts'
import { toAddr } from '../../../src/base/addr.ts'
import { rb_first, rb_for_each, rb_for_each_entry, rb_last, rb_next, rb_prev, validate_rbtree } from '../../../src/structures/rbtree.ts' // prettier-ignore
import { xa_for_each, xa_is_node, xa_is_value, xa_load, xa_to_value } from '../../../src/structures/xarray.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel

beforeEach(() => {
  k = new FlatKernel()
})

describe('xarray', () => {
  let xa: Va
  const offset = (member: string): number => k.types.offsetof('xa_node', member)
  const setRoot = (entry: bigint): void => k.mem.setU64(xa + k.types.offsetof('xarray', 'xa_head'), entry)
  const all = (): [number, bigint][] =>
    Array.from(xa_for_each(k.types, k.mem, xa), ({ index, entry }) => [index, entry])
  const load = (index: number): bigint => xa_load(k.types, k.mem, xa, index)

  beforeEach(() => {
    xa = k.make('xarray').$va
  })

  /** A node of a height with some slots; its tagged pointer. */
  function node(shift: number, slots: Readonly<Record<number, bigint>>): bigint {
    const va = k.make('xa_node').$va
    k.mem.setU8(va + offset('shift'), shift)
    for (const [i, entry] of Object.entries(slots)) k.mem.setU64(va + offset('slots') + Number(i) * 8, entry)
    return toAddr(va) | 2n
  }

  test('what entries are', () => {
    expect(xa_is_node(0xffff888000001002n)).toBe(true)
    expect(xa_is_node(0x102n)).toBe(false)
    expect(xa_is_value(0x7n)).toBe(true)
    expect(xa_to_value(0x7n)).toBe(3n)
  })

  test('empty; one entry in the root', () => {
    expect(all()).toEqual([])
    expect(load(0)).toBe(0n)
    setRoot(0xffff888000001000n)
    expect(all()).toEqual([[0, 0xffff888000001000n]])
    expect(load(0)).toBe(0xffff888000001000n)
    expect(load(1)).toBe(0n)
  })

  test('two levels, in order; indexes outside the tree', () => {
    const low = node(0, { 1: 0x1000n, 63: 0x2000n })
    const high = node(0, { 0: 0x3000n })
    setRoot(node(6, { 0: low, 2: high }))
    expect(all()).toEqual([
      [1, 0x1000n],
      [63, 0x2000n],
      [128, 0x3000n],
    ])
    expect([load(1), load(2), load(63), load(128), load(64), load(4096), load(1e9)]).toEqual([
      0x1000n, 0n, 0x2000n, 0x3000n, 0n, 0n, 0n,
    ]) // prettier-ignore
  })

  test('an entry over several indexes has siblings', () => {
    setRoot(node(0, { 4: 0x1000n, 5: (4n << 2n) | 2n }))
    expect(all()).toEqual([[4, 0x1000n]])
    expect(load(5)).toBe(0x1000n)
  })

  test('a node that is its own child ends in an error', () => {
    const loop = node(6, {})
    k.mem.setU64(Number(BigInt.asIntN(64, loop - 2n)) + offset('slots'), loop)
    setRoot(loop)
    expect(() => all()).toThrow(expect.objectContaining({ code: 'CORRUPT' }) as Error)
    expect(() => load(1)).toThrow(expect.objectContaining({ code: 'CORRUPT' }) as Error)
  })
})

describe('rbtree', () => {
  let root: Va

  beforeEach(() => {
    root = k.room(8)
  })

  const BLACK = 1n
  function link(node: Va, parent: Va, left: Va, right: Va, black: boolean): void {
    k.mem.setU64(node, (parent === 0 ? 0n : toAddr(parent)) | (black ? BLACK : 0n))
    k.mem.setPointer(node + 8, right)
    k.mem.setPointer(node + 16, left)
  }

  /** 2 over 1 and 3. */
  function three(): [Va, Va, Va] {
    const [a, b, c] = [k.room(24), k.room(24), k.room(24)]
    link(b, 0, a, c, true)
    link(a, b, 0, 0, false)
    link(c, b, 0, 0, false)
    k.mem.setPointer(root, b)
    return [a, b, c]
  }

  test('empty', () => {
    expect([rb_first(k.mem, root), rb_last(k.mem, root)]).toEqual([0, 0])
    expect([...rb_for_each(k.mem, root)]).toEqual([])
    expect(validate_rbtree(k.mem, root)).toEqual({ count: 0, faults: [] })
  })

  test('three nodes, forwards and backwards', () => {
    const [a, b, c] = three()
    expect([...rb_for_each(k.mem, root)]).toEqual([a, b, c])
    expect([rb_next(k.mem, a), rb_next(k.mem, b), rb_next(k.mem, c)]).toEqual([b, c, 0])
    expect([rb_prev(k.mem, c), rb_prev(k.mem, b), rb_prev(k.mem, a)]).toEqual([b, a, 0])
    expect(rb_last(k.mem, root)).toBe(c)
    expect(validate_rbtree(k.mem, root)).toEqual({ count: 3, faults: [] })
  })

  test('entries are the structs around their nodes', () => {
    const entity = k.make('sched_entity')
    link(entity.$vaOf('run_node'), 0, 0, 0, true)
    k.mem.setPointer(root, entity.$vaOf('run_node'))
    const found = [...rb_for_each_entry(k.types, k.mem, root, 'sched_entity', 'run_node')]
    expect(found.map((e) => e.$va)).toEqual([entity.$va])
  })

  test('contradictions are named', () => {
    const [a, b, c] = three()
    link(a, c, 0, 0, true)
    expect(validate_rbtree(k.mem, root).faults).toEqual([
      { node: a, problem: 'bad parent' },
      { node: b, problem: 'black heights differ' },
    ])
  })

  test('a circle of left pointers ends in an error', () => {
    const [a, b] = three()
    link(a, b, b, 0, false)
    expect(() => rb_first(k.mem, root)).toThrow(expect.objectContaining({ code: 'CORRUPT' }) as Error)
    expect(validate_rbtree(k.mem, root).faults.some((f) => f.problem === 'too deep')).toBe(true)
  })
})

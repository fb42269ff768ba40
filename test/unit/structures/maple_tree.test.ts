import { beforeEach, describe, expect, test } from 'vitest'
import { toAddr } from '../../../src/base/addr.ts'
import { mt_for_each, mt_load } from '../../../src/structures/maple_tree.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const leaf64 = 1
const range64 = 2
const arange64 = 3
const MAX = 0xffff_ffff_ffff_ffffn

let k: FlatKernel
let tree: number

beforeEach(() => {
  k = new FlatKernel()
  tree = k.make('maple_tree').$va
})

/** A node with these slots; a slot's pivot is its last index. @returns the encoded pointer */
function node(type: number, slots: readonly (readonly [pivot: bigint, value: bigint])[]): bigint {
  const struct = type === arange64 ? 'maple_arange_64' : 'maple_range_64'
  const va = k.room(256, 256)
  slots.forEach(([pivot, value], i) => {
    if (i < (type === arange64 ? 9 : 15)) k.mem.setU64(va + k.types.offsetof(struct, 'pivot') + i * 8, pivot)
    k.mem.setU64(va + k.types.offsetof(struct, 'slot') + i * 8, value)
  })
  return toAddr(va) | BigInt(type << 3) | 6n
}

const root = (entry: bigint): void => k.mem.setU64(tree + k.types.offsetof('maple_tree', 'ma_root'), entry)
const all = (): [number, number, bigint][] =>
  Array.from(mt_for_each(k.types, k.mem, tree), ({ first, last, entry }) => [first, last, entry])
const load = (index: number): bigint | undefined => mt_load(k.types, k.mem, tree, index)?.entry

describe('maple tree', () => {
  test('empty', () => {
    expect(all()).toEqual([])
    expect(load(0)).toBeUndefined()
  })

  test('one entry at index 0 lies in the root', () => {
    root(0x1000n)
    expect(all()).toEqual([[0, 0, 0x1000n]])
    expect(load(0)).toBe(0x1000n)
    expect(load(1)).toBeUndefined()
  })

  test('a leaf: ranges with gaps, the end where the pivots end', () => {
    root(node(leaf64, [[0xfffn, 0n], [0x1fffn, 0x100n], [0x2fffn, 0x200n], [MAX, 0n]])) // prettier-ignore
    expect(all()).toEqual([
      [0x1000, 0x1fff, 0x100n],
      [0x2000, 0x2fff, 0x200n],
    ])
    expect([0, 0x1000, 0x1fff, 0x2000, 0x3000].map(load)).toEqual([
      undefined,
      0x100n,
      0x100n,
      0x200n,
      undefined,
    ])
  })

  test.each([range64, arange64])('two levels, inner nodes of type %i', (type) => {
    const low = node(leaf64, [[0xfffn, 0n], [0x1fffn, 0x100n]]) // prettier-ignore
    const high = node(leaf64, [[0x2fffn, 0x200n], [0n, 0n]]) // prettier-ignore
    root(node(type, [[0x1fffn, low], [MAX, high]])) // prettier-ignore
    expect(all().map(([, , entry]) => entry)).toEqual([0x100n, 0x200n])
    expect(load(0x2abc)).toBe(0x200n)
    expect(load(0x5000)).toBeUndefined()
  })

  test('a full leaf uses the slot that has no pivot', () => {
    const slots = Array.from(
      { length: 16 },
      (_, i) => [BigInt(i * 16 + 15), BigInt((i + 1) * 0x100)] as const,
    )
    root(node(leaf64, slots))
    expect(all()).toHaveLength(16)
    expect(load(0xffff)).toBe(0x1000n)
  })

  test('reserved entries are nobody’s', () => {
    root(node(leaf64, [[0xfffn, 0x402n], [0x1fffn, 0x100n], [MAX, 0n]])) // prettier-ignore
    expect(all()).toEqual([[0x1000, 0x1fff, 0x100n]])
    expect(load(0)).toBeUndefined()
  })

  test('a node of no known type, and one that is its own child', () => {
    root(node(7, []))
    expect(all).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    const self = node(range64, [[MAX, 0n]])
    k.mem.setU64(Number(BigInt.asIntN(64, self & ~0xffn)) + k.types.offsetof('maple_range_64', 'slot'), self)
    root(self)
    expect(all).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    expect(() => load(5)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })

  test('a node that is not in the dump', () => {
    const gone = k.lonely(256)
    root(toAddr(gone) | BigInt(leaf64 << 3) | 6n)
    k.mem.unmap(gone)
    expect(all).toThrow(expect.objectContaining({ code: 'FAULT' }))
  })
})

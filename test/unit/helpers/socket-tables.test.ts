import { beforeEach, describe, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import {
  netlink_for_each,
  packet_for_each,
  raw_for_each,
  unix_for_each,
} from '../../../src/helpers/socket-tables.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const NOWHERE = 0xffffffff00000000n
const CORRUPT = expect.objectContaining({ code: 'CORRUPT' }) as unknown
const FAULT = expect.objectContaining({ code: 'FAULT' }) as unknown
let k: FlatKernel
let net: StructRef

beforeEach(() => {
  k = new FlatKernel()
  const list = k.room(16)
  k.symbol('net_namespace_list', list)
  k.emptyList(list)
  net = k.make('net')
  k.append(list, net.$vaOf('list'))
})

/** Put socks on an hlist, the first given at its head. */
function chain(head: number, ...socks: StructRef[]): void {
  let at = head
  for (const sk of socks) {
    const node = sk.$vaOf('__sk_common.skc_node')
    k.mem.setPointer(at, node)
    at = node
  }
}

/** What came before an error, and the error. */
function upTo(walk: Iterable<StructRef>): { found: bigint[]; error: unknown } {
  const found: bigint[] = []
  try {
    for (const sk of walk) found.push(sk.$addr)
  } catch (error) {
    return { found, error }
  }
  return { found, error: undefined }
}

describe.each([
  [
    'unix',
    unix_for_each,
    () => {
      const buckets = k.room(512 * 8)
      net.$set('unx.table.buckets', BigInt.asUintN(64, BigInt(buckets)))
      return buckets
    },
  ],
  [
    'raw',
    raw_for_each,
    () => {
      const table: StructRef = k.make('raw_hashinfo')
      k.symbol('raw_v4_hashinfo', table.$va)
      return table.$vaOf('ht')
    },
  ],
  ['packet', packet_for_each, () => net.$vaOf('packet.sklist')],
] as const)('%s sockets', (_, walk, table) => {
  test('none', () => {
    table()
    expect([...walk(k)]).toEqual([])
  })

  test('several in a bucket', () => {
    const [a, b] = [k.make('sock'), k.make('sock')]
    chain(table(), a, b)
    expect([...walk(k)].map(({ $addr }) => $addr)).toEqual([a.$addr, b.$addr])
  })

  test('a sock that is not in the dump: the one before it is delivered', () => {
    const a: StructRef = k.make('sock')
    chain(table(), a)
    a.$set('__sk_common.skc_node.next', NOWHERE)
    const { found, error } = upTo(walk(k))
    expect(found[0]).toBe(a.$addr)
    expect(error).toEqual(FAULT)
  })

  test('a chain that leads back to itself ends', () => {
    const [a, b] = [k.make('sock'), k.make('sock')]
    chain(table(), a, b, a)
    const { found, error } = upTo(walk(k))
    expect(found.length).toBeLessThan(10)
    expect(error).toEqual(CORRUPT)
  })
})

describe('netlink sockets', () => {
  let buckets: StructRef

  beforeEach(() => {
    const size = k.types.sizeof('netlink_table')
    const tables = k.room(32 * size)
    const pointer = k.room(8)
    k.mem.setPointer(pointer, tables)
    k.symbol('nl_table', pointer)
    buckets = k.types.ref('bucket_table', k.mem, k.room(k.types.sizeof('bucket_table') + 4 * 8))
    buckets.$set('size', 4)
    for (let i = 0; i < 4; i++) k.mem.setPointer(buckets.$vaOf('buckets') + i * 8, 1)
    const first: StructRef = k.types.ref('netlink_table', k.mem, tables)
    first.$set('hash.tbl', buckets)
  })

  /** A socket in the second bucket, and what follows it. */
  function socket(next: bigint | ((node: number) => number)): StructRef {
    const sk: StructRef = k.make('netlink_sock')
    const node = sk.$vaOf('node')
    k.mem.setPointer(buckets.$vaOf('buckets') + 8, node)
    if (typeof next === 'bigint') sk.$set('node.next', next)
    else k.mem.setPointer(node, next(node))
    return sk
  }

  test('the end of a chain is odd', () => {
    const sk = socket(1n)
    expect([...netlink_for_each(k)].map(({ $addr }) => $addr)).toEqual([sk.$addr])
  })

  test('a chain that leads back to itself ends', () => {
    const sk = socket((node) => node)
    expect(upTo(netlink_for_each(k))).toEqual({ found: [sk.$addr], error: CORRUPT })
  })

  test('a chain that leads out of the dump', () => {
    const sk = socket(NOWHERE)
    const { found, error } = upTo(netlink_for_each(k))
    expect(found[0]).toBe(sk.$addr)
    expect(error).toEqual(FAULT)
  })

  test('a size no table has', () => {
    buckets.$set('size', 0x7fff_ffff)
    expect(upTo(netlink_for_each(k))).toEqual({ found: [], error: CORRUPT })
  })
})

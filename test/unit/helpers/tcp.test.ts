import { beforeEach, describe, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { htons } from '../../../src/base/u32.ts'
import {
  accept_queue,
  bhash_for_each,
  ehash_for_each,
  is_listener,
  lhash2_for_each,
  listener_queues,
  request_listener,
  tcp_row,
} from '../../../src/helpers/tcp.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const BUCKETS = 8
let k: FlatKernel
let hashinfo: StructRef
let ehash: number

beforeEach(() => {
  k = new FlatKernel()
  hashinfo = k.make('inet_hashinfo')
  k.symbol('tcp_hashinfo', hashinfo.$va)
  ehash = k.room(BUCKETS * 8)
  for (let i = 0; i < BUCKETS; i++) k.mem.setU64(ehash + i * 8, BigInt((i << 1) | 1))
  hashinfo.$set('ehash', BigInt(ehash))
  hashinfo.$set('ehash_mask', BUCKETS - 1)
})

/** Link a sock at the front of a chain. */
function hash(bucket: number, struct: string, state: number): StructRef {
  const sk: StructRef = k.make(struct)
  const skc = sk.$cast('sock_common')
  skc.$set('skc_state', state)
  skc.$set('skc_family', 2)
  skc.$set('skc_num', 100 + bucket)
  skc.$set('skc_dport', htons(50000))
  const node = skc.$vaOf('skc_nulls_node')
  k.mem.setU64(node, k.mem.u64(ehash + bucket * 8))
  k.mem.setPointer(ehash + bucket * 8, node)
  return sk
}

describe('ehash_for_each', () => {
  test('an empty table', () => {
    expect([...ehash_for_each(k)]).toEqual([])
  })

  test('connections, requests and TIME_WAIT are told apart', () => {
    hash(1, 'tcp_sock', 1)
    hash(1, 'request_sock', 12)
    hash(5, 'inet_timewait_sock', 6)
    const found = [...ehash_for_each(k)]
    expect(found.map(({ bucket, kind, sk }) => [bucket, kind, sk.$type.name])).toEqual([
      [1, 'request', 'request_sock'],
      [1, 'full', 'sock'],
      [5, 'timewait', 'inet_timewait_sock'],
    ])
    expect(tcp_row(found[1]?.sk as StructRef)).toMatchObject({
      state: 'ESTABLISHED',
      local: { port: 101 },
      remote: { port: 50000 },
    })
  })

  test('a chain that breaks is told, the others are still walked', () => {
    hash(1, 'tcp_sock', 1)
    k.mem.setU64(ehash + 2 * 8, 0xdead000000000100n)
    hash(3, 'tcp_sock', 1)
    const problems: unknown[] = []
    const found = [...ehash_for_each(k, undefined, (error) => problems.push(error))]
    expect(found.map(({ bucket }) => bucket)).toEqual([1, 3])
    expect(problems).toMatchObject([{ code: 'CORRUPT' }])
    expect(() => [...ehash_for_each(k)]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })

  test('a chain in a circle ends', () => {
    const sk = hash(1, 'tcp_sock', 1)
    const node = sk.$cast('sock_common').$vaOf('skc_nulls_node')
    k.mem.setPointer(node, node)
    expect(() => [...ehash_for_each(k)]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })

  test('a mask that no table has is refused', () => {
    hashinfo.$set('ehash_mask', 0x7fffffff)
    expect(() => [...ehash_for_each(k)]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})

test('lhash2_for_each: listeners with their marker', () => {
  const size = k.types.sizeof('inet_listen_hashbucket')
  const head = k.types.offsetof('inet_listen_hashbucket', 'nulls_head')
  const table = k.room(4 * size)
  for (let i = 0; i < 4; i++)
    k.mem.setU64(table + i * size + head, BigInt(((i + (1 << 29)) << 1) | 1) & 0x7fffffffn)
  hashinfo.$set('lhash2', BigInt(table))
  hashinfo.$set('lhash2_mask', 3)
  const sk: StructRef = k.make('tcp_sock')
  const skc = sk.$cast('sock_common')
  skc.$set('skc_state', 10)
  skc.$set('skc_family', 2)
  k.mem.setU64(skc.$vaOf('skc_nulls_node'), k.mem.u64(table + 2 * size + head))
  k.mem.setPointer(table + 2 * size + head, skc.$vaOf('skc_nulls_node'))
  const found = [...lhash2_for_each(k)]
  expect(found.map(({ $va }) => $va)).toEqual([sk.$va])
  expect(is_listener(sk)).toBe(true)
})

test('bhash_for_each: ports and their owners, TIME_WAIT left out', () => {
  const size = k.types.sizeof('inet_bind_hashbucket')
  const table = k.room(2 * size)
  hashinfo.$set('bhash', BigInt(table))
  hashinfo.$set('bhash_size', 2)
  const tb: StructRef = k.make('inet_bind_bucket')
  tb.$set('port', 10000)
  k.mem.setPointer(table + size + k.types.offsetof('inet_bind_hashbucket', 'chain'), tb.$vaOf('node'))
  const owners = [10, 6, 1].map((state) => {
    const sk = k.make('sock_common')
    sk.$set('skc_state', state)
    return sk
  })
  let link = tb.$vaOf('owners')
  for (const sk of owners) {
    k.mem.setPointer(link, sk.$vaOf('skc_bind_node'))
    link = sk.$vaOf('skc_bind_node')
  }
  const [bound, ...more] = [...bhash_for_each(k)]
  expect(more).toEqual([])
  expect(bound?.port).toBe(10000)
  expect(bound?.owners.map(({ $va }) => $va)).toEqual([owners[0]?.$va, owners[2]?.$va])
})

describe('accept_queue', () => {
  let listener: StructRef
  const request = (child: StructRef | null, next: StructRef | null): StructRef => {
    const req: StructRef = k.make('request_sock')
    req.$set('sk', child)
    req.$set('dl_next', next)
    req.$cast('sock_common').$set('skc_listener', listener)
    return req
  }

  beforeEach(() => {
    listener = k.make('tcp_sock')
  })

  test('empty', () => {
    expect([...accept_queue(listener)]).toEqual([])
  })

  test('requests with the children they carry, oldest first', () => {
    const children = [k.make('tcp_sock'), k.make('tcp_sock')] as StructRef[]
    const second = request(children[1] as StructRef, null)
    const first = request(children[0] as StructRef, second)
    const icsk = listener.$cast('inet_connection_sock')
    icsk.$set('icsk_accept_queue.rskq_accept_head', first)
    icsk.$set('icsk_accept_queue.qlen.counter', 1)
    listener.$cast('sock').$set('sk_ack_backlog', 2)
    const queue = [...accept_queue(listener)]
    expect(queue.map(({ req }) => req.$va)).toEqual([first.$va, second.$va])
    expect(queue.map(({ child }) => child?.$va)).toEqual(children.map(({ $va }) => $va))
    expect(listener_queues(listener)).toMatchObject({ qlen: 1, backlog: 2 })
    expect(request_listener(first)?.$va).toBe(listener.$va)
  })

  test('a queue in a circle is named', () => {
    const req = request(null, null)
    req.$set('dl_next', req)
    listener.$cast('inet_connection_sock').$set('icsk_accept_queue.rskq_accept_head', req)
    expect(() => [...accept_queue(listener)]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})

import { beforeEach, describe, expect, test } from 'vitest'
import { toAddr } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { audit_record, log_records } from '../../../src/helpers/printk.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const COUNT_BITS = 3
const SIZE_BITS = 8
const COUNT = 1 << COUNT_BITS
const SIZE = 1 << SIZE_BITS
const committed = 1n
const finalized = 2n
const reusable = 3n

let k: FlatKernel
let prb: StructRef
let descs: number
let infos: number
let data: number
let next: number

beforeEach(() => {
  k = new FlatKernel()
  prb = k.make('printk_ringbuffer')
  k.symbol('prb', k.room(8))
  k.mem.setPointer(Number(BigInt.asIntN(64, k.sym('prb'))), prb.$va)
  descs = k.room(COUNT * k.types.sizeof('prb_desc'))
  infos = k.room(COUNT * k.types.sizeof('printk_info'))
  data = k.lonely(SIZE)
  prb.$set('desc_ring.count_bits', COUNT_BITS)
  prb.$set('desc_ring.descs', toAddr(descs))
  prb.$set('desc_ring.infos', toAddr(infos))
  prb.$set('text_data_ring.size_bits', SIZE_BITS)
  prb.$set('text_data_ring.data', toAddr(data))
  next = 0
})

/** Store a record as prb_commit() leaves it. */
function record(id: bigint, text: string, state = finalized, level = 6): StructRef {
  const index = Number(id % BigInt(COUNT))
  const desc = k.types.ref('prb_desc', k.mem, descs + index * k.types.sizeof('prb_desc')) as StructRef
  const info = k.types.ref('printk_info', k.mem, infos + index * k.types.sizeof('printk_info')) as StructRef
  desc.$set('state_var.counter', BigInt.asIntN(64, (state << 62n) | id))
  if (text === '') {
    desc.$set('text_blk_lpos.begin', 3n)
    desc.$set('text_blk_lpos.next', 3n)
  } else {
    const size = 8 + Math.ceil(text.length / 8) * 8
    const begin = next
    // a block that does not fit before the end lies at the beginning
    const wraps = Math.floor((begin + size - 1) / SIZE) > Math.floor(begin / SIZE)
    const at = wraps ? 0 : begin % SIZE
    next = wraps ? (Math.floor(begin / SIZE) + 1) * SIZE + size : begin + size
    desc.$set('text_blk_lpos.begin', BigInt(begin))
    desc.$set('text_blk_lpos.next', BigInt(next))
    k.mem.setU64(data + at, id)
    k.mem.write(data + at + 8, Buffer.from(text, 'latin1'))
  }
  info.$set('seq', id)
  info.$set('ts_nsec', 20_300_765_000n)
  info.$set('text_len', text.length)
  info.$set('level', level)
  info.$set('caller_id', 0x8000_0001)
  return info
}

function range(tail: bigint, head: bigint): void {
  prb.$set('desc_ring.tail_id.counter', tail)
  prb.$set('desc_ring.head_id.counter', head)
}

const texts = (): string[] => Array.from(log_records(k), ({ text }) => text)

describe('log_records', () => {
  test('from tail to head, both included', () => {
    record(5n, 'five', finalized, 5)
    record(6n, 'two\nlines')
    record(7n, 'committed only', committed)
    range(5n, 7n)
    expect(texts()).toEqual(['five', 'two\nlines', 'committed only'])
    expect([...log_records(k)][0]).toEqual({
      seq: 5n,
      ts_nsec: 20_300_765_000n,
      level: 5,
      facility: 0,
      text: 'five',
      caller: { kind: 'cpu', id: 1 },
      subsystem: '',
      device: '',
    })
  })

  test('a ring just set up has one descriptor that was never used', () => {
    range(0n, 0n)
    expect(texts()).toEqual([])
  })

  test('records being written or free are passed over, and those of an older turn', () => {
    record(5n, 'kept')
    record(6n, 'reserved', 0n)
    record(7n, 'free', reusable)
    record(8n, 'of id 8')
    range(5n, 16n)
    expect(texts()).toEqual(['kept', 'of id 8'])
  })

  test('ids wrap below their two state bits', () => {
    const last = (1n << 62n) - 1n
    record(last, 'last')
    record(0n, 'first')
    range(last, 0n)
    expect(texts()).toEqual(['last', 'first'])
  })

  test('a block that would wrap lies at the beginning of the ring', () => {
    for (let id = 0n; id < 6n; id++) record(id, `${id}`.repeat(40))
    range(4n, 5n)
    expect(texts()).toEqual(['4'.repeat(40), '5'.repeat(40)])
  })

  test('a block that ends exactly with the ring', () => {
    record(0n, 'x'.repeat(SIZE - 8))
    range(0n, 0n)
    expect(texts()).toEqual(['x'.repeat(SIZE - 8)])
  })

  test('no text', () => {
    record(1n, '')
    range(1n, 1n)
    expect(texts()).toEqual([''])
  })

  test('a length longer than its block is cut', () => {
    record(1n, 'abcdefgh').$set('text_len', 60000)
    range(1n, 1n)
    expect(texts()).toEqual(['abcdefgh'])
  })

  test('text that is not in the dump is named, the next record still comes', () => {
    record(1n, 'lost')
    range(1n, 2n)
    record(2n, '')
    k.mem.unmap(data)
    expect(texts()).toEqual([expect.stringMatching(/^<unreadable 0x/), ''])
  })

  test('ring sizes that cannot be', () => {
    prb.$set('desc_ring.count_bits', 200)
    expect(texts).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })

  test('head not reachable from tail: a turn of the ring, no more', () => {
    for (let id = 0n; id < 8n; id++) record(id, 'again')
    range(0n, 1n << 61n)
    expect(texts()).toHaveLength(COUNT)
  })

  test('no prb: the kernel is older', () => {
    const old = new FlatKernel()
    expect(() => [...log_records(old)]).toThrow(expect.objectContaining({ code: 'NO_SYMBOL' }))
  })
})

test('audit_record: type and text of a netlink message', () => {
  const at = k.room(64)
  const text = 'audit(1.2:3): state=initialized'
  k.mem.setU32(at, 16 + text.length)
  k.mem.setU16(at + 4, 2000)
  k.mem.write(at + 16, Buffer.from(text))
  const skb: StructRef = k.make('sk_buff')
  skb.$set('data', toAddr(at))
  expect(audit_record(skb)).toEqual({ type: 2000, text })
})

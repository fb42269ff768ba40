/** The kernel log: records of the printk ring buffer, oldest first. */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { refAt, symbolVa, type Kernel } from './kernel.ts'

/** @see kernel/printk/printk_ringbuffer.h:enum desc_state */
const desc_committed = 1
const desc_finalized = 2
/** Larger than any log_buf_len allows (2^31 bytes). */
const SIZE_BITS_MAX = 31
const CALLER_IS_CPU = 0x8000_0000

/** One message. */
export interface LogRecord {
  readonly seq: bigint
  /** local_clock() when it was stored, nanoseconds */
  readonly ts_nsec: bigint
  /** 0 emergency … 7 debug */
  readonly level: number
  readonly facility: number
  /** message bytes as Latin-1, line feeds inside kept */
  readonly text: string
  /** who printed: a task by pid, or a CPU outside task context; undefined when the kernel does not keep it */
  readonly caller: { readonly kind: 'task' | 'cpu'; readonly id: number } | undefined
  /** `dev_printk()`'s subsystem and device, empty otherwise */
  readonly subsystem: string
  readonly device: string
}

interface Ring {
  readonly kernel: Kernel
  readonly descs: Va
  readonly infos: Va
  readonly descSize: number
  readonly infoSize: number
  readonly count: number
  readonly data: Va
  readonly dataSize: number
  readonly wordBits: number
}

/**
 * The records between the ring's tail and head that are complete.
 *
 * @throws LookupError when the kernel has no `prb` (before 5.10)
 * @throws ValidationError CORRUPT when the ring's sizes are impossible
 * @throws FaultError when the descriptors cannot be read; records before have been delivered. A message whose text
 * cannot be read is delivered as `<unreadable …>`.
 * @see kernel/printk/printk_ringbuffer.c:prb_read
 */
export function* log_records(kernel: Kernel): Generator<LogRecord> {
  const prb = refAt(kernel, 'printk_ringbuffer', kernel.mem.pointer(symbolVa(kernel, 'prb')))
  const ring = openRing(kernel, prb)
  const mask = (1n << BigInt(ring.wordBits - 2)) - 1n
  const head = prb.$int('desc_ring.head_id.counter') & mask
  let id = prb.$int('desc_ring.tail_id.counter') & mask
  for (let left = ring.count; left > 0; left--) {
    const record = readRecord(ring, id)
    if (record !== undefined) yield record
    if (id === head) return
    id = (id + 1n) & mask
  }
}

function openRing(kernel: Kernel, prb: StructRef): Ring {
  const bits = Number(prb.$int('desc_ring.count_bits'))
  const sizeBits = Number(prb.$int('text_data_ring.size_bits'))
  if (bits > SIZE_BITS_MAX || sizeBits > SIZE_BITS_MAX) {
    throw new ValidationError(
      prb.$addr,
      'a printk_ringbuffer',
      `2^${bits} descriptors of 2^${sizeBits} bytes`,
    )
  }
  const { types, mem } = kernel
  return {
    kernel,
    descs: toVa(prb.$int('desc_ring.descs'), mem.wordSize),
    infos: toVa(prb.$int('desc_ring.infos'), mem.wordSize),
    descSize: types.sizeof('prb_desc'),
    infoSize: types.sizeof('printk_info'),
    count: 2 ** bits,
    data: toVa(prb.$int('text_data_ring.data'), mem.wordSize),
    dataSize: 2 ** sizeBits,
    wordBits: mem.wordSize * 8,
  }
}

function readRecord(ring: Ring, id: bigint): LogRecord | undefined {
  const { kernel, wordBits } = ring
  const index = Number(id % BigInt(ring.count))
  const desc = refAt(kernel, 'prb_desc', ring.descs + index * ring.descSize)
  const state = BigInt.asUintN(wordBits, desc.$int('state_var.counter'))
  if ((state & ((1n << BigInt(wordBits - 2)) - 1n)) !== id) return undefined
  const kind = Number(state >> BigInt(wordBits - 2))
  if (kind !== desc_committed && kind !== desc_finalized) return undefined
  const info = refAt(kernel, 'printk_info', ring.infos + index * ring.infoSize)
  const device = info.$has('dev_info') ? info.$inside('dev_info') : undefined
  return {
    seq: info.$int('seq'),
    ts_nsec: info.$int('ts_nsec'),
    level: Number(info.$int('level')),
    facility: Number(info.$int('facility')),
    text: recordText(ring, desc, Number(info.$int('text_len'))),
    caller: callerOf(info),
    subsystem: device?.$array('subsystem').$string() ?? '',
    device: device?.$array('device').$string() ?? '',
  }
}

function callerOf(info: StructRef): LogRecord['caller'] {
  if (!info.$has('caller_id')) return undefined
  const id = Number(info.$int('caller_id'))
  return id >= CALLER_IS_CPU ? { kind: 'cpu', id: id - CALLER_IS_CPU } : { kind: 'task', id }
}

/** The text of a record lies after its block's id; a block that would wrap starts at the ring's begin instead. */
function recordText(ring: Ring, desc: StructRef, textLength: number): string {
  const begin = BigInt.asUintN(ring.wordBits, desc.$int('text_blk_lpos.begin'))
  const next = BigInt.asUintN(ring.wordBits, desc.$int('text_blk_lpos.next'))
  if ((begin & 1n) === 1n && (next & 1n) === 1n) return ''
  const size = BigInt(ring.dataSize)
  let from = Number(begin % size)
  let to = Number(next % size)
  if (begin / size !== next / size) {
    if (from > to || to === 0) {
      if (to === 0) to = ring.dataSize
      else from = 0
    }
  }
  const idSize = ring.wordBits / 8
  const room = Math.max(0, to - from - idSize)
  try {
    const bytes = ring.kernel.mem.read(ring.data + from + idSize, Math.min(textLength, room))
    return Buffer.from(bytes).toString('latin1')
  } catch (error) {
    if (error instanceof FaultError) return `<unreadable 0x${error.addr.toString(16)}>`
    throw error
  }
}

/** Names of the queues audit records wait in. @see kernel/audit.c */
const AUDIT_QUEUES = [
  'audit_queue',
  'audit_retry_queue',
  'audit_hold_queue',
  'audit_skb_queue',
  'audit_skb_hold_queue',
]
const NLMSG_HDRLEN = 16

/** Names of the audit queues this kernel has. */
export function audit_queues(kernel: Kernel, has: (symbol: string) => boolean): StructRef[] {
  return AUDIT_QUEUES.filter(has).map((name) => refAt(kernel, 'sk_buff_head', symbolVa(kernel, name)))
}

/**
 * An audit record waiting in a `struct sk_buff`: the netlink message's type and text.
 *
 * @see kernel/audit.c:audit_log_end
 */
export function audit_record(skb: StructRef): { type: number; text: string } {
  const { $mem: mem } = skb
  const data = toVa(skb.$int('data'), mem.wordSize)
  const length = Math.min(mem.u32(data), 0x10000)
  const type = mem.u16(data + 4)
  const bytes = mem.read(data + NLMSG_HDRLEN, Math.max(0, length - NLMSG_HDRLEN))
  const end = bytes.indexOf(0)
  return { type, text: Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1') }
}

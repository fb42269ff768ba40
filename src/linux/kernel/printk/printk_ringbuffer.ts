/**
 * The printk ring: descriptors, infos and text blocks in memory, moved through their states by the writer.
 * Logical positions grow for ever and wrap as C's unsigned longs do.
 *
 * @see kernel/printk/printk_ringbuffer.c
 * @remarks one writer at a time, so that the loops over cmpxchg are straight code here.
 */

import { toVa, type Va } from '../../../base/addr.ts'
import { InvariantError } from '../../../base/errors.ts'
import type { StructRef } from '../../../btf/ref.ts'
import type { prb_desc, printk_info, printk_ringbuffer } from '../../../btf/vmlinux.ts'
import {
  FAILED_LPOS,
  NO_LPOS,
  desc_committed,
  desc_finalized,
  desc_reserved,
  desc_reusable,
} from '../../../abi/printk.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'

const FILE = 'kernel/printk/printk_ringbuffer.c'

/** A reserved record: to be filled, then committed. */
export interface PrbReserved {
  readonly rb: printk_ringbuffer
  readonly id: bigint
  readonly info: printk_info
  /** Of the text in the ring; 0 when the message was too long for it. */
  readonly text: Va
}

/** What the ring's sizes and arrays are; they stay as they are made. */
interface Ring {
  readonly k: Kernel
  readonly rb: printk_ringbuffer
  readonly wordBits: number
  readonly count: bigint
  readonly dataSize: bigint
  readonly data: Va
  readonly descs: Va
  readonly infos: Va
  readonly descSize: number
  readonly infoSize: number
}

const rings = perKernel(() => new Map<Va, Ring>())

function ringOf(k: Kernel, rb: printk_ringbuffer): Ring {
  let ring = rings(k).get(rb.$va)
  if (ring === undefined) {
    ring = readRing(k, rb)
    rings(k).set(rb.$va, ring)
  }
  return ring
}

function readRing(k: Kernel, rb: printk_ringbuffer): Ring {
  return {
    k,
    rb,
    wordBits: k.mem.wordSize * 8,
    count: 1n << BigInt(rb.desc_ring.count_bits),
    dataSize: 1n << BigInt(rb.text_data_ring.size_bits),
    data: toVa(rb.text_data_ring.$int('data'), k.mem.wordSize),
    descs: toVa(rb.desc_ring.$int('descs'), k.mem.wordSize),
    infos: toVa(rb.desc_ring.$int('infos'), k.mem.wordSize),
    descSize: k.types.sizeof('prb_desc'),
    infoSize: k.types.sizeof('printk_info'),
  }
}

const unsigned = (ring: Ring, n: bigint): bigint => BigInt.asUintN(ring.wordBits, n)
const DESC_ID = (ring: Ring, n: bigint): bigint => BigInt.asUintN(ring.wordBits - 2, n)
const DESC_SV = (ring: Ring, id: bigint, state: bigint): bigint => (state << BigInt(ring.wordBits - 2)) | id

const to_desc = (ring: Ring, id: bigint): prb_desc =>
  ring.k.ref('prb_desc', ring.descs + Number(id % ring.count) * ring.descSize)
const to_info = (ring: Ring, id: bigint): printk_info =>
  ring.k.ref('printk_info', ring.infos + Number(id % ring.count) * ring.infoSize)

/** The rings count in `atomic_long_t`: one word, whatever its type is called. */
const get = (ring: Ring, counter: StructRef): bigint => ring.k.mem.word(counter.$va)
const set = (ring: Ring, counter: StructRef, value: bigint): void =>
  ring.k.mem.setWord(counter.$va, unsigned(ring, value))

const stateVar = (ring: Ring, id: bigint): bigint => get(ring, to_desc(ring, id).state_var)
const stateOf = (ring: Ring, id: bigint): bigint | undefined => {
  const sv = stateVar(ring, id)
  return DESC_ID(ring, sv) === id ? sv >> BigInt(ring.wordBits - 2) : undefined
}
const setState = (ring: Ring, id: bigint, state: bigint): void => {
  set(ring, to_desc(ring, id).state_var, DESC_SV(ring, id, state))
}

/**
 * The ring as the compiler leaves it: one reusable descriptor before the first, positions one turn below zero.
 *
 * @param rb `struct printk_ringbuffer *`
 * @param descs, infos, text addresses of its three arrays
 * @param descBits, textBits their sizes as powers of two
 * @see kernel/printk/printk_ringbuffer.h:_DEFINE_PRINTKRB
 */
export function prb_init(
  k: Kernel,
  rb: printk_ringbuffer,
  arrays: { readonly descs: bigint; readonly infos: bigint; readonly text: bigint },
  descBits: number,
  textBits: number,
): void {
  rb.desc_ring.count_bits = descBits
  rb.desc_ring.$set('descs', arrays.descs)
  rb.desc_ring.$set('infos', arrays.infos)
  rb.text_data_ring.size_bits = textBits
  rb.text_data_ring.$set('data', arrays.text)
  rings(k).delete(rb.$va)
  const ring = ringOf(k, rb)
  // the count is an unsigned int in C: its negative is extended with zeros
  const id = DESC_ID(ring, BigInt.asUintN(32, -(ring.count + 1n)))
  const lpos = -ring.dataSize
  set(ring, rb.desc_ring.head_id, id)
  set(ring, rb.desc_ring.tail_id, id)
  set(ring, rb.desc_ring.last_finalized_id, id)
  set(ring, rb.text_data_ring.head_lpos, lpos)
  set(ring, rb.text_data_ring.tail_lpos, lpos)
  const last = to_desc(ring, id)
  setState(ring, id, desc_reusable)
  last.text_blk_lpos.begin = FAILED_LPOS
  last.text_blk_lpos.next = FAILED_LPOS
  k.ref('printk_info', ring.infos).seq = -ring.count
  to_info(ring, id).seq = 0n
}

/** A full ring gives up its oldest descriptor. @see kernel/printk/printk_ringbuffer.c:desc_push_tail */
function desc_push_tail(ring: Ring, id: bigint): void {
  const desc = to_desc(ring, id)
  const state = stateOf(ring, id)
  if (state === desc_finalized) setState(ring, id, desc_reusable)
  else if (state !== desc_reusable) throw new InvariantError('the printk ring is full of unfinished records')
  data_push_tail(ring, desc.text_blk_lpos.next)
  set(ring, ring.rb.desc_ring.tail_id, DESC_ID(ring, id + 1n))
}

/** Free text up to a position: the descriptors of what lies before it become reusable. @see …:data_push_tail */
function data_push_tail(ring: Ring, position: bigint): void {
  if ((position & 1n) === 1n) return // a record without text
  const tail = ring.rb.text_data_ring.tail_lpos
  let lpos = get(ring, tail)
  const before = lpos
  for (let left = ring.count; unsigned(ring, position - lpos) - 1n < ring.dataSize && left > 0n; left--) {
    const id = ring.k.mem.word(ring.data + Number(lpos % ring.dataSize))
    const desc = to_desc(ring, DESC_ID(ring, id))
    if (stateOf(ring, id) === desc_finalized) setState(ring, id, desc_reusable)
    lpos = unsigned(ring, desc.text_blk_lpos.next)
  }
  if (lpos !== before) set(ring, tail, lpos)
}

/** @see kernel/printk/printk_ringbuffer.c:data_alloc */
function data_alloc(ring: Ring, size: number, id: bigint): Va {
  const desc = to_desc(ring, id)
  const word = ring.k.mem.wordSize
  const bytes = BigInt(Math.ceil((size + word) / word) * word)
  if (size === 0 || bytes > ring.dataSize / 2n) {
    const lpos = size === 0 ? NO_LPOS : FAILED_LPOS
    desc.text_blk_lpos.begin = lpos
    desc.text_blk_lpos.next = lpos
    return 0
  }
  const head = ring.rb.text_data_ring.head_lpos
  const begin = get(ring, head)
  let next = unsigned(ring, begin + bytes)
  const wraps = begin / ring.dataSize !== next / ring.dataSize
  // a block never lies across the end: it begins anew at the start of the text
  if (wraps) next = unsigned(ring, (next / ring.dataSize) * ring.dataSize + bytes)
  data_push_tail(ring, unsigned(ring, next - ring.dataSize))
  set(ring, head, next)
  const at = ring.data + Number(begin % ring.dataSize)
  ring.k.mem.setWord(at, id)
  if (wraps) ring.k.mem.setWord(ring.data, id)
  desc.text_blk_lpos.begin = begin
  desc.text_blk_lpos.next = next
  return (wraps ? ring.data : at) + word
}

/** A record that is not finished may still be continued; the next one ends that. @see …:desc_make_final */
function desc_make_final(ring: Ring, id: bigint): void {
  if (stateOf(ring, id) === desc_committed) setState(ring, id, desc_finalized)
  updateLastFinalized(ring, id)
}

function updateLastFinalized(ring: Ring, id: bigint): void {
  if (stateOf(ring, id) === desc_finalized) set(ring, ring.rb.desc_ring.last_finalized_id, id)
}

/**
 * Room for a message.
 *
 * @param rb   `struct printk_ringbuffer *`
 * @param size bytes of text, with its terminating NUL
 * @see kernel/printk/printk_ringbuffer.c:prb_reserve
 */
export const prb_reserve = kfunc(
  FILE,
  function prb_reserve(k, rb: printk_ringbuffer, size: number): PrbReserved {
    const ring = ringOf(k, rb)
    const id = DESC_ID(ring, get(ring, rb.desc_ring.head_id) + 1n)
    const tail = DESC_ID(ring, get(ring, rb.desc_ring.tail_id))
    if (DESC_ID(ring, id - ring.count) === tail) desc_push_tail(ring, tail)
    set(ring, rb.desc_ring.head_id, id)
    setState(ring, id, desc_reserved)

    const info = to_info(ring, id)
    const seq = info.seq
    k.mem.fill(info.$va, 0, ring.infoSize)
    const index = id % ring.count
    info.seq = seq === 0n && index !== 0n ? index : seq + ring.count
    if (info.seq > 0n) desc_make_final(ring, DESC_ID(ring, id - 1n))
    return { rb, id, info, text: data_alloc(ring, size, id) }
  },
)

/** The record can be read, and continued. @see kernel/printk/printk_ringbuffer.c:prb_commit */
export const prb_commit = kfunc(FILE, function prb_commit(k, e: PrbReserved): void {
  const ring = ringOf(k, e.rb)
  setState(ring, e.id, desc_committed)
  if (DESC_ID(ring, get(ring, e.rb.desc_ring.head_id)) !== e.id) desc_make_final(ring, e.id)
})

/** The record is complete. @see kernel/printk/printk_ringbuffer.c:prb_final_commit */
export const prb_final_commit = kfunc(FILE, function prb_final_commit(k, e: PrbReserved): void {
  const ring = ringOf(k, e.rb)
  setState(ring, e.id, desc_finalized)
  updateLastFinalized(ring, e.id)
})

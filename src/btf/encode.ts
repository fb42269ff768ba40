/**
 * Types to BTF bytes: records are plain data with numeric type ids, so a record may refer to one not added yet.
 *
 * @see Documentation/bpf/btf.rst
 */

import { InvariantError } from '../base/errors.ts'

const MAGIC = 0xeb9f
const VERSION = 1
const HEADER_SIZE = 24
const KIND = {
  int: 1,
  ptr: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  fwd: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  func: 12,
  func_proto: 13,
  var: 14,
  datasec: 15,
  float: 16,
  decl_tag: 17,
  type_tag: 18,
  enum64: 19,
} as const

export interface MemberRecord {
  readonly name: string
  readonly type: number
  readonly bitOffset: number
  /** 0 unless a bit-field. */
  readonly bitSize: number
}

/** One type; `type` members are ids, 0 for void. */
export type BtfRecord =
  | { kind: 'int'; name: string; size: number; signed?: boolean; char?: boolean; bool?: boolean }
  | { kind: 'float'; name: string; size: number }
  | { kind: 'ptr' | 'const' | 'volatile' | 'restrict'; type: number }
  | { kind: 'typedef' | 'type_tag'; name: string; type: number }
  | { kind: 'array'; element: number; index: number; length: number }
  | { kind: 'struct' | 'union'; name: string; size: number; members: readonly MemberRecord[] }
  | {
      kind: 'enum'
      name: string
      size: number
      signed: boolean
      values: readonly { readonly name: string; readonly value: bigint }[]
    }
  | { kind: 'fwd'; name: string; union: boolean }
  | { kind: 'func'; name: string; type: number; linkage?: number }
  | {
      kind: 'func_proto'
      returns: number
      params: readonly { readonly name: string; readonly type: number }[]
      variadic?: boolean
    }
  | { kind: 'var'; name: string; type: number; linkage: number }
  | {
      kind: 'datasec'
      name: string
      size: number
      vars: readonly { readonly type: number; readonly offset: number; readonly size: number }[]
    }
  | { kind: 'decl_tag'; name: string; type: number; component: number }

/** The strings of a blob, each stored once; offset 0 is the empty string. */
class Strings {
  private readonly offsets = new Map<string, number>([['', 0]])
  private readonly chunks: Buffer[] = [Buffer.from([0])]
  private readonly start: number
  length = 1

  constructor(start: number) {
    this.start = start
  }

  offset(text: string): number {
    const known = this.offsets.get(text)
    if (known !== undefined) return known
    const at = this.start + this.length
    const chunk = Buffer.from(`${text}\0`, 'latin1')
    this.offsets.set(text, at)
    this.chunks.push(chunk)
    this.length += chunk.length
    return at
  }

  bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

export interface EncodeOptions {
  /** For split BTF: the id of the first record, i.e. the base's `endId`. */
  readonly startId?: number
  /** For split BTF: the length of the base's string section. */
  readonly startString?: number
}

/**
 * Encode records as one BTF blob; the first has id `startId` (1).
 *
 * Offsets, sizes and enumerators are written as given; the caller answers for their making sense.
 * @throws InvariantError when a record refers to an id that does not exist
 */
export function encodeBtf(records: readonly BtfRecord[], options: EncodeOptions = {}): Uint8Array {
  const strings = new Strings(options.startString ?? 0)
  const end = (options.startId ?? 1) + records.length
  const words: number[] = []
  for (const record of records) encodeRecord(record, words, strings, end)
  const typeLength = words.length * 4
  const text = strings.bytes()
  const out = new Uint8Array(HEADER_SIZE + typeLength + text.length)
  const view = new DataView(out.buffer)
  view.setUint16(0, MAGIC, true)
  view.setUint8(2, VERSION)
  view.setUint32(4, HEADER_SIZE, true)
  view.setUint32(12, typeLength, true)
  view.setUint32(16, typeLength, true)
  view.setUint32(20, text.length, true)
  words.forEach((word, i) => view.setUint32(HEADER_SIZE + i * 4, word >>> 0, true))
  out.set(text, HEADER_SIZE + typeLength)
  return out
}

const fitsInt32 = (value: bigint): boolean => value >= -(1n << 31n) && value < 1n << 31n

function encodeRecord(record: BtfRecord, out: number[], strings: Strings, end: number): void {
  const ref = (id: number): number => {
    if (id < 0 || id >= end) throw new InvariantError(`BTF record refers to type ${id} of ${end}`)
    return id
  }
  const head = (kind: number, name: string, vlen: number, flag: boolean, sizeOrType: number): void => {
    if (vlen > 0xffff) throw new InvariantError(`BTF record ${name} has ${vlen} entries`)
    out.push(strings.offset(name), ((flag ? 1 : 0) << 31) | (kind << 24) | vlen, sizeOrType)
  }
  switch (record.kind) {
    case 'int': {
      head(KIND.int, record.name, 0, false, record.size)
      const encoding = (record.signed ? 1 : 0) | (record.char ? 2 : 0) | (record.bool ? 4 : 0)
      out.push((encoding << 24) | (record.size * 8))
      return
    }
    case 'float':
      return head(KIND.float, record.name, 0, false, record.size)
    case 'ptr':
    case 'const':
    case 'volatile':
    case 'restrict':
      return head(KIND[record.kind], '', 0, false, ref(record.type))
    case 'typedef':
    case 'type_tag':
      return head(KIND[record.kind], record.name, 0, false, ref(record.type))
    case 'array':
      head(KIND.array, '', 0, false, 0)
      out.push(ref(record.element), ref(record.index), record.length)
      return
    case 'struct':
    case 'union': {
      const bitFields = record.members.some((member) => member.bitSize > 0)
      head(KIND[record.kind], record.name, record.members.length, bitFields, record.size)
      for (const { name, type, bitOffset, bitSize } of record.members) {
        out.push(strings.offset(name), ref(type), bitFields ? (bitSize << 24) | bitOffset : bitOffset)
      }
      return
    }
    case 'enum':
      return encodeEnum(record, out, strings, head)
    case 'fwd':
      return head(KIND.fwd, record.name, 0, record.union, 0)
    case 'func':
      return head(KIND.func, record.name, record.linkage ?? 0, false, ref(record.type))
    case 'func_proto': {
      const params = record.variadic ? [...record.params, { name: '', type: 0 }] : record.params
      head(KIND.func_proto, '', params.length, false, ref(record.returns))
      for (const param of params) out.push(strings.offset(param.name), ref(param.type))
      return
    }
    case 'var':
      head(KIND.var, record.name, 0, false, ref(record.type))
      out.push(record.linkage)
      return
    case 'datasec':
      head(KIND.datasec, record.name, record.vars.length, false, record.size)
      for (const { type, offset, size } of record.vars) out.push(ref(type), offset, size)
      return
    case 'decl_tag':
      head(KIND.decl_tag, record.name, 0, false, ref(record.type))
      out.push(record.component)
  }
}

function encodeEnum(
  record: Extract<BtfRecord, { kind: 'enum' }>,
  out: number[],
  strings: Strings,
  head: (kind: number, name: string, vlen: number, flag: boolean, size: number) => void,
): void {
  const wide = !record.values.every(({ value }) => fitsInt32(value))
  head(wide ? KIND.enum64 : KIND.enum, record.name, record.values.length, record.signed, record.size)
  for (const { name, value } of record.values) {
    out.push(strings.offset(name), Number(BigInt.asIntN(32, value)))
    if (wide) out.push(Number(BigInt.asIntN(32, value >> 32n)))
  }
}

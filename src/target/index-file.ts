/**
 * The file that keeps what opening a kernel's dump found out: the bytes of its BTF and the tables of its names. It
 * is believed no more than a dump: lengths and checksum are verified here, the contents against the dump by the
 * reader of types.
 *
 * Layout, little-endian: magic (8 bytes), checksum of all after it (u32), version (u32), number of parts (u32),
 * pointer size (u32), length of the build id (u32), the build id (up to 64 bytes, zeros), then offset and length (u32
 * each) of every part, then the parts, each at a multiple of 8.
 */

import * as zlib from 'node:zlib'
import type { BtfIndex } from '../btf/parse.ts'
import { crc32 as ownCrc32 } from '../vmcore/crc32.ts'

export const INDEX_VERSION = 1
/** No index is larger: the BTF of a kernel is some megabytes. */
export const MAX_INDEX = 96 << 20
const MAGIC = Buffer.from('CDRLIDX\n', 'latin1')
const CHECKED_FROM = 12
const BUILD_ID_AT = 28
const BUILD_ID_MAX = 64
const TABLE_AT = BUILD_ID_AT + BUILD_ID_MAX + 4
const PARTS = 5
const HEADER = TABLE_AT + PARTS * 8

/** Node's own is not in every supported version. */
const crc32 = (zlib as { crc32?: (bytes: Uint8Array) => number }).crc32 ?? ownCrc32

/** What is kept of one kernel, known by its build id. */
export interface KernelIndex {
  readonly buildId: string
  readonly pointerSize: 4 | 8
  /** the whole BTF blob */
  readonly btf: Uint8Array
  readonly names: BtfIndex
}

/** The bytes of the file, in pieces to be written one after another. */
export function encodeIndex(index: KernelIndex): Uint8Array {
  const { btf, names, buildId } = index
  const parts = [btf, ...[names.slots, names.keys, names.heads, names.next].map(bytesOf)]
  let size = HEADER
  const places = parts.map((part) => {
    const at = Math.ceil(size / 8) * 8
    size = at + part.length
    return at
  })
  const file = Buffer.alloc(size)
  file.set(MAGIC)
  file.writeUInt32LE(INDEX_VERSION, 12)
  file.writeUInt32LE(PARTS, 16)
  file.writeUInt32LE(index.pointerSize, 20)
  file.writeUInt32LE(buildId.length, 24)
  file.write(buildId, BUILD_ID_AT, BUILD_ID_MAX, 'latin1')
  parts.forEach((part, i) => {
    const at = places[i] as number
    file.writeUInt32LE(at, TABLE_AT + i * 8)
    file.writeUInt32LE(part.length, TABLE_AT + i * 8 + 4)
    file.set(part, at)
  })
  file.writeUInt32LE(crc32(file.subarray(CHECKED_FROM)), 8)
  return file
}

/** What is wrong with the bytes of an index, or the index. @param bytes at a multiple of 8 in their buffer */
export function decodeIndex(bytes: Uint8Array, buildId: string, pointerSize: 4 | 8): KernelIndex | string {
  if (bytes.length < HEADER) return 'cut short'
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (!file.subarray(0, MAGIC.length).equals(MAGIC)) return 'not an index'
  if (file.readUInt32LE(12) !== INDEX_VERSION || file.readUInt32LE(16) !== PARTS) return 'of another version'
  if (file.readUInt32LE(8) !== crc32(file.subarray(CHECKED_FROM))) return 'damaged'
  const length = Math.min(file.readUInt32LE(24), BUILD_ID_MAX)
  if (
    file.readUInt32LE(20) !== pointerSize ||
    file.toString('latin1', BUILD_ID_AT, BUILD_ID_AT + length) !== buildId
  )
    return "another kernel's"
  const parts: Uint8Array[] = []
  for (let i = 0; i < PARTS; i++) {
    const at = file.readUInt32LE(TABLE_AT + i * 8)
    const size = file.readUInt32LE(TABLE_AT + i * 8 + 4)
    if (at % 8 !== 0 || at < HEADER || at + size > file.length || (i > 0 && size % 4 !== 0)) return 'damaged'
    parts.push(bytes.subarray(at, at + size))
  }
  const [btf, slots, keys, heads, next] = parts as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  const [s, k, h, n] = [slots, keys, heads, next].map(wordsOf) as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ]
  return { buildId, pointerSize, btf, names: { slots: s, keys: k, heads: h, next: n } }
}

const bytesOf = (words: Int32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength)

const wordsOf = (bytes: Uint8Array): Int32Array =>
  new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)

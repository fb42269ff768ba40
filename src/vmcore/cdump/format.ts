/** The layout of a `.cdump` file: fixed head, sections, and the table that says where each lies. */

import { DumpError } from '../../base/errors.ts'
import { crc32 } from '../crc32.ts'

/** 0x89 and line ends in both conventions: a transfer as text or a wrong tool shows at once. */
export const MAGIC = Uint8Array.from([0x89, 0x43, 0x44, 0x4d, 0x50, 0x0d, 0x0a, 0x1a])
/** Raised with every change of layout; readers of older versions are kept. */
export const FORMAT_VERSION = 1
export const HEAD_SIZE = 40
/** Pages compressed together: a read costs one group. */
export const GROUP_PAGES = 8
/** Names of the sections we make ourselves; a caller's are kept under `x/`. */
export const SECTION = {
  header: 'header',
  vmcoreinfo: 'vmcoreinfo',
  snapshots: 'snapshots',
  pageIndex: (snapshot: number): string => `pages/${snapshot}`,
  pageData: (snapshot: number): string => `data/${snapshot}`,
  extra: (name: string): string => `x/${name}`,
} as const

/** What the simulator says of the machine; `memorySize` in bytes. */
export interface CdumpHeader {
  readonly profile: string
  /** `uname -r` */
  readonly release: string
  readonly machine: 'x86_64' | 'i386'
  readonly wordSize: 4 | 8
  readonly memorySize: number
  /** version of the program that wrote the file */
  readonly createdBy: string
  readonly seed: number | string
  readonly scenarioName: string
  readonly [key: string]: unknown
}

/** One row of the section table. */
export interface SectionEntry {
  readonly name: string
  readonly offset: number
  readonly length: number
  readonly crc: number
}

/** The fixed 40 bytes, the same in every version to come. */
export function encodeHead(tableOffset: number, table: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEAD_SIZE)
  const v = new DataView(head.buffer)
  head.set(MAGIC)
  v.setUint32(8, FORMAT_VERSION, true)
  v.setBigUint64(16, BigInt(tableOffset), true)
  v.setBigUint64(24, BigInt(table.length), true)
  v.setUint32(32, crc32(table), true)
  v.setUint32(36, crc32(head.subarray(0, 36)), true)
  return head
}

/** Where the table lies. @throws DumpError BAD_MAGIC, BAD_FORMAT, BAD_VERSION */
export function decodeHead(path: string, head: Uint8Array): { offset: number; length: number; crc: number } {
  const v = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (!hasMagic(head)) throw new DumpError('BAD_MAGIC', path, 0, 'not a coredrill dump')
  if (v.getUint32(36, true) !== crc32(head.subarray(0, 36)))
    throw new DumpError('BAD_FORMAT', path, 36, "the head's checksum is wrong")
  const version = v.getUint32(8, true)
  if (version === 0 || version > FORMAT_VERSION) {
    const problem = `dump format ${version}, this program reads up to ${FORMAT_VERSION}`
    throw new DumpError('BAD_VERSION', path, 8, problem)
  }
  return {
    offset: Number(v.getBigUint64(16, true)),
    length: Number(v.getBigUint64(24, true)),
    crc: v.getUint32(32, true),
  }
}

export function hasMagic(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte)
}

/** The section table: a count, then rows of `u16 name length, name, u64 offset, u64 length, u32 crc`. */
export function encodeTable(sections: readonly SectionEntry[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.alloc(4)]
  new DataView((parts[0] as Uint8Array).buffer, (parts[0] as Uint8Array).byteOffset, 4).setUint32(
    0,
    sections.length,
    true,
  )
  for (const { name, offset, length, crc } of sections) {
    const bytes = Buffer.from(name)
    const row = Buffer.alloc(2 + bytes.length + 20)
    row.writeUInt16LE(bytes.length, 0)
    bytes.copy(row, 2)
    row.writeBigUInt64LE(BigInt(offset), 2 + bytes.length)
    row.writeBigUInt64LE(BigInt(length), 10 + bytes.length)
    row.writeUInt32LE(crc, 18 + bytes.length)
    parts.push(row)
  }
  return new Uint8Array(Buffer.concat(parts))
}

/** @throws DumpError BAD_FORMAT where a row does not fit; positions are those of the file */
export function decodeTable(
  path: string,
  table: Uint8Array,
  tableOffset: number,
  fileSize: number,
): Map<string, SectionEntry> {
  const bad = (at: number): DumpError =>
    new DumpError('BAD_FORMAT', path, tableOffset + at, 'a damaged row in the section table')
  const bytes = Buffer.from(table.buffer, table.byteOffset, table.byteLength)
  if (bytes.length < 4) throw bad(0)
  const sections = new Map<string, SectionEntry>()
  let at = 4
  for (let left = bytes.readUInt32LE(0); left > 0; left--) {
    if (at + 2 > bytes.length) throw bad(at)
    const end = at + 2 + bytes.readUInt16LE(at)
    if (end + 20 > bytes.length) throw bad(at)
    const name = bytes.toString('utf8', at + 2, end)
    const offset = Number(bytes.readBigUInt64LE(end))
    const length = Number(bytes.readBigUInt64LE(end + 8))
    if (offset + length > fileSize)
      throw new DumpError('TRUNCATED', path, offset, `section ${name} is cut off`)
    sections.set(name, { name, offset, length, crc: bytes.readUInt32LE(end + 16) })
    at = end + 20
  }
  return sections
}

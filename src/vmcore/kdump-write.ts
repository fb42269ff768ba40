/** Writes a kdump-compressed file, version 6: the pages given, every other page of memory marked as left out. */

import { deflateSync } from 'node:zlib'
import { invariant } from '../base/errors.ts'
import { PAGE_SIZE, type Note, type PfnRange } from './container.ts'
import { writeWhole, type FileWriter } from './file-writer.ts'
import { ZLIB } from './page-codecs.ts'

/** The six texts of `struct new_utsname`. */
export interface KdumpUtsname {
  readonly sysname: string
  readonly nodename: string
  readonly release: string
  readonly version: string
  readonly machine: string
  readonly domainname: string
}

export interface KdumpInput {
  readonly wordSize: 4 | 8
  readonly utsname: KdumpUtsname
  /** `phys_base` of the kernel, bytes */
  readonly physBase: number
  readonly cpus: number
  /** notes of the CPUs and others; VMCOREINFO is not among them */
  readonly notes: readonly Note[]
  readonly vmcoreinfo: string
  /** memory the machine had, in order; what is not in `pages` is marked as left out */
  readonly ranges: readonly PfnRange[]
  /** page frames to keep, ascending, all within `ranges` */
  readonly pfns: readonly number[]
  /** 4096 bytes each; asked for once, in order */
  readonly page: (pfn: number) => Uint8Array
  /** how pages are kept; zlib by default: a page it does not make smaller stays as it is */
  readonly compress?: 'none' | 'zlib'
  /** called after each page */
  readonly onPage?: (done: number, of: number) => void
}

/** What was written, in bytes. */
export interface KdumpSizes {
  readonly file: number
  /** of all pages as they are in the file */
  readonly pages: number
}

/** Where fields are that differ between the word sizes. @see makedumpfile diskdump_mod.h */
const LAYOUTS = {
  8: { word: 8, status: 424, sub: { level: 8, vmcoreinfo: 32, note: 48, max64: 96 } },
  4: { word: 4, status: 412, sub: { level: 4, vmcoreinfo: 20, note: 32, max64: 72 } },
} as const

const VERSION = 6
const HEADER_BLOCKS = 2
const UTS_FIELD = 65
const DESC_SIZE = 24
/** Flag of the header: pages are compressed with zlib. */
const COMPRESSED_ZLIB = 1
/** Bitmap bytes written at a time. */
const BITMAP_PIECE = 1 << 20

/**
 * Write the file. The same input gives the same bytes: the header's time is 0.
 *
 * @throws DumpError UNWRITABLE naming the path; nothing is left behind then, nor after what `page` throws
 * @see makedumpfile IMPLEMENTATION, diskdump_mod.h
 * @remarks `dump_level` is 0: its bits say which *kinds* of pages were left out, and here no kind was.
 */
export function writeKdump(path: string, input: KdumpInput): KdumpSizes {
  return writeWhole(path, (out) => writeTo(out, input))
}

function writeTo(out: FileWriter, input: KdumpInput): KdumpSizes {
  const maxPfn = input.ranges.at(-1)?.endPfn ?? 0
  check(input, maxPfn)
  const bitmapBlocks = Math.max(1, Math.ceil(maxPfn / 8 / PAGE_SIZE))
  const bitmapsAt = HEADER_BLOCKS * PAGE_SIZE
  const descsAt = bitmapsAt + 2 * bitmapBlocks * PAGE_SIZE
  const notesAt = descsAt + input.pfns.length * DESC_SIZE
  const { bytes: notes, textAt, textSize } = encodeNotes(input.notes, input.vmcoreinfo)

  out.write(header(input, bitmapBlocks * 2, maxPfn))
  out.write(
    subHeader(input, maxPfn, {
      note: [notesAt, notes.length],
      vmcoreinfo: [notesAt + textAt, textSize],
    }),
  )
  writeBitmap(out, bitmapBlocks, input.ranges)
  writeBitmap(out, bitmapBlocks, input.pfns.map(single))
  out.position = notesAt
  out.write(notes)
  const pagesAt = out.position
  out.writeAt(descsAt, writePages(out, input))
  return { file: out.position, pages: out.position - pagesAt }
}

function check({ ranges, pfns }: KdumpInput, maxPfn: number): void {
  ranges.forEach(({ startPfn, endPfn }, i) => {
    invariant(startPfn < endPfn && startPfn >= (ranges[i - 1]?.endPfn ?? 0), `range ${i} is out of order`)
  })
  let range = 0
  pfns.forEach((pfn, i) => {
    invariant(pfn < maxPfn && pfn > (pfns[i - 1] ?? -1), `page ${pfn} is out of order`)
    while ((ranges[range] as PfnRange).endPfn <= pfn) range++
    invariant((ranges[range] as PfnRange).startPfn <= pfn, `page ${pfn} is outside of memory`)
  })
}

const single = (pfn: number): PfnRange => ({ startPfn: pfn, endPfn: pfn + 1 })

/** `struct disk_dump_header`. */
function header(input: KdumpInput, bitmapBlocks: number, maxPfn: number): Uint8Array {
  const { status: at } = LAYOUTS[input.wordSize]
  const bytes = Buffer.alloc(PAGE_SIZE)
  const { sysname, nodename, release, version, machine, domainname } = input.utsname
  bytes.write('KDUMP   ', 0, 'latin1')
  bytes.writeInt32LE(VERSION, 8)
  ;[sysname, nodename, release, version, machine, domainname].forEach((text, i) => {
    bytes.write(text.slice(0, UTS_FIELD - 1), 12 + i * UTS_FIELD, 'latin1')
  })
  bytes.writeUInt32LE(input.compress === 'none' ? 0 : COMPRESSED_ZLIB, at)
  bytes.writeInt32LE(PAGE_SIZE, at + 4)
  bytes.writeInt32LE(1, at + 8)
  bytes.writeUInt32LE(bitmapBlocks, at + 12)
  // the 32-bit form of what the sub header has in 64 bits
  bytes.writeUInt32LE(Math.min(maxPfn, 0xffff_ffff), at + 16)
  bytes.writeInt32LE(input.cpus, at + 36)
  return bytes
}

/** `struct kdump_sub_header`. */
function subHeader(
  input: KdumpInput,
  maxPfn: number,
  places: Readonly<Record<'note' | 'vmcoreinfo', readonly [offset: number, size: number]>>,
): Uint8Array {
  const { word, sub } = LAYOUTS[input.wordSize]
  const bytes = Buffer.alloc(PAGE_SIZE)
  if (word === 8) bytes.writeBigInt64LE(BigInt(input.physBase), 0)
  else bytes.writeUInt32LE(input.physBase >>> 0, 0)
  for (const name of ['note', 'vmcoreinfo'] as const) {
    const [offset, size] = places[name]
    bytes.writeBigInt64LE(BigInt(offset), sub[name])
    bytes.writeUInt32LE(size, sub[name] + 8)
  }
  bytes.writeBigUInt64LE(BigInt(maxPfn), sub.max64)
  return bytes
}

/** The notes as an ELF core has them, VMCOREINFO last; and where its text is in them. */
function encodeNotes(
  notes: readonly Note[],
  vmcoreinfo: string,
): { bytes: Uint8Array; textAt: number; textSize: number } {
  const text = Buffer.from(vmcoreinfo, 'latin1')
  const all = [...notes, { name: 'VMCOREINFO', type: 0, desc: text }].map(encodeNote)
  const bytes = Buffer.concat(all)
  const padding = align4(text.length) - text.length
  return { bytes, textAt: bytes.length - padding - text.length, textSize: text.length }
}

const align4 = (n: number): number => (n + 3) & ~3

function encodeNote({ name, type, desc }: Note): Uint8Array {
  const nameSize = name.length + 1
  const bytes = Buffer.alloc(12 + align4(nameSize) + align4(desc.length))
  bytes.writeUInt32LE(nameSize, 0)
  bytes.writeUInt32LE(desc.length, 4)
  bytes.writeUInt32LE(type, 8)
  bytes.write(name, 12, 'latin1')
  bytes.set(desc, 12 + align4(nameSize))
  return bytes
}

/** A bitmap with the bits of these ranges set, a piece at a time. */
function writeBitmap(out: FileWriter, blocks: number, ranges: readonly PfnRange[]): void {
  const size = blocks * PAGE_SIZE
  let next = 0
  for (let from = 0; from < size; from += BITMAP_PIECE) {
    const piece = new Uint8Array(Math.min(BITMAP_PIECE, size - from))
    const [first, end] = [from * 8, (from + piece.length) * 8]
    while (next < ranges.length) {
      const { startPfn, endPfn } = ranges[next] as PfnRange
      if (startPfn >= end) break
      setBits(piece, Math.max(startPfn, first) - first, Math.min(endPfn, end) - first)
      if (endPfn > end) break
      next++
    }
    out.write(piece)
  }
}

function setBits(map: Uint8Array, from: number, to: number): void {
  for (let bit = from; bit < to;) {
    if (bit % 8 === 0 && to - bit >= 8) {
      const bytes = Math.floor((to - bit) / 8)
      map.fill(0xff, bit / 8, bit / 8 + bytes)
      bit += bytes * 8
    } else {
      map[bit >>> 3] = (map[bit >>> 3] as number) | (1 << (bit & 7))
      bit++
    }
  }
}

/** The pages, one after the other; gives their descriptors (`struct page_desc`). */
function writePages(out: FileWriter, input: KdumpInput): Uint8Array {
  const descs = Buffer.alloc(input.pfns.length * DESC_SIZE)
  input.pfns.forEach((pfn, i) => {
    const page = input.page(pfn)
    invariant(page.length === PAGE_SIZE, `page ${pfn} has ${page.length} bytes`)
    const packed = input.compress === 'none' ? page : deflateSync(page, { level: 9 })
    const smaller = packed.length < PAGE_SIZE
    const stored = smaller ? packed : page
    descs.writeBigInt64LE(BigInt(out.position), i * DESC_SIZE)
    descs.writeUInt32LE(stored.length, i * DESC_SIZE + 8)
    descs.writeUInt32LE(smaller ? ZLIB : 0, i * DESC_SIZE + 12)
    out.write(stored)
    input.onPage?.(i + 1, input.pfns.length)
  })
  return descs
}

/** Writes the vmcore formats by hand, for tests: what a real dump never shows (holes, damage, odd headers) can be made. */

import { deflateSync } from 'node:zlib'
import { snappyCompress } from '../../src/vmcore/snappy.ts'

export const PAGE = 4096

/** A page of one repeated byte, with its number at the start. */
export function markedPage(pfn: number, fill = 0x5a): Uint8Array {
  const page = new Uint8Array(PAGE).fill(fill)
  new DataView(page.buffer).setUint32(0, pfn, true)
  return page
}

export interface ElfSegment {
  readonly paddr: number
  readonly bytes: Uint8Array
  /** bytes of memory, when more than the file holds */
  readonly memsz?: number
}

export interface ElfOptions {
  readonly wordSize?: 4 | 8
  readonly machine?: number
  readonly type?: number
  readonly ehsize?: number
  /** put the number of program headers where PN_XNUM says */
  readonly xnum?: boolean
  readonly notes?: Uint8Array
}

/** One note, padded to four bytes. */
export function note(name: string, type: number, desc: Uint8Array): Uint8Array {
  const pad = (n: number): number => (n + 3) & ~3
  const bytes = Buffer.alloc(12 + pad(name.length + 1) + pad(desc.length))
  bytes.writeUInt32LE(name.length + 1, 0)
  bytes.writeUInt32LE(desc.length, 4)
  bytes.writeUInt32LE(type, 8)
  bytes.write(name, 12, 'latin1')
  bytes.set(desc, 12 + pad(name.length + 1))
  return bytes
}

export function vmcoreinfoNote(text: string): Uint8Array {
  return note('VMCOREINFO', 0, Buffer.from(text, 'latin1'))
}

/** An ELF core: header, program headers, notes, segments at odd offsets as QEMU writes them. */
export function elfImage(segments: readonly ElfSegment[], options: ElfOptions = {}): Buffer {
  const wide = (options.wordSize ?? 8) === 8
  const notes = options.notes ?? new Uint8Array(0)
  const ehsize = wide ? 64 : 52
  const phentsize = wide ? 56 : 32
  const shentsize = wide ? 64 : 40
  const count = segments.length + 1
  const phoff = ehsize + shentsize
  let at = phoff + count * phentsize
  const headers = Buffer.alloc(at)
  headers.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1])
  headers.writeUInt16LE(options.type ?? 4, 16)
  headers.writeUInt16LE(options.machine ?? (wide ? 62 : 3), 18)
  if (wide) {
    headers.writeBigUInt64LE(BigInt(phoff), 32)
    headers.writeBigUInt64LE(BigInt(ehsize), 40)
  } else {
    headers.writeUInt32LE(phoff, 28)
    headers.writeUInt32LE(ehsize, 32)
  }
  const tail = wide ? 52 : 40
  headers.writeUInt16LE(options.ehsize ?? ehsize, tail)
  headers.writeUInt16LE(phentsize, tail + 2)
  headers.writeUInt16LE(options.xnum === true ? 0xffff : count, tail + 4)
  if (options.xnum === true) headers.writeUInt32LE(count, ehsize + (wide ? 44 : 28))

  const put = (
    i: number,
    type: number,
    offset: number,
    paddr: number,
    filesz: number,
    memsz: number,
  ): void => {
    const p = phoff + i * phentsize
    headers.writeUInt32LE(type, p)
    if (wide) {
      for (const [field, value] of [
        [8, offset],
        [24, paddr],
        [32, filesz],
        [40, memsz],
      ] as const)
        headers.writeBigUInt64LE(BigInt(value), p + field)
    } else {
      for (const [field, value] of [
        [4, offset],
        [12, paddr],
        [16, filesz],
        [20, memsz],
      ] as const)
        headers.writeUInt32LE(value, p + field)
    }
  }
  put(0, 4, at, 0, notes.length, notes.length)
  const parts: Uint8Array[] = [headers, notes]
  at += notes.length
  segments.forEach(({ paddr, bytes, memsz }, i) => {
    put(i + 1, 1, at, paddr, bytes.length, memsz ?? bytes.length)
    parts.push(bytes)
    at += bytes.length
  })
  return Buffer.concat(parts)
}

export type Codec = 'raw' | 'zlib' | 'snappy' | 'lzo' | 'zstd'
const FLAGS: Record<Codec, number> = { raw: 0, zlib: 1, lzo: 2, snappy: 4, zstd: 0x20 }
const ENCODERS: Record<Codec, (page: Uint8Array) => Uint8Array> = {
  raw: (page) => page,
  zlib: (page) => deflateSync(page),
  snappy: snappyCompress,
  // one run of literals, whose length is given in 255s
  lzo: (page) => Buffer.concat([Buffer.alloc(1 + 15), Buffer.from([253]), page, Buffer.from([0x11, 0, 0])]),
  // one raw block
  zstd: (page) => Buffer.concat([Buffer.from('28b52ffd60000f018000', 'hex'), page]),
}

export interface KdumpOptions {
  readonly codec?: Codec
  /** pages that exist but are left out */
  readonly excluded?: ReadonlySet<number>
  readonly notes?: Uint8Array
  readonly machine?: string
  /** of a split dump, the page frames of this part */
  readonly part?: { readonly startPfn: number; readonly endPfn: number }
}

/** A kdump-compressed file, version 6, of pages by number. */
export function kdumpImage(pages: ReadonlyMap<number, Uint8Array>, options: KdumpOptions = {}): Buffer {
  const codec = options.codec ?? 'zlib'
  const notes = options.notes ?? new Uint8Array(0)
  const excluded = options.excluded ?? new Set<number>()
  const maxPfn = Math.max(0, ...pages.keys(), ...excluded) + 1
  const bitmapBlocks = 2 * Math.ceil(maxPfn / 8 / PAGE)
  const exists = Buffer.alloc((bitmapBlocks / 2) * PAGE)
  const dumped = Buffer.alloc(exists.length)
  for (const pfn of [...pages.keys(), ...excluded])
    exists[pfn >> 3] = (exists[pfn >> 3] ?? 0) | (1 << (pfn & 7))
  for (const pfn of pages.keys())
    if (!excluded.has(pfn)) dumped[pfn >> 3] = (dumped[pfn >> 3] ?? 0) | (1 << (pfn & 7))

  const header = Buffer.alloc(PAGE)
  header.write('KDUMP   ', 0, 'latin1')
  header.writeInt32LE(6, 8)
  header.write(options.machine ?? 'x86_64', 12 + 4 * 65, 'latin1')
  header.writeInt32LE(PAGE, 428)
  header.writeInt32LE(1, 432)
  header.writeUInt32LE(bitmapBlocks, 436)
  const sub = Buffer.alloc(PAGE)
  const { part } = options
  if (part) {
    sub.writeInt32LE(1, 12)
    sub.writeBigUInt64LE(BigInt(part.startPfn), 80)
    sub.writeBigUInt64LE(BigInt(part.endPfn), 88)
  }
  sub.writeBigUInt64LE(BigInt(maxPfn), 96)

  const kept = [...pages].filter(([pfn]) => !excluded.has(pfn)).sort((a, b) => a[0] - b[0])
  const written = kept.filter(([pfn]) => !part || (pfn >= part.startPfn && pfn < part.endPfn))
  const descs = Buffer.alloc(written.length * 24)
  let at = PAGE * (2 + bitmapBlocks) + descs.length
  sub.writeBigUInt64LE(BigInt(at), 48)
  sub.writeBigUInt64LE(BigInt(notes.length), 56)
  const blobs: Uint8Array[] = [notes]
  at += notes.length
  written.forEach(([, page], i) => {
    const blob = ENCODERS[codec](page)
    descs.writeBigInt64LE(BigInt(at), i * 24)
    descs.writeUInt32LE(blob.length, i * 24 + 8)
    descs.writeUInt32LE(FLAGS[codec], i * 24 + 12)
    blobs.push(blob)
    at += blob.length
  })
  return Buffer.concat([header, sub, exists, dumped, descs, ...blobs])
}

/** A file as a flattened stream: pieces in a given order, so that headers may come last. */
export function flattenedImage(file: Uint8Array, piece = 1000, backwards = false): Buffer {
  const head = Buffer.alloc(PAGE)
  head.write('makedumpfile', 0, 'latin1')
  head.writeBigInt64BE(1n, 16)
  head.writeBigInt64BE(1n, 24)
  const records: Uint8Array[] = []
  for (let at = 0; at < file.length; at += piece) {
    const bytes = file.subarray(at, at + piece)
    records.push(Buffer.concat([record(at, bytes.length), bytes]))
  }
  if (backwards) records.reverse()
  return Buffer.concat([head, ...records, record(-1, -1)])
}

function record(offset: number, size: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeBigInt64BE(BigInt(offset), 0)
  bytes.writeBigInt64BE(BigInt(size), 8)
  return bytes
}

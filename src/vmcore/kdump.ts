/** kdump-compressed files, as makedumpfile and QEMU write them: a bitmap of pages, each compressed by itself. */

import { DumpError } from '../base/errors.ts'
import type { PhysicalMemory } from '../memory/memory.ts'
import {
  PAGE_SIZE,
  type ByteSource,
  type Container,
  type ContainerStats,
  type Format,
  type Note,
  type PfnRange,
} from './container.ts'
import { readKdumpHeader, type KdumpHeader } from './kdump-header.ts'
import { parseNotes, vmcoreinfoOf, vmcoreinfoText } from './notes.ts'
import { LruCache, PAGE_CACHE_PAGES } from './page-cache.ts'
import { CODECS, DamagedPageError, decompressPage } from './page-codecs.ts'

const DESC_SIZE = 24
const INCOMPLETE = 8
const MAX_NOTE_BYTES = 64 << 20
/** Bitmap bytes per entry of the table of page counts. */
const RANK_BYTES = 64

export const kdumpFormat: Format = {
  name: 'kdump',
  probe(source) {
    const header = readKdumpHeader(source)
    return header && new KdumpContainer(source, header)
  },
}

class KdumpContainer implements Container {
  readonly format: string
  readonly path: string
  readonly memory: KdumpMemory
  readonly ranges: readonly PfnRange[]
  readonly notes: readonly Note[]
  readonly vmcoreinfo: string | undefined
  readonly wordSize: 4 | 8 | undefined
  readonly physBase: number | undefined
  readonly history = undefined
  readonly part: PfnRange | undefined
  readonly warnings: readonly string[]
  readonly stats: ContainerStats = { pagesRead: 0, bytesRead: 0 }
  readonly #source: ByteSource

  constructor(source: ByteSource, header: KdumpHeader) {
    this.format = `kdump${source.wrapping ?? ''}`
    this.path = source.path
    this.#source = source
    this.memory = new KdumpMemory(source, header, this.stats)
    this.ranges = this.memory.ranges()
    const { note, vmcoreinfo } = header
    this.notes =
      note.size > 0 && note.size <= MAX_NOTE_BYTES ? parseNotes(source.read(note.offset, note.size)) : []
    this.vmcoreinfo =
      vmcoreinfoOf(this.notes) ??
      (vmcoreinfo.size > 0 && vmcoreinfo.size <= 1 << 20
        ? vmcoreinfoText(source.read(vmcoreinfo.offset, vmcoreinfo.size))
        : undefined)
    this.wordSize = header.machine === '' ? header.wordSize : header.machine === 'x86_64' ? 8 : 4
    // makedumpfile writes it for relocatable kernels; 0 says nothing
    this.physBase = header.physBase === 0 ? undefined : header.physBase
    const warnings: string[] = []
    if (header.status & INCOMPLETE) warnings.push(`${source.path}: incomplete: makedumpfile ran out of space`)
    if (header.split) {
      this.part = { startPfn: header.startPfn, endPfn: Math.min(header.endPfn, header.maxPfn) }
      warnings.push(`${source.path}: one part of a split dump: pages of the others are missing`)
    }
    this.warnings = warnings
  }

  get excludedPages(): number {
    return this.memory.excludedPages()
  }

  close(): void {
    this.#source.close()
  }
}

class KdumpMemory implements PhysicalMemory {
  readonly pageSize = PAGE_SIZE
  readonly #source: ByteSource
  readonly #header: KdumpHeader
  readonly #stats: ContainerStats
  readonly #exists: Uint8Array
  readonly #dumped: Uint8Array
  /** dumped pages before each RANK_BYTES of the bitmap */
  readonly #rank: Uint32Array
  readonly #descAt: number
  /** descriptors that belong to earlier parts of a split dump */
  readonly #skipped: number
  readonly #cache = new LruCache<Uint8Array>(PAGE_CACHE_PAGES)
  readonly #load = (pfn: number): Uint8Array => this.#read(pfn)

  constructor(source: ByteSource, header: KdumpHeader, stats: ContainerStats) {
    this.#source = source
    this.#header = header
    this.#stats = stats
    const bitmaps = source.read(header.bitmapAt, header.bitmapBytes)
    const half = header.bitmapBytes / 2
    this.#exists = bitmaps.subarray(0, half)
    this.#dumped = bitmaps.subarray(half)
    this.#rank = ranks(this.#dumped)
    this.#descAt = header.bitmapAt + header.bitmapBytes
    this.#skipped = header.startPfn > 0 ? this.#before(header.startPfn) : 0
  }

  page(pfn: number): Uint8Array | 'excluded' | 'missing' {
    const { startPfn, endPfn } = this.#header
    if (!bit(this.#dumped, pfn)) return bit(this.#exists, pfn) ? 'excluded' : 'missing'
    if (pfn < startPfn || pfn >= endPfn) return 'missing'
    return this.#cache.get(pfn, this.#load)
  }

  /** Pages the machine had that were not dumped. */
  excludedPages(): number {
    let count = 0
    this.#exists.forEach((byte, i) => {
      if (byte !== 0) count += popcount(byte & ~(this.#dumped[i] ?? 0))
    })
    return count
  }

  /** Memory the machine had, dumped or not. */
  ranges(): PfnRange[] {
    const ranges: PfnRange[] = []
    let startPfn = -1
    const limit = this.#exists.length * 8
    for (let pfn = 0; pfn <= limit; pfn++) {
      // Whole bytes at a time where nothing changes.
      const byte = pfn % 8 === 0 ? this.#exists[pfn / 8] : undefined
      if (byte === (startPfn < 0 ? 0 : 0xff)) {
        pfn += 7
        continue
      }
      const has = bit(this.#exists, pfn)
      if (has && startPfn < 0) startPfn = pfn
      if (!has && startPfn >= 0) {
        ranges.push({ startPfn, endPfn: pfn })
        startPfn = -1
      }
    }
    return ranges
  }

  /** Dumped pages below `pfn`. */
  #before(pfn: number): number {
    const byte = Math.min(pfn >>> 3, this.#dumped.length)
    const block = Math.floor(byte / RANK_BYTES)
    let count = this.#rank[block] ?? 0
    for (let i = block * RANK_BYTES; i < byte; i++) count += popcount(this.#dumped[i] as number)
    return count + popcount((this.#dumped[byte] ?? 0) & ((1 << (pfn & 7)) - 1))
  }

  #read(pfn: number): Uint8Array {
    const at = this.#descAt + (this.#before(pfn) - this.#skipped) * DESC_SIZE
    const desc = Buffer.from(this.#source.read(at, DESC_SIZE))
    const offset = Number(desc.readBigInt64LE(0))
    const size = desc.readUInt32LE(8)
    const flags = desc.readUInt32LE(12)
    if (size === 0 || size > PAGE_SIZE + 512)
      throw new DumpError('BAD_FORMAT', this.#source.path, at, `page descriptor of ${size} bytes`)
    const stored = this.#source.read(offset, size)
    this.#stats.pagesRead++
    this.#stats.bytesRead += DESC_SIZE + size
    return this.#decompress(stored, flags & CODECS, offset)
  }

  #decompress(stored: Uint8Array, codec: number, offset: number): Uint8Array {
    const { path } = this.#source
    let page: Uint8Array | undefined
    try {
      page = decompressPage(stored, codec, PAGE_SIZE)
    } catch (error) {
      if (!(error instanceof DamagedPageError)) throw error
      throw new DumpError('BAD_FORMAT', path, offset, `a page cannot be decompressed: ${error.message}`)
    }
    if (page === undefined) throw new DumpError('BAD_VERSION', path, offset, `page of unknown codec ${codec}`)
    return page
  }
}

function bit(map: Uint8Array, pfn: number): boolean {
  return pfn >= 0 && ((map[Math.floor(pfn / 8)] ?? 0) & (1 << (pfn % 8))) !== 0
}

function popcount(byte: number): number {
  let n = byte - ((byte >> 1) & 0x55)
  n = (n & 0x33) + ((n >> 2) & 0x33)
  return (n + (n >> 4)) & 0x0f
}

function ranks(map: Uint8Array): Uint32Array {
  const table = new Uint32Array(Math.ceil(map.length / RANK_BYTES) + 1)
  let count = 0
  for (let i = 0; i < map.length; i++) {
    if (i % RANK_BYTES === 0) table[i / RANK_BYTES] = count
    const byte = map[i] as number
    if (byte !== 0) count += popcount(byte)
  }
  table[table.length - 1] = count
  return table
}

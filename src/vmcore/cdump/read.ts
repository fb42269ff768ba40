/** Reads a `.cdump`: the index when opened, a page's group when the page is asked for. */

import { Unpackr } from 'msgpackr'
import { DumpError } from '../../base/errors.ts'
import type { PhysicalMemory } from '../../memory/memory.ts'
import {
  PAGE_SIZE,
  type ByteSource,
  type Container,
  type ContainerStats,
  type Format,
  type History,
  type PfnRange,
  type SnapshotInfo,
} from '../container.ts'
import { crc32 } from '../crc32.ts'
import { LruCache } from '../page-cache.ts'
import { SnappyError, snappyDecompress } from '../snappy.ts'
import {
  decodeHead,
  decodeTable,
  GROUP_PAGES,
  hasMagic,
  HEAD_SIZE,
  SECTION,
  type CdumpHeader,
  type SectionEntry,
} from './format.ts'
import { decodePageIndex, groupSize, type PageIndex } from './page-index.ts'

export const cdumpFormat: Format = {
  name: 'cdump',
  probe(source) {
    if (source.size < 8 || !hasMagic(source.read(0, 8))) return undefined
    return new CdumpContainer(source)
  },
}

interface Snapshot extends SnapshotInfo {
  readonly parent: number | null
}

/** 512 groups of 8 pages: 16 MiB. */
const CACHED_GROUPS = 512
/** Larger than any section we write; a larger one would not fit a Uint8Array everywhere. */
const MAX_SECTION = 2 ** 31
/** A page is found by snapshot * STRIDE + its place in that snapshot's list. */
const STRIDE = 2 ** 26
const ZERO = -1
const ZERO_PAGE = new Uint8Array(PAGE_SIZE)

class CdumpContainer implements Container {
  readonly format = 'cdump'
  readonly path: string
  readonly notes = []
  readonly warnings = []
  readonly stats: ContainerStats = { pagesRead: 0, bytesRead: 0 }
  readonly vmcoreinfo: string
  readonly wordSize: 4 | 8
  readonly ranges: readonly PfnRange[]
  readonly history: History
  readonly #source: ByteSource
  readonly #sections: ReadonlyMap<string, SectionEntry>
  readonly #header: CdumpHeader
  readonly #snapshots: readonly Snapshot[]
  readonly #indexes: (PageIndex | undefined)[] = []
  readonly #memories: (PhysicalMemory | undefined)[] = []
  readonly #groups = new LruCache<Uint8Array>(CACHED_GROUPS)

  constructor(source: ByteSource) {
    this.path = source.path
    this.#source = source
    if (source.size < HEAD_SIZE)
      throw new DumpError('TRUNCATED', source.path, source.size, `the head of a dump has ${HEAD_SIZE} bytes`)
    const table = decodeHead(source.path, source.read(0, HEAD_SIZE))
    if (table.offset + table.length > source.size)
      throw new DumpError('TRUNCATED', source.path, source.size, 'the section table is cut off')
    const bytes = source.read(table.offset, table.length)
    if (crc32(bytes) !== table.crc)
      throw new DumpError('BAD_FORMAT', source.path, table.offset, "the section table's checksum is wrong")
    this.#sections = decodeTable(source.path, bytes, table.offset, source.size)
    this.#header = this.#decodeHeader()
    this.#snapshots = this.#decodeSnapshots()
    this.wordSize = this.#header.wordSize
    this.ranges = [{ startPfn: 0, endPfn: this.#memoryPages }]
    this.vmcoreinfo = Buffer.from(this.#required(SECTION.vmcoreinfo)).toString('latin1')
    this.history = {
      header: this.#header,
      snapshots: this.#snapshots.map(({ name, step, timeNs }) => ({ name, step, timeNs })),
      memoryAt: (index) => this.#memoryAt(index),
      sectionNames: [...this.#sections.keys()].filter((n) => n.startsWith('x/')).map((n) => n.slice(2)),
      section: (name) => this.#section(SECTION.extra(name)),
    }
  }

  get memory(): PhysicalMemory {
    return this.#memoryAt(this.#snapshots.length - 1)
  }

  close(): void {
    this.#source.close()
  }

  get #memoryPages(): number {
    return Math.ceil(this.#header.memorySize / PAGE_SIZE)
  }

  /** A section's bytes, verified. */
  #section(name: string): Uint8Array | undefined {
    const entry = this.#sections.get(name)
    if (entry === undefined) return undefined
    if (entry.length > MAX_SECTION)
      throw new DumpError('BAD_FORMAT', this.path, entry.offset, `section ${name} has ${entry.length} bytes`)
    const bytes = this.#source.read(entry.offset, entry.length)
    this.stats.bytesRead += bytes.length
    if (crc32(bytes) !== entry.crc) throw this.#bad(name, 'checksum is wrong')
    return bytes
  }

  #required(name: string): Uint8Array {
    const bytes = this.#section(name)
    if (bytes === undefined) throw new DumpError('BAD_FORMAT', this.path, -1, `section ${name} is missing`)
    return bytes
  }

  #bad(section: string, problem: string): DumpError {
    const offset = this.#sections.get(section)?.offset ?? -1
    return new DumpError('BAD_FORMAT', this.path, offset, `section ${section}: ${problem}`)
  }

  #unpack(section: string): unknown {
    const bytes = this.#required(section)
    try {
      return new Unpackr({ useRecords: false }).unpack(bytes) as unknown
    } catch {
      throw this.#bad(section, 'not MessagePack')
    }
  }

  #decodeHeader(): CdumpHeader {
    const header = this.#unpack(SECTION.header)
    if (typeof header !== 'object' || header === null) throw this.#bad(SECTION.header, 'not a map')
    const { wordSize, memorySize } = header as Partial<CdumpHeader>
    if (wordSize !== 4 && wordSize !== 8) throw this.#bad(SECTION.header, 'no wordSize')
    if (typeof memorySize !== 'number' || !(memorySize > 0 && memorySize <= 2 ** 44))
      throw this.#bad(SECTION.header, 'no memorySize')
    return header as CdumpHeader
  }

  #decodeSnapshots(): Snapshot[] {
    const list = this.#unpack(SECTION.snapshots)
    if (!Array.isArray(list) || list.length === 0) throw this.#bad(SECTION.snapshots, 'no snapshots')
    return list.map((item: unknown, i): Snapshot => {
      const { name, step, timeNs, parent } = (item ?? {}) as Record<string, unknown>
      const parentFits = parent === null || (typeof parent === 'number' && parent >= 0 && parent < i)
      const timeFits = typeof timeNs === 'bigint' || typeof timeNs === 'number'
      if (typeof name !== 'string' || typeof step !== 'number' || !timeFits || !parentFits)
        throw this.#bad(SECTION.snapshots, `entry ${i} is damaged`)
      return { name, step, timeNs: BigInt(timeNs), parent }
    })
  }

  #index(snapshot: number): PageIndex {
    const known = this.#indexes[snapshot]
    if (known) return known
    const name = SECTION.pageIndex(snapshot)
    const bytes = this.#required(name)
    const dataLength = this.#sections.get(SECTION.pageData(snapshot))?.length ?? 0
    const position = this.#sections.get(name)?.offset ?? 0
    const index = decodePageIndex(this.path, bytes, position, dataLength, this.#memoryPages)
    return (this.#indexes[snapshot] = index)
  }

  #memoryAt(index: number): PhysicalMemory {
    if (this.#snapshots[index] === undefined)
      throw new DumpError('NO_SNAPSHOT', this.path, -1, `no snapshot ${index}`)
    return (this.#memories[index] ??= new SnapshotMemory(this.#places(index), this.#memoryPages, (place) =>
      this.#page(place),
    ))
  }

  /** Where each page of a snapshot is stored: its own pages first, then what its parents say. */
  #places(index: number): ReadonlyMap<number, number> {
    const places = new Map<number, number>()
    for (let at: number | null = index; at !== null; at = (this.#snapshots[at] as Snapshot).parent) {
      const { pfns, zeros } = this.#index(at)
      for (const pfn of zeros) if (!places.has(pfn)) places.set(pfn, ZERO)
      for (let i = 0; i < pfns.length; i++) {
        const pfn = pfns[i] as number
        if (!places.has(pfn)) places.set(pfn, at * STRIDE + i)
      }
    }
    return places
  }

  #page(place: number): Uint8Array {
    const snapshot = Math.floor(place / STRIDE)
    const slot = place % STRIDE
    const group = Math.floor(slot / GROUP_PAGES)
    const bytes = this.#groups.get(snapshot * STRIDE + group, () => this.#readGroup(snapshot, group))
    const at = (slot % GROUP_PAGES) * PAGE_SIZE
    return bytes.subarray(at, at + PAGE_SIZE)
  }

  #readGroup(snapshot: number, group: number): Uint8Array {
    const index = this.#index(snapshot)
    const { offset, length, crc } = index.groups[group] as PageIndex['groups'][number]
    const position = (this.#sections.get(SECTION.pageData(snapshot))?.offset ?? 0) + offset
    const stored = this.#source.read(position, length)
    const size = groupSize(index, group)
    this.stats.bytesRead += length
    this.stats.pagesRead += size / PAGE_SIZE
    if (crc32(stored) !== crc)
      throw new DumpError('BAD_FORMAT', this.path, position, "a page's checksum is wrong")
    if (length === size) return stored
    try {
      return snappyDecompress(stored, size)
    } catch (error) {
      if (!(error instanceof SnappyError)) throw error
      throw new DumpError('BAD_FORMAT', this.path, position, `damaged pages: ${error.message}`)
    }
  }
}

/** One snapshot's physical memory; pages it does not list are zero. */
class SnapshotMemory implements PhysicalMemory {
  readonly pageSize = PAGE_SIZE
  readonly #places: ReadonlyMap<number, number>
  readonly #pages: number
  readonly #load: (place: number) => Uint8Array

  constructor(places: ReadonlyMap<number, number>, pages: number, load: (place: number) => Uint8Array) {
    this.#places = places
    this.#pages = pages
    this.#load = load
  }

  page(pfn: number): Uint8Array | 'missing' {
    if (pfn < 0 || pfn >= this.#pages) return 'missing'
    const place = this.#places.get(pfn)
    return place === undefined || place === ZERO ? ZERO_PAGE : this.#load(place)
  }
}

/** ELF vmcores: kexec's /proc/vmcore, QEMU's dump-guest-memory, makedumpfile -E. */

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
import { parseNotes, vmcoreinfoOf } from './notes.ts'
import { LruCache, PAGE_CACHE_PAGES } from './page-cache.ts'

const ET_CORE = 4
const PT_LOAD = 1
const PT_NOTE = 4
const PN_XNUM = 0xffff
const EM_386 = 3
const EM_X86_64 = 62
/** No real core has larger notes; a larger one is damage. */
const MAX_NOTE_BYTES = 64 << 20
/** `__START_KERNEL_map`, upper half, and how far an image may reach from it. */
const IMAGE_HIGH = 0xffff_ffff
const IMAGE_LOW = 0x8000_0000
/** x86 has 52 bits of physical address. */
const MAX_PHYS = 2 ** 52

/** One PT_LOAD, in bytes of physical memory. */
interface Segment {
  readonly start: number
  /** physical end of what the file holds */
  readonly fileEnd: number
  /** physical end of the segment: the rest is zero */
  readonly end: number
  readonly offset: number
}

interface Headers {
  readonly loads: Segment[]
  readonly notes: Note[]
  readonly wordSize: 4 | 8
  readonly physBase: number | undefined
  readonly warnings: string[]
}

export const elfFormat: Format = {
  name: 'elf',
  probe(source) {
    if (source.size < 52) return undefined
    const ident = source.read(0, 16)
    if (ident[0] !== 0x7f || ident[1] !== 0x45 || ident[2] !== 0x4c || ident[3] !== 0x46) return undefined
    return new ElfContainer(source, readHeaders(source, ident))
  },
}

function readHeaders(source: ByteSource, ident: Uint8Array): Headers {
  const bad = (at: number, problem: string): DumpError =>
    new DumpError('BAD_FORMAT', source.path, at, problem)
  if (ident[4] !== 1 && ident[4] !== 2) throw bad(4, `ELF class ${ident[4]} is neither 32 nor 64 bits`)
  if (ident[5] !== 1) throw bad(5, 'big-endian ELF is not supported')
  const is64 = ident[4] === 2
  const header = view(source.read(0, is64 ? 64 : 52))
  const machine = header.getUint16(18, true)
  if (header.getUint16(16, true) !== ET_CORE) throw bad(16, 'an ELF file, but not a core dump')
  if (machine !== EM_386 && machine !== EM_X86_64) throw bad(18, `ELF machine ${machine} is not x86`)

  // e_ehsize is not looked at: QEMU writes 8 there.
  const phoff = is64 ? u64(header, 32) : header.getUint32(28, true)
  const shoff = is64 ? u64(header, 40) : header.getUint32(32, true)
  const phentsize = header.getUint16(is64 ? 54 : 42, true)
  const needed = is64 ? 56 : 32
  if (phentsize < needed) throw bad(is64 ? 54 : 42, `program headers of ${phentsize} bytes`)
  let count = header.getUint16(is64 ? 56 : 44, true)
  if (count === PN_XNUM) count = view(source.read(shoff + (is64 ? 44 : 28), 4)).getUint32(0, true)
  if (count * phentsize > source.size)
    throw bad(is64 ? 56 : 44, `${count} program headers do not fit the file`)
  const table = view(source.read(phoff, count * phentsize))

  const loads: Segment[] = []
  const notes: Note[] = []
  const warnings: string[] = []
  let physBase: number | undefined
  for (let i = 0; i < count; i++) {
    const ph = programHeader(table, i * phentsize, is64)
    if (ph.type === PT_NOTE) {
      if (ph.filesz > MAX_NOTE_BYTES) throw bad(phoff + i * phentsize, `notes of ${ph.filesz} bytes`)
      notes.push(...parseNotes(source.read(ph.offset, ph.filesz)))
    } else if (ph.type === PT_LOAD && ph.paddr + ph.memsz > MAX_PHYS) {
      warnings.push(`${source.path}: segment ${i} left out: no physical address of x86`)
    } else if (ph.type === PT_LOAD && ph.memsz > 0) {
      loads.push(segment(ph))
      // kexec gives the image's segment its virtual address
      if (ph.imageOffset !== undefined) physBase ??= ph.paddr - ph.imageOffset
      if (ph.offset + ph.filesz > source.size)
        warnings.push(
          `${source.path}: truncated: segment ${i} ends at byte ${ph.offset + ph.filesz}, the file at ${source.size}`,
        )
    }
  }
  if (loads.length === 0) throw bad(phoff, 'no memory in this core (no PT_LOAD)')
  return { loads, notes, wordSize: machine === EM_X86_64 ? 8 : 4, physBase, warnings }
}

interface ProgramHeader {
  readonly type: number
  readonly offset: number
  readonly paddr: number
  /** of a segment of the kernel's image: its address from `__START_KERNEL_map` */
  readonly imageOffset?: number | undefined
  readonly filesz: number
  readonly memsz: number
}

function programHeader(v: DataView, at: number, is64: boolean): ProgramHeader {
  const type = v.getUint32(at, true)
  if (!is64) {
    const [offset, paddr, filesz, memsz] = [4, 12, 16, 20].map((o) => v.getUint32(at + o, true))
    return { type, offset: offset ?? 0, paddr: paddr ?? 0, filesz: filesz ?? 0, memsz: memsz ?? 0 }
  }
  return {
    type,
    offset: u64(v, at + 8),
    imageOffset: imageOffset(v.getUint32(at + 16, true), v.getUint32(at + 20, true)),
    paddr: u64(v, at + 24),
    filesz: u64(v, at + 32),
    memsz: u64(v, at + 40),
  }
}

function imageOffset(low: number, high: number): number | undefined {
  return high === IMAGE_HIGH && low >= IMAGE_LOW && low < IMAGE_LOW + 0x4000_0000
    ? low - IMAGE_LOW
    : undefined
}

function segment(ph: ProgramHeader): Segment {
  const end = ph.paddr + ph.memsz
  return { start: ph.paddr, fileEnd: ph.paddr + Math.min(ph.filesz, ph.memsz), end, offset: ph.offset }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A 64-bit field as a number: beyond 2^53 it is only approximate, and no such file offset exists. */
function u64(v: DataView, at: number): number {
  return v.getUint32(at + 4, true) * 0x1_0000_0000 + v.getUint32(at, true)
}

class ElfContainer implements Container {
  readonly format: string
  readonly path: string
  readonly memory: PhysicalMemory
  readonly ranges: readonly PfnRange[]
  readonly notes: readonly Note[]
  readonly vmcoreinfo: string | undefined
  readonly wordSize: 4 | 8
  readonly physBase: number | undefined
  readonly history = undefined
  readonly warnings: readonly string[]
  readonly stats: ContainerStats = { pagesRead: 0, bytesRead: 0 }
  readonly #source: ByteSource

  constructor(source: ByteSource, headers: Headers) {
    this.format = `elf${source.wrapping ?? ''}`
    this.path = source.path
    this.#source = source
    this.notes = headers.notes
    this.vmcoreinfo = vmcoreinfoOf(headers.notes)
    this.wordSize = headers.wordSize
    this.physBase = headers.physBase
    this.warnings = headers.warnings
    const memory = new ElfMemory(source, headers.loads, this.stats)
    this.memory = memory
    this.ranges = memory.ranges
  }

  close(): void {
    this.#source.close()
  }
}

/** Physical pages out of PT_LOAD segments, which may overlap, leave holes, and begin within a page. */
class ElfMemory implements PhysicalMemory {
  readonly pageSize = PAGE_SIZE
  readonly #source: ByteSource
  readonly #stats: ContainerStats
  readonly #segments: readonly Segment[]
  /** the furthest end among segments 0..i: says how far back an overlapping one may lie */
  readonly #reach: readonly number[]
  readonly #cache = new LruCache<Uint8Array>(PAGE_CACHE_PAGES)
  readonly #load = (pfn: number): Uint8Array => this.#assemble(pfn)

  constructor(source: ByteSource, segments: Segment[], stats: ContainerStats) {
    this.#source = source
    this.#stats = stats
    this.#segments = segments.sort((a, b) => a.start - b.start)
    let reach = 0
    this.#reach = segments.map((s) => (reach = Math.max(reach, s.end)))
  }

  get ranges(): PfnRange[] {
    const ranges: { startPfn: number; endPfn: number }[] = []
    for (const s of this.#segments) {
      const startPfn = Math.floor(s.start / PAGE_SIZE)
      const bytes = Math.min(s.fileEnd - s.start, Math.max(0, this.#source.size - s.offset))
      const endPfn = Math.ceil((s.start + bytes) / PAGE_SIZE)
      if (endPfn <= startPfn) continue
      const last = ranges.at(-1)
      if (last && startPfn <= last.endPfn) last.endPfn = Math.max(last.endPfn, endPfn)
      else ranges.push({ startPfn, endPfn })
    }
    return ranges
  }

  page(pfn: number): Uint8Array | 'excluded' | 'missing' {
    if (!this.#has(pfn)) return 'missing'
    return this.#cache.get(pfn, this.#load)
  }

  #has(pfn: number): boolean {
    const from = pfn * PAGE_SIZE
    for (const s of this.#covering(pfn)) {
      // Memory whose bytes lie behind the end of a truncated file is not there.
      const position = s.offset + Math.max(from, s.start) - s.start
      if (Math.max(from, s.start) >= s.fileEnd || position < this.#source.size) return true
    }
    return false
  }

  /** Every segment with a byte in this page, in ascending order. */
  #covering(pfn: number): Segment[] {
    const from = pfn * PAGE_SIZE
    const to = from + PAGE_SIZE
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#segments[middle] as Segment).start < to) low = middle + 1
      else high = middle
    }
    const found: Segment[] = []
    for (let i = low - 1; i >= 0 && (this.#reach[i] as number) > from; i--) {
      const s = this.#segments[i] as Segment
      if (s.end <= from) continue
      found.unshift(s)
      if (s.start <= from && s.end >= to) break
    }
    return found
  }

  #assemble(pfn: number): Uint8Array {
    this.#stats.pagesRead++
    const from = pfn * PAGE_SIZE
    const parts = this.#covering(pfn)
    const whole = parts.find((s) => s.start <= from && s.fileEnd >= from + PAGE_SIZE)
    if (whole) return this.#read(whole.offset + from - whole.start, PAGE_SIZE)
    const page = new Uint8Array(PAGE_SIZE)
    for (const s of parts) {
      const start = Math.max(from, s.start)
      const size = Math.min(from + PAGE_SIZE, s.fileEnd) - start
      if (size > 0) page.set(this.#read(s.offset + start - s.start, size), start - from)
    }
    return page
  }

  #read(offset: number, length: number): Uint8Array {
    const available = Math.min(length, Math.max(0, this.#source.size - offset))
    this.#stats.bytesRead += available
    const bytes = this.#source.read(offset, available)
    if (available === length) return bytes
    const padded = new Uint8Array(length)
    padded.set(bytes)
    return padded
  }
}

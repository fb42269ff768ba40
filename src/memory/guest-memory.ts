/**
 * The simulated machine's memory: sparse physical RAM in 2 MiB chunks, seen through linear windows (direct map,
 * kernel image, vmemmap) and page mappings (vmalloc, modules, user space). The only code that stores into it;
 * every store marks its page dirty and is a row of the journal.
 *
 * The kernel's own page tables lie in this memory too and say the same; they are for the inspector, the
 * windows here are the simulator's TLB.
 */

import { addr, vaOfHalves, type Va } from '../base/addr.ts'
import { FaultError, InvariantError } from '../base/errors.ts'
import { Journal } from './journal.ts'
import { SourceKind, type PhysicalMemory, type WritableMemory } from './memory.ts'

export const PAGE_SIZE = 4096
const CHUNK_SHIFT = 21
const CHUNK = 1 << CHUNK_SHIFT
const CHUNK_MASK = CHUNK - 1
const PAGES_PER_CHUNK = CHUNK / PAGE_SIZE
const TWO_32 = 0x1_0000_0000
/** A factor instead of a division, exact because CHUNK is a power of two. */
const CHUNKS = 1 / CHUNK

/** `size` bytes of virtual addresses from `va` lie at `phys` onwards. */
export interface Window {
  readonly va: Va
  readonly size: number
  readonly phys: number
}

interface Chunk {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** 1 where stored into since the last snapshot. */
  readonly dirty: Uint8Array
}

/** The pages that changed since the snapshot before. */
export interface PageDelta {
  readonly pages: ReadonlyMap<number, Uint8Array>
}

/** Pages mapped one by one, by virtual page number (`Math.floor(va / 4096)`). */
export type PageMap = Map<number, number>

export class GuestMemory implements WritableMemory, PhysicalMemory {
  readonly wordSize: 4 | 8
  readonly pageSize = PAGE_SIZE
  readonly sizeBytes: number
  readonly journal = new Journal()
  /** Kernel pages outside the windows: vmalloc, modules, cpu_entry_area. */
  readonly kernelPages: PageMap = new Map()
  /** The running process's user pages; null in a kernel thread. */
  userPages: PageMap | null = null
  private readonly chunks: (Chunk | undefined)[] = []
  private readonly zero = new DataView(new ArrayBuffer(CHUNK))
  private readonly windows: Window[] = []
  private directVa = 0
  private directSize = 0

  /** @param sizeBytes physical memory from address 0; costs nothing until stored into */
  constructor(sizeBytes: number, wordSize: 4 | 8) {
    if (sizeBytes % PAGE_SIZE !== 0)
      throw new InvariantError('memory size is not a multiple of the page size')
    this.sizeBytes = sizeBytes
    this.wordSize = wordSize
  }

  /** Add a linear window; the first one is the direct map and the fastest. */
  addWindow(window: Window): void {
    if (this.windows.length === 0) {
      this.directVa = window.va
      this.directSize = window.size
    }
    this.windows.push(window)
  }

  /** The physical address behind `va`. @throws FaultError unmapped */
  phys(va: Va): number {
    const direct = va - this.directVa
    if (direct >= 0 && direct < this.directSize) return direct
    for (let i = 1; i < this.windows.length; i++) {
      const window = this.windows[i] as Window
      const offset = va - window.va
      if (offset >= 0 && offset < window.size) return window.phys + offset
    }
    const page = Math.floor(va / PAGE_SIZE)
    const pfn = this.kernelPages.get(page) ?? this.userPages?.get(page)
    if (pfn === undefined) throw this.fault(va, 1)
    return pfn * PAGE_SIZE + (va - page * PAGE_SIZE)
  }

  isMapped(va: Va): boolean {
    try {
      return this.phys(va) < this.sizeBytes
    } catch {
      return false
    }
  }

  u8(va: Va): number {
    const p = this.phys(va)
    return this.readable(p).getUint8(p & CHUNK_MASK)
  }
  u16(va: Va): number {
    const p = this.phys(va)
    if ((p & CHUNK_MASK) > CHUNK - 2) return this.u8(va) | (this.u8(va + 1) << 8)
    return this.readable(p).getUint16(p & CHUNK_MASK, true)
  }
  u32(va: Va): number {
    const p = this.phys(va)
    if ((p & CHUNK_MASK) > CHUNK - 4) return this.u16(va) + this.u16(va + 2) * 0x1_0000
    return this.readable(p).getUint32(p & CHUNK_MASK, true)
  }
  u64(va: Va): bigint {
    const p = this.phys(va)
    if ((p & CHUNK_MASK) > CHUNK - 8) return BigInt(this.u32(va)) | (BigInt(this.u32(va + 4)) << 32n)
    return this.readable(p).getBigUint64(p & CHUNK_MASK, true)
  }
  word(va: Va): bigint {
    return this.wordSize === 8 ? this.u64(va) : BigInt(this.u32(va))
  }
  pointer(va: Va): Va {
    const p = this.phys(va)
    const view = this.readable(p)
    const low = view.getUint32(p & CHUNK_MASK, true)
    if (this.wordSize === 4) return low
    const high = view.getInt32((p & CHUNK_MASK) + 4, true)
    return vaOfHalves(low, high)
  }

  read(va: Va, size: number): Uint8Array {
    const out = new Uint8Array(size)
    for (let done = 0; done < size;) {
      const p = this.phys(va + done)
      const n = this.run(va + done, p, size - done)
      const chunk = this.chunks[Math.floor(p * CHUNKS)]
      if (chunk !== undefined) out.set(chunk.bytes.subarray(p & CHUNK_MASK, (p & CHUNK_MASK) + n), done)
      done += n
    }
    return out
  }

  setU8(va: Va, value: number, kind: SourceKind = SourceKind.None, at = 0): void {
    const p = this.phys(va)
    this.storable(p).setUint8(p & CHUNK_MASK, value)
    this.journal.record(va, 1, value & 0xff, 0, kind, at)
  }
  setU16(va: Va, value: number, kind: SourceKind = SourceKind.None, at = 0): void {
    const p = this.phys(va)
    this.storable(p).setUint16(p & CHUNK_MASK, value, true)
    this.journal.record(va, 2, value & 0xffff, 0, kind, at)
  }
  setU32(va: Va, value: number, kind: SourceKind = SourceKind.None, at = 0): void {
    const p = this.phys(va)
    this.storable(p).setUint32(p & CHUNK_MASK, value, true)
    this.journal.record(va, 4, value >>> 0, 0, kind, at)
  }
  setU64(va: Va, value: bigint, kind: SourceKind = SourceKind.None, at = 0): void {
    const p = this.phys(va)
    const view = this.storable(p)
    const i = p & CHUNK_MASK
    view.setBigUint64(i, value, true)
    // read back: cheaper than to take a bigint apart
    this.journal.record(va, 8, view.getUint32(i, true), view.getUint32(i + 4, true), kind, at)
  }
  /** A 64-bit store given as two halves: no bigint is made. */
  setHalves(va: Va, low: number, high: number): void {
    const p = this.phys(va)
    const view = this.storable(p)
    view.setUint32(p & CHUNK_MASK, low, true)
    view.setUint32((p & CHUNK_MASK) + 4, high, true)
    this.journal.record(va, 8, low >>> 0, high >>> 0, SourceKind.None, 0)
  }
  setWord(va: Va, value: bigint, kind: SourceKind = SourceKind.None, at = 0): void {
    if (this.wordSize === 8) this.setU64(va, value, kind, at)
    else this.setU32(va, Number(value & 0xffffffffn), kind, at)
  }
  setPointer(va: Va, target: Va, kind: SourceKind = SourceKind.None, at = 0): void {
    if (this.wordSize === 4) {
      this.setU32(va, target, kind, at)
      return
    }
    const p = this.phys(va)
    const view = this.storable(p)
    const high = Math.floor(target / TWO_32)
    const low = target - high * TWO_32
    view.setUint32(p & CHUNK_MASK, low, true)
    view.setInt32((p & CHUNK_MASK) + 4, high, true)
    this.journal.record(va, 8, low, high >>> 0, kind, at)
  }

  write(va: Va, bytes: Uint8Array, kind: SourceKind = SourceKind.None, at = 0): void {
    for (let done = 0; done < bytes.length;) {
      const p = this.phys(va + done)
      const n = this.run(va + done, p, bytes.length - done)
      const chunk = this.chunkFor(p, n)
      chunk.bytes.set(n === bytes.length ? bytes : bytes.subarray(done, done + n), p & CHUNK_MASK)
      done += n
    }
    this.journal.record(va, bytes.length, littleEndian(bytes, 0), littleEndian(bytes, 4), kind, at)
  }

  fill(va: Va, byte: number, size: number): void {
    for (let done = 0; done < size;) {
      const p = this.phys(va + done)
      const n = this.run(va + done, p, size - done)
      this.chunkFor(p, n).bytes.fill(byte, p & CHUNK_MASK, (p & CHUNK_MASK) + n)
      done += n
    }
    const word = (Math.min(size, 4) === 4 ? byte * 0x0101_0101 : size === 2 ? byte * 0x0101 : byte) >>> 0
    this.journal.record(va, size, word, size === 8 ? word : 0, SourceKind.None, 0)
  }

  copy(to: Va, from: Va, size: number): void {
    const p = this.phys(from)
    const chunk = this.chunks[Math.floor(p * CHUNKS)]
    // bytes that lie together and apart from `to` need no copy between
    const together = Math.abs(to - from) >= size && this.run(from, p, size) === size
    const at = p & CHUNK_MASK
    const bytes =
      together && chunk !== undefined ? chunk.bytes.subarray(at, at + size) : this.read(from, size)
    this.write(to, bytes, SourceKind.Memory, from)
  }

  /** Let freshly taken page frames read as zeros without a journal row each (the page allocator's clear). */
  clearPhysical(phys: number, size: number): void {
    for (let done = 0; done < size;) {
      const p = phys + done
      const n = Math.min(size - done, CHUNK - (p & CHUNK_MASK))
      if (this.chunks[Math.floor(p * CHUNKS)] !== undefined) {
        this.chunkFor(p, n).bytes.fill(0, p & CHUNK_MASK, (p & CHUNK_MASK) + n)
      }
      done += n
    }
  }

  /** What changed since the last call; the pages are copies. */
  takeDelta(): PageDelta {
    const pages = new Map<number, Uint8Array>()
    for (let c = 0; c < this.chunks.length; c++) {
      const chunk = this.chunks[c]
      if (chunk === undefined) continue
      for (let i = chunk.dirty.indexOf(1); i >= 0; i = chunk.dirty.indexOf(1, i + 1)) {
        pages.set(c * PAGES_PER_CHUNK + i, chunk.bytes.slice(i * PAGE_SIZE, (i + 1) * PAGE_SIZE))
      }
      chunk.dirty.fill(0)
    }
    return { pages }
  }

  page(pfn: number): Uint8Array | 'missing' {
    if (pfn < 0 || pfn * PAGE_SIZE >= this.sizeBytes) return 'missing'
    const chunk = this.chunks[Math.floor(pfn / PAGES_PER_CHUNK)]
    const at = (pfn % PAGES_PER_CHUNK) * PAGE_SIZE
    return chunk === undefined ? new Uint8Array(PAGE_SIZE) : chunk.bytes.subarray(at, at + PAGE_SIZE)
  }

  private readable(p: number): DataView {
    return this.chunks[Math.floor(p * CHUNKS)]?.view ?? this.zero
  }

  private storable(p: number): DataView {
    const chunk = this.chunks[Math.floor(p * CHUNKS)] ?? this.newChunk(p)
    const page = (p & CHUNK_MASK) >>> 12
    chunk.dirty[page] = 1
    return chunk.view
  }

  private chunkFor(p: number, size: number): Chunk {
    const chunk = this.chunks[Math.floor(p * CHUNKS)] ?? this.newChunk(p)
    const first = (p & CHUNK_MASK) >>> 12
    chunk.dirty.fill(1, first, (((p & CHUNK_MASK) + size - 1) >>> 12) + 1)
    return chunk
  }

  private newChunk(p: number): Chunk {
    if (p < 0 || p >= this.sizeBytes) throw new FaultError(addr(p), 1, 'missing')
    const bytes = new Uint8Array(CHUNK)
    const chunk = {
      bytes,
      view: new DataView(bytes.buffer),
      dirty: new Uint8Array(PAGES_PER_CHUNK),
    }
    this.chunks[Math.floor(p * CHUNKS)] = chunk
    return chunk
  }

  /** How many of `size` bytes from `va` lie together at `p`. */
  private run(va: Va, p: number, size: number): number {
    const inChunk = CHUNK - (p & CHUNK_MASK)
    const linear = va - this.directVa >= 0 && va - this.directVa < this.directSize
    const limit = linear ? inChunk : Math.min(inChunk, PAGE_SIZE - (p & (PAGE_SIZE - 1)))
    return Math.min(size, limit)
  }

  private fault(va: Va, size: number): FaultError {
    if (Number.isNaN(va)) return new FaultError(0n, size, 'non-canonical')
    return new FaultError(addr(BigInt(va)), size, 'unmapped')
  }
}

/** Four bytes of a short store as the journal keeps them; 0 for what lies beyond, and for long stores. */
function littleEndian(bytes: Uint8Array, from: number): number {
  if (bytes.length > 8) return 0
  let value = 0
  for (let i = Math.min(bytes.length, from + 4) - 1; i >= from; i--)
    value = value * 256 + (bytes[i] as number)
  return value
}

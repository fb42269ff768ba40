/**
 * A virtual address space of a dump: translates through a page table, remembers pages it has seen, and faults
 * with the reason where there is nothing.
 */

import { NULL, toAddr, vaOfHalves, type Va } from '../base/addr.ts'
import { read32 } from '../base/u32.ts'
import { FaultError, type FaultReason } from '../base/errors.ts'
import type { Memory, PhysicalMemory } from '../memory/memory.ts'

/** Gives the page frame of an address, or why there is none. */
export interface Translator {
  frame(va: Va): number | FaultReason
}

const PAGE = 4096
/** Pages remembered by address: 8 MiB at most, then forgotten together. */
const TLB_PAGES = 2048
/** A longer read can only come of a damaged length. */
const MAX_READ = 1 << 30

export class VirtualMemory implements Memory {
  readonly wordSize: 4 | 8
  readonly #phys: PhysicalMemory
  readonly #translator: Translator
  readonly #tlb = new Map<number, Uint8Array>()
  /** address of the page read last, and that page */
  #base = NaN
  #page: Uint8Array = new Uint8Array(0)

  constructor(phys: PhysicalMemory, translator: Translator, wordSize: 4 | 8) {
    this.#phys = phys
    this.#translator = translator
    this.wordSize = wordSize
  }

  u8(va: Va): number {
    const at = va & 0xfff
    if (va - at !== this.#base) this.#turnTo(va, 1)
    return this.#page[at] as number
  }

  u16(va: Va): number {
    const at = va & 0xfff
    if (at > PAGE - 2) return this.#straddling(va, 2)
    if (va - at !== this.#base) this.#turnTo(va, 2)
    const page = this.#page
    return (page[at] as number) | ((page[at + 1] as number) << 8)
  }

  u32(va: Va): number {
    const at = va & 0xfff
    if (at > PAGE - 4) return this.#straddling(va, 4)
    if (va - at !== this.#base) this.#turnTo(va, 4)
    return read32(this.#page, at)
  }

  u64(va: Va): bigint {
    const at = va & 0xfff
    if (at > PAGE - 8) return this.#straddling64(va)
    if (va - at !== this.#base) this.#turnTo(va, 8)
    return (BigInt(read32(this.#page, at + 4)) << 32n) | BigInt(read32(this.#page, at))
  }

  word(va: Va): bigint {
    return this.wordSize === 8 ? this.u64(va) : BigInt(this.u32(va))
  }

  pointer(va: Va): Va {
    if (this.wordSize === 4) return this.u32(va)
    const at = va & 0xfff
    if (at > PAGE - 8) {
      const bytes = this.read(va, 8)
      return vaOfHalves(read32(bytes, 0), read32(bytes, 4))
    }
    if (va - at !== this.#base) this.#turnTo(va, 8)
    return vaOfHalves(read32(this.#page, at), read32(this.#page, at + 4))
  }

  read(va: Va, size: number): Uint8Array {
    if (!(size >= 0 && size <= MAX_READ)) throw fault(va, size, 'unmapped')
    if (size > 0) this.#turnTo(va, size)
    const bytes = new Uint8Array(size)
    let done = 0
    while (done < size) {
      const at = (va + done) & 0xfff
      const count = Math.min(size - done, PAGE - at)
      this.#turnTo(va + done, size - done)
      bytes.set(at === 0 && count === PAGE ? this.#page : this.#page.subarray(at, at + count), done)
      done += count
    }
    return bytes
  }

  /** The page that holds `va`, not to be modified; a reason instead of a FaultError. */
  pageOf(va: Va): Uint8Array | FaultReason {
    const base = Math.floor(va / PAGE) * PAGE
    const known = this.#tlb.get(base)
    if (known !== undefined) return known
    const pfn = this.#translator.frame(va)
    if (typeof pfn === 'string') return pfn
    const page = this.#phys.page(pfn)
    if (typeof page === 'string') return page
    if (this.#tlb.size >= TLB_PAGES) this.#tlb.clear()
    this.#tlb.set(base, page)
    return page
  }

  /** Can this byte be read? */
  readable(va: Va): boolean {
    return typeof this.pageOf(va) !== 'string'
  }

  /** Physical address of a byte, whether or not its page is in the dump; undefined when it is not mapped. */
  physical(va: Va): number | undefined {
    const pfn = this.#translator.frame(va)
    return typeof pfn === 'number' ? pfn * PAGE + (va & 0xfff) : undefined
  }

  #turnTo(va: Va, size: number): void {
    const page = this.pageOf(va)
    if (typeof page === 'string') throw fault(va, size, page)
    this.#base = Math.floor(va / PAGE) * PAGE
    this.#page = page
  }

  #straddling(va: Va, size: number): number {
    const bytes = this.read(va, size)
    let value = 0
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[i] as number)
    return value
  }

  #straddling64(va: Va): bigint {
    const bytes = this.read(va, 8)
    return (BigInt(read32(bytes, 4)) << 32n) | BigInt(read32(bytes, 0))
  }
}

function fault(va: Va, size: number, reason: FaultReason): FaultError {
  return new FaultError(Number.isFinite(va) ? toAddr(va) : NULL, size, reason)
}

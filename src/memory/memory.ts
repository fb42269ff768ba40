/**
 * What both sides agree on: a virtual address space read (and, by the simulator, written) in C's sizes.
 * The inspector's implementation translates through a dump's page tables, the simulator's owns the bytes.
 */

import type { Va } from '../base/addr.ts'

/** A little-endian virtual address space. Every method throws FaultError where memory cannot be read. */
export interface Memory {
  readonly wordSize: 4 | 8
  u8(va: Va): number
  u16(va: Va): number
  u32(va: Va): number
  u64(va: Va): bigint
  /** `unsigned long`: four or eight bytes. */
  word(va: Va): bigint
  /** A pointer as a {@link Va}: 0 for NULL, NaN when it is not canonical (then `word` has its bits). */
  pointer(va: Va): Va
  /** A copy of `size` bytes. */
  read(va: Va, size: number): Uint8Array
}

/** Where a stored value came from: the column that `why` follows backwards. */
export const enum SourceKind {
  /** computed, or a constant of the kernel */
  None = 0,
  /** copied from guest memory; `at` is its {@link Va} */
  Memory = 1,
  /** a byte of a frame on the wire; `at` is frame number * 65536 + offset */
  Packet = 2,
  /** an argument of a system call; `at` is the argument's index */
  Syscall = 3,
  /** the scenario file or the machine it describes; `at` is a step */
  Scenario = 4,
}

/** A memory that keeps a journal of its stores. */
export interface WritableMemory extends Memory {
  setU8(va: Va, value: number, kind?: SourceKind, at?: number): void
  setU16(va: Va, value: number, kind?: SourceKind, at?: number): void
  setU32(va: Va, value: number, kind?: SourceKind, at?: number): void
  setU64(va: Va, value: bigint, kind?: SourceKind, at?: number): void
  setWord(va: Va, value: bigint, kind?: SourceKind, at?: number): void
  setPointer(va: Va, target: Va, kind?: SourceKind, at?: number): void
  write(va: Va, bytes: Uint8Array, kind?: SourceKind, at?: number): void
  fill(va: Va, byte: number, size: number): void
  /** memcpy within guest memory; the journal records the source. */
  copy(to: Va, from: Va, size: number): void
}

/** A value that remembers the memory, packet or argument it was read from, so that storing it can say so. */
export class Sourced<T extends number | bigint = number | bigint> {
  readonly value: T
  readonly kind: SourceKind
  readonly at: number
  constructor(value: T, kind: SourceKind, at: number) {
    this.value = value
    this.kind = kind
    this.at = at
  }
  /** The same origin after a conversion such as `ntohs`. */
  map<U extends number | bigint>(f: (value: T) => U): Sourced<U> {
    return new Sourced(f(this.value), this.kind, this.at)
  }
}

/** Physical memory by page: what a dump's container gives. */
export interface PhysicalMemory {
  readonly pageSize: number
  /**
   * The 4096 bytes of a page frame, not to be modified; a reason when it has none: `excluded` (known to the
   * dump, left out) or `missing` (no such memory).
   */
  page(pfn: number): Uint8Array | 'excluded' | 'missing'
}

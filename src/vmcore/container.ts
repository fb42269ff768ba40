/**
 * What every dump format gives: physical pages on demand, the VMCOREINFO text, the ELF notes; our own format
 * gives history besides.
 */

import type { PhysicalMemory } from '../memory/memory.ts'

/** Every format keeps pages of 4096 bytes. */
export const PAGE_SIZE = 4096
export const PAGE_SHIFT = 12

/** One ELF note. */
export interface Note {
  readonly name: string
  readonly type: number
  readonly desc: Uint8Array
}

/** Page frames `startPfn <= pfn < endPfn` that a dump has, or knows it left out. */
export interface PfnRange {
  readonly startPfn: number
  readonly endPfn: number
}

/** Work done so far; tests assert it, `--verbose` shows it. */
export interface ContainerStats {
  /** pages fetched from the file, not those served by the cache */
  pagesRead: number
  bytesRead: number
}

/** A named instant of a dump. */
export interface SnapshotInfo {
  readonly name: string
  /** the scenario's step after which it was taken */
  readonly step: number
  /** virtual time in nanoseconds */
  readonly timeNs: bigint
}

/** What a `.cdump` holds beyond one memory. */
export interface History {
  readonly header: Readonly<Record<string, unknown>>
  readonly snapshots: readonly SnapshotInfo[]
  memoryAt(index: number): PhysicalMemory
  readonly sectionNames: readonly string[]
  /** The bytes of a named section, read and verified now; undefined when there is none. */
  section(name: string): Uint8Array | undefined
}

/** An opened dump file. */
export interface Container {
  /** `cdump`, `elf`, `kdump`, with `, flattened` after it for a makedumpfile stream */
  readonly format: string
  readonly path: string
  /** the machine's memory; of a dump with history, that of its last snapshot */
  readonly memory: PhysicalMemory
  readonly ranges: readonly PfnRange[]
  readonly notes: readonly Note[]
  readonly vmcoreinfo: string | undefined
  /** bytes of a pointer as the container knows it; undefined where it does not say */
  readonly wordSize: 4 | 8 | undefined
  readonly history: History | undefined
  /** where the container's headers say the kernel's image was loaded: physical minus link address */
  readonly physBase?: number | undefined
  /** how many pages of the machine's memory the dump says it left out; absent where it cannot say */
  readonly excludedPages?: number | undefined
  /** of one part of a split dump, the page frames it holds */
  readonly part?: PfnRange | undefined
  /** what is wrong with the file without making it unreadable: one line each */
  readonly warnings: readonly string[]
  readonly stats: ContainerStats
  close(): void
}

/** A reader of one format: gives `undefined` for a file of another. */
export interface Format {
  readonly name: string
  probe(source: ByteSource): Container | undefined
}

/** A file, or what looks like one: positions are exact numbers up to 2^53. */
export interface ByteSource {
  readonly path: string
  readonly size: number
  /** what the source is itself wrapped in, for the format's name */
  readonly wrapping?: string
  /**
   * Exactly `length` bytes from `offset`, in a fresh array.
   * @throws DumpError TRUNCATED where the file ends earlier, UNREADABLE when the system refuses
   */
  read(offset: number, length: number): Uint8Array
  close(): void
}

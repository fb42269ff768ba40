/** x86 page tables read from physical memory: four and five levels, i386 with and without PAE. */

import type { FaultReason } from '../base/errors.ts'
import { windowNumber, type Va } from '../base/addr.ts'
import { read32 } from '../base/u32.ts'
import type { PhysicalMemory } from '../memory/memory.ts'

export type PagingMode = 'x86_64' | 'x86_64-la57' | 'i386' | 'i386-pae'
export type LevelName = 'PGD' | 'P4D' | 'PUD' | 'PMD' | 'PTE'

/** One entry looked at, as `vtop` prints it. */
export interface WalkEntry {
  readonly level: LevelName
  /** physical address of the entry */
  readonly entryAddr: number
  readonly value: bigint
}

/** A translation with everything seen on the way. */
export interface Walk {
  readonly entries: readonly WalkEntry[]
  /** physical address of the byte; undefined when there is none */
  readonly phys: number | undefined
  /** bytes mapped by the last entry: 4 KiB, 2 MiB, 4 MiB or 1 GiB */
  readonly pageSize: number
  /** why there is no physical address */
  readonly reason: FaultReason | undefined
}

interface Level {
  readonly name: LevelName
  readonly shift: number
  readonly entries: number
  /** may bit 7 make this entry a leaf? */
  readonly leaf: boolean
}

interface Mode {
  readonly levels: readonly Level[]
  readonly entrySize: 4 | 8
  /** an address is canonical in [-limit, limit), or [0, limit) for 32 bits */
  readonly limit: number
}

const level = (name: LevelName, shift: number, entries = 512, leaf = false): Level => ({
  name,
  shift,
  entries,
  leaf,
})
const LOWER = [level('PUD', 30, 512, true), level('PMD', 21, 512, true), level('PTE', 12)]

const MODES: Readonly<Record<PagingMode, Mode>> = {
  x86_64: { levels: [level('PGD', 39), ...LOWER], entrySize: 8, limit: 2 ** 47 },
  'x86_64-la57': { levels: [level('PGD', 48), level('P4D', 39), ...LOWER], entrySize: 8, limit: 2 ** 56 },
  i386: { levels: [level('PGD', 22, 1024, true), level('PTE', 12, 1024)], entrySize: 4, limit: 2 ** 32 },
  'i386-pae': {
    levels: [level('PGD', 30, 4), level('PMD', 21, 512, true), level('PTE', 12)],
    entrySize: 8,
    limit: 2 ** 32,
  },
}

const TWO_32 = 0x1_0000_0000
const PAGE = 4096
/** Beyond this an address needs five levels. */
const FAR = 2 ** 47
const PRESENT = 1
const PSE = 1 << 7
const PROTNONE = 1 << 8

/** The tables under one root. Holds no copies: every walk reads the physical pages anew (they are cached). */
export class PageTable {
  readonly mode: PagingMode
  /** physical address of the top table */
  readonly root: number
  readonly #phys: PhysicalMemory
  readonly #mode: Mode
  /** upper 32 bits kept of an entry: 52 physical bits, without the memory-encryption bit */
  readonly #highMask: number

  constructor(phys: PhysicalMemory, root: number, mode: PagingMode, smeMask = 0) {
    this.#phys = phys
    this.root = root
    this.mode = mode
    this.#mode = MODES[mode]
    this.#highMask = 0xfffff & ~Math.floor(smeMask / TWO_32)
  }

  /** The page frame of `va`, or why it has none. */
  frame(va: Va): number | FaultReason {
    const phys = this.#translate(va, undefined)
    return typeof phys === 'number' ? Math.floor(phys / PAGE) : phys
  }

  /** Translate and tell every entry visited. */
  walk(va: Va): Walk {
    const entries: WalkEntry[] = []
    const result = this.#translate(va, entries)
    const last = this.#mode.levels[entries.length - 1]
    const pageSize = last && typeof result === 'number' ? 2 ** last.shift : PAGE
    return typeof result === 'number'
      ? { entries, phys: result, pageSize, reason: undefined }
      : { entries, phys: undefined, pageSize, reason: result }
  }

  #translate(va: Va, seen: WalkEntry[] | undefined): number | FaultReason {
    const { levels, entrySize, limit } = this.#mode
    if (!(va < limit && va >= (entrySize === 8 && limit > TWO_32 ? -limit : 0))) return 'non-canonical'
    const isFar = this.mode === 'x86_64-la57' && (va >= FAR || va < -FAR)
    const window = isFar ? windowNumber(va) : 0
    if (window >= 512 || window < -512) return 'non-canonical'
    let table = this.root
    for (const { name, shift, entries, leaf } of levels) {
      // The number of an address beyond 47 bits tells only the lower ones: see base/windows.ts.
      const upper = isFar && shift >= 39
      const index = (upper ? farIndex(va, window, shift) : Math.floor(va / 2 ** shift)) & (entries - 1)
      const at = table + index * entrySize
      const page = this.#phys.page(Math.floor(at / PAGE))
      if (typeof page === 'string') return page
      const low = read32(page, at % PAGE)
      const high = entrySize === 8 ? read32(page, (at % PAGE) + 4) : 0
      seen?.push({ level: name, entryAddr: at, value: (BigInt(high) << 32n) | BigInt(low) })

      const last = name === 'PTE' || (leaf && (low & PSE) !== 0)
      if ((low & PRESENT) === 0) {
        // A page made inaccessible (mprotect, NUMA hinting) still has its frame, with the bits inverted.
        if ((low & PROTNONE) === 0 || !last || entrySize === 4) return 'unmapped'
        return this.#leaf(~low >>> 0, ~high >>> 0, shift, va)
      }
      if (last) return this.#leaf(low, high, shift, va)
      table = this.#physOf(low, high)
    }
    return 'unmapped'
  }

  #physOf(low: number, high: number): number {
    return (high & this.#highMask) * TWO_32 + ((low & 0xfffff000) >>> 0)
  }

  #leaf(low: number, high: number, shift: number, va: Va): number {
    const size = 2 ** shift
    // In a large leaf bit 12 is PAT, and the bits up to the page size are no address.
    const base = Math.floor(this.#physOf(low, high) / size) * size
    return base + (va - Math.floor(va / size) * size)
  }
}

/** Bits 39 to 47, or from 48 up, of an address in this window. */
function farIndex(va: Va, window: number, shift: number): number {
  return shift === 48 ? window >> 1 : (Math.floor(va / 2 ** shift) & 0xff) | ((window & 1) << 8)
}

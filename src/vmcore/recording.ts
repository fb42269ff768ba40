/** A container that notes which page frames are asked for, and for which reason first. */

import type { PhysicalMemory } from '../memory/memory.ts'
import type { Container } from './container.ts'

/** What was read while one reason was given. */
export interface ReasonPages {
  readonly reason: string
  /** page frames nobody had read before */
  readonly pfns: number[]
}

export class PageRecorder implements PhysicalMemory {
  readonly pageSize: number
  readonly #memory: PhysicalMemory
  readonly #seen = new Set<number>()
  readonly #reasons: ReasonPages[] = []
  /** page frames asked for that the dump does not have, and why */
  readonly absent = new Map<number, 'excluded' | 'missing'>()

  constructor(memory: PhysicalMemory, reason: string) {
    this.pageSize = memory.pageSize
    this.#memory = memory
    this.because(reason)
  }

  /** What is read from now on is read for this. */
  because(reason: string): void {
    this.#reasons.push({ reason, pfns: [] })
  }

  get reasons(): readonly ReasonPages[] {
    return this.#reasons
  }

  page(pfn: number): Uint8Array | 'excluded' | 'missing' {
    const page = this.#memory.page(pfn)
    if (typeof page === 'string') this.absent.set(pfn, page)
    else if (!this.#seen.has(pfn)) {
      this.#seen.add(pfn)
      this.#reasons.at(-1)?.pfns.push(pfn)
    }
    return page
  }

  /** The page frames read, ascending. */
  pfns(): number[] {
    return [...this.#seen].sort((a, b) => a - b)
  }
}

/** The same dump, one memory of it, its pages through the recorder. */
export function recorded(container: Container, memory: PhysicalMemory, vmcoreinfo: string): Container {
  return {
    format: container.format,
    path: container.path,
    memory,
    ranges: container.ranges,
    notes: container.notes,
    vmcoreinfo,
    wordSize: container.wordSize,
    history: undefined,
    warnings: container.warnings,
    stats: container.stats,
    close: () => container.close(),
  }
}

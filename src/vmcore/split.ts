/** A split dump set: several files that makedumpfile `--split` wrote, read as the one dump they are. */

import { DumpError } from '../base/errors.ts'
import type { PhysicalMemory } from '../memory/memory.ts'
import { PAGE_SIZE, type Container, type ContainerStats, type Note, type PfnRange } from './container.ts'

/** More parts than anyone makes. */
const MAX_PARTS = 256

/**
 * Put the opened parts of one dump together, whatever their order; the result closes them.
 *
 * @throws DumpError BAD_FORMAT when a file is no part, when two hold the same pages, or when they are of several dumps
 */
export function joinParts(containers: readonly Container[]): Container {
  const first = containers[0]
  if (first !== undefined && containers.length > MAX_PARTS)
    throw new DumpError('BAD_FORMAT', first.path, -1, `${containers.length} parts of one dump`)
  const parts = containers.map(partOf).sort((a, b) => a.range.startPfn - b.range.startPfn)
  for (const [i, { container, range }] of parts.entries()) {
    const previous = parts[i - 1]
    if (previous === undefined) continue
    if (!sameDump(previous.container, container))
      throw new DumpError(
        'BAD_FORMAT',
        container.path,
        -1,
        `not of the same dump as ${previous.container.path}`,
      )
    if (range.startPfn < previous.range.endPfn)
      throw new DumpError('BAD_FORMAT', container.path, -1, `the same pages as in ${previous.container.path}`)
  }
  return new SplitContainer(parts)
}

interface Part {
  readonly container: Container
  readonly range: PfnRange
}

function partOf(container: Container): Part {
  if (container.part === undefined)
    throw new DumpError('BAD_FORMAT', container.path, -1, 'not one part of a split dump')
  return { container, range: container.part }
}

/** Each part has the whole dump's bitmap. */
function sameDump(a: Container, b: Container): boolean {
  const flat = (ranges: readonly PfnRange[]): string => ranges.map((r) => `${r.startPfn}-${r.endPfn}`).join()
  return a.wordSize === b.wordSize && flat(a.ranges) === flat(b.ranges)
}

class SplitContainer implements Container {
  readonly format: string
  readonly path: string
  readonly memory: PhysicalMemory
  readonly ranges: readonly PfnRange[]
  readonly notes: readonly Note[]
  readonly vmcoreinfo: string | undefined
  readonly wordSize: 4 | 8 | undefined
  readonly history = undefined
  readonly warnings: readonly string[]
  readonly #parts: readonly Part[]

  constructor(parts: readonly Part[]) {
    const containers = parts.map((p) => p.container)
    const [first] = containers as [Container]
    this.#parts = parts
    this.format = `${first.format}, split`
    this.path = first.path
    this.ranges = first.ranges
    this.notes = containers.find((c) => c.notes.length > 0)?.notes ?? []
    this.vmcoreinfo = containers.find((c) => c.vmcoreinfo !== undefined)?.vmcoreinfo
    this.wordSize = first.wordSize
    this.memory = {
      pageSize: PAGE_SIZE,
      page: (pfn) => (this.#holding(pfn) ?? first).memory.page(pfn),
    }
    this.warnings = [
      ...containers.flatMap((c) => c.warnings.filter((w) => !w.includes('one part of a split dump'))),
      ...gaps(parts),
    ]
  }

  get stats(): ContainerStats {
    const total = { pagesRead: 0, bytesRead: 0 }
    for (const { container } of this.#parts) {
      total.pagesRead += container.stats.pagesRead
      total.bytesRead += container.stats.bytesRead
    }
    return total
  }

  get excludedPages(): number | undefined {
    return this.#parts[0]?.container.excludedPages
  }

  close(): void {
    for (const { container } of this.#parts) container.close()
  }

  #holding(pfn: number): Container | undefined {
    return this.#parts.find(({ range }) => pfn >= range.startPfn && pfn < range.endPfn)?.container
  }
}

/** One line for each run of page frames the machine had that no part holds. */
function gaps(parts: readonly Part[]): string[] {
  const [first] = parts as [Part]
  const endPfn = first.container.ranges.at(-1)?.endPfn ?? 0
  const lines: string[] = []
  let next = first.container.ranges[0]?.startPfn ?? 0
  for (const { range } of [...parts, { range: { startPfn: endPfn, endPfn } }]) {
    if (range.startPfn > next)
      lines.push(`${first.container.path}: page frames ${next} to ${range.startPfn - 1} are in no part given`)
    next = Math.max(next, range.endPfn)
  }
  return lines
}

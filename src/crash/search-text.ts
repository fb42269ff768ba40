/** `search`: the parts of memory it looks through, and what it prints of a hit. */

import { addr, hex, type Va } from '../base/addr.ts'
import { for_each_vma, vma_range } from '../helpers/mm.ts'
import {
  linear_pages,
  mapped_pages,
  search_pages,
  type FoundHit,
  type LinearRange,
  type Pattern,
  type SearchPage,
} from '../helpers/memory-search.ts'
import { vmalloc_ranges } from '../helpers/vmalloc.ts'
import { task_stack, thread_size } from '../helpers/stack.ts'
import type { TaskContext } from '../helpers/tasks.ts'
import { START_KERNEL_MAP } from '../target/address-space.ts'
import type { Walk } from '../target/page-table.ts'
import type { Target } from '../target/target.ts'
import type { VirtualMemory } from '../target/virtual-memory.ts'

const PAGE_SIZE = 4096
/** Characters shown from where text was found. */
const TEXT_SHOWN = 56

/** A value or text looked for, and the words it was given in where they are not the number itself. */
export type Wanted = Pattern & { readonly label?: string }

/** A hit in `search --json`. */
export interface SearchRow {
  readonly address: bigint
  /** the word found */
  readonly value?: bigint
  /** the text found and what follows in its page */
  readonly text?: string
  /** pid of the task in whose stack it is */
  readonly pid?: number
}

/** The page frames a search would have looked at, were they in the dump: each counts once. */
export class LeftOut {
  readonly #frames = new Set<number>()
  readonly add = (pfn: number): void => void this.#frames.add(pfn)

  /** One line; undefined when nothing was left out. */
  get remark(): string | undefined {
    const { size } = this.#frames
    if (size === 0) return undefined
    return `${size} ${size === 1 ? 'page is' : 'pages are'} not in the dump and ${size === 1 ? 'was' : 'were'} not searched`
  }
}

/** Inclusive start, exclusive end. */
export interface Bounds {
  readonly start: Va
  readonly end: Va
}

export type KernelPart = 'unity' | 'vmalloc' | 'image'

/** The kernel's memory in the order it is looked through. */
export function* kernelPages(
  target: Target,
  parts: readonly KernelPart[],
  bounds: Bounds,
  left: LeftOut = new LeftOut(),
): Generator<SearchPage> {
  const linear = (range: LinearRange): Generator<SearchPage> => {
    const start = Math.max(range.start, bounds.start)
    const size = Math.min(range.start + range.size, bounds.end) - start
    const phys = range.phys + start - range.start
    return linear_pages(target.phys, target.container.ranges, { start, phys, size }, left.add)
  }
  if (parts.includes('unity')) yield* linear(unityMap(target))
  if (parts.includes('vmalloc')) {
    for (const { start, end } of vmalloc_ranges(target))
      yield* virtualPages(target, target.mem, target.space.table, clip({ start, end }, bounds), left)
  }
  if (parts.includes('image') && target.wordSize === 8) yield* linear(imageMap(target))
}

/** The direct map, up to the end of memory. */
function unityMap(target: Target): LinearRange {
  const symbol = target.symbols.findKernel('high_memory')
  const end = symbol === undefined ? NaN : target.mem.pointer(symbol.va)
  const size = end > target.pageOffset ? end - target.pageOffset : 2 ** 46
  return { start: target.pageOffset, phys: 0, size }
}

/** From where the kernel's image could begin to where it ends. */
function imageMap(target: Target): LinearRange {
  const end = target.symbols.findKernel('_end')?.va ?? START_KERNEL_MAP
  return { start: START_KERNEL_MAP, phys: target.physBase, size: end - START_KERNEL_MAP }
}

/** A task's own memory, VMA by VMA. */
export function* userPages(
  target: Target,
  { task }: TaskContext,
  bounds: Bounds,
  left: LeftOut = new LeftOut(),
): Generator<SearchPage> {
  const mm = task.$ref('mm')
  if (mm === null) return
  const memory = target.memoryOf(mm)
  for (const vma of for_each_vma(mm))
    yield* virtualPages(target, memory, memory.table, clip(vma_range(vma), bounds), left)
}

/** A task's kernel stack. */
export function stackPages(target: Target, { task }: TaskContext): Generator<SearchPage> {
  const start = task_stack(task)
  const end = start === 0 || Number.isNaN(start) ? start : start + thread_size(target)
  return virtualPages(target, target.mem, target.space.table, { start, end })
}

/** Physical memory, by physical address. */
export function physicalPages(
  target: Target,
  { start, end }: Bounds,
  left: LeftOut = new LeftOut(),
): Generator<SearchPage> {
  const from = Math.max(0, start)
  const size = Math.min(end, 2 ** 52) - from
  return linear_pages(target.phys, target.container.ranges, { start: from, phys: from, size }, left.add)
}

const clip = (range: Bounds, bounds: Bounds): Bounds => ({
  start: Math.max(range.start, bounds.start),
  end: Math.min(range.end, bounds.end),
})

function virtualPages(
  target: Target,
  memory: VirtualMemory,
  table: { walk(va: Va): Walk },
  { start, end }: Bounds,
  left: LeftOut = new LeftOut(),
): Generator<SearchPage> {
  const page = (va: Va): Uint8Array | number => {
    const bytes = memory.pageOf(va)
    if (typeof bytes !== 'string') return bytes
    if (bytes === 'excluded') left.add(Math.floor((table.walk(va).phys ?? va) / PAGE_SIZE))
    if (bytes !== 'unmapped' || target.space.mode !== 'x86_64') return PAGE_SIZE
    // an empty entry leaves all that it could have mapped empty
    return 2 ** (39 - 9 * (table.walk(va).entries.length - 1))
  }
  return mapped_pages(page, start, end)
}

/** Hits within the bounds; the rows and lines of them. */
export function* hitsIn(
  pages: Iterable<SearchPage>,
  wanted: readonly Wanted[],
  bounds?: { readonly start: bigint; readonly end: bigint },
): Generator<{ row: SearchRow; line: string }> {
  for (const hit of search_pages(pages, wanted)) {
    if (bounds !== undefined && (hit.at < bounds.start || hit.at >= bounds.end)) continue
    yield hit.found === undefined ? textHit(hit) : wordHit(hit, hit.found, wanted[hit.pattern]?.label)
  }
}

function wordHit({ at }: FoundHit, value: bigint, label = ''): { row: SearchRow; line: string } {
  return { row: { address: at, value }, line: `${hex(at)}: ${hex(value)} ${label}\n` }
}

function textHit({ at, page }: FoundHit): { row: SearchRow; line: string } {
  const from = Number(addr(at - page.at))
  const bytes = page.bytes.subarray(from, from + TEXT_SHOWN)
  const text = Array.from(bytes, (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('')
  return { row: { address: at, text }, line: `${hex(at)}: ${text}\n` }
}

/**
 * Finds an x86-64 kernel's image and top page table by what they look like: the last entry of the top table leads to
 * one whose entry 510 maps the image, in one run of 2 MiB pages; the kernel's own top table lies inside that image.
 */

import type { Va } from '../base/addr.ts'
import { read32 } from '../base/u32.ts'
import type { PhysicalMemory } from '../memory/memory.ts'
import { START_KERNEL_MAP } from './address-space.ts'

const PAGE = 4096
const ENTRIES = 512
const LARGE = 2 << 20
const PRESENT = 1
const PSE = 1 << 7
/** Where `__START_KERNEL_map` lies in the tables. */
const LAST = 511
const IMAGE = 510
/** Runs of fewer large pages are not a kernel. */
const MIN_RUN = 4
/** Top tables remembered: every process has one that maps the kernel. */
const MAX_ROOTS = 1 << 16

export interface FoundImage {
  /** physical address of the top page table */
  readonly root: number
  readonly levels: 4 | 5
  /** address of the first byte of the image: `_text`, which is also `_stext` */
  readonly text: Va
  /** physical address minus link address */
  readonly physBase: number
}

/** A table whose last entry leads to an image. */
interface Root {
  readonly at: number
  readonly image: Image
}

interface Image {
  readonly text: Va
  /** where its last 2 MiB end */
  readonly end: Va
  readonly physBase: number
}

export class ImageFinder {
  readonly #memory: PhysicalMemory
  readonly #roots: Root[] = []
  /** tables by what their last entry leads to: with five levels the top table leads to one that looks like a top table */
  readonly #above = new Map<number, number[]>()
  #aboveCount = 0
  /** what second tables map, by their address */
  readonly #images = new Map<number, Image | undefined>()

  constructor(memory: PhysicalMemory) {
    this.#memory = memory
  }

  /** Look at a page of physical memory. */
  see(pfn: number, page: Uint8Array): void {
    const next = tableAt(page, LAST)
    if (next === undefined) return
    const at = pfn * PAGE
    const image = this.#imageOf(next)
    if (image !== undefined && this.#roots.length < MAX_ROOTS) this.#roots.push({ at, image })
    if (this.#aboveCount >= MAX_ROOTS) return
    const above = this.#above.get(next)
    if (above === undefined) this.#above.set(next, [at])
    else above.push(at)
    this.#aboveCount++
  }

  /** The table inside its own image that maps most of the kernel's half. */
  found(): FoundImage | undefined {
    let best: (FoundImage & { readonly entries: number }) | undefined
    for (const { at, image } of this.#roots) {
      if (!isInside(at, image)) continue
      const top = this.#above.get(at)?.find((above) => above !== at && isInside(above, image))
      const root = top ?? at
      const entries = this.#kernelEntries(root)
      if (entries > (best?.entries ?? 0))
        best = { root, levels: top === undefined ? 4 : 5, entries, ...image }
    }
    return best
  }

  #kernelEntries(root: number): number {
    const page = this.#memory.page(root / PAGE)
    if (typeof page === 'string') return 0
    let count = 0
    for (let i = ENTRIES / 2; i < ENTRIES; i++) if (((page[i * 8] as number) & PRESENT) !== 0) count++
    return count
  }

  /** What the table of the last 512 GiB maps at `__START_KERNEL_map`. */
  #imageOf(upper: number): Image | undefined {
    if (this.#images.has(upper)) return this.#images.get(upper)
    const image = this.#readImage(upper)
    if (this.#images.size < MAX_ROOTS) this.#images.set(upper, image)
    return image
  }

  #readImage(upper: number): Image | undefined {
    const second = this.#memory.page(upper / PAGE)
    const third = typeof second === 'string' ? undefined : tableAt(second, IMAGE)
    const table = third === undefined ? 'missing' : this.#memory.page(third / PAGE)
    if (typeof table === 'string') return undefined
    const physOf = (index: number): number | undefined => this.#large(table, index)
    let first = 0
    while (first < ENTRIES && physOf(first) === undefined) first++
    const start = physOf(first)
    if (start === undefined) return undefined
    let run = 1
    while (first + run < ENTRIES && physOf(first + run) === start + run * LARGE) run++
    if (run < MIN_RUN) return undefined
    let end = ENTRIES
    while (physOf(end - 1) === undefined) end--
    const [text, to] = [first, end].map((index) => START_KERNEL_MAP + index * LARGE) as [Va, Va]
    return { text, end: to, physBase: start - first * LARGE }
  }

  /** Physical address that a middle table's entry maps: a large page, or a table whose first entry begins one. */
  #large(table: Uint8Array, index: number): number | undefined {
    const low = read32(table, index * 8)
    if ((low & PRESENT) === 0) return undefined
    const phys = physical(table, index)
    if ((low & PSE) !== 0) return phys - (phys % LARGE)
    const pages = this.#memory.page(phys / PAGE)
    if (typeof pages === 'string' || (read32(pages, 0) & PRESENT) === 0) return undefined
    const first = physical(pages, 0)
    return first % LARGE === 0 ? first : undefined
  }
}

function isInside(phys: number, { text, end, physBase }: Image): boolean {
  const va = START_KERNEL_MAP + phys - physBase
  return va >= text && va < end
}

/** Physical address of the table an entry leads to; undefined when it leads to none. */
function tableAt(page: Uint8Array, index: number): number | undefined {
  const low = read32(page, index * 8)
  if ((low & PRESENT) === 0 || (low & PSE) !== 0) return undefined
  // no bits above 52 but NX, and no table at 0
  const high = read32(page, index * 8 + 4)
  if ((high & 0x7ff0_0000) >>> 0 !== 0) return undefined
  return physical(page, index) || undefined
}

function physical(page: Uint8Array, index: number): number {
  return (read32(page, index * 8 + 4) & 0xfffff) * 2 ** 32 + ((read32(page, index * 8) & 0xffff_f000) >>> 0)
}

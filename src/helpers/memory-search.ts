/** Finding values and text in memory: the ranges of an address space page by page, and what of each matches. */

import { addr, type Va } from '../base/addr.ts'
import type { PhysicalMemory } from '../memory/memory.ts'

const PAGE_SIZE = 4096

/** A page of an address space and where it stands there. */
export interface SearchPage {
  readonly at: bigint
  readonly bytes: Uint8Array
}

/** What is looked for: words of a size, each with the bits that count, or text. */
export type Pattern =
  | { readonly kind: 'word'; readonly size: 2 | 4 | 8; readonly value: bigint; readonly mask: bigint }
  | { readonly kind: 'text'; readonly text: Uint8Array }

export interface Hit {
  readonly at: bigint
  /** which pattern */
  readonly pattern: number
  /** of a word: what is there, ignored bits included */
  readonly found?: bigint
}

/** A hit with the page it begins in. */
export interface FoundHit extends Hit {
  readonly page: SearchPage
}

/**
 * Where patterns occur in pages, in order of address. Words are looked for where they are aligned; text may run on
 * into the next page.
 */
export function* search_pages(
  pages: Iterable<SearchPage>,
  patterns: readonly Pattern[],
): Generator<FoundHit> {
  let before: SearchPage | undefined
  for (const page of pages) {
    const straddles = before !== undefined && before.at + BigInt(before.bytes.length) === page.at
    const hits: Hit[] = []
    patterns.forEach((pattern, i) => {
      if (pattern.kind === 'word') hits.push(...wordHits(page, pattern, i))
      else hits.push(...textHits(page, pattern.text, i))
    })
    hits.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.pattern - b.pattern))
    if (straddles && before !== undefined) yield* straddlingHits(before, page, patterns)
    for (const hit of hits) yield { ...hit, page }
    before = page
  }
}

function* wordHits(
  { at, bytes }: SearchPage,
  { size, value, mask }: Pattern & { kind: 'word' },
  pattern: number,
): Generator<Hit> {
  const all = (1n << BigInt(size * 8)) - 1n
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if ((mask & all) === all) {
    const wanted = Buffer.alloc(8)
    wanted.writeBigUInt64LE(value & all)
    const needle = wanted.subarray(0, size)
    for (let i = buffer.indexOf(needle); i >= 0; i = buffer.indexOf(needle, i + 1))
      if (i % size === 0) yield { at: addr(at + BigInt(i)), pattern, found: value & all }
    return
  }
  for (let i = 0; i + size <= buffer.length; i += size) {
    const found = size === 8 ? buffer.readBigUInt64LE(i) : BigInt(buffer.readUIntLE(i, size))
    if (((found ^ value) & mask & all) === 0n) yield { at: addr(at + BigInt(i)), pattern, found }
  }
}

function* textHits({ at, bytes }: SearchPage, text: Uint8Array, pattern: number): Generator<Hit> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let i = buffer.indexOf(text); i >= 0; i = buffer.indexOf(text, i + 1))
    yield { at: addr(at + BigInt(i)), pattern }
}

/** Text that begins in one page and ends in the next; its page is given as far as the text goes. */
function straddlingHits(one: SearchPage, next: SearchPage, patterns: readonly Pattern[]): FoundHit[] {
  const hits: FoundHit[] = []
  patterns.forEach((pattern, i) => {
    if (pattern.kind !== 'text') return
    const tail = Math.min(pattern.text.length - 1, one.bytes.length)
    const from = one.bytes.length - tail
    const end = next.bytes.subarray(0, tail)
    const bytes = Buffer.concat([one.bytes.subarray(from), end])
    for (const hit of textHits({ at: addr(one.at + BigInt(from)), bytes }, pattern.text, i))
      hits.push({ ...hit, page: { at: one.at, bytes: Buffer.concat([one.bytes, end]) } })
  })
  return hits.sort((x, y) => (x.at < y.at ? -1 : 1))
}

/** Part of an address space that shows physical memory in a row. */
export interface LinearRange {
  readonly start: Va
  /** physical address of the start; negative where memory begins only later */
  readonly phys: number
  readonly size: number
}

/**
 * The pages of physical memory that are in the dump, `range.start` on; page frames of `ranges` only.
 * @param excluded told of each that the dump left out
 */
export function* linear_pages(
  memory: PhysicalMemory,
  ranges: readonly { readonly startPfn: number; readonly endPfn: number }[],
  { start, phys, size }: LinearRange,
  excluded: (pfn: number) => void = () => undefined,
): Generator<SearchPage> {
  const first = Math.max(0, Math.floor(phys / PAGE_SIZE))
  const end = Math.ceil((phys + size) / PAGE_SIZE)
  for (const { startPfn, endPfn } of ranges) {
    for (let pfn = Math.max(first, startPfn); pfn < Math.min(end, endPfn); pfn++) {
      const bytes = memory.page(pfn)
      if (typeof bytes !== 'string') yield { at: addr(start + pfn * PAGE_SIZE - phys), bytes }
      else if (bytes === 'excluded') excluded(pfn)
    }
  }
}

/** Pages looked at in one range: more can only come of tables that lead to themselves. */
const PAGES_MAX = 2 ** 26

/**
 * The mapped pages of a virtual range that are in the dump.
 *
 * @param page gives, for an address without a page, how many bytes are surely without one as well
 */
export function* mapped_pages(
  page: (va: Va) => Uint8Array | number,
  start: Va,
  end: Va,
): Generator<SearchPage> {
  let va = Math.floor(start / PAGE_SIZE) * PAGE_SIZE
  for (let looked = 0; va < end && looked < PAGES_MAX; looked++) {
    const bytes = page(va)
    if (typeof bytes === 'number') {
      va = (Math.floor(va / bytes) + 1) * bytes
      continue
    }
    yield { at: addr(va), bytes }
    va += PAGE_SIZE
  }
}

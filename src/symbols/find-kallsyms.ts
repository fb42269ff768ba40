/**
 * Finds the kernel's symbol table where nothing says where it is: by the form of its parts. The index of the 256
 * tokens is an ascending row of small numbers, the tokens stand before it, the markers ascend from zero before those,
 * and before the names stands how many there are.
 *
 * @see scripts/kallsyms.c:write_src
 */

import type { Va } from '../base/addr.ts'
import { FaultError, ValidationError } from '../base/errors.ts'
import type { Memory } from '../memory/memory.ts'
import { Kallsyms, type KallsymsTables } from './kallsyms.ts'

const PAGE = 4096
const INDEX_SIZE = 512
/** Tokens are short: the table of 256 is about a kilobyte, in all kernels. */
const MAX_TABLE = 16384
/** Between markers and tokens stand at most three bytes for each symbol. */
const MAX_BEFORE_TOKENS = 3 << 22
/** Tokens of the names between two markers. */
const MAX_BLOCK = 256 * 512
const MARKER_EVERY = 256
/** Places looked at before giving up: a thousand times what a real image needs, seconds in a hostile one. */
const MAX_WORK = 1 << 27

/** What is left of {@link MAX_WORK}. */
interface Work {
  left: number
}

/** Memory that can be looked at page by page. */
export interface PagedMemory extends Memory {
  pageOf(va: Va): Uint8Array | string
}

/**
 * @param from where the image begins; what it maps is looked through up to `to`
 * @param stext address of `_stext`, which the table must give again
 * @returns undefined when there is none
 */
export function findKallsyms(
  mem: PagedMemory,
  from: Va,
  to: Va,
  stext: Va | undefined,
): Kallsyms | undefined {
  const work = { left: MAX_WORK }
  for (const index of tokenIndexes(mem, from, to)) {
    const tokens = tokenTable(mem, index)
    work.left -= MAX_TABLE
    if (tokens === undefined) continue
    for (const markers of markerTables(mem, tokens, from, work))
      for (const names of nameTables(mem, markers, from, work)) {
        // an attempt reads the markers and samples of the names
        work.left -= 1 << 16
        const found = accepted(mem, names, tokens, index, stext)
        if (found !== undefined) return found
      }
    if (work.left <= 0) return undefined
  }
  return undefined
}

/** Positions where 256 numbers of two bytes ascend from zero in small steps. */
function* tokenIndexes(mem: PagedMemory, from: Va, to: Va): Generator<Va> {
  for (let base = Math.floor(from / PAGE) * PAGE; base < to; base += PAGE) {
    const page = mem.pageOf(base)
    if (typeof page === 'string') continue
    const halves = new Uint16Array(page.buffer, page.byteOffset, PAGE / 2)
    for (let i = 0; i < halves.length; i += 2) {
      if (
        halves[i] !== 0 ||
        !isStep(halves[i + 1] ?? 2) ||
        !isStep((halves[i + 2] ?? 4) - (halves[i + 1] ?? 2))
      )
        continue
      const at = base + i * 2
      if (at + INDEX_SIZE <= to && isTokenIndex(mem, at)) yield at
    }
  }
}

/** A token has one character at least, and its NUL. */
const isStep = (n: number): boolean => n >= 1 && n <= 64

function isTokenIndex(mem: Memory, at: Va): boolean {
  const bytes = readOr(mem, at, INDEX_SIZE)
  if (bytes === undefined) return false
  for (let i = 2, before = 0; i < INDEX_SIZE; i += 2) {
    const next = (bytes[i] as number) | ((bytes[i + 1] as number) << 8)
    if (!isStep(next - before) || next > MAX_TABLE) return false
    before = next
  }
  return true
}

/** The tokens right before their index: each ends where the next begins, and the letters names are made of stand for themselves. */
function tokenTable(mem: Memory, index: Va): Va | undefined {
  const last = mem.u16(index + 510)
  for (let size = last + 2; size <= last + 80; size++) {
    const start = index - size
    if (start % 4 !== 0) continue
    const bytes = readOr(mem, start, size)
    if (bytes === undefined) continue
    const fits = Array.from({ length: 255 }, (_, i) => bytes[mem.u16(index + 2 * i + 2) - 1] === 0).every(
      Boolean,
    )
    const isItself = (char: string): boolean => {
      const at = mem.u16(index + 2 * char.charCodeAt(0))
      return bytes[at] === char.charCodeAt(0) && bytes[at + 1] === 0
    }
    if (fits && Array.from('abcdefghiklmnoprstu_').filter(isItself).length >= 12) return start
  }
  return undefined
}

/** A row of offsets ascending from zero: one for each 256 names. */
interface Markers {
  readonly at: Va
  readonly count: number
  /** of the second block, 0 when there is but one */
  readonly second: number
  readonly last: number
}

function* markerTables(mem: Memory, tokens: Va, from: Va, work: Work): Generator<Markers> {
  const lowest = Math.max(from, tokens - MAX_BEFORE_TOKENS)
  for (let end = tokens; end > lowest;) {
    const start = Math.max(lowest, Math.floor((end - 1) / PAGE) * PAGE)
    for (let at = end - 4; at >= start; at -= 4) {
      const zero = u32Or(mem, at)
      if (zero === undefined || work.left-- <= 0) return
      if (zero !== 0) continue
      // four bytes each; eight before 4.20
      for (const width of [4, 8]) {
        const markers = markersAt(mem, at, tokens, width)
        work.left -= markers?.count ?? 1
        if (markers !== undefined) yield markers
      }
    }
    end = start
  }
}

function markersAt(mem: Memory, at: Va, tokens: Va, width: number): Markers | undefined {
  const value = (i: number): number | undefined =>
    width === 8 && u32Or(mem, at + i * 8 + 4) !== 0 ? undefined : u32Or(mem, at + i * width)
  let count = 1
  let last = 0
  for (; at + (count + 1) * width <= tokens; count++) {
    const next = value(count)
    if (next === undefined || next - last < MARKER_EVERY * 2 || next - last > MAX_BLOCK) break
    last = next
  }
  // A kernel has thousands of symbols; a short row may be chance, unless the tokens follow at once.
  const closes = tokens - (at + count * width) < 8 + 3 * MARKER_EVERY
  return count >= 4 || closes ? { at, count, second: count > 1 ? (value(1) ?? 0) : 0, last } : undefined
}

/** Where the names may begin, so that their number agrees with the markers and the second block begins as they say. */
function* nameTables(mem: Memory, markers: Markers, from: Va, work: Work): Generator<Va> {
  const nearest = markers.at - markers.last
  const furthest = Math.max(from, nearest - MAX_BLOCK)
  for (let names = Math.floor(nearest / 4) * 4; names >= furthest; names -= 4) {
    const count = u32Or(mem, names - mem.wordSize)
    if (count === undefined || work.left-- <= 0) return
    if (Math.ceil(count / MARKER_EVERY) !== markers.count) continue
    work.left -= MARKER_EVERY
    if (markers.count === 1 || skip(mem, names, markers.at) === markers.second) yield names
  }
}

/** Bytes of the first 256 names; undefined when they do not fit. */
function skip(mem: Memory, names: Va, end: Va): number | undefined {
  let at = names
  for (let i = 0; i < MARKER_EVERY && at < end; i++) {
    const length = mem.u8(at)
    at += length < 0x80 ? 1 + length : 2 + ((length & 0x7f) | (mem.u8(at + 1) << 7))
  }
  return at <= end ? at - names : undefined
}

/** The addresses stand before the number of names (until 6.3) or behind the tokens; the form that gives `_stext` is right. */
function accepted(
  mem: Memory,
  names: Va,
  tokenTableAt: Va,
  tokenIndex: Va,
  stext: Va | undefined,
): Kallsyms | undefined {
  const word = mem.wordSize
  const numSyms = names - word
  const count = mem.u32(numSyms)
  const fixed = { names, numSyms, tokenTable: tokenTableAt, tokenIndex }
  const room = alignUp(count * 4, word)
  const after = tokenIndex + INDEX_SIZE
  const forms: KallsymsTables[] = [
    { ...fixed, offsets: numSyms - word - room, relativeBase: numSyms - word },
    { ...fixed, offsets: after, relativeBase: after + room },
    { ...fixed, offsets: after },
    { ...fixed, addresses: numSyms - count * word },
    { ...fixed, addresses: after },
  ]
  for (const tables of forms) {
    try {
      const found = new Kallsyms(mem, tables, stext)
      if (isRight(found, stext)) return found
    } catch (error) {
      if (!(error instanceof ValidationError || error instanceof FaultError)) throw error
    }
  }
  return undefined
}

function isRight(found: Kallsyms, stext: Va | undefined): boolean {
  const starts = ['_stext', '_text'].flatMap((name) => found.find(name)).map((index) => found.va(index))
  return stext === undefined ? starts.length > 0 : starts.includes(stext)
}

function readOr(mem: Memory, at: Va, size: number): Uint8Array | undefined {
  try {
    return mem.read(at, size)
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}

function u32Or(mem: Memory, at: Va): number | undefined {
  try {
    return mem.u32(at)
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}

function alignUp(n: number, to: number): number {
  return Math.ceil(n / to) * to
}

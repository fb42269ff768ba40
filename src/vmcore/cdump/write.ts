/** Writes a `.cdump`. */

import { Packr } from 'msgpackr'
import { invariant } from '../../base/errors.ts'
import { PAGE_SIZE } from '../container.ts'
import { crc32 } from '../crc32.ts'
import { writeWhole, type FileWriter } from '../file-writer.ts'
import { snappyCompress } from '../snappy.ts'
import {
  encodeHead,
  encodeTable,
  GROUP_PAGES,
  HEAD_SIZE,
  SECTION,
  type CdumpHeader,
  type SectionEntry,
} from './format.ts'
import { encodePageIndex, type PageGroup } from './page-index.ts'

/** A snapshot to be written: only what differs from its parent. */
export interface SnapshotInput {
  readonly name: string
  readonly step: number
  readonly timeNs: bigint
  /** index of an earlier snapshot; null for one that stands alone (its other pages are zero) */
  readonly parent: number | null
  /** page number and its 4096 bytes, in any order, each once */
  readonly pages: Iterable<readonly [number, Uint8Array]>
}

export interface CdumpInput {
  readonly header: CdumpHeader
  readonly vmcoreinfo: string
  readonly snapshots: readonly SnapshotInput[]
  /** more of the dump, by name: journal, packets, traces, scenario text … */
  readonly sections?: ReadonlyMap<string, Uint8Array>
}

/**
 * Write a dump. The same input gives the same bytes.
 *
 * @returns the size of the file in bytes
 * @throws DumpError UNWRITABLE naming the path; nothing is left behind then
 */
export function writeCdump(path: string, input: CdumpInput): number {
  return writeWhole(path, (out) => writeTo(out, input))
}

function writeTo(out: FileWriter, input: CdumpInput): number {
  const packr = new Packr({ useRecords: false })
  const sections: SectionEntry[] = []
  const put = (name: string, bytes: Uint8Array): void => {
    sections.push({ name, offset: out.position, length: bytes.length, crc: crc32(bytes) })
    out.write(bytes)
  }
  out.write(new Uint8Array(HEAD_SIZE))
  put(SECTION.header, packr.pack(input.header))
  put(SECTION.vmcoreinfo, Buffer.from(input.vmcoreinfo, 'latin1'))
  const list = input.snapshots.map(({ name, step, timeNs, parent }) => ({ name, step, timeNs, parent }))
  put(SECTION.snapshots, packr.pack(list))
  input.snapshots.forEach((snapshot, i) => {
    invariant(snapshot.parent === null || snapshot.parent < i, `snapshot ${i} comes before its parent`)
    const memoryPages = Math.ceil(input.header.memorySize / PAGE_SIZE)
    const { index, data } = writePages(out, snapshot, memoryPages)
    sections.push({ name: SECTION.pageData(i), ...data })
    put(SECTION.pageIndex(i), index)
  })
  for (const [name, bytes] of input.sections ?? []) put(SECTION.extra(name), bytes)

  const table = encodeTable(sections)
  const tableOffset = out.position
  out.write(table)
  out.writeAt(0, encodeHead(tableOffset, table))
  return out.position
}

/** The changed pages, in groups; gives the index over them and the extent of the data. */
function writePages(
  out: FileWriter,
  snapshot: SnapshotInput,
  memoryPages: number,
): { index: Uint8Array; data: Omit<SectionEntry, 'name'> } {
  const changed = [...snapshot.pages].sort((a, b) => a[0] - b[0])
  changed.forEach(([pfn, page], i) => {
    invariant(page.length === PAGE_SIZE, `page ${pfn} has ${page.length} bytes`)
    invariant(pfn >= 0 && pfn < memoryPages, `page ${pfn} is outside of memory`)
    invariant(changed[i - 1]?.[0] !== pfn, `page ${pfn} is given twice`)
  })
  const stored = changed.filter(([, page]) => !isZero(page))
  const zeros = snapshot.parent === null ? [] : changed.filter(([, page]) => isZero(page))

  const start = out.position
  const groups: PageGroup[] = []
  let whole = 0
  for (let first = 0; first < stored.length; first += GROUP_PAGES) {
    const group = stored.slice(first, first + GROUP_PAGES)
    const plain = new Uint8Array(group.length * PAGE_SIZE)
    group.forEach(([, page], i) => plain.set(page, i * PAGE_SIZE))
    const packed = snappyCompress(plain)
    const bytes = packed.length < plain.length ? packed : plain
    groups.push({ offset: out.position - start, length: bytes.length, crc: crc32(bytes) })
    whole = crc32(bytes, whole)
    out.write(bytes)
  }
  const index = encodePageIndex({
    groups,
    pfns: Uint32Array.from(stored, ([pfn]) => pfn),
    zeros: Uint32Array.from(zeros, ([pfn]) => pfn),
  })
  return { index, data: { offset: start, length: out.position - start, crc: whole } }
}

function isZero(page: Uint8Array): boolean {
  const words =
    page.byteOffset % 8 === 0 ? new Float64Array(page.buffer, page.byteOffset, page.length / 8) : undefined
  // -0.0 equals 0 as a double, so a page that seems zero is looked at byte by byte.
  if (words?.some((word) => word !== 0)) return false
  return page.every((byte) => byte === 0)
}

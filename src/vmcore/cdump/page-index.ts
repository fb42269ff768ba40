/** Which pages a snapshot changed, and where in its data each group of them lies. */

import { DumpError } from '../../base/errors.ts'
import { PAGE_SIZE } from '../container.ts'
import { GROUP_PAGES } from './format.ts'

/** A group of pages in a snapshot's data. */
export interface PageGroup {
  /** from the start of the data section */
  readonly offset: number
  /** stored bytes; as many as the pages have when the group is not compressed */
  readonly length: number
  readonly crc: number
}

export interface PageIndex {
  /** ascending; page i is in group floor(i / GROUP_PAGES) */
  readonly pfns: Uint32Array
  /** pages that became all zero; ascending */
  readonly zeros: Uint32Array
  readonly groups: readonly PageGroup[]
}

const HEAD = 16

/** `u32 pages, zeros, groups, pages per group`, then groups of 16 bytes, then the page numbers. */
export function encodePageIndex(index: PageIndex): Uint8Array {
  const { pfns, zeros, groups } = index
  const bytes = new Uint8Array(HEAD + groups.length * 16 + (pfns.length + zeros.length) * 4)
  const v = new DataView(bytes.buffer)
  const head = [pfns.length, zeros.length, groups.length, GROUP_PAGES]
  head.forEach((n, i) => v.setUint32(i * 4, n, true))
  let at = HEAD
  for (const { offset, length, crc } of groups) {
    v.setBigUint64(at, BigInt(offset), true)
    v.setUint32(at + 8, length, true)
    v.setUint32(at + 12, crc, true)
    at += 16
  }
  for (const list of [pfns, zeros]) {
    for (const pfn of list) {
      v.setUint32(at, pfn, true)
      at += 4
    }
  }
  return bytes
}

/**
 * @param position where the section lies in the file, for errors
 * @param memoryPages page numbers must be below this
 * @throws DumpError BAD_FORMAT
 */
export function decodePageIndex(
  path: string,
  bytes: Uint8Array,
  position: number,
  dataLength: number,
  memoryPages: number,
): PageIndex {
  const bad = (at: number, problem: string): DumpError =>
    new DumpError('BAD_FORMAT', path, position + at, `page index: ${problem}`)
  if (bytes.length < HEAD) throw bad(0, 'cut short')
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [pages, zeroes, groupCount, perGroup] = [0, 4, 8, 12].map((at) => v.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
  ]
  if (perGroup !== GROUP_PAGES) throw bad(12, `${perGroup} pages in a group`)
  if (groupCount !== Math.ceil(pages / GROUP_PAGES)) throw bad(8, `${groupCount} groups of ${pages} pages`)
  if (bytes.length !== HEAD + groupCount * 16 + (pages + zeroes) * 4) throw bad(0, 'length does not fit')
  const groups: PageGroup[] = []
  for (let i = 0, at = HEAD; i < groupCount; i++, at += 16) {
    const group = {
      offset: Number(v.getBigUint64(at, true)),
      length: v.getUint32(at + 8, true),
      crc: v.getUint32(at + 12, true),
    }
    if (group.offset + group.length > dataLength) throw bad(at, 'a group lies outside the data')
    if (group.length > GROUP_PAGES * PAGE_SIZE) throw bad(at + 8, 'a group is too long')
    groups.push(group)
  }
  let at = HEAD + groupCount * 16
  const list = (count: number): Uint32Array => {
    const pfns = new Uint32Array(count)
    let previous = -1
    for (let i = 0; i < count; i++, at += 4) {
      const pfn = v.getUint32(at, true)
      if (pfn <= previous || pfn >= memoryPages) throw bad(at, `page number ${pfn} out of order or range`)
      pfns[i] = previous = pfn
    }
    return pfns
  }
  return { groups, pfns: list(pages), zeros: list(zeroes) }
}

/** Bytes of the pages of group `group` before compression. */
export function groupSize(index: PageIndex, group: number): number {
  return Math.min(GROUP_PAGES, index.pfns.length - group * GROUP_PAGES) * PAGE_SIZE
}

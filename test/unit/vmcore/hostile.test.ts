/** Damaged containers: headers, bitmaps, page descriptors, notes, streams. COREDRILL_FUZZ=N gives N cases of each. */

import { describe, test } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import type { Container } from '../../../src/vmcore/container.ts'
import { elfFormat } from '../../../src/vmcore/elf.ts'
import { openFlattened } from '../../../src/vmcore/flattened.ts'
import { kdumpFormat } from '../../../src/vmcore/kdump.ts'
import { joinParts } from '../../../src/vmcore/split.ts'
import { findVmcoreinfo, Vmcoreinfo } from '../../../src/vmcore/vmcoreinfo.ts'
import {
  elfImage,
  flattenedImage,
  kdumpImage,
  markedPage,
  PAGE,
  vmcoreinfoNote,
} from '../../support/dump-images.ts'
import { endsWell, fuzzCases, mutate, sourceOf } from '../../support/mutate.ts'

const PFNS = [0, 1, 2, 7, 8, 20, 300]
const PAGES = new Map(PFNS.map((pfn) => [pfn, markedPage(pfn)]))
const notes = vmcoreinfoNote('OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff81000000\n')
const part = (startPfn: number, endPfn: number): Buffer =>
  kdumpImage(PAGES, { notes, part: { startPfn, endPfn } })
const elf = (wordSize: 4 | 8): Buffer =>
  elfImage(
    [...PAGES].map(([pfn, bytes]) => ({ paddr: pfn * PAGE, bytes })),
    { wordSize, notes },
  )
const second = part(8, 301)

/** Whatever the container says it has is read; of very much, a little. */
function readAll(container: Container | undefined): void {
  if (container === undefined) return
  for (const pfn of PFNS) container.memory.page(pfn)
  for (const { startPfn } of container.ranges.slice(0, 64)) container.memory.page(startPfn)
  new Vmcoreinfo(container.vmcoreinfo ?? '').symbol('_stext')
  findVmcoreinfo(somePages(container), () => false)
}

function* somePages({ memory, ranges }: Container): Generator<[number, Uint8Array]> {
  for (const { startPfn, endPfn } of ranges.slice(0, 4).filter((r) => r.endPfn - r.startPfn < 1000))
    for (let pfn = startPfn; pfn < endPfn; pfn++) {
      const page = memory.page(pfn)
      if (typeof page !== 'string') yield [pfn, page]
    }
}

const kdump = (bytes: Uint8Array): Container | undefined => kdumpFormat.probe(sourceOf(bytes))
const flattened = (bytes: Uint8Array): Container | undefined => {
  const inner = openFlattened(sourceOf(bytes))
  return inner && (kdumpFormat.probe(inner) ?? elfFormat.probe(inner))
}
const split = (bytes: Uint8Array): Container | undefined => {
  const [a, b] = [kdump(bytes), kdump(second)]
  return a && b && joinParts([a, b])
}

describe.each<[string, Uint8Array, (bytes: Uint8Array) => Container | undefined, number]>([
  ['ELF, 64 bits', elf(8), (bytes) => elfFormat.probe(sourceOf(bytes)), 700],
  ['ELF, 32 bits', elf(4), (bytes) => elfFormat.probe(sourceOf(bytes)), 500],
  ['kdump, zlib', kdumpImage(PAGES, { notes }), kdump, Infinity],
  ['kdump, lzo', kdumpImage(PAGES, { notes, codec: 'lzo' }), kdump, 5 * PAGE],
  ['kdump, zstd', kdumpImage(PAGES, { notes, codec: 'zstd' }), kdump, 5 * PAGE],
  ['kdump, snappy', kdumpImage(PAGES, { notes, codec: 'snappy' }), kdump, Infinity],
  ['a split set', part(0, 8), split, Infinity],
  ['a flattened kdump', flattenedImage(kdumpImage(PAGES, { notes })), flattened, Infinity],
  ['a flattened ELF', flattenedImage(elf(8)), flattened, 8000],
])('%s', (name, good, open, interesting) => {
  test('mutated: an answer or one error', () => {
    for (let i = 0; i < fuzzCases(400); i++) {
      const seed = `${name} ${i}`
      const random = new Random(seed)
      const bytes = Uint8Array.from(good)
      mutate(bytes, random, 0, Math.min(interesting, bytes.length))
      const length = random.below(8) === 0 ? random.below(bytes.length) : bytes.length
      endsWell(seed, () => readAll(open(bytes.subarray(0, length))))
    }
  }, 3_600_000)

  test('cut at every structure: an answer or one error', () => {
    const end = Math.min(good.length, 3 * PAGE)
    for (let length = 0; length <= end; length += length < 700 ? 1 : 64)
      endsWell(`${name} cut at ${length}`, () => readAll(open(good.subarray(0, length))))
  }, 600_000)
})

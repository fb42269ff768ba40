import { expect, test } from 'vitest'
import Search from '../../../commands/search.ts'
import { addr } from '../../../src/base/addr.ts'
import {
  linear_pages,
  mapped_pages,
  search_pages,
  type Pattern,
  type SearchPage,
} from '../../../src/helpers/memory-search.ts'
import { DataTarget } from '../../support/data-target.ts'

const PAGE = 4096
const page = (at: bigint, fill: (bytes: Buffer) => void): SearchPage => {
  const bytes = Buffer.alloc(PAGE)
  fill(bytes)
  return { at, bytes }
}
const word = (value: bigint, size: 2 | 4 | 8 = 8, mask = ~0n): Pattern => ({
  kind: 'word',
  size,
  value,
  mask,
})
const text = (t: string): Pattern => ({ kind: 'text', text: Buffer.from(t) })
const found = (pages: SearchPage[], ...patterns: Pattern[]) =>
  [...search_pages(pages, patterns)].map(({ at, pattern }) => [Number(at), pattern])

test('words where they are aligned, in order of address, with bits that do not matter', () => {
  const one = page(0x1000n, (b) => {
    b.writeBigUInt64LE(0xdeadbeefn, 16)
    b.writeBigUInt64LE(0xdeadbeefn, 36)
    b.writeBigUInt64LE(0xdeadbe00n, 8)
  })
  expect(found([one], word(0xdeadbeefn))).toEqual([[0x1010, 0]])
  expect(found([one], word(0xdeadbeefn, 4))).toEqual([[0x1010, 0], [0x1024, 0]]) // prettier-ignore
  expect(found([one], word(0xdeadbeefn), word(0xdeadbe00n))).toEqual([[0x1008, 1], [0x1010, 0]]) // prettier-ignore
  expect(found([one], word(0xdeadbe77n, 8, ~0xffn))).toEqual([[0x1008, 0], [0x1010, 0]]) // prettier-ignore
  expect(found([one], word(0xbe00n, 2))).toEqual([[0x1008, 0]])
})

test('text, also across two pages that follow one another', () => {
  const one = page(0x1000n, (b) => void b.write('needle hay nee', PAGE - 14))
  const next = page(0x2000n, (b) => void b.write('dle'))
  const away = page(0x9000n, (b) => void b.write('dle'))
  expect(found([one, next], text('needle'))).toEqual([[0x1ff2, 0], [0x1ffd, 0]]) // prettier-ignore
  expect(found([one, away], text('needle'))).toEqual([[0x1ff2, 0]])
})

test('pages: of a range of physical memory, and of mapped addresses over a hole', () => {
  const memory = { pageSize: PAGE, page: (pfn: number) => (pfn === 2 ? 'excluded' : Buffer.alloc(PAGE)) } as const // prettier-ignore
  const range = { start: -0x100000, phys: -0x1000, size: 0x5000 }
  const linear = [...linear_pages(memory, [{ startPfn: 0, endPfn: 100 }], range)]
  expect(linear.map(({ at }) => at)).toEqual([-0xff000, -0xfe000, -0xfc000].map((va) => addr(va)))
  const asked: number[] = []
  const mapped = mapped_pages(
    (va) => {
      asked.push(va)
      return va < 0x201000 ? 0x200000 : Buffer.alloc(PAGE)
    },
    0x1234,
    0x402000,
  )
  expect([...mapped].map(({ at }) => Number(at))).toEqual([0x400000, 0x401000])
  expect(asked).toEqual([0x1000, 0x200000, 0x400000, 0x401000])
})

/** Two page frames, the second with something to find. */
function machine(): DataTarget {
  const k = new DataTarget()
  const bytes = Buffer.alloc(PAGE)
  bytes.writeBigUInt64LE(0xdeadbeefbaadf00dn, 0x200)
  bytes.write('text\x01 here', 0x300)
  Object.assign(k, {
    phys: { pageSize: PAGE, page: (pfn: number) => (pfn === 1 ? bytes : 'missing') },
    container: { ranges: [{ startPfn: 0, endPfn: 2 }] },
    physBase: 0,
    space: { mode: 'x86_64', table: { walk: () => ({ entries: [] }) } },
  })
  k.global('init_task', k.room(8))
  return k
}

test('the command: physical and kernel addresses, bounds, text', async () => {
  const k = machine()
  expect(await k.run(Search, 'search', '-p', 'deadbeefbaadf00d')).toBe('1200: deadbeefbaadf00d \n')
  expect(await k.run(Search, 'search', '-p', '-s', '1208', 'deadbeefbaadf00d')).toBe('')
  expect(await k.run(Search, 'search', '-p', '-s', '1000', '-l', '200', 'deadbeefbaadf00d')).toBe('')
  const shown = `text. here${'.'.repeat(46)}`
  expect(await k.run(Search, 'search', '-K', '-c', 'text')).toBe(`ffff888000001300: ${shown}\n`)
  const { rows } = await k.report(Search, 'search', '-p', '-w', 'baadf00d')
  expect(rows).toEqual([{ address: 0x1200n, value: 0xbaadf00dn }])
})

test('what cannot be looked for', async () => {
  const k = machine()
  expect(await k.run(Search, 'search', '-s', 'init_task', '-e', 'init_task+100', '0')).toBe(
    'search: invalid input: "init_task+100"\n',
  )
  expect(await k.run(Search, 'search', '-p', '-u', '1')).toMatch(/^search: only one of/)
  expect(await k.run(Search, 'search', '-p')).toMatch(/^Usage:/)
})

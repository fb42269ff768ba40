import { describe, expect, test } from 'vitest'
import type { Va } from '../../../src/base/addr.ts'
import { Random } from '../../../src/base/random.ts'
import { encodeKallsyms, type SymbolEntry } from '../../../src/symbols/encode.ts'
import { findKallsyms } from '../../../src/symbols/find-kallsyms.ts'
import { VirtualMemory } from '../../../src/target/virtual-memory.ts'

const BASE = -0x7f00_0000
const SIZE = 1 << 20
const PAGE = 4096

/** An image with these bytes at these places. */
function image(
  parts: readonly (readonly [at: number, bytes: Uint8Array])[],
  wordSize: 4 | 8 = 8,
): VirtualMemory {
  const bytes = new Uint8Array(SIZE)
  // what is around the tables is not zeros
  const random = new Random(7)
  for (let i = 0; i < SIZE; i++) bytes[i] = random.below(256)
  for (const [at, part] of parts) bytes.set(part, at)
  const page = (pfn: number): Uint8Array | 'missing' =>
    pfn >= 0 && pfn < SIZE / PAGE ? bytes.subarray(pfn * PAGE, pfn * PAGE + PAGE) : 'missing'
  const frame = (va: Va): number | 'unmapped' =>
    va >= BASE && va < BASE + SIZE ? Math.floor((va - BASE) / PAGE) : 'unmapped'
  return new VirtualMemory({ pageSize: PAGE, page }, { frame }, wordSize)
}

const symbols: SymbolEntry[] = [
  { name: '__per_cpu_start', type: 'A', va: 0 },
  { name: 'runqueues', type: 'A', va: 0x1f00 },
  { name: '_text', type: 'T', va: BASE },
  { name: '_stext', type: 'T', va: BASE },
  ...Array.from({ length: 2500 }, (_, i) => ({
    name: `tcp_v4_function_${i}_of_many`,
    type: 't',
    va: BASE + 64 + i * 16,
  })),
]
const encoded = encodeKallsyms(symbols, 8)
const pad = (bytes: Uint8Array, to = 8): Uint8Array => {
  const padded = new Uint8Array(Math.ceil(bytes.length / to) * to)
  padded.set(bytes)
  return padded
}
const words = (values: readonly number[]): Uint8Array => {
  const bytes = Buffer.alloc(values.length * 8)
  values.forEach((value, i) => bytes.writeBigInt64LE(BigInt(value), i * 8))
  return bytes
}
/** Unsigned offsets from the base, without the two that are absolute. */
const plain = encodeKallsyms(symbols.slice(2), 8)
const offsets = (list: readonly SymbolEntry[]): Uint8Array => {
  const bytes = Buffer.alloc(list.length * 4)
  list.forEach(({ va }, i) => bytes.writeUInt32LE(va - BASE, i * 4))
  return bytes
}
const wideMarkers = (markers: Uint8Array): Uint8Array =>
  words(Array.from(new Uint32Array(markers.buffer, markers.byteOffset, markers.length / 4)))

/** Parts in order, each at a multiple of eight. */
function laidOut(...parts: Uint8Array[]): VirtualMemory {
  let at = 0x4008
  return image(
    parts.map((part) => {
      const place = [at, part] as const
      at += Math.ceil(part.length / 8) * 8
      return place
    }),
  )
}

const { names, markers, seqsOfNames, tokenTable, tokenIndex, relativeBase } = encoded
const numSyms = pad(encoded.numSyms)
/** The tables of 5.x, in their order. */
const withoutSequences = [
  pad(encoded.offsets),
  relativeBase,
  numSyms,
  pad(names),
  pad(markers),
  pad(tokenTable),
  tokenIndex,
]

describe('tables nobody points to', () => {
  test.each<[string, VirtualMemory, number, string]>([
    [
      '6.1: sequences before the tokens',
      laidOut(
        pad(encoded.offsets),
        relativeBase,
        numSyms,
        pad(names),
        pad(markers),
        pad(seqsOfNames),
        pad(tokenTable),
        tokenIndex,
      ),
      symbols.length,
      'percpu',
    ],
    ['5.x: none', laidOut(...withoutSequences), symbols.length, 'percpu'],
    [
      '6.4: addresses behind the tokens',
      laidOut(
        numSyms,
        pad(names),
        pad(markers),
        pad(tokenTable),
        tokenIndex,
        pad(encoded.offsets),
        relativeBase,
        seqsOfNames,
      ),
      symbols.length,
      'percpu',
    ],
    [
      'relative without per-CPU',
      laidOut(
        pad(offsets(symbols.slice(2))),
        words([BASE]),
        pad(plain.numSyms),
        pad(plain.names),
        pad(plain.markers),
        pad(plain.tokenTable),
        plain.tokenIndex,
      ),
      symbols.length - 2,
      'relative',
    ],
    [
      '4.5: absolute addresses, markers of eight bytes',
      laidOut(
        words(symbols.map((s) => s.va)),
        numSyms,
        pad(names),
        wideMarkers(markers),
        pad(tokenTable),
        tokenIndex,
      ),
      symbols.length,
      'absolute',
    ],
  ])('%s', (_, mem, count, form) => {
    const found = findKallsyms(mem, BASE, BASE + SIZE, BASE)
    expect(found?.count).toBe(count)
    expect(found?.form).toBe(form)
    const [index] = found?.find('tcp_v4_function_1234_of_many') ?? []
    expect(found?.va(index ?? -1)).toBe(BASE + 64 + 1234 * 16)
  })

  test('none in noise', () => {
    expect(findKallsyms(image([]), BASE, BASE + SIZE, BASE)).toBeUndefined()
  })

  test('tables of another kernel, whose _stext lies elsewhere, are not taken', () => {
    const mem = laidOut(...withoutSequences)
    expect(findKallsyms(mem, BASE, BASE + SIZE, BASE + 0x1000)).toBeUndefined()
  })

  test('an image of nothing but what looks like tokens and markers ends', () => {
    const index = new Uint8Array(512)
    for (let i = 0; i < 256; i++) new DataView(index.buffer).setUint16(i * 2, i * 2, true)
    const row = new Uint32Array(128).map((_, i) => i * 1000)
    const parts = Array.from(
      { length: 200 },
      (_, i) =>
        [
          [i * 5000, pad(tokenTable)],
          [i * 5000 + pad(tokenTable).length, tokenIndex],
          [i * 5000 + 2000, index],
          [i * 5000 + 3000, new Uint8Array(row.buffer)],
        ] as const,
    ).flat()
    expect(findKallsyms(image(parts), BASE, BASE + SIZE, BASE)).toBeUndefined()
  })
})

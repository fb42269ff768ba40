import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Va } from '../../../src/base/addr.ts'
import { loadLayout } from '../../../src/layouts/layout.ts'
import { encodeKallsyms, type KallsymsImage, type SymbolEntry } from '../../../src/symbols/encode.ts'
import { Kallsyms, type KallsymsTables } from '../../../src/symbols/kallsyms.ts'
import { SymbolTable } from '../../../src/symbols/table.ts'
import { VirtualMemory } from '../../../src/target/virtual-memory.ts'

const BASE = 0x10000

/** Tables laid out as the kernel links them, in memory that holds nothing else. */
function placed(image: KallsymsImage, wordSize: 4 | 8, parts = ['markers', 'seqsOfNames']) {
  const order = ['offsets', 'relativeBase', 'numSyms', 'names', ...parts, 'tokenTable', 'tokenIndex'] as const
  const at: Record<string, Va> = {}
  const pieces: Uint8Array[] = []
  let end = BASE
  for (const name of order) {
    const bytes = image[name as keyof KallsymsImage]
    const padded = new Uint8Array(Math.ceil(bytes.length / wordSize) * wordSize)
    padded.set(bytes)
    at[name] = end
    end += padded.length
    pieces.push(padded)
  }
  const all = Buffer.concat([...pieces, new Uint8Array(8192)])
  const mem = new VirtualMemory(
    {
      pageSize: 4096,
      page: (pfn) => {
        const from = pfn * 4096 - BASE
        return from >= 0 && from < all.length - 4096 ? all.subarray(from, from + 4096) : 'missing'
      },
    },
    { frame: (va) => Math.floor(va / 4096) },
    wordSize,
  )
  return { mem, tables: at as unknown as KallsymsTables, bytes: all }
}

function decoded(symbols: readonly SymbolEntry[], wordSize: 4 | 8, parts?: string[]): Kallsyms {
  const { mem, tables } = placed(encodeKallsyms(symbols, wordSize), wordSize, parts)
  return new Kallsyms(mem, tables, symbols.find((s) => s.name === '_stext')?.va)
}

const TEXT = -0x7f00_0000

describe.each([
  ['with markers and sequence numbers', ['markers', 'seqsOfNames']],
  ['with markers alone', ['markers']],
  ['with neither', []],
])('tables of a whole kernel, %s', (_, parts) => {
  const { symbols } = loadLayout('linux-6.1.192-x86_64')
  const entries = symbols.map(({ name, type, address }) => ({
    name,
    type,
    va: Number(BigInt.asIntN(64, address)),
  }))
  const kallsyms = decoded(entries, 8, parts)

  test('every symbol comes back in order', () => {
    expect(kallsyms.form).toBe('percpu')
    const back = [...kallsyms.entries()].map(({ name, type, va }) => ({ name, type, va }))
    expect(back).toEqual(entries)
  })

  test('by name and by address', () => {
    for (let i = 0; i < entries.length; i += 97) {
      const { name, va } = entries[i] as SymbolEntry
      expect(kallsyms.find(name), name).toContain(i)
      expect(kallsyms.va(kallsyms.below(va))).toBe(va)
    }
    expect(kallsyms.find('no_such_symbol')).toEqual([])
    expect(kallsyms.find('')).toEqual([])
    expect(kallsyms.find('\xff')).toEqual([])
  })
})

describe('addresses', () => {
  test('32 bits: offsets from the lowest', () => {
    const symbols = [
      { name: '_stext', type: 'T', va: 0xc100_0000 },
      { name: 'far', type: 'D', va: 0xffff_f000 },
    ]
    const kallsyms = decoded(symbols, 4)
    expect(kallsyms.form).toBe('relative')
    expect([0, 1].map((i) => kallsyms.va(i))).toEqual([0xc100_0000, 0xffff_f000])
    expect(kallsyms.absolute(0)).toBe(false)
  })

  test('64 bits: per-CPU offsets come first and are absolute', () => {
    const symbols = [
      { name: '_stext', type: 'T', va: TEXT },
      { name: 'cpu_number', type: 'A', va: 0x199e0 },
      { name: 'last', type: 'B', va: TEXT + 0x7000_0000 },
    ]
    const kallsyms = decoded(symbols, 8)
    expect([...kallsyms.entries()].map((s) => s.name)).toEqual(['cpu_number', '_stext', 'last'])
    expect([0, 1].map((i) => kallsyms.absolute(i))).toEqual([true, false])
    expect(kallsyms.va(2)).toBe(TEXT + 0x7000_0000)
  })

  test('64 bits without per-CPU form is recognised by _stext', () => {
    const entries = [
      { name: '_stext', type: 'T', va: TEXT },
      { name: 'x', type: 'T', va: TEXT + 16 },
    ]
    const image = encodeKallsyms(entries, 8)
    const offsets = Uint8Array.from([0, 0, 0, 0, 16, 0, 0, 0])
    const { mem, tables } = placed({ ...image, offsets }, 8)
    const kallsyms = new Kallsyms(mem, tables, TEXT)
    expect(kallsyms.form).toBe('relative')
    expect(kallsyms.va(1)).toBe(TEXT + 16)
  })

  test('tables that give _stext nowhere are refused', () => {
    const { mem, tables } = placed(encodeKallsyms([{ name: '_stext', type: 'T', va: TEXT }], 8), 8)
    expect(() => new Kallsyms(mem, tables, TEXT + 0x1000)).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    )
  })

  test('a symbol too far for 32 bits cannot be encoded', () => {
    const symbols = [
      { name: 'a', type: 'T', va: TEXT - 0x1_0000_0000 },
      { name: 'b', type: 'T', va: TEXT },
    ]
    expect(() => encodeKallsyms(symbols, 8)).toThrow(expect.objectContaining({ code: 'IMPOSSIBLE' }))
  })
})

describe('names', () => {
  const nameOf = fc.stringMatching(/^[a-zA-Z_.$][a-zA-Z0-9_.$]{0,40}$/)

  test('any names come back, doubles in order of address', () => {
    fc.assert(
      fc.property(fc.array(nameOf, { minLength: 1, maxLength: 600 }), (names) => {
        const entries = ['_stext', ...names].map((name, i) => ({
          name,
          type: 'tTdDbB'[i % 6] ?? 't',
          va: TEXT + i * 16,
        }))
        const kallsyms = decoded(entries, 8)
        expect([...kallsyms.entries()].map((s) => s.type + s.name)).toEqual(
          entries.map((e) => e.type + e.name),
        )
        for (const name of new Set(names)) {
          const expected = entries.flatMap((e, i) => (e.name === name ? [i] : []))
          expect(kallsyms.find(name)).toEqual(expected)
        }
      }),
      { seed: 3, numRuns: 25 },
    )
  })

  test('a name of more than 127 tokens takes two length bytes', () => {
    const long = Array.from({ length: 300 }, (_, i) => String.fromCharCode(33 + ((i * 31) % 90))).join('')
    const entries = [
      { name: '_stext', type: 'T', va: TEXT },
      { name: long, type: 't', va: TEXT + 1 },
    ]
    const kallsyms = decoded(entries, 8)
    expect(kallsyms.name(1)).toBe(long)
    expect(kallsyms.find(long)).toEqual([1])
  })

  test.each([0, 0xffffffff])('a count of %i symbols is damage', (count) => {
    const image = encodeKallsyms([{ name: '_stext', type: 'T', va: TEXT }], 8)
    const numSyms = new Uint8Array(Uint32Array.of(count).buffer)
    const { mem, tables } = placed({ ...image, numSyms }, 8)
    expect(() => new Kallsyms(mem, tables, TEXT)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })

  test('damaged bytes give an error or other symbols, never a hang', () => {
    const entries = Array.from({ length: 300 }, (_, i) => ({
      name: i === 0 ? '_stext' : `symbol_${i}`,
      type: 'T',
      va: TEXT + i * 8,
    }))
    const { mem, tables, bytes } = placed(encodeKallsyms(entries, 8), 8)
    for (let at = 0; at < bytes.length - 8192; at += 7) {
      const kept = bytes[at] as number
      bytes[at] = kept ^ 0xa5
      try {
        const kallsyms = new Kallsyms(mem, tables, TEXT)
        kallsyms.find('symbol_77')
        kallsyms.below(TEXT + 999)
      } catch (error) {
        expect(['CORRUPT', 'FAULT']).toContain((error as { code: string }).code)
      }
      bytes[at] = kept
    }
  })
})

describe('a symbol table', () => {
  const entries = [
    { name: '__per_cpu_start', type: 'A', va: 0 },
    { name: 'runqueues', type: 'A', va: 0x100 },
    { name: '__per_cpu_end', type: 'A', va: 0x800 },
    { name: '_stext', type: 'T', va: TEXT },
    { name: 'a', type: 't', va: TEXT + 0x10 },
    { name: 'b', type: 'T', va: TEXT + 0x10 },
    { name: 'c', type: 'D', va: TEXT + 0x40 },
    { name: '_end', type: 'B', va: TEXT + 0x80 },
  ]
  const table = new SymbolTable(decoded(entries, 8), 8)

  test.each<[string, Va | bigint, string | undefined]>([
    ['inside a function', TEXT + 0x3f, 'a+0x2f'],
    ['as a bigint', BigInt.asUintN(64, BigInt(TEXT + 0x41)), 'c+0x1'],
    ['a per-CPU offset', 0x101, 'runqueues+0x1'],
    ['after the last per-CPU symbol', 0x801, undefined],
    ['a user address', 0x400000, undefined],
    ['below the image', TEXT - 1, undefined],
    ['after the image', TEXT + 0x81, undefined],
    ['the end itself', TEXT + 0x80, '_end'],
    ['not canonical', 0x8000_0000_0000_0000n, undefined],
  ])('an address %s', (_, at, expected) => {
    expect(table.symbolize(at)).toBe(expected)
  })

  test('sizes reach to the next address, the same by name and in a list', () => {
    const sizes = new Map([...table.kernel()].map((s) => [s.name, s.size]))
    for (const { name } of entries) expect(table.find(name)?.size, name).toBe(sizes.get(name))
    expect([sizes.get('a'), sizes.get('b'), sizes.get('_end'), sizes.get('__per_cpu_end')]).toEqual([
      0x30, 0x30, 0, 0,
    ])
  })

  test('names are searched by pattern', () => {
    expect([...table.search('_*')].map((s) => s.name)).toEqual([
      '__per_cpu_start',
      '__per_cpu_end',
      '_stext',
      '_end',
    ])
    expect([...table.search('?')].map((s) => s.name)).toEqual(['a', 'b', 'c'])
  })

  test('neighbours', () => {
    const c = table.find('c')
    const { previous, next } = table.neighbours(c ?? expect.fail('no c'))
    expect([previous?.name, next?.name]).toEqual(['b', '_end'])
  })
})

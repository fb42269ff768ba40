/** Builds the kallsyms tables of a 6.1 kernel image from a list of symbols. */

import type { Va } from '../base/addr.ts'
import { InvariantError } from '../base/errors.ts'
import { compress, makeTokenTable } from './tokens.ts'

/** A symbol to be put into the tables. */
export interface SymbolEntry {
  readonly name: string
  /** nm's letter: `T t D d B b R r A W V` */
  readonly type: string
  readonly va: Va
}

/** The contents of each `kallsyms_*` symbol, little-endian. */
export interface KallsymsImage {
  readonly offsets: Uint8Array
  /** `unsigned long` */
  readonly relativeBase: Uint8Array
  /** `unsigned int` */
  readonly numSyms: Uint8Array
  readonly names: Uint8Array
  readonly markers: Uint8Array
  readonly seqsOfNames: Uint8Array
  readonly tokenTable: Uint8Array
  readonly tokenIndex: Uint8Array
}

/**
 * Encode symbols in address order.
 *
 * 64-bit tables are ABSOLUTE_PERCPU: an address from 0 to 2^31 (per-CPU, absolute) is its own offset, all others
 * are negative offsets from the lowest remaining address. 32-bit tables are offsets from the lowest address.
 *
 * @throws InvariantError when an address lies too far from the others for 32 bits
 * @see scripts/kallsyms.c:write_src
 */
export function encodeKallsyms(symbols: readonly SymbolEntry[], wordSize: 4 | 8): KallsymsImage {
  const sorted = symbols.map((symbol, i) => ({ symbol, i }))
  sorted.sort((a, b) => order(a.symbol.va, wordSize) - order(b.symbol.va, wordSize) || a.i - b.i)
  const entries = sorted.map((s) => s.symbol)
  return { ...encodeNames(entries), ...encodeAddresses(entries, wordSize) }
}

/** Unsigned order: user half (per-CPU offsets) first, then the kernel half. */
function order(va: Va, wordSize: 4 | 8): number {
  return wordSize === 8 && va < 0 ? va + 2 ** 52 : va
}

function encodeAddresses(
  entries: readonly SymbolEntry[],
  wordSize: 4 | 8,
): Pick<KallsymsImage, 'offsets' | 'relativeBase' | 'numSyms'> {
  const absolute = (va: Va): boolean => wordSize === 8 && va >= 0
  const base = entries.find((e) => !absolute(e.va))?.va ?? 0
  const offsets = new DataView(new ArrayBuffer(entries.length * 4))
  entries.forEach(({ va, name }, i) => {
    const offset = wordSize === 4 ? va - base : absolute(va) ? va : base - 1 - va
    if (offset > (wordSize === 4 ? 0xffff_ffff : 0x7fff_ffff) || offset < -0x8000_0000)
      throw new InvariantError(`kallsyms: ${name} is out of reach of the relative base`)
    offsets.setUint32(i * 4, offset >>> 0, true)
  })
  const relativeBase = new DataView(new ArrayBuffer(wordSize))
  if (wordSize === 8) relativeBase.setBigInt64(0, BigInt(base), true)
  else relativeBase.setUint32(0, base, true)
  const numSyms = new DataView(new ArrayBuffer(4))
  numSyms.setUint32(0, entries.length, true)
  return { offsets: bytesOf(offsets), relativeBase: bytesOf(relativeBase), numSyms: bytesOf(numSyms) }
}

function encodeNames(
  entries: readonly SymbolEntry[],
): Pick<KallsymsImage, 'names' | 'markers' | 'seqsOfNames' | 'tokenTable' | 'tokenIndex'> {
  const texts = entries.map((e) => e.type + e.name)
  const table = makeTokenTable(texts)
  const names: number[] = []
  const markers = new DataView(new ArrayBuffer(Math.ceil(entries.length / 256) * 4))
  texts.forEach((text, i) => {
    if (i % 256 === 0) markers.setUint32((i / 256) * 4, names.length, true)
    const tokens = compress(table, text)
    if (tokens.length < 0x80) names.push(tokens.length)
    else names.push((tokens.length & 0x7f) | 0x80, tokens.length >> 7)
    for (const token of tokens) names.push(token)
  })

  const byName = entries.map((e, i) => ({ name: e.name, i }))
  byName.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.i - b.i))
  const seqs = new Uint8Array(entries.length * 3)
  byName.forEach(({ i }, at) => seqs.set([i >> 16, (i >> 8) & 0xff, i & 0xff], at * 3))

  const tokenIndex = new DataView(new ArrayBuffer(512))
  let at = 0
  table.strings.forEach((string, token) => {
    tokenIndex.setUint16(token * 2, at, true)
    at += string.length + 1
  })
  const tokenTable = Buffer.from(table.strings.map((string) => `${string}\0`).join(''), 'latin1')
  return {
    names: Uint8Array.from(names),
    markers: bytesOf(markers),
    seqsOfNames: seqs,
    tokenTable: Uint8Array.from(tokenTable),
    tokenIndex: bytesOf(tokenIndex),
  }
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

/**
 * A layout: the types and symbol addresses of one real kernel build, as far as a simulated one needs them.
 * The files are made by `generate.ts` from that kernel's BTF and System.map and are read here, nowhere else.
 */

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { DumpError, LookupError } from '../base/errors.ts'

/** The layouts that ship: name to pointer size in bytes. */
export const LAYOUTS = {
  'linux-6.1.192-x86_64': 8,
  'linux-6.1.176-i386': 4,
} as const

export type LayoutName = keyof typeof LAYOUTS

export interface LayoutSymbol {
  readonly name: string
  /** As linked, without KASLR; an offset for per-CPU symbols of x86-64. */
  readonly address: bigint
  /** nm's letter: T t text, D d data, B b bss, R r read-only, A absolute, W V weak. */
  readonly type: string
  /** Bytes to the next higher address of the full System.map; 0 for the last. */
  readonly size: number
  /** Here only because it ends the symbol before it: nobody asked for it. */
  readonly filler: boolean
  /** EXPORT_SYMBOL: what any module may use, or only one under a GPL-compatible license; absent when none may. */
  readonly exported?: 'any' | 'gpl'
}

export interface Layout {
  readonly name: LayoutName
  readonly wordSize: 4 | 8
  /** Raw BTF, as it stands between `__start_BTF` and `__stop_BTF`. */
  readonly btf: Uint8Array
  /** By address, ties in System.map's order. */
  readonly symbols: readonly LayoutSymbol[]
}

const MAGIC = 'CLAYOUT1'
const loaded = new Map<LayoutName, Layout>()

/**
 * Read a layout that ships with the package; the same object every time.
 * @throws LookupError when there is no such layout, DumpError when its file is damaged
 */
export function loadLayout(name: string): Layout {
  if (!(name in LAYOUTS)) throw new LookupError('type', `layout ${name}`, Object.keys(LAYOUTS))
  const known = loaded.get(name as LayoutName)
  if (known !== undefined) return known
  const path = layoutPath(name as LayoutName)
  const layout = decodeLayout(name as LayoutName, readFileSync(path), path)
  loaded.set(name as LayoutName, layout)
  return layout
}

/** Beside this file in `src`, or in the package's `src` when this file is the compiled one. */
export function layoutPath(name: LayoutName): string {
  const beside = fileURLToPath(new URL(`./${name}.bin`, import.meta.url))
  if (existsSync(beside)) return beside
  return fileURLToPath(new URL(`../../../src/layouts/${name}.bin`, import.meta.url))
}

/**
 * The file: magic, two u32 lengths, then BTF and symbols, each Brotli-compressed. Symbols are lines of
 * `delta size type name` in base 36, `+` before the type of a filler, `!` or `!gpl` behind that of an export.
 */
export function encodeLayout(btf: Uint8Array, symbols: readonly LayoutSymbol[]): Uint8Array {
  let last = 0n
  const lines = symbols.map((symbol) => {
    const delta = symbol.address - last
    last = symbol.address
    const exported = symbol.exported === undefined ? '' : symbol.exported === 'gpl' ? '!gpl' : '!'
    const kind = `${symbol.filler ? '+' : ''}${symbol.type}${exported}`
    return `${delta.toString(36)} ${symbol.size.toString(36)} ${kind} ${symbol.name}\n`
  })
  const parts = [btf, Buffer.from(lines.join(''), 'latin1')].map((part) =>
    brotliCompressSync(part, {
      params: { [constants.BROTLI_PARAM_LGWIN]: 22, [constants.BROTLI_PARAM_SIZE_HINT]: part.length },
    }),
  )
  const head = Buffer.alloc(16)
  head.write(MAGIC, 'latin1')
  parts.forEach((part, i) => head.writeUInt32LE(part.length, 8 + i * 4))
  return Buffer.concat([head, ...parts])
}

/** The opposite of {@link encodeLayout}. @throws DumpError */
export function decodeLayout(name: LayoutName, file: Uint8Array, path: string): Layout {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  if (bytes.length < 16 || bytes.toString('latin1', 0, 8) !== MAGIC) {
    throw new DumpError('BAD_MAGIC', path, 0, 'not a layout')
  }
  const middle = 16 + bytes.readUInt32LE(8)
  const end = middle + bytes.readUInt32LE(12)
  if (end > bytes.length) throw new DumpError('TRUNCATED', path, bytes.length, 'layout ends early')
  const btf = brotliDecompressSync(bytes.subarray(16, middle))
  const text = brotliDecompressSync(bytes.subarray(middle, end)).toString('latin1')
  return { name, wordSize: LAYOUTS[name], btf, symbols: decodeSymbols(text) }
}

function decodeSymbols(text: string): LayoutSymbol[] {
  const symbols: LayoutSymbol[] = []
  let address = 0n
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [delta = '0', size = '0', kind = '?', name = ''] = line.split(' ')
    address += base36(delta)
    const [, plus, type = '?', bang, gpl] = /^(\+?)([^!]*)(!?)(gpl)?$/.exec(kind) ?? []
    const symbol = { name, address, type, size: parseInt(size, 36), filler: plus === '+' }
    symbols.push(bang === '!' ? { ...symbol, exported: gpl === undefined ? 'any' : 'gpl' } : symbol)
  }
  return symbols
}

/** Exact beyond 2^53: the one step from the per-CPU offsets to the kernel's text is that long. */
function base36(digits: string): bigint {
  if (digits.length <= 10) return BigInt(parseInt(digits, 36))
  let value = 0n
  for (const digit of digits) value = value * 36n + BigInt(parseInt(digit, 36))
  return value
}

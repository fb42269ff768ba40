/** A System.map cut down to the symbols somebody will ask for, each keeping its distance to the next. */

import { DumpError } from '../base/errors.ts'
import type { LayoutSymbol } from './layout.ts'

interface MapSymbol {
  readonly address: bigint
  readonly type: string
  readonly name: string
}

/** What to ship, as `symbols.txt` says it. */
export interface SymbolSelection {
  readonly names: ReadonlySet<string>
  readonly patterns: readonly RegExp[]
  readonly excluded: readonly RegExp[]
  /** Everything from one symbol's address up to another's. */
  readonly ranges: readonly (readonly [start: string, end: string])[]
}

/** Read a System.map (`address type name`, any order). @throws DumpError naming the line that is not one */
export function parseSystemMap(text: string, path: string): MapSymbol[] {
  const symbols: MapSymbol[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '') continue
    const match = /^([0-9a-f]+) (\S) (\S+)$/.exec(line)
    if (match === null) throw new DumpError('BAD_FORMAT', path, -1, `line ${i + 1} is not a symbol`)
    const [, address = '', type = '', name = ''] = match
    symbols.push({ address: BigInt(`0x${address}`), type, name })
  }
  return symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0))
}

/** Read `symbols.txt`. */
export function parseSelection(text: string): SymbolSelection {
  const names = new Set<string>()
  const patterns: RegExp[] = []
  const excluded: RegExp[] = []
  const ranges: [string, string][] = []
  for (const line of text.split('\n')) {
    const [first = '', ...rest] = line.replace(/#.*/, '').split(/\s+/).filter((word) => word !== '') // prettier-ignore
    if (first === '') continue
    if (first === 'range') ranges.push([rest[0] ?? '', rest[1] ?? ''])
    else if (first === 'without') excluded.push(...rest.map(glob))
    else {
      for (const word of [first, ...rest]) {
        if (/[*?]/.test(word)) patterns.push(glob(word))
        else names.add(word)
      }
    }
  }
  return { names, patterns, excluded, ranges }
}

/** The selected symbols, and after each the next higher one as a filler when nobody selected it. */
export function selectSymbols(all: readonly MapSymbol[], selection: SymbolSelection): LayoutSymbol[] {
  const wanted = new Set<number>()
  const ranges = addressRanges(all, selection.ranges)
  all.forEach(({ name, address }, i) => {
    if (selection.names.has(name)) wanted.add(i)
    else if (selection.excluded.some((pattern) => pattern.test(name))) return
    else if (selection.patterns.some((pattern) => pattern.test(name))) wanted.add(i)
    else if (ranges.some(([from, to]) => address >= from && address <= to)) wanted.add(i)
  })
  const next = nextHigher(all)
  const kept = new Set(wanted)
  const exports = exportsOf(all)
  for (const i of wanted) {
    const successor = next[i]
    if (successor !== undefined && !sameAddressKept(all, successor, wanted)) kept.add(successor)
  }
  return [...kept]
    .sort((a, b) => a - b)
    .map((i) => {
      const { address, type, name } = all[i] as MapSymbol
      const successor = all[next[i] ?? -1]
      const size = successor === undefined ? 0 : Number(successor.address - address)
      const symbol = { name, address, type, size: size > 0xffff_ffff ? 0 : size, filler: !wanted.has(i) }
      const exported = /[A-Z]/.test(type) ? exports.get(name) : undefined
      return exported === undefined ? symbol : { ...symbol, exported }
    })
}

/** What EXPORT_SYMBOL left behind: an entry for each name, those for GPL modules in a section of their own. */
function exportsOf(all: readonly MapSymbol[]): Map<string, 'any' | 'gpl'> {
  const gplStart = all.find(({ name }) => name === '__start___ksymtab_gpl')?.address
  const exports = new Map<string, 'any' | 'gpl'>()
  for (const { name, address } of all) {
    const exported = /^__ksymtab_(.+)$/.exec(name)?.[1]
    if (exported === undefined) continue
    exports.set(exported, gplStart !== undefined && address >= gplStart ? 'gpl' : 'any')
  }
  return exports
}

/** `*` is any run of characters, `?` is one. */
function glob(pattern: string): RegExp {
  const source = pattern
    .replace(/[.$+^()[\]{}|\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.')
  return new RegExp(`^${source}$`)
}

function addressRanges(
  all: readonly MapSymbol[],
  ranges: SymbolSelection['ranges'],
): (readonly [bigint, bigint])[] {
  const address = (name: string): bigint | undefined => all.find((symbol) => symbol.name === name)?.address
  return ranges.flatMap(([start, end]) => {
    const from = address(start)
    const to = address(end)
    return from === undefined || to === undefined ? [] : [[from, to] as const]
  })
}

/** For each symbol, the index of the first one at a higher address. */
function nextHigher(all: readonly MapSymbol[]): (number | undefined)[] {
  const next: (number | undefined)[] = []
  for (let i = all.length - 2; i >= 0; i--) {
    next[i] = all[i + 1]?.address === all[i]?.address ? next[i + 1] : i + 1
  }
  return next
}

function sameAddressKept(all: readonly MapSymbol[], at: number, kept: ReadonlySet<number>): boolean {
  for (let i = at; all[i]?.address === all[at]?.address; i++) if (kept.has(i)) return true
  return false
}

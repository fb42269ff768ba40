/**
 * Symbols of the image at addresses somebody else has written down: a transcript's `sys_call_table`, say. All others
 * stay where they were linked, but those a pinned one would lie upon, which go where there is room.
 */

import { CoredrillError } from '../../../../base/errors.ts'
import type { LayoutSymbol } from '../../../../layouts/layout.ts'
import { placeAll } from './text.ts'

/** A symbol cannot lie where it is wanted. */
export class PinnedSymbolError extends CoredrillError {
  readonly symbol: string
  constructor(symbol: string, problem: string) {
    super('BAD_ARGUMENT', `${symbol}: ${problem}`)
    this.symbol = symbol
  }
}

/** Marks of sections say where something begins or ends: they stay, whatever lies there. */
const MARK = /^_(s|e|_)?(text|end)$|^_[se]text$|_(start|end)$|^__(start|stop|end|init)_/
/** No function is shorter than this. */
const LEAST = 16n

/**
 * @param symbols the layout's, by address
 * @param pins    wanted addresses by name
 * @returns the symbols by address, with sizes that end at the next pinned one
 * @throws PinnedSymbolError when this kernel has no such symbol, two would overlap, or the address is outside text and
 * read-only data
 */
export function withPinned(
  symbols: readonly LayoutSymbol[],
  pins: ReadonlyMap<string, bigint>,
): readonly LayoutSymbol[] {
  if (pins.size === 0) return symbols
  const pinned = cutToNext(pinnedSymbols(symbols, pins))
  const lies = (symbol: LayoutSymbol): boolean =>
    pinned.some((pin) => {
      const end = symbol.address + BigInt(Math.max(symbol.size, 1))
      return symbol.address < pin.address + BigInt(pin.size) && end > pin.address
    })
  const aliases = aliasesOf(symbols, pins)
  const moved = new Set(aliases.map(({ name }) => name))
  const rest = symbols.filter(({ name }) => !pins.has(name) && !moved.has(name))
  const displaced = rest.filter((symbol) => !symbol.filler && !MARK.test(symbol.name) && lies(symbol))
  const kept = rest.filter(
    (symbol) => MARK.test(symbol.name) || (!lies(symbol) && !displaced.includes(symbol)),
  )
  const placed = byAddress([...kept, ...pinned, ...aliases])
  const text = displaced.filter(({ type }) => /^[tTwW]$/.test(type))
  const data = displaced.filter((symbol) => !text.includes(symbol))
  return placeAll(placeAll(placed, text, /^[tT]$/, 1), data, /^[rRdD]$/, 32)
}

/** Weak names for a pinned function go with it. */
function aliasesOf(symbols: readonly LayoutSymbol[], pins: ReadonlyMap<string, bigint>): LayoutSymbol[] {
  const moves = new Map<bigint, bigint>()
  for (const { name, address } of symbols) {
    const to = pins.get(name)
    if (to !== undefined) moves.set(address, to)
  }
  return symbols.flatMap((symbol) => {
    const address = moves.get(symbol.address)
    return symbol.type === 'W' && address !== undefined && !pins.has(symbol.name)
      ? [{ ...symbol, address }]
      : []
  })
}

function pinnedSymbols(symbols: readonly LayoutSymbol[], pins: ReadonlyMap<string, bigint>): LayoutSymbol[] {
  const addressOf = (name: string): bigint => symbols.find((symbol) => symbol.name === name)?.address ?? 0n
  const [from, to] = [addressOf('_text'), addressOf('__end_rodata')]
  return [...pins].map(([name, address]) => {
    const symbol = symbols.find((s) => s.name === name)
    if (symbol === undefined) throw new PinnedSymbolError(name, 'this kernel has no such symbol')
    if (address < from || address + BigInt(symbol.size) > to) {
      const range = `${from.toString(16)} to ${to.toString(16)}`
      throw new PinnedSymbolError(name, `outside the kernel's text and read-only data, ${range}`)
    }
    return { ...symbol, address }
  })
}

/** A pinned symbol reaches to the next pinned one at most. */
function cutToNext(pinned: readonly LayoutSymbol[]): LayoutSymbol[] {
  const sorted = byAddress([...pinned])
  return sorted.map((symbol, i) => {
    const next = sorted[i + 1]
    if (next === undefined || next.address >= symbol.address + BigInt(symbol.size)) return symbol
    if (next.address - symbol.address < LEAST)
      throw new PinnedSymbolError(next.name, `overlaps ${symbol.name}`)
    return { ...symbol, size: Number(next.address - symbol.address) }
  })
}

const byAddress = (symbols: LayoutSymbol[]): LayoutSymbol[] =>
  symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0))

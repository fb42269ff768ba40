/** Addresses as crash's commands take them: hex numbers, symbols, `(expressions)`, and `symbol:cpus`. */

import { addr, hex, toAddr, type Addr } from '../base/addr.ts'
import { CoredrillError } from '../base/errors.ts'
import { evaluate } from '../helpers/expression.ts'
import { cpu_count } from '../helpers/percpu.ts'
import type { KernelSymbol } from '../symbols/symbol.ts'
import type { Target } from '../target/target.ts'
import { Misuse } from './misuse.ts'
import { findSymbol, symbolLine } from './data-symbol.ts'

/** One copy of a per-CPU object, or the object itself. */
export interface Placed {
  readonly addr: Addr
  readonly cpu?: number
}

/** A symbol that is not in the dump, answered with the names that contain its text. */
export class NoSymbol extends CoredrillError {
  readonly symbol: string
  /** The lines crash prints; each with its newline. */
  readonly lines: string
  constructor(target: Target, symbol: string) {
    super('NO_SYMBOL', `symbol not found: ${symbol}`)
    this.symbol = symbol
    const near = [...matching(target, symbol)].map((found) => `  ${symbolLine(found)}\n`)
    const list = near.length === 0 ? '  (none found)\n' : near.join('')
    this.lines = `symbol not found: ${symbol}\npossible alternatives:\n${list}`
  }
}

/** Symbols with this text in their names. */
export function* matching(target: Target, text: string): Generator<KernelSymbol> {
  if (text === '') return
  for (const symbol of target.symbols.all()) if (symbol.name.includes(text)) yield symbol
}

/** Digits of base 16, with or without `0x`; undefined for anything else. */
export function hexNumber(word: string): bigint | undefined {
  const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(word)?.[1]
  return digits === undefined ? undefined : BigInt(`0x${digits}`)
}

/** `0x…` and words with letters are hex, the rest decimal: how crash takes counts. */
export function countNumber(word: string): bigint | undefined {
  if (/^\d+$/.test(word)) return BigInt(word)
  return hexNumber(word)
}

/** An address: hex digits, a symbol, or `(…)`. Undefined when it is none of them. */
export function parseAddress(target: Target, word: string): Addr | undefined {
  const number = hexNumber(word)
  if (number !== undefined) return addr(number)
  if (word.startsWith('(')) return addr(evaluate(target, word).integer())
  const symbol = findSymbol(target, word)
  return symbol === undefined ? undefined : addr(BigInt(symbol.va))
}

/** An address that must be one. @throws NoSymbol */
export function needAddress(target: Target, word: string): Addr {
  const found = parseAddress(target, word)
  if (found === undefined) throw new NoSymbol(target, word)
  return found
}

/**
 * `word` or `word:cpus`: the object itself, or each CPU's copy.
 *
 * @throws NoSymbol; Misuse for CPUs that are none
 */
export function needPlaces(target: Target, word: string): Placed[] {
  const [, name = word, spec] = /^([^:()]+):(.*)$/.exec(word) ?? []
  const at = parseAddress(target, name)
  if (at === undefined) throw new NoSymbol(target, word)
  if (spec === undefined) {
    const symbol = target.symbols.find(name)
    const perCpu = symbol?.absolute === true && hexNumber(name) === undefined
    return perCpu ? perCpuPlaces(target, at, '') : [{ addr: at }]
  }
  return perCpuPlaces(target, at, spec)
}

/** Each wanted CPU's copy of a per-CPU object; an empty spec means the current CPU, so the first. */
export function perCpuPlaces(target: Target, at: bigint, spec: string): Placed[] {
  return parseCpus(target, spec).map((cpu) => ({ cpu, addr: addr(at + perCpuOffset(target, cpu)) }))
}

function perCpuOffset(target: Target, cpu: number): bigint {
  const table = target.symbols.find('__per_cpu_offset')
  return table === undefined ? 0n : target.mem.word(table.va + cpu * target.wordSize)
}

/** `0`, `1,3-5`, `a` or `all`; empty: CPU 0. @throws Misuse */
export function parseCpus(target: Target, spec: string): number[] {
  const count = cpu_count(target)
  if (spec === '') return [0]
  if (spec === 'a' || spec === 'all') return Array.from({ length: count }, (_, cpu) => cpu)
  const cpus: number[] = []
  for (const part of spec.split(',')) {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? []
    if (from === undefined || Number(to ?? from) >= count || Number(to ?? from) < Number(from))
      throw new Misuse(`invalid cpu specification: ${spec}`, spec)
    for (let cpu = Number(from); cpu <= Number(to ?? from); cpu++) cpus.push(cpu)
  }
  return cpus
}

/** `[0]: ffff888007c31c40`, the line before a CPU's copy. */
export function cpuHeading(place: Placed): string {
  return place.cpu === undefined ? '' : `[${place.cpu}]: ${hex(place.addr)}\n`
}

/** Is it an address of the kernel's half? What is neither that nor a user address is treated as the latter. */
export function isKernelAddress(target: Target, address: bigint): boolean {
  const start = toAddr(target.pageOffset)
  return BigInt.asUintN(64, address) >= start
}

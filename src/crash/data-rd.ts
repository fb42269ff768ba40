/** `rd`: memory in units of 1 to 8 bytes, as hex, decimal, text or symbols. */

import { addr, hex } from '../base/addr.ts'
import { UsageError } from '../base/errors.ts'
import { cache_of_phys } from '../helpers/slab-address.ts'
import type { Memory } from '../memory/memory.ts'
import { asciiText, hexdumpLine } from '../render/hexdump.ts'
import type { Target } from '../target/target.ts'
import { countNumber, hexNumber, isKernelAddress, needAddress, NoSymbol } from './data-address.ts'
import { readUnit, type Space } from './data-read.ts'
import { crashSymbolAt, symbolName } from './data-symbol.ts'
import { currentUserMemory, findUserMemory } from './data-user.ts'
import { DumpCommand, type Invocation, type Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'
import { writeFileSync } from 'node:fs'

/** One line of `--json`. */
export interface MemoryRow {
  readonly address: bigint
  /** the units, as unsigned numbers */
  readonly units: readonly (number | bigint)[]
  /** with -s: a symbol or slab cache for each unit that is an address */
  readonly symbols?: readonly (string | null)[]
  readonly text?: string
}

/** What `rd -r` wrote. */
export interface RawRow {
  readonly address: bigint
  /** how many */
  readonly bytes: number
  readonly path: string
}

/** The text of `rd -a`. */
export interface AsciiRow {
  readonly address: bigint
  readonly text: string
}

export const rdFlags = {
  p: { name: 'physical', summary: 'the address is physical' },
  u: { name: 'user', summary: 'the address is of the current task' },
  m: { summary: 'a machine address of Xen' },
  f: { summary: 'the address is an offset in the dump file' },
  d: { name: 'signed', summary: 'signed decimal' },
  D: { name: 'unsigned', summary: 'unsigned decimal' },
  s: { name: 'symbols', summary: 'symbols for addresses' },
  S: { kind: 'count', name: 'slabs', summary: 'symbols, and slab caches; twice: with the addresses' },
  x: { summary: 'without the text' },
  N: { name: 'network', summary: 'network byte order' },
  R: { name: 'backward', summary: 'the units up to the address' },
  a: { name: 'ascii', summary: 'printable text' },
  '8': { summary: 'in bytes' },
  '16': { summary: 'in 16 bits' },
  '32': { summary: 'in 32 bits' },
  '64': { summary: 'in 64 bits' },
  o: { kind: 'value', name: 'offset', summary: 'start so many bytes further' },
  e: { kind: 'value', name: 'end', summary: 'end before this address' },
  r: { kind: 'value', name: 'raw', summary: 'write the bytes to this file' },
} as const

type RdInvocation = Invocation<{ crashFlags: typeof rdFlags }>
type Unit = 1 | 2 | 4 | 8

/** Nobody reads more in one command. */
const MAX_BYTES = 1 << 30

interface Plan {
  readonly space: Space
  readonly mem: Memory | undefined
  readonly at: bigint
  readonly unit: Unit
  readonly count: number
}

export abstract class RdCommand extends DumpCommand {
  static override crashFlags = rdFlags

  override show(given: Invocation): Report {
    const invocation = given as RdInvocation
    try {
      const plan = planOf(invocation)
      const { flags } = invocation
      if (flags.r !== undefined) return writeRaw(plan, flags.r)
      if (flags.a === true)
        return asciiReport(plan, invocation.words[1] !== undefined, invocation.target.wordSize * 2)
      return new Lines(invocation, plan).report()
    } catch (error) {
      if (error instanceof NoSymbol) return { rows: [], text: error.lines, failed: true }
      throw error
    }
  }
}

function planOf({ target, context, flags, words }: RdInvocation): Plan {
  if (flags.m === true) throw new UsageError('m', '-m option only applies to xen architecture')
  if (flags.f === true) throw new UsageError('f', 'this target is not read by file offset')
  const [word, countWord, ...more] = words
  if (word === undefined || more.length > 0) throw new Misuse()
  const end = flags.e === undefined ? undefined : hexNumber(flags.e)
  if (flags.e !== undefined && end === undefined) throw new UsageError(flags.e, `invalid input: "${flags.e}"`)
  const unit = unitOf(target, flags)
  const given = needAddress(target, word)
  const at = addr(given + (flags.o === undefined ? 0n : offset(flags.o)))
  if (end !== undefined && end <= at) throw new UsageError('e', `invalid ending address: ${hex(end)}`)
  const counted = end === undefined ? countOf(countWord) : Number(end - at + BigInt(unit) - 1n) / unit
  const count = Math.max(1, Math.floor(counted))
  if (count * unit > MAX_BYTES) throw new UsageError(String(count), `too much to show: ${count * unit} bytes`)
  const start = flags.R === true ? addr(at - BigInt((count - 1) * unit)) : at
  return { ...spaceOf(target, context, flags, start), at: start, unit, count }
}

function unitOf(target: Target, flags: RdInvocation['flags']): Unit {
  if (flags['8'] === true || flags.a === true) return 1
  if (flags['16'] === true) return 2
  if (flags['32'] === true) return 4
  return flags['64'] === true || target.wordSize === 8 ? 8 : 4
}

function offset(text: string): bigint {
  const number = countNumber(text)
  if (number === undefined) throw new UsageError(text, `invalid input: "${text}"`)
  return number
}

function countOf(word: string | undefined): number {
  if (word === undefined) return 1
  const number = countNumber(word)
  if (number === undefined) throw new UsageError(word, `invalid input: "${word}"`)
  return Number(number)
}

function spaceOf(
  target: Target,
  context: RdInvocation['context'],
  flags: RdInvocation['flags'],
  at: bigint,
): Pick<Plan, 'space' | 'mem'> {
  if (flags.p === true) return { space: 'physical', mem: target.physMem }
  if (flags.u === true) return { space: 'user', mem: currentUserMemory(target, context) }
  if (isKernelAddress(target, at)) return { space: 'kernel', mem: target.mem }
  return { space: 'user', mem: findUserMemory(target, context) }
}

/** What `type:` says in an error. */
function unitName({ unit, space }: Plan): string {
  return `${unit * 8}-bit ${space === 'physical' ? 'PHYSADDR' : space === 'user' ? 'UVADDR' : 'KVADDR'}`
}

function writeRaw(plan: Plan, path: string): Report {
  // the count is of bytes here
  const bytes = readUnit(plan.mem, plan.space, plan.at, plan.count, unitName(plan))
  writeFileSync(path, bytes)
  const row: RawRow = { address: plan.at, bytes: bytes.length, path }
  return {
    rows: [row],
    text: `${bytes.length} bytes copied from 0x${hex(plan.at)} to ${path}\n`,
  }
}

const ASCII_LINE = 60
const ASCII_LIMIT = 1 << 20

/** `-a`: text up to a count, or up to the first byte that is none; crash ends the line only in the first case. */
function asciiReport(plan: Plan, counted: boolean, digits: number): Report {
  const limit = counted ? plan.count : ASCII_LIMIT
  let text = ''
  let shown = 0
  for (; shown < limit; shown++) {
    const at = addr(plan.at + BigInt(shown))
    const [byte = 0] = readUnit(plan.mem, plan.space, at, 1, unitName(plan))
    if (byte < 0x20 || byte > 0x7e) break
    if (shown % ASCII_LINE === 0) text += `${shown > 0 ? '\n' : ''}${hex(at).padStart(digits)}:  `
    text += String.fromCharCode(byte)
  }
  const rows: AsciiRow[] = [{ address: plan.at, text: text.replace(/\n? *[0-9a-f]+: {2}/g, '') }]
  return { rows, text: shown === limit ? `${text}\n` : text }
}

/** Everything but `-a` and `-r`. */
class Lines {
  readonly #invocation: RdInvocation
  readonly #plan: Plan
  readonly #rows: MemoryRow[] = []
  readonly #symbolic: boolean

  constructor(invocation: RdInvocation, plan: Plan) {
    this.#invocation = invocation
    this.#plan = plan
    this.#symbolic = invocation.flags.s === true || invocation.flags.S !== undefined
  }

  report(): Report {
    return { rows: this.#rows, text: this.#text() }
  }

  *#text(): Generator<string> {
    const { at, unit, count } = this.#plan
    const perLine = this.#symbolic ? 2 : 16 / unit
    for (let done = 0; done < count; done += perLine) {
      const address = addr(at + BigInt(done * unit))
      yield* this.#line(address, Math.min(perLine, count - done))
    }
  }

  /** One line. Where memory ends, what could be read stands before the error. */
  *#line(at: bigint, count: number): Generator<string> {
    const { mem, space, unit } = this.#plan
    const bytes = new Uint8Array(count * unit)
    for (let i = 0; i < count; i++) {
      try {
        bytes.set(readUnit(mem, space, at + BigInt(i * unit), unit, unitName(this.#plan)), i * unit)
      } catch (error) {
        if (i > 0) yield this.#shown(at, bytes.subarray(0, i * unit), true)
        throw error
      }
    }
    yield this.#shown(at, bytes, false)
  }

  #shown(at: bigint, bytes: Uint8Array, cut: boolean): string {
    const { flags } = this.#invocation
    const { unit } = this.#plan
    const units = this.#units(bytes)
    const symbols = this.#symbolic ? units.map((value) => this.#symbol(BigInt(value))) : undefined
    this.#rows.push({ address: at, units, text: asciiText(bytes), ...(symbols !== undefined && { symbols }) })
    const bare = flags.x === true || cut
    if (symbols === undefined && flags.d !== true && flags.D !== true) {
      const text = hexdumpLine(bytes, at, {
        unit,
        addressDigits: this.#digits,
        bare,
        bigEndian: this.#bigEndian,
      })
      return cut ? text.trimEnd() + ' ' : text
    }
    const words = units.map((value, i) => this.#word(value, symbols?.[i]))
    return `${hex(at).padStart(this.#digits)}:  ${words.join('')}${cut ? '' : '\n'}`
  }

  get #digits(): number {
    return this.#invocation.target.wordSize * 2
  }

  /** A byte stream is the same in either order; 64-bit units stay as they are, as crash leaves them. */
  get #bigEndian(): boolean {
    return this.#invocation.flags.N === true && this.#plan.unit !== 8
  }

  #units(bytes: Uint8Array): (number | bigint)[] {
    const { unit } = this.#plan
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const read = (from: number): number | bigint =>
      unit === 8
        ? view.getBigUint64(from, true)
        : unit === 4
          ? view.getUint32(from, !this.#bigEndian)
          : unit === 2
            ? view.getUint16(from, !this.#bigEndian)
            : view.getUint8(from)
    return Array.from({ length: bytes.length / unit }, (_, i) => read(i * unit))
  }

  #word(value: number | bigint, symbol: string | null | undefined): string {
    const { flags } = this.#invocation
    const { unit } = this.#plan
    if (this.#symbolic) return `${(symbol ?? BigInt(value).toString(16).padStart(unit * 2, '0')).padEnd(unit * 2)} ` // prettier-ignore
    if (flags.d === true) return `${String(BigInt.asIntN(unit * 8, BigInt(value))).padStart(SIGNED_WIDTH[unit])} ` // prettier-ignore
    return `${String(value).padStart(UNSIGNED_WIDTH[unit])} `
  }

  /** A symbol, or with -S the slab cache, of an address. */
  #symbol(value: bigint): string | null {
    const { target, flags } = this.#invocation
    if (this.#plan.unit !== target.wordSize || !isKernelAddress(target, value)) return null
    const hit = crashSymbolAt(target, value)
    if (hit !== undefined && !hit.absolute) {
      if (hit.offset === 0) return isDataStart(target, hit.va) ? '.data' : symbolName(hit)
      return `${symbolName(hit)}+${hit.offset}`
    }
    if (flags.S === undefined) return null
    const phys = target.virtToPhys(Number(BigInt.asIntN(64, value)))
    const cache = phys === undefined ? undefined : cache_of_phys(target, phys)
    if (cache === undefined) return null
    return flags.S > 1 ? `[${hex(value)}:${cache}]` : `[${cache}]`
  }
}

/** Crash knows the section's own name where the kernel's table has only the marks of its start. */
function isDataStart(target: Target, va: number): boolean {
  return target.symbols.findKernel('_sdata')?.va === va
}

const SIGNED_WIDTH: Readonly<Record<Unit, number>> = { 1: 4, 2: 6, 4: 11, 8: 15 }
const UNSIGNED_WIDTH: Readonly<Record<Unit, number>> = { 1: 3, 2: 5, 4: 10, 8: 20 }

/** `list`: entries linked by a member, and members of the structs they lie in. */

import { addr, hex } from '../base/addr.ts'
import { CoredrillError, UsageError } from '../base/errors.ts'
import { evaluate } from '../helpers/expression.ts'
import { types_of_struct } from '../helpers/module-types.ts'
import type { PlainValue } from '../render/c-plain.ts'
import type { PrintOptions } from '../render/c-value.ts'
import type { Target } from '../target/target.ts'
import { hexNumber, isKernelAddress } from './data-address.ts'
import { printOptions, radixOf } from './data-print.ts'
import { readPointer } from './data-read.ts'
import { findSymbol } from './data-symbol.ts'
import { DumpCommand, type Invocation, type Report } from './dump-command.ts'
import { entryMembers } from './entry-members.ts'
import { Misuse } from './misuse.ts'
import { offsetOf } from './struct-command.ts'

/** One entry of `--json`. */
export interface ListRow {
  /** what is printed: the struct, or the link where no offset was given */
  readonly address: bigint
  readonly members?: Readonly<Record<string, PlainValue>>
}

export const listFlags = {
  s: { kind: 'values', name: 'struct', summary: 'show members of each entry' },
  S: { kind: 'values', name: 'fast', summary: 'show members of each entry as plain numbers' },
  o: { kind: 'value', name: 'offset', summary: 'the member that links: a number or struct.member' },
  O: { kind: 'value', name: 'head-offset', summary: 'the member of the head where the list begins' },
  l: { kind: 'value', name: 'link', summary: 'with -s: where in the struct the link lies' },
  e: { kind: 'value', name: 'end', summary: 'end at this address' },
  h: { name: 'entry', summary: 'the address is of an entry with an embedded list_head' },
  H: { name: 'head', summary: 'the address is of a list_head that is no entry' },
  r: { name: 'reverse', summary: 'follow prev' },
  B: { name: 'brent', summary: 'find loops without remembering every entry' },
  x: { summary: 'numbers in hex' },
  d: { summary: 'numbers in decimal' },
} as const

type ListInvocation = Invocation<{ crashFlags: typeof listFlags }>

/** Where the walk begins, what it follows and when it ends. */
interface Plan {
  readonly first: bigint
  readonly end: bigint | undefined
  /** from an entry's link to the pointer followed */
  readonly followed: bigint
  /** from the struct's start to the link */
  readonly embedded: bigint
  /** print the struct's address, not the link's */
  readonly printStruct: boolean
}

/** No list of a kernel is longer. */
const MAX_ENTRIES = 10_000_000

export abstract class ListCommand extends DumpCommand {
  static override crashFlags = listFlags

  override show(given: Invocation): Report {
    const invocation = given as ListInvocation
    const plan = planOf(invocation)
    if (plan === undefined) return { rows: [], text: '(empty)\n' }
    return new Walk(invocation, plan).report()
  }
}

interface Words {
  readonly start: bigint
  readonly offset: bigint
}

/** @throws UsageError, Misuse, ReadError */
function planOf({ target, flags, words }: ListInvocation): Plan | undefined {
  if (words.length === 0) throw new Misuse()
  const { start, offset } = readWords(target, words, flags.o)
  const embedded = flags.l === undefined ? 0n : offsetOf(target, flags.l)
  const end = flags.e === undefined ? undefined : endAddress(target, flags.e)
  const back = flags.r === true ? BigInt(target.wordSize) : 0n
  if (flags.O !== undefined) {
    const head = start + offsetOf(target, flags.O)
    const first = readPointer(target, head + back, 'first list entry')
    if (first === head) return undefined
    needKernel(target, first, 'first list entry')
    return { first, end: end ?? head, followed: back, embedded: offset, printStruct: offset > 0n }
  }
  if (flags.H === true) {
    const first = readPointer(target, start + back, 'LIST_HEAD contents')
    if (first === start) return undefined
    needKernel(target, first, 'first list entry')
    return { first, end: end ?? start, followed: back, embedded: offset, printStruct: true }
  }
  if (flags.h === true)
    return { first: addr(start + offset), end, followed: back, embedded: offset, printStruct: true }
  return { first: start, end, followed: offset, embedded, printStruct: false }
}

/** The start, and an offset as `struct.member` or a small number, in any order. */
function readWords(target: Target, words: readonly string[], option: string | undefined): Words {
  let start: bigint | undefined
  let offset = option === undefined ? undefined : offsetOf(target, option)
  const enter = (value: bigint): void => {
    if (offset !== undefined)
      throw new UsageError('o', `offset value ${offset} (0x${offset.toString(16)}) already entered`)
    offset = value
  }
  for (const word of words) {
    if (word.includes('.') && isMember(target, word)) {
      enter(offsetOf(target, word))
      continue
    }
    const value = startValue(target, word)
    if (start === undefined && (value.symbol || isKernelAddress(target, value.at) || value.at === 0n)) {
      if (value.at === 0n) throw new UsageError(word, 'invalid kernel virtual address: 0')
      start = value.at
    } else if (isKernelAddress(target, value.at)) throw new UsageError(word, 'list start already entered')
    else enter(value.at)
  }
  if (start === undefined) throw new Misuse('starting address required')
  return { start, offset: offset ?? 0n }
}

function isMember(target: Target, word: string): boolean {
  const dot = word.indexOf('.')
  const type = types_of_struct(target, word.slice(0, dot))?.findStruct(word.slice(0, dot))
  return type !== undefined && target.types.findPlace(type, word.slice(dot + 1)) !== undefined
}

/** A symbol, hex digits, or a sum such as `ffff888003c1a000+10`. @throws UsageError */
function startValue(target: Target, word: string): { at: bigint; symbol: boolean } {
  const symbol = findSymbol(target, word)
  if (symbol !== undefined) return { at: addr(BigInt(symbol.va)), symbol: true }
  const number = hexNumber(word)
  if (number !== undefined) return { at: number, symbol: false }
  const sum = /^((?:0x)?[0-9a-f]+)\+((?:0x)?[0-9a-f]+)$/i.exec(word)
  if (sum !== null) return { at: addr((hexNumber(sum[1] ?? '') ?? 0n) + (hexNumber(sum[2] ?? '') ?? 0n)), symbol: false } // prettier-ignore
  if (word.startsWith('(')) return { at: addr(evaluate(target, word).integer()), symbol: false }
  throw new UsageError(word, `invalid argument: ${word}`)
}

function endAddress(target: Target, word: string): bigint {
  return startValue(target, word).at
}

function needKernel(target: Target, at: bigint, what: string): void {
  if (!isKernelAddress(target, at))
    throw new CoredrillError('FAULT', `invalid kernel virtual address: ${hex(at)}  type: "${what}"`)
}

/** Follows the links. */
class Walk {
  readonly #invocation: ListInvocation
  readonly #plan: Plan
  readonly #options: PrintOptions
  readonly #rows: ListRow[] = []

  constructor(invocation: ListInvocation, plan: Plan) {
    const { target, context, flags } = invocation
    this.#invocation = invocation
    this.#plan = plan
    this.#options = printOptions(target, context, radixOf(flags))
  }

  report(): Report {
    return { rows: this.#rows, text: this.#text() }
  }

  *#text(): Generator<string> {
    const { target } = this.#invocation
    const { first, end, followed, embedded, printStruct } = this.#plan
    const seen = new Set<bigint>()
    for (let link = first; seen.size < MAX_ENTRIES;) {
      const struct = addr(link - embedded)
      yield `${hex(printStruct ? struct : link)}\n`
      needKernel(target, link, 'list entry')
      yield* this.#entry(printStruct ? struct : link, struct)
      if (seen.has(link)) {
        yield '\n'
        throw new CoredrillError('CORRUPT', `duplicate list entry: ${hex(link)}`)
      }
      seen.add(link)
      const next = readPointer(target, addr(link + followed), 'list entry')
      if (next === end || (end === undefined && next === first)) return
      if (next === 0n) {
        if (!printStruct) return
        yield '\n'
        throw new CoredrillError('CORRUPT', 'invalid list entry: 0')
      }
      link = next
    }
  }

  /** The structs and members asked for, of one entry. */
  *#entry(address: bigint, struct: bigint): Generator<string> {
    const { target, flags } = this.#invocation
    const members: Record<string, PlainValue> = {}
    yield* entryMembers({ target, flags, options: this.#options }, struct, members)
    this.#rows.push({ address, ...(Object.keys(members).length > 0 && { members }) })
  }
}

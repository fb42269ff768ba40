/** `why` as a command: the stores behind an address or an expression, latest first, as rows and text. */

import { hex, toAddr, toVa, type Va } from '../base/addr.ts'
import { CoredrillError, UsageError } from '../base/errors.ts'
import { declare } from '../btf/declare.ts'
import { strip, type Type } from '../btf/type.ts'
import { placeOf, placeText, type Named } from '../explain/place.ts'
import { provenance, type Provenance, type Store } from '../explain/provenance.ts'
import { evaluate } from '../helpers/expression.ts'
import type { CValue } from '../btf/value.ts'
import type { Target } from '../target/target.ts'
import { hexNumber } from './data-address.ts'
import type { Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'

/** More bytes than any struct of the kernel worth asking about. */
const SIZE_MAX = 65536
/** Bytes written out in hex on one line. */
const BYTES_SHOWN = 16

interface Subject {
  readonly va: Va
  readonly size: number
  /** of an expression: its C type */
  readonly type: string | undefined
}

/** One answer of `--json`. */
export interface WhyRow {
  readonly expression: string
  readonly address: bigint
  readonly size: number
  readonly type: string | null
  /** runs of bytes that were stored together, by address */
  readonly runs: readonly Provenance[]
}

/**
 * Rows: one {@link WhyRow}.
 *
 * @throws CoredrillError NO_JOURNAL when the target keeps none
 * @throws UsageError for a value that lies nowhere
 */
export function whyReport(target: Target, words: readonly string[], sizeWord: string | undefined): Report {
  const expression = words.join(' ')
  if (expression === '') throw new Misuse()
  const subject = subjectOf(target, expression, sizeWord)
  const runs = provenance(target, subject.va, subject.size)
  if (runs === undefined) {
    const what = 'no write journal: only a dump that coredrill recorded knows who stored what'
    throw new CoredrillError('NO_JOURNAL', `${target.path}: ${what}`)
  }
  const { va, size, type } = subject
  const row: WhyRow = { expression, address: toAddr(va), size, type: type ?? null, runs }
  const lines = [headline(target, subject), ...runs.flatMap((run) => runLines(run, runs.length > 1))]
  return { rows: [row], text: `${lines.join('\n')}\n` }
}

/** Hex digits are an address; anything else is an expression: an object asks about itself, a pointer about its target. */
function subjectOf(target: Target, expression: string, sizeWord: string | undefined): Subject {
  const size = sizeWord === undefined ? undefined : sizeOf(sizeWord)
  const number = hexNumber(expression)
  if (number !== undefined) return checked({ va: toVa(number, target.wordSize), size: size ?? 1, type: undefined }, expression) // prettier-ignore
  const value = evaluate(target, expression)
  const object = value.addr === undefined ? pointee(value) : { at: value.addr as bigint, type: value.type }
  if (object === undefined) throw new UsageError(expression, `${expression} lies nowhere in memory: give an object or an address`) // prettier-ignore
  const bytes = size ?? Math.max(1, target.types.sizeof(object.type))
  return checked(
    { va: toVa(object.at, target.wordSize), size: bytes, type: declare(object.type, '') },
    expression,
  )
}

function pointee(value: CValue): { at: bigint; type: Type } | undefined {
  const type = strip(value.type)
  if (type.kind === 'ptr') return { at: value.integer(), type: type.target }
  return type.kind === 'int' && type.size >= 4
    ? { at: value.integer(), type: { kind: 'void', id: 0 } }
    : undefined
}

function sizeOf(word: string): number {
  const size = /^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : NaN
  if (size >= 1 && size <= SIZE_MAX) return size
  throw new UsageError(word, `not a size from 1 to ${SIZE_MAX}: ${word}`)
}

function checked(subject: Subject, expression: string): Subject {
  if (Number.isNaN(subject.va)) throw new UsageError(expression, `not a canonical address: ${expression}`)
  if (subject.size <= SIZE_MAX) return subject
  throw new UsageError(expression, `${subject.size} bytes are too many: give --size, or a member`)
}

const named = (at: bigint, place: Named | undefined): string =>
  place === undefined ? hex(at) : `${hex(at)}  ${placeText(place, at)}`

function headline(target: Target, { va, size, type }: Subject): string {
  const count = `${size} byte${size === 1 ? '' : 's'}`
  const what = type === undefined ? count : `${type}, ${count}`
  return `${named(toAddr(va), placeOf(target, va, size))}  (${what})`
}

function runLines(run: Provenance, several: boolean): string[] {
  const range = several ? `${hex(run.address)}, ${run.size} byte${run.size === 1 ? '' : 's'}: ` : ''
  const holds = run.bytes === undefined ? 'cannot be read' : `holds ${bytesText(run.bytes)}`
  const head = `  ${range}${holds}`
  if (run.stores.length === 0) return [head, '      nothing was stored there since boot']
  const rest = run.stores.at(-1)?.source === 'memory' ? ['      where nothing was stored since boot'] : []
  return [head, ...run.stores.flatMap((store, i) => storeLines(store, i + 1)), ...rest]
}

function bytesText(hexText: string): string {
  const shown = (hexText.slice(0, 2 * BYTES_SHOWN).match(/../g) ?? []).join(' ')
  return hexText.length > 2 * BYTES_SHOWN ? `${shown} …` : shown
}

function storeLines(store: Store, number: number): string[] {
  const where = store.file === '' ? store.function : `${store.function} (${store.file})`
  const step = `step ${store.step}${store.stepName === '' ? '' : ` "${store.stepName}"`}`
  const what = store.value === undefined ? `${store.size} bytes` : valueText(store.value, store.size)
  return [`  ${`${number}.`.padEnd(3)} ${step}: ${where} stored ${what}`, `      ${sourceText(store)}`]
}

const valueText = (value: bigint, size: number): string =>
  `0x${BigInt.asUintN(size * 8, value)
    .toString(16)
    .padStart(size * 2, '0')}`

/** Where a stored value came from, in words. */
function sourceText(store: Store): string {
  switch (store.source) {
    case 'memory':
      return `copied from ${named(store.from, store.fromPlace)}`
    case 'packet': {
      const { field, packet, device } = store
      const about = [device, packet].filter((text) => text !== undefined).join(': ')
      const byte = `byte ${store.offset} of frame ${store.frame}${about === '' ? '' : ` (${about})`}`
      return field === undefined
        ? `from ${byte}`
        : `from ${byte}, the ${field.protocol} ${field.name} ${field.value}`
    }
    case 'syscall':
      return `from argument ${store.offset} of the system call`
    case 'scenario':
      return 'given by the scenario'
    case 'computed':
      return 'computed there, or a constant of the kernel'
  }
}

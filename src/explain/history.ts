/**
 * What a recorded dump knows beyond its memory: the journal of every store, the kernel functions that stored,
 * and what hooks refused. A plain vmcore has none of it.
 */

import type { Va } from '../base/addr.ts'
import { DumpError } from '../base/errors.ts'
import { Journal, type Write } from '../memory/journal.ts'
import type { Target } from '../target/target.ts'
import type { Refusal } from './facts.ts'

/** A kernel function, by the journal's site number. */
export interface Site {
  readonly name: string
  readonly file: string
}

/** A step of the scenario, by number. */
export interface StepNote {
  readonly name: string
  readonly summary: string
}

const journals = new WeakMap<object, Journal | null>()

/** The journal; undefined when the dump has none. @throws DumpError when it is damaged */
export function journalOf(target: Target): Journal | undefined {
  const key = target.container
  let journal = journals.get(key)
  if (journal === undefined) {
    const bytes = target.section('journal')
    journal = bytes === undefined ? null : Journal.parse(bytes, target.path)
    journals.set(key, journal)
  }
  return journal ?? undefined
}

/** Rows of the journal up to the snapshot looked at. */
export function rowsUpTo(target: Target, journal: Journal): number {
  const step = target.snapshot?.step
  if (step === undefined) return journal.length
  let low = 0
  let high = journal.length
  while (low < high) {
    const mid = (low + high) >>> 1
    if (journal.at(mid).step <= step) low = mid + 1
    else high = mid
  }
  return low
}

/**
 * The last store into any of `size` bytes, as of the snapshot looked at.
 * @throws DumpError BAD_FORMAT when its row holds no addresses
 */
export function lastWrite(target: Target, va: Va, before?: number, size = 1): Write | undefined {
  const journal = journalOf(target)
  const write = journal?.lastWrite(va, before ?? rowsUpTo(target, journal), size)
  if (write !== undefined && !(Number.isSafeInteger(write.va) && Number.isSafeInteger(write.from))) {
    throw new DumpError('BAD_FORMAT', target.path, -1, `row ${write.row} of the write journal is damaged`)
  }
  return write
}

const tables = new WeakMap<object, Map<string, readonly unknown[]>>()

/** Rows of a section the recorder wrote; none where it has none. @throws DumpError BAD_FORMAT when it is no JSON list of objects */
export function rowsOf<T>(target: Target, name: string): readonly T[] {
  const known = tables.get(target.container) ?? new Map<string, readonly unknown[]>()
  tables.set(target.container, known)
  const rows = known.get(name) ?? parseRows(target, name)
  known.set(name, rows)
  return rows as readonly T[]
}

function parseRows(target: Target, name: string): readonly unknown[] {
  const bytes = target.section(name)
  if (bytes === undefined) return []
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (Array.isArray(parsed) && parsed.every((row) => typeof row === 'object' && row !== null)) return parsed
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new DumpError('BAD_FORMAT', target.path, -1, `its section ${name} is no JSON list of objects`)
}

export const siteOf = (target: Target, id: number): Site | undefined => rowsOf<Site>(target, 'functions')[id]
export const stepOf = (target: Target, n: number): StepNote | undefined =>
  rowsOf<StepNote>(target, 'steps')[n]

/** What hooks refused up to the snapshot looked at. */
export function refusalsOf(target: Target): Refusal[] {
  const step = target.snapshot?.step ?? Infinity
  return rowsOf<Refusal>(target, 'refusals').filter((refusal) => refusal.step <= step)
}

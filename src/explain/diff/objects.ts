/** Changes of memory, told by object: which member, from what to what, and which kernel function stored it. */

import { toAddr, type Va } from '../../base/addr.ts'
import { FaultError } from '../../base/errors.ts'
import { CValue } from '../../btf/value.ts'
import { strip, type Type } from '../../btf/type.ts'
import { valueText } from '../../render/c-value.ts'
import type { Target } from '../../target/target.ts'
import { journalOf, lastWrite, siteOf, stepOf } from '../history.ts'
import { changedLeaves, type ChangedLeaf } from './leaves.ts'

/** Who stored the new value: a recorded dump knows. */
export interface Writer {
  readonly function: string
  readonly file: string
  readonly step: number
  /** the step as the scenario has it */
  readonly summary: string
}

/** A member that is not what it was. */
export interface MemberChange {
  readonly path: string
  readonly address: bigint
  readonly before: string
  readonly after: string
  /** undefined for a vmcore, and for what was laid out before the first function ran */
  readonly writer: Writer | undefined
}

/** An object, at one moment or in one dump. */
export interface ObjectBytes {
  readonly type: Type
  readonly va: Va
  readonly bytes: Uint8Array
}

/**
 * What differs between an object then and the same object now.
 *
 * @param target  the memory the object is in now; its journal names the writers
 * @param ignore  leaves that are not looked at, decided by both values as numbers: addresses that only moved, say
 */
export function memberChanges(
  target: Target,
  before: ObjectBytes,
  after: ObjectBytes,
  ignore: (leaf: ChangedLeaf, before: CValue, after: CValue) => boolean = () => false,
): MemberChange[] {
  const changes: MemberChange[] = []
  const { types } = target
  for (const leaf of changedLeaves(types, after.type, before.bytes, after.bytes)) {
    const [was, is] = [valueOf(target, leaf, before.bytes), valueOf(target, leaf, after.bytes)]
    if (ignore(leaf, was, is)) continue
    changes.push({
      path: leaf.path,
      address: toAddr(after.va + leaf.from),
      before: leafText(target, was),
      after: leafText(target, is),
      writer: writerOf(target, after.va + leaf.from, leaf.size),
    })
  }
  return changes
}

/** The leaf as a value of its own. */
function valueOf(target: Target, leaf: ChangedLeaf, bytes: Uint8Array): CValue {
  const part = bytes.slice(leaf.from, leaf.from + leaf.size)
  if (leaf.bitSize === 0) return CValue.of(target.types, target.mem, leaf.type, part)
  let raw = 0n
  for (let i = part.length - 1; i >= 0; i--) raw = (raw << 8n) | BigInt(part[i] ?? 0)
  const value = (raw >> BigInt(leaf.bitOffset % 8)) & ((1n << BigInt(leaf.bitSize)) - 1n)
  return CValue.ofInteger(target.types, target.mem, leaf.type, value)
}

const TEXT_MAX = 64

/** On one line, as gdb would show it; symbols after kernel addresses, no text behind pointers of another time. */
function leafText(target: Target, value: CValue): string {
  const type = strip(value.type)
  if (type.kind === 'int' && type.size === 1) return String(value.integer())
  const symbolize = (address: bigint): string | undefined => {
    const hit = address < toAddr(target.pageOffset) ? undefined : target.symbolize(address)
    if (hit === undefined) return undefined
    return hit.offset === 0 ? hit.name : `${hit.name}+${hit.offset}`
  }
  const text = valueText(value, { symbolize, textAt: () => false, nullStop: true, printMax: 48 })
  const line = text.replaceAll(/\s*\n\s*/g, ' ')
  return line.length > TEXT_MAX ? `${line.slice(0, TEXT_MAX)}…` : line
}

/** The last function that stored into any of those bytes. */
export function writerOf(target: Target, va: Va, size: number): Writer | undefined {
  if (journalOf(target) === undefined) return undefined
  const write = lastWrite(target, va, undefined, size)
  const site = write === undefined ? undefined : siteOf(target, write.site)
  if (write === undefined || site === undefined) return undefined
  return {
    function: site.name,
    file: site.file,
    step: write.step,
    summary: stepOf(target, write.step)?.summary ?? '',
  }
}

/** Bytes of memory; undefined where some of them cannot be read. */
export function bytesAt(target: Target, va: Va, size: number): Uint8Array | undefined {
  try {
    return target.mem.read(va, size)
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}

/** Lines of an object's changes: member, values, writer; columns as wide as they must be. */
export function changeLines(changes: readonly MemberChange[], most = Infinity): string[] {
  const shown = changes.slice(0, most)
  const width = Math.min(56, Math.max(0, ...shown.map(({ path }) => path.length)))
  const lines = shown.map(({ path, before, after, writer }) => {
    const by = writer === undefined ? '' : `  by ${writer.function}, step ${writer.step}`
    return `  ${path.padEnd(width)}  ${before} -> ${after}${by}`
  })
  if (changes.length > most) lines.push(`  … and ${changes.length - most} more members`)
  return lines
}

/** What the steps are that writers speak of: `step 8 is connect: { … }`. */
export function stepLines(writers: Iterable<Writer | undefined>): string[] {
  const steps = new Map<number, string>()
  for (const writer of writers) if (writer !== undefined) steps.set(writer.step, writer.summary)
  return [...steps].sort(([a], [b]) => a - b).map(([step, summary]) => `step ${step} is ${summary}`)
}

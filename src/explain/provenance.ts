/** Where the bytes of an object come from: for each run of bytes stored together, the stores back to the origin. */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import type { Target } from '../target/target.ts'
import { frameField, frameSummary, type FrameField } from './frame.ts'
import { journalOf, lastWrite, stepOf } from './history.ts'
import { lineage, type Origin } from './lineage.ts'
import { frameNoteOf, frameOf } from './packets.ts'
import { placeOf, type Named } from './place.ts'

/** One store, with the names of the places it is about. */
export interface Store extends Origin {
  /** what lies at `at` */
  readonly place: Named | undefined
  /** what lies where it was copied from */
  readonly fromPlace: Named | undefined
  readonly stepSummary: string
  /** of a store from a packet: the header's field, and the frame in words */
  readonly field: FrameField | undefined
  readonly packet: string | undefined
  /** the card it passed, and which way: `eth0 in` */
  readonly device: string | undefined
}

/** Bytes that were stored together, and the way they came. */
export interface Provenance {
  readonly address: bigint
  readonly size: number
  /** the bytes as they lie in memory now, in hex; undefined where they cannot be read */
  readonly bytes: string | undefined
  /** latest first; empty: nothing was stored there since boot */
  readonly stores: readonly Store[]
}

/** Runs of one object that are told apart at most. */
const RUNS_MAX = 1024

/**
 * Where `size` bytes come from, as of the snapshot looked at.
 *
 * @returns undefined when the dump has no journal
 * @throws DumpError when the journal or the capture is damaged
 */
export function provenance(target: Target, va: Va, size: number): Provenance[] | undefined {
  if (journalOf(target) === undefined) return undefined
  return runs(target, va, size).map((run) => ({
    address: toAddr(run.va),
    size: run.size,
    bytes: bytesAt(target, run.va, run.size),
    stores: run.stored ? lineage(target, run.va).map((origin) => named(target, origin, run.size)) : [],
  }))
}

interface Run {
  readonly va: Va
  readonly size: number
  readonly stored: boolean
}

/** Cut a range into the runs its last stores left, by address. */
function runs(target: Target, va: Va, size: number): Run[] {
  const found: Run[] = []
  const ahead = [{ va, size, before: undefined as number | undefined }]
  for (let part = ahead.pop(); part !== undefined && found.length < RUNS_MAX; part = ahead.pop()) {
    const write = lastWrite(target, part.va, part.before, part.size)
    if (write === undefined) {
      found.push({ va: part.va, size: part.size, stored: false })
      continue
    }
    const start = Math.max(part.va, write.va)
    const end = Math.min(part.va + part.size, write.va + write.size)
    found.push({ va: start, size: end - start, stored: true })
    const behind = part.va + part.size - end
    if (behind > 0) ahead.push({ va: end, size: behind, before: write.row })
    if (start > part.va) ahead.push({ va: part.va, size: start - part.va, before: write.row })
  }
  return found.sort((a, b) => a.va - b.va)
}

function bytesAt(target: Target, va: Va, size: number): string | undefined {
  try {
    return Buffer.from(target.mem.read(va, size)).toString('hex')
  } catch {
    return undefined
  }
}

function named(target: Target, origin: Origin, size: number): Store {
  const { wordSize } = target
  const frame = origin.source === 'packet' ? frameOf(target, origin.frame) : undefined
  const note = origin.source === 'packet' ? frameNoteOf(target, origin.frame) : undefined
  return {
    ...origin,
    place: placeOf(target, toVa(origin.at, wordSize), size),
    fromPlace: origin.source === 'memory' ? placeOf(target, toVa(origin.from, wordSize), size) : undefined,
    stepSummary: stepOf(target, origin.step)?.summary ?? '',
    field: frame === undefined ? undefined : frameField(frame, origin.offset),
    packet: frame === undefined ? undefined : frameSummary(frame),
    device: note === undefined ? undefined : `${note.device} ${note.direction}`,
  }
}

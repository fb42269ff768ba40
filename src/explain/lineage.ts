/** Follow a byte backwards: who stored it, from where the value was copied, and so on to a packet or a constant. */

import { toAddr, type Va } from '../base/addr.ts'
import { SourceKind } from '../memory/memory.ts'
import type { Target } from '../target/target.ts'
import { journalOf, lastWrite, siteOf, stepOf, type Site } from './history.ts'

/** One store on the way back. */
export interface Origin {
  /** Row of the journal. */
  readonly row: number
  /** Where the value lay. */
  readonly at: bigint
  /** First byte of the store, which may have been larger than what is asked about, and its size. */
  readonly store: bigint
  readonly size: number
  /** What was stored, when it was 1, 2, 4 or 8 bytes. */
  readonly value: bigint | undefined
  readonly function: string
  readonly file: string
  readonly step: number
  readonly stepName: string
  readonly source: 'memory' | 'packet' | 'syscall' | 'scenario' | 'computed'
  /** Copied from this address (`memory`); frame number and byte (`packet`); argument index (`syscall`). */
  readonly from: bigint
  readonly frame: number
  readonly offset: number
}

/** Longer chains are damaged or pointless. */
const HOPS_MAX = 64
const SCALARS = new Set([1, 2, 4, 8])
const SOURCES: Readonly<Record<number, Origin['source']>> = [
  'computed',
  'memory',
  'packet',
  'syscall',
  'scenario',
]

/**
 * The stores a byte's value passed through, latest first; empty when the dump has no journal or nothing was stored.
 *
 * @param beforeRow  only what was stored before this row of the journal; default: up to the snapshot looked at
 * @throws DumpError when the journal is damaged
 */
export function lineage(target: Target, va: Va, beforeRow?: number): Origin[] {
  if (journalOf(target) === undefined) return []
  const chain: Origin[] = []
  let at = va
  let before = beforeRow
  for (let hops = 0; hops < HOPS_MAX; hops++) {
    const write = lastWrite(target, at, before)
    if (write === undefined) break
    const site = siteOf(target, write.site)
    const into = at - write.va
    const packet = write.from + into
    chain.push({
      row: write.row,
      at: toAddr(at),
      store: toAddr(write.va),
      size: write.size,
      value: SCALARS.has(write.size) ? write.value : undefined,
      function: nameOf(site, write.step),
      file: site?.file ?? '',
      step: write.step,
      stepName: stepOf(target, write.step)?.name ?? '',
      source: SOURCES[write.kind] ?? 'computed',
      from: write.kind === SourceKind.Memory ? toAddr(write.from + into) : 0n,
      frame: write.kind === SourceKind.Packet ? Math.floor(packet / 65536) : 0,
      offset:
        write.kind === SourceKind.Packet
          ? packet % 65536
          : write.kind === SourceKind.Syscall
            ? write.from
            : 0,
    })
    if (write.kind !== SourceKind.Memory) break
    at = write.from + into
    before = write.row
  }
  return chain
}

/** The first site is no function: what lays the image out before the kernel runs, and the machine around it. */
function nameOf(site: Site | undefined, step: number): string {
  const name = site?.name ?? ''
  return name === '' ? (step === 0 ? 'boot' : 'machine') : name
}

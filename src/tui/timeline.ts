/** Where a recorded dump can be looked at: its steps, and the snapshots taken between them. */

import { rowsOf } from '../explain/history.ts'
import type { SnapshotInfo } from '../vmcore/container.ts'
import type { Target } from '../target/target.ts'
import { span } from './cell.ts'
import type { Row, RowSource } from './row.ts'
import { timeText } from './object-rows.ts'

/** As the dump has it: a damaged one may hold anything. */
interface StepRow {
  readonly name?: unknown
  readonly summary?: unknown
  readonly atNs?: unknown
}

/** A step, or a snapshot between two. */
export interface Moment {
  readonly kind: 'step' | 'snapshot'
  readonly step: number
  readonly name: string
  readonly summary: string
  readonly timeNs: bigint | undefined
  /** the snapshot that shows it: its own, of a step the first taken after it; undefined when none was */
  readonly position: number | undefined
}

/** Everything in order of time. */
export function moments(target: Target): Moment[] {
  const { snapshots } = target
  const steps = rowsOf<StepRow>(target, 'steps')
  const found: Moment[] = []
  const last = Math.max(steps.length - 1, snapshots.at(-1)?.step ?? -1)
  for (let step = 0; step <= Math.min(last, 100_000); step++) {
    const row = steps[step]
    if (row !== undefined) {
      const after = snapshots.findIndex((snapshot) => snapshot.step >= step)
      const timeNs = typeof row.atNs === 'number' ? BigInt(Math.round(row.atNs)) : undefined
      found.push({
        kind: 'step',
        step,
        name: textIn(row.name),
        summary: textIn(row.summary),
        timeNs,
        position: after < 0 ? undefined : after,
      })
    }
    snapshots.forEach((snapshot, position) => {
      if (snapshot.step === step) found.push(snapshotMoment(snapshot, position))
    })
  }
  return found
}

const textIn = (value: unknown): string => (typeof value === 'string' ? value : '')

const snapshotMoment = ({ name, step, timeNs }: SnapshotInfo, position: number): Moment => ({
  kind: 'snapshot',
  step,
  name,
  summary: 'snapshot',
  timeNs,
  position,
})

/** @param position  the snapshot looked at */
export function momentRows(target: Target): RowSource<Moment> {
  return {
    entries: () => moments(target),
    row: (moment): Row => ({
      key: `${moment.kind} ${moment.step} ${moment.name}`,
      spans: [
        span(`${moment.timeNs === undefined ? '' : timeText(moment.timeNs)} `.padStart(15), 'dim'),
        moment.kind === 'snapshot'
          ? span(`== ${moment.name} `, 'title')
          : span(`   ${String(moment.step).padStart(3)} ${moment.name.padEnd(10)} ${moment.summary}`),
      ],
      subject: undefined,
      command: undefined,
    }),
  }
}

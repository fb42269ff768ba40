/** What a step did, for those who watch a recording: time, stores, packets, log lines. Observed from outside. */

import { describeFrame } from './frame-text.ts'
import type { Run } from './run.ts'

export interface StepReport {
  /** virtual time since boot, in nanoseconds */
  readonly atNs: number
  readonly endNs: number
  /** stores into memory, and how many kernel functions made them */
  readonly writes: number
  readonly functions: number
  /** packets on the wire, a line each */
  readonly frames: readonly string[]
  /** lines the kernel logged */
  readonly log: readonly string[]
}

/** Begin to watch; the function given back tells what has happened since, and ends it. */
export function watchStep(run: Run): () => StepReport {
  const { k } = run
  const [row, frame, atNs] = [k.mem.journal.length, run.frames.length, k.clock.nowNs]
  const log: string[] = []
  const stop = k.watch('vprintk_store', {
    entered: (_info, args) => log.push(...String(args[2]).trimEnd().split('\n')),
    returned: () => undefined,
  })
  return () => {
    stop()
    const { journal } = k.mem
    const sites = new Set<number>()
    for (let i = row; i < journal.length; i++) sites.add(journal.at(i).site)
    return {
      atNs,
      endNs: k.clock.nowNs,
      writes: journal.length - row,
      functions: sites.size,
      frames: run.frames.slice(frame).map((one) => `${one.device} ${one.direction} ${describeFrame(one)}`),
      log,
    }
  }
}

/** Lines of a report, indented below their step. */
export function reportText({ atNs, endNs, writes, functions, frames, log }: StepReport): string {
  const seconds = (ns: number): string => (ns / 1e9).toFixed(6)
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
  const stores = writes === 0 ? 'no writes' : `${count(writes, 'write')} by ${count(functions, 'function')}`
  const head = `at ${seconds(atNs)} s, ${seconds(endNs - atNs)} s long: ${stores}`
  return [head, ...frames, ...log.map((line) => `log: ${line}`)].map((line) => `    ${line}\n`).join('')
}

/**
 * A shell at a terminal: reads a line, forks, runs the program in the foreground, waits for it. What a line means it is
 * told by whoever typed it, because it parses nothing.
 */

import type { ExecImage } from '../linux/fs/exec.ts'
import type { Program } from './process.ts'

const LINE_MAX = 1024
/** wait4(2): also children that stopped. */
const WUNTRACED = 2

/** What a typed line is to start. */
export interface Job {
  readonly image: ExecImage
  readonly program: Program
  readonly pid?: number
  readonly cpu?: number
  /** Told by the child, as its first act. */
  readonly begun: (pid: number) => void
}

/** A shell's jobs from outside. */
export class Jobs {
  readonly queue: Job[] = []
  /** It waits for a program and reads no line. */
  busy = false
}

export const bash = (jobs: Jobs): Program =>
  function* (p) {
    for (;;) {
      const line = yield* p.read(0, LINE_MAX)
      if (typeof line === 'number' || line.length === 0) return 0
      const job = jobs.queue.shift()
      if (job === undefined) continue
      jobs.busy = true
      const pid = yield* p.fork(child(job), {
        ...(job.pid !== undefined && { pid: job.pid }),
        ...(job.cpu !== undefined && { cpu: job.cpu }),
      })
      while ((yield* p.wait(-1, WUNTRACED)).pid !== pid && pid > 0) continue
      jobs.busy = false
    }
  }

const child = ({ image, program, begun }: Job): Program =>
  function* (p) {
    begun(p.pid)
    return yield* p.exec(image, program)
  }

/** Children of a shell: those it waits for, those in the background, and what it says of them. */

import { EINTR } from '../../abi/errno.ts'
import { WNOHANG } from '../../abi/sched.ts'
import type { Process } from '../process.ts'
import { strsignal } from '../signals.ts'
import { complain } from '../stdio.ts'
import { exitStatus, type Job, type ShellState } from './state.ts'

const SIGINT = 2
const SIGPIPE = 13
const COLUMN = 24

/** A job is in the background from now on. */
export function* addJob(
  p: Process,
  state: ShellState,
  pids: readonly number[],
  text: string,
): Generator<unknown, void> {
  const number = Math.max(0, ...state.jobs.keys()) + 1
  const pid = pids.at(-1) ?? 0
  state.jobs.set(number, { number, pid, pids: new Set(pids), text, status: undefined })
  state.lastPid = pid
  if (state.interactive) yield* complain(p, `[${number}] ${pid}`)
}

/** A child has ended that was in the background. */
function note(state: ShellState, pid: number, status: number): void {
  for (const job of state.jobs.values()) {
    if (job.pids.delete(pid) && pid === job.pid) job.status = status
  }
}

/** @returns how the last of these ended, as wait(2) has it */
export function* waitFor(p: Process, state: ShellState, pids: readonly number[]): Generator<unknown, number> {
  const left = new Set(pids)
  let last = 0
  while (left.size > 0) {
    const { pid, status } = yield* p.wait(-1)
    if (pid === -EINTR) continue
    if (pid < 0) break
    if (left.delete(pid)) {
      if (pid === pids.at(-1)) last = status
    } else note(state, pid, status)
  }
  return last
}

/** What ended the foreground job, where it was a signal: a shell at a terminal says so. */
export function* sayHowEnded(p: Process, state: ShellState, status: number): Generator<unknown, void> {
  const signal = status & 0x7f
  if (signal === 0 || signal === SIGINT || signal === SIGPIPE) return
  if (state.interactive) yield* complain(p, strsignal(signal))
}

/** `wait`: for these, or for all there are. @returns exit status of the last */
export function* waitForJobs(
  p: Process,
  state: ShellState,
  pids: readonly number[],
): Generator<unknown, number> {
  const wanted = (job: Job): boolean => pids.length === 0 || pids.includes(job.pid)
  let status = 0
  for (const job of [...state.jobs.values()].filter(wanted)) {
    while (job.pids.size > 0) {
      const child = yield* p.wait(-1)
      if (child.pid === -EINTR) continue
      if (child.pid < 0) break
      note(state, child.pid, child.status)
    }
    status = exitStatus(job.status ?? 0)
    if (!state.interactive) state.jobs.delete(job.number)
  }
  if (pids.some((pid) => ![...state.jobs.values()].some((job) => job.pid === pid))) status = status || 127
  return pids.length === 0 ? 0 : status
}

/** Before the next prompt: jobs that have ended since are announced and forgotten. */
export function* reapJobs(p: Process, state: ShellState): Generator<unknown, void> {
  while ([...state.jobs.values()].some((job) => job.pids.size > 0)) {
    const { pid, status } = yield* p.wait(-1, WNOHANG)
    if (pid <= 0) break
    note(state, pid, status)
  }
  for (const job of [...state.jobs.values()]) {
    if (job.pids.size > 0) continue
    state.jobs.delete(job.number)
    if (state.interactive) yield* complain(p, `[${job.number}]+  ${ended(job).padEnd(COLUMN)}${job.text}`)
  }
}

function ended({ status = 0 }: Job): string {
  if ((status & 0x7f) !== 0) return strsignal(status & 0x7f)
  const code = exitStatus(status)
  return code === 0 ? 'Done' : `Exit ${code}`
}

/** The other faces of `ps`: families, times, limits, arguments, when each task last ran. */

import { FaultError, ValidationError } from '../base/errors.ts'
import { nanoseconds, duration, run_time } from '../helpers/time.ts'
import { rq_clock } from '../helpers/sched.ts'
import {
  task_last_run,
  task_rlimits,
  task_start_time,
  task_state,
  task_state_string,
  task_states,
} from '../helpers/task.ts'
import type { TaskContext, TaskTable } from '../helpers/tasks.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import { taskHeader } from './task-header.ts'

/** More ancestors than any tree has. */
const DEPTH_MAX = 1000
/** The longest command line or environment shown. */
const ARGS_MAX = 1 << 20
const UNLIMITED = 2n ** 64n - 1n
const UNLIMITED_32 = 2n ** 32n - 1n

/** `ps -p`: the ancestors, the eldest first. */
export function ancestors(table: TaskTable, context: TaskContext): TaskContext[] {
  const line: TaskContext[] = [context]
  const seen = new Set([context.va])
  let at = context
  while (line.length < DEPTH_MAX && at.parent !== at.va && !seen.has(at.parent)) {
    const parent = table.byAddress(at.parent)
    if (parent === undefined) break
    seen.add(parent.va)
    line.unshift(parent)
    at = parent
  }
  return line
}

export function ancestorsText(line: readonly TaskContext[]): string {
  return `${line.map((t, depth) => ' '.repeat(depth) + taskHeader(t)).join('')}\n`
}

/** `ps -c` */
export const childrenOf = (table: TaskTable, context: TaskContext): TaskContext[] =>
  table.tasks.filter((t) => t.parent === context.va)

/** `ps -g`: the other threads of the process */
export const threadsOf = (table: TaskTable, context: TaskContext): TaskContext[] =>
  table.tasks.filter((t) => t.tgid === context.tgid && t !== context)

/** A task and those below it. */
export function familyText(head: TaskContext, members: readonly TaskContext[], none: string): string {
  const below = members.map((t) => `  ${taskHeader(t)}`).join('')
  return `${taskHeader(head)}${below === '' ? `  (${none})\n` : below}\n`
}

/** `ps -t` */
export interface Times {
  readonly run_seconds: bigint
  /** since boot */
  readonly start_ns: bigint
  readonly user_ns: bigint
  readonly system_ns: bigint
}

export function timesOf(table: TaskTable, { task }: TaskContext): Times {
  const start = task_start_time(task)
  return {
    run_seconds: run_time(table.kernel, start),
    start_ns: start,
    user_ns: task.$int('utime'),
    system_ns: task.$int('stime'),
  }
}

export function timesText(context: TaskContext, times: Times): string {
  return (
    `${taskHeader(context)}    RUN TIME: ${duration(times.run_seconds)}\n` +
    `  START TIME: ${times.start_ns}\n       UTIME: ${times.user_ns}\n       STIME: ${times.system_ns}\n\n`
  )
}

/** `ps -r` */
export function limitsText(context: TaskContext): string {
  const limits = task_rlimits(context.task)
  const width = Math.max(0, ...limits.map((l) => l.name.length))
  const unlimited = context.task.$mem.wordSize === 8 ? UNLIMITED : UNLIMITED_32
  const cell = '(unlimited)'.length
  const value = (n: bigint): string => (n === unlimited ? '(unlimited)' : center(String(n), cell))
  const heading = `  ${'RLIMIT'.padStart(width)}   ${center('CURRENT', cell, 'left')}   ${center('MAXIMUM', cell, 'left')}\n`
  const lines = limits.map((l) => `  ${l.name.padStart(width)}   ${value(l.current)}   ${value(l.maximum)}\n`)
  return `${taskHeader(context)}${heading}${lines.join('')}\n`
}

/** `ps -l`: the scheduler's time stamp; `width` that of the youngest task. */
export function lastRunText(table: TaskTable, context: TaskContext, width: number): string {
  const stamp = task_last_run(context.task).toString().padStart(width)
  return `[${stamp}] ${stateAndHeader(table, context)}`
}

/** `ps -m`: how long ago, by the clock of the task's CPU. */
export function idleForText(table: TaskTable, context: TaskContext): string {
  const clock = rq_clock(table.kernel, context.cpu)
  const days = nanoseconds(clock).indexOf(' ')
  const since = clock - task_last_run(context.task)
  const text = nanoseconds(since < 0n ? 0n : since)
  return `[${' '.repeat(Math.max(0, days - text.indexOf(' ')))}${text}] ${stateAndHeader(table, context)}`
}

function stateAndHeader(table: TaskTable, context: TaskContext): string {
  const state = task_state_string(task_states(table.kernel), task_state(context.task))
  return `[${state}]  ${taskHeader(context)}`
}

/** `ps -a` */
export interface Arguments {
  readonly argv: readonly string[]
  readonly envp: readonly string[]
}

/** The arguments and environment as the process left them; undefined without user memory. @throws FaultError */
export function argumentsOf(target: Target, { task }: TaskContext): Arguments | undefined {
  const mm = task.$ref('mm')
  if (mm === null) return undefined
  const strings = (from: string, to: string): string[] => {
    const start = mm.$int(from)
    const size = Number(mm.$int(to) - start)
    if (size === 0) return []
    if (size < 0 || size > ARGS_MAX) {
      throw new ValidationError(mm.$addr, `${from} and ${to} less than ${ARGS_MAX} bytes apart`, String(size))
    }
    const text = Buffer.from(target.readUser(task, Number(start), size)).toString('latin1')
    return text.split('\0').filter((s) => s !== '')
  }
  return { argv: strings('arg_start', 'arg_end'), envp: strings('env_start', 'env_end') }
}

export function argumentsText({ argv, envp }: Arguments): string {
  const environment = envp.map((s, i) => `${i === 0 ? '' : '     '}${s}\n`).join('')
  return `ARG: ${argv.map((s) => `${s} `).join('')}\nENV: ${environment}\n${envp.length > 0 ? '' : '\n'}`
}

export const isFault = (error: unknown): error is FaultError => error instanceof FaultError

/** `ps`: which tasks, in which order, shown how. */

import { UsageError, type FaultError } from '../base/errors.ts'
import {
  is_kernel_thread,
  sched_policies,
  task_last_run,
  task_policy,
  task_rlimits,
  task_state,
  task_state_string,
  task_states,
} from '../helpers/task.ts'
import { task_table, type TaskContext, type TaskTable } from '../helpers/tasks.ts'
import type { Target } from '../target/target.ts'
import { cpuList } from './cpu-list.ts'
import type { Json, Report } from './dump-command.ts'
import { psHeading, psLine, psRow, type PsRow } from './ps-row.ts'
import {
  ancestors,
  ancestorsText,
  argumentsOf,
  argumentsText,
  childrenOf,
  familyText,
  idleForText,
  isFault,
  lastRunText,
  limitsText,
  threadsOf,
  timesOf,
  timesText,
  type Times,
} from './ps-more.ts'
import { selectors, type Selector } from './ps-select.ts'
import { faultMark, isDamage } from './fault-mark.ts'
import type { PsAncestorsRow, PsArgumentsRow, PsChildrenRow, PsLastRunRow, PsLimit, PsLimitsRow, PsRelative, PsThreadsRow, PsTimesRow } from './rows.ts' // prettier-ignore
import { taskHeader } from './task-header.ts'

type PsAnyRow =
  | PsRow
  | PsAncestorsRow
  | PsChildrenRow
  | PsThreadsRow
  | PsTimesRow
  | PsLastRunRow
  | PsLimitsRow
  | PsArgumentsRow

type Flag = 'k' | 'u' | 'G' | 's' | 'p' | 'c' | 't' | 'l' | 'm' | 'a' | 'g' | 'r' | 'S' | 'A' | 'H'

/** What `ps` is given. */
export interface PsInvocation {
  readonly target: Target
  readonly flags: { readonly [F in Flag]?: boolean } & { readonly y?: string; readonly C?: string }
  readonly words: readonly string[]
  readonly note: (line: string) => void
}

export function psReport({ target, flags, words, note }: PsInvocation): Report {
  const table = task_table(target)
  for (const { where, error } of table.problems) note(`${where}: ${error.message}`)
  if (flags.S) return summary(table)
  const unknown: string[] = []
  const complain = (line: string): void => {
    unknown.push(line)
    note(line)
  }
  const chosen = chooseTasks(table, flags, words, complain)
  const failed = unknown.length > 0 || (words.length > 0 && chosen.length === 0)
  return new PsText({ target, table, flags, note, named: words.length > 0, failed }).report(chosen)
}

/** `ps -S` */
function summary(table: TaskTable): Report {
  const states = task_states(table.kernel)
  const counts = new Map<string, number>()
  for (const { task } of table.tasks) {
    const state = task_state_string(states, task_state(task))
    counts.set(state, (counts.get(state) ?? 0) + 1)
  }
  const text = [...counts].map(([state, count]) => `  ${state}: ${count}\n`).join('')
  return { rows: Object.fromEntries(counts), text }
}

/** The tasks in the order they are shown; a task as often as words select it. */
function chooseTasks(
  table: TaskTable,
  flags: PsInvocation['flags'],
  words: readonly string[],
  note: (line: string) => void,
): TaskContext[] {
  const ordered = flags.l || flags.m ? table.byLastRun() : [...table.tasks]
  if (flags.t && words.length === 0) ordered.sort((a, b) => compare(startOf(a), startOf(b)))
  const leadersOnly = flags.G === true || flags.g === true
  const selected = words.length === 0 ? ordered : select(ordered, selectors(table, words, note), leadersOnly)
  const policies = flags.y === undefined ? undefined : policiesOf(flags.y)
  const cpus = flags.C === undefined || words.length > 0 ? undefined : cpuList(table.kernel, flags.C)
  const kept = selected.filter(
    (t) =>
      !(flags.u && is_kernel_thread(t.task)) &&
      !(flags.k && !is_kernel_thread(t.task)) &&
      (policies === undefined || policies.has(task_policy(t.task))) &&
      (cpus === undefined || cpus.includes(t.cpu)) &&
      !(flags.A && words.length === 0 && !table.isActive(t)),
  )
  return flags.G ? leaders(table, kept, words.length > 0) : kept
}

function select(
  ordered: readonly TaskContext[],
  given: readonly Selector[],
  leadersOnly: boolean,
): TaskContext[] {
  return ordered.flatMap((task) =>
    given
      .filter(({ by, selects }) => {
        const byName = by === 'comm' || by === 'regex'
        return selects(task) && !(byName && leadersOnly && task.pid !== task.tgid)
      })
      .map(() => task),
  )
}

/** Each process once, for its leader or (when it was named) for a thread. */
function leaders(table: TaskTable, tasks: readonly TaskContext[], named: boolean): TaskContext[] {
  const shown = new Set<TaskContext>()
  for (const task of tasks) {
    if (task.pid === task.tgid) shown.add(task)
    else if (named) {
      const leader = table.byTgid(task.tgid).find((t) => t.pid === t.tgid)
      if (leader !== undefined) shown.add(leader)
    }
  }
  return [...shown]
}

/** `NORMAL,1,0x2`: names and numbers. @throws UsageError */
function policiesOf(text: string): Set<number> {
  const numbers = text.split(',').map((word) => {
    const upper = word.toUpperCase()
    const named = sched_policies.findIndex((name) => upper.startsWith(name))
    const number = /^(0X)?[0-9]$/.test(upper) ? Number(upper) : named
    if (number < 0 || number >= sched_policies.length) {
      throw new UsageError(word, `${word}: invalid scheduling policy`)
    }
    return number
  })
  return new Set(numbers)
}

const startOf = (t: TaskContext): bigint => t.task.$int('start_time')
const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)

/** Durations as numbers: exact up to a hundred days of nanoseconds. */
const numbers = (times: Times): Omit<PsTimesRow, keyof PsRow> => ({
  run_seconds: Number(times.run_seconds),
  start_ns: Number(times.start_ns),
  user_ns: Number(times.user_ns),
  system_ns: Number(times.system_ns),
})

/** A resource limit; `null` where there is none. */
function limitRow({ name, current, maximum }: ReturnType<typeof task_rlimits>[number]): PsLimit {
  const limit = (n: bigint): number | null => (n >= 2n ** 64n - 1n ? null : Number(n))
  return { name, current: limit(current), maximum: limit(maximum) }
}

interface PsTextOptions {
  readonly target: Target
  readonly table: TaskTable
  readonly flags: PsInvocation['flags']
  readonly note: (line: string) => void
  /** were tasks named? */
  readonly named: boolean
  /** was one of them not found? */
  readonly failed: boolean
}

/** Shows tasks one way or another; a task that cannot be read costs its line, not the command. */
class PsText {
  readonly #target: Target
  readonly #table: TaskTable
  readonly #flags: PsInvocation['flags']
  readonly #note: (line: string) => void
  readonly #named: boolean
  #failed = false

  constructor({ target, table, flags, note, named, failed }: PsTextOptions) {
    this.#target = target
    this.#table = table
    this.#flags = flags
    this.#note = note
    this.#named = named
    this.#failed = failed || table.problems.length > 0
  }

  report(tasks: readonly TaskContext[]): Report {
    const failed = (): boolean => this.#failed
    const rows = (): Json => tasks.flatMap((t) => this.#attempt(t, () => [this.#row(t)]) ?? [])
    return {
      get rows() {
        return rows()
      },
      text: this.#text(tasks),
      get failed() {
        return failed()
      },
    }
  }

  *#text(tasks: readonly TaskContext[]): Generator<string> {
    const { p, c, t, l, m, a, g, r, s, H } = this.#flags
    if (!(p || c || t || l || m || a || g || r || H)) {
      yield psHeading(this.#table.kernel.mem.wordSize, s === true)
    }
    if (this.#flags.C !== undefined && !this.#named) yield* this.#byCpu(tasks)
    else if (g) yield* this.#groups(tasks)
    else for (const task of tasks) yield* this.#one(task)
  }

  /** `-C`: under a line for each CPU */
  *#byCpu(tasks: readonly TaskContext[]): Generator<string> {
    const cpus = cpuList(this.#table.kernel, this.#flags.C ?? 'a')
    for (const [i, cpu] of cpus.entries()) {
      yield `${i > 0 ? '\n' : ''}CPU: ${cpu}\n`
      for (const task of tasks.filter((t) => t.cpu === cpu)) yield* this.#one(task)
    }
  }

  /** `-g`: a thread stands for its process only when it was named */
  *#groups(tasks: readonly TaskContext[]): Generator<string> {
    let idleShown = false
    for (const task of tasks) {
      const head = task.pid === task.tgid ? task : this.#named ? this.#leader(task) : undefined
      if (head === undefined || (head.pid === 0 && idleShown)) continue
      const threads = threadsOf(this.#table, head)
      if (head.pid === 0 && threads.length > 0) idleShown = true
      yield familyText(head, threads, 'no threads')
    }
  }

  #leader(task: TaskContext): TaskContext | undefined {
    return this.#table.byTgid(task.tgid).find((t) => t.pid === t.tgid)
  }

  *#one(task: TaskContext): Generator<string> {
    const table = this.#table
    const { p, c, t, l, m, a, r, s } = this.#flags
    if (a) yield* this.#arguments(task)
    else {
      const text = this.#attempt(task, () => {
        if (p) return ancestorsText(ancestors(table, task))
        if (c) return familyText(task, childrenOf(table, task), 'no children')
        if (t) return timesText(task, timesOf(table, task))
        if (l) return lastRunText(table, task, this.#stampWidth())
        if (m) return idleForText(table, task)
        if (r) return limitsText(task)
        return psLine(psRow(table, task), table.kernel.mem.wordSize, s === true)
      })
      if (text !== undefined) yield text
    }
  }

  *#arguments(task: TaskContext): Generator<string> {
    yield taskHeader(task)
    const failedBefore = this.#failed
    const found = this.#attempt(
      task,
      () => argumentsOf(this.#target, task),
      'cannot access user stack address',
    )
    if (found !== undefined) yield argumentsText(found)
    else {
      if (this.#failed === failedBefore) this.#note('no user stack')
      yield '\n'
    }
  }

  #width: number | undefined
  #stampWidth(): number {
    const youngest = this.#table.byLastRun()[0]
    return (this.#width ??= youngest === undefined ? 0 : String(task_last_run(youngest.task)).length)
  }

  #row(task: TaskContext): PsAnyRow {
    const { p, c, t, l, m, a, g, r } = this.#flags
    const table = this.#table
    const row = psRow(table, task)
    const brief = (of: readonly TaskContext[]): PsRelative[] =>
      of.map((x) => ({ pid: x.pid, task: x.task.$addr, comm: x.comm }))
    if (p) return { ...row, ancestors: brief(ancestors(table, task).slice(0, -1)) }
    if (c) return { ...row, children: brief(childrenOf(table, task)) }
    if (g) return { ...row, threads: brief(threadsOf(table, task)) }
    if (t) return { ...row, ...numbers(timesOf(table, task)) }
    if (l || m) return { ...row, last_run_ns: Number(task_last_run(task.task)) }
    if (r) return { ...row, limits: task_rlimits(task.task).map(limitRow) }
    if (a) return { ...row, ...this.#argumentsRow(task) }
    return row
  }

  /** Arguments that cannot be read leave the row; what is wrong stands in their place. */
  #argumentsRow(task: TaskContext): Pick<PsArgumentsRow, 'argv' | 'envp' | 'problem'> {
    try {
      return argumentsOf(this.#target, task) ?? { argv: [], envp: [] }
    } catch (error) {
      if (!isDamage(error)) throw error
      this.#failed = true
      return { argv: null, envp: null, problem: faultMark(error) }
    }
  }

  #attempt<T>(task: TaskContext, show: () => T, problem = 'cannot read task'): T | undefined {
    try {
      return show()
    } catch (error) {
      if (!isFault(error)) throw error
      this.#failed = true
      this.#note(this.#problem(task, error, problem))
      return undefined
    }
  }

  #problem(task: TaskContext, error: FaultError, problem: string): string {
    if (problem.startsWith('cannot access')) return `${problem}: ${error.addr.toString(16)}`
    return `${problem} ${task.pid} "${task.comm}": ${error.message}`
  }
}

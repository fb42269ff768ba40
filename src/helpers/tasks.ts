/** The table of tasks a session works with: every task once, in crash's order, found by pid or address. */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import type { Memory } from '../memory/memory.ts'
import type { Kernel } from './kernel.ts'
import { for_each_task, type TaskProblem } from './pid.ts'
import { active_tasks } from './sched.ts'
import { task_at, task_comm, task_cpu, task_last_run, task_mm, task_pid, task_tgid } from './task.ts'

/** What every command wants to know of a task; the rest is read from `task`. */
export interface TaskContext {
  readonly task: StructRef
  readonly va: Va
  readonly pid: number
  readonly tgid: number
  /** bytes as Latin-1 */
  readonly comm: string
  readonly cpu: number
  /** address of `task_struct.parent`; 0 when it cannot be read */
  readonly parent: Va
  readonly hasMm: boolean
}

export class TaskTable {
  readonly kernel: Kernel
  /** ascending pids; the idle tasks, pid 0, by CPU */
  readonly tasks: readonly TaskContext[]
  /** parts of the kernel's lists that could not be read */
  readonly problems: readonly TaskProblem[]
  /** the task on each CPU, by CPU */
  readonly active: readonly (Va | undefined)[]
  readonly #byVa: ReadonlyMap<Va, TaskContext>

  constructor(kernel: Kernel) {
    this.kernel = kernel
    const problems: TaskProblem[] = []
    const byVa = new Map<Va, TaskContext>()
    const add = (task: StructRef): void => {
      const context = readContext(task, problems)
      if (context !== undefined) byVa.set(context.va, context)
    }
    for (const task of for_each_task(kernel, (p) => problems.push(p))) add(task)
    this.active = active_tasks(kernel)
    // a running task that the pid table has lost still runs
    for (const va of this.active) if (va !== undefined && !byVa.has(va)) add(task_at(kernel, va))
    this.tasks = [...byVa.values()].sort((a, b) => a.pid - b.pid)
    this.problems = problems
    this.#byVa = byVa
  }

  byAddress(va: Va): TaskContext | undefined {
    return this.#byVa.get(va)
  }

  byPid(pid: number): TaskContext[] {
    return this.tasks.filter((t) => t.pid === pid)
  }

  /** Threads of a process, as the table has them. */
  byTgid(tgid: number): TaskContext[] {
    return (this.#threads ??= groupByTgid(this.tasks)).get(tgid) ?? []
  }
  #threads: Map<number, TaskContext[]> | undefined

  isActive(context: TaskContext): boolean {
    return this.active.includes(context.va)
  }

  /** The task whose `task_struct` holds an address. */
  holding(va: Va): TaskContext | undefined {
    const size = this.kernel.types.sizeof('task_struct')
    return this.tasks.find((t) => va >= t.va && va < t.va + size)
  }

  /** The youngest first, by when each last got a CPU. */
  byLastRun(): TaskContext[] {
    const when = new Map(this.tasks.map((t) => [t, readable(() => task_last_run(t.task)) ?? 0n]))
    const at = (t: TaskContext): bigint => when.get(t) ?? 0n
    return [...this.tasks].sort((a, b) => (at(a) > at(b) ? -1 : at(a) < at(b) ? 1 : 0))
  }
}

const tables = new WeakMap<Memory, TaskTable>()

/** The table of a memory, made when first asked for. */
export function task_table(kernel: Kernel): TaskTable {
  let table = tables.get(kernel.mem)
  if (table === undefined) {
    table = new TaskTable(kernel)
    tables.set(kernel.mem, table)
  }
  return table
}

function readContext(task: StructRef, problems: TaskProblem[]): TaskContext | undefined {
  try {
    const pid = task_pid(task)
    const comm = task_comm(task)
    const parent = toVa(task.$int('parent'), task.$mem.wordSize)
    return {
      task,
      va: task.$va,
      pid,
      tgid: task_tgid(task),
      comm,
      cpu: readable(() => task_cpu(task)) ?? 0,
      parent: Number.isNaN(parent) ? 0 : parent,
      hasMm: task_mm(task) !== null,
    }
  } catch (error) {
    if (!(error instanceof FaultError || error instanceof ValidationError)) throw error
    problems.push({ where: `task ${task.$addr.toString(16)}`, error })
    return undefined
  }
}

function groupByTgid(tasks: readonly TaskContext[]): Map<number, TaskContext[]> {
  const groups = new Map<number, TaskContext[]>()
  for (const task of tasks) {
    const group = groups.get(task.tgid)
    if (group === undefined) groups.set(task.tgid, [task])
    else group.push(task)
  }
  return groups
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof FaultError || error instanceof ValidationError) return undefined
    throw error
  }
}

/** Tasks by pid: the index is the pid namespace's xarray, a task is read when its row is drawn. */

import { hex, toAddr, toVa, type Va } from '../base/addr.ts'
import { LookupError } from '../base/errors.ts'
import { isDamage } from '../crash/fault-mark.ts'
import { faultText } from './fault-text.ts'
import type { StructRef } from '../btf/ref.ts'
import { globalRef, refAt } from '../helpers/kernel.ts'
import { find_task, idle_tasks, pid_task, tasks_of_init_task } from '../helpers/pid.ts'
import { task_comm, task_cpu, task_pid, task_state, task_state_string, task_states } from '../helpers/task.ts'
import { xa_for_each } from '../structures/xarray.ts'
import type { Target } from '../target/target.ts'
import { decoded, span, type Span } from './cell.ts'
import type { Row, RowSource } from './row.ts'
import { attempt, subjectOf } from './subject.ts'

/** Where a task is found: its `struct pid` by number, or the task itself (idle tasks; kernels without the xarray). */
export interface TaskEntry {
  /** -1 when only the task knows it */
  readonly pid: number
  readonly at: Va
  readonly isTask: boolean
}

export class TaskRows implements RowSource<TaskEntry> {
  readonly #target: Target

  constructor(target: Target) {
    this.#target = target
  }

  *entries(): Generator<TaskEntry> {
    const target = this.#target
    for (const at of idle_tasks(target)) yield { pid: 0, at, isTask: true }
    try {
      const { mem, types } = target
      const ns = globalRef(target, 'init_pid_ns', 'pid_namespace')
      for (const { index, entry } of xa_for_each(
        types,
        mem,
        ns.$va + types.offsetof('pid_namespace', 'idr.idr_rt'),
      )) {
        const at = toVa(entry, mem.wordSize)
        if (!Number.isNaN(at)) yield { pid: index, at, isTask: false }
      }
      return
    } catch (error) {
      if (!isDamage(error) && !(error instanceof LookupError)) throw error
    }
    for (const task of tasks_of_init_task(target)) yield { pid: -1, at: task.$va, isTask: true }
  }

  /** The task of an entry; null for the number of a group or session whose leader is gone. */
  task({ at, isTask }: TaskEntry): StructRef | null {
    if (isTask) return refAt(this.#target, 'task_struct', at)
    return pid_task(refAt(this.#target, 'pid', at))
  }

  row(entry: TaskEntry): Row {
    const key = taskKey(entry)
    const nothing = { key, subject: undefined, command: undefined }
    try {
      const task = this.task(entry)
      if (task === null)
        return { ...nothing, spans: [span(pidText(entry.pid)), span('-- only a group or session', 'dim')] }
      return {
        key,
        spans: taskSpans(this.#target, task, entry.pid),
        subject: subjectOf(task, 'task'),
        command: `task ${hex(task.$addr)}`,
      }
    } catch (error) {
      return { ...nothing, spans: [span(pidText(entry.pid)), span(faultText(error), 'error')] }
    }
  }

  words(entry: TaskEntry): string {
    const task = attempt(() => this.task(entry))
    if (task === undefined || task === null) return String(entry.pid)
    const comm = attempt(() => decoded(task_comm(task))) ?? ''
    return `${entry.pid < 0 ? task_pid(task) : entry.pid} ${comm}`
  }

  find(key: string): TaskEntry | undefined {
    if (key.startsWith('@')) return { pid: 0, at: Number(key.slice(1)), isTask: true }
    const task = attempt(() => find_task(this.#target, Number(key)))
    return task === undefined || task === null ? undefined : { pid: Number(key), at: task.$va, isTask: true }
  }
}

/** The pid; the address of a task that has none of its own. */
export const taskKey = ({ pid, at }: TaskEntry): string => (pid > 0 ? String(pid) : `@${at}`)

const pidText = (pid: number): string => `${String(pid).padStart(7)} `

function taskSpans(target: Target, task: StructRef, pid: number): Span[] {
  const state = task_state_string(task_states(target), task_state(task))
  const name = decoded(task_comm(task))
  return [
    span(pidText(pid < 0 ? task_pid(task) : pid)),
    span(`${state} `, 'dim'),
    span(name.padEnd(16), 'name'),
    span(` cpu${task_cpu(task)} `.padEnd(7), 'dim'),
    span(hex(toAddr(task.$va)), 'address'),
  ]
}

/** The block that says which task a session is at. */

import { hex } from '../base/addr.ts'
import { find_panic } from '../helpers/panic.ts'
import { task_state, task_state_names, task_states, task_thread_info } from '../helpers/task.ts'
import { task_table, type TaskContext } from '../helpers/tasks.ts'
import type { Target } from '../target/target.ts'

/** What `set` shows of a task. */
export interface ContextRow {
  readonly pid: number
  readonly comm: string
  readonly task: bigint
  readonly thread_info: bigint
  /** tasks with that pid: the idle tasks share 0 */
  readonly tasks_of_pid: number
  readonly cpu: number
  readonly state: string
  /** `PANIC`, `SYSRQ` or `ACTIVE`; null of a task that does not run */
  readonly mark: string | null
}

export function contextRow(target: Target, context: TaskContext): ContextRow {
  const table = task_table(target)
  return {
    pid: context.pid,
    comm: context.comm,
    task: context.task.$addr,
    thread_info: task_thread_info(context.task).$addr,
    tasks_of_pid: table.byPid(context.pid).length,
    cpu: context.cpu,
    state: task_state_names(task_states(target), task_state(context.task)),
    mark: markOf(target, context),
  }
}

function markOf(target: Target, context: TaskContext): string | null {
  const panic = find_panic(target)
  const panicked = panic.task?.va === context.va
  if (!task_table(target).isActive(context) && !panicked) return null
  if (!panicked) return 'ACTIVE'
  return panic.sysrq ? 'SYSRQ' : 'PANIC'
}

/** @param indent blanks before each line: 5 at the start of a session */
export function contextText(row: ContextRow, indent = 0): string {
  const several = row.tasks_of_pid > 1 ? `(1 of ${row.tasks_of_pid})  ` : ''
  const lines = [
    `    PID: ${row.pid}`,
    `COMMAND: "${row.comm}"`,
    `   TASK: ${hex(row.task)}  ${several}[THREAD_INFO: ${hex(row.thread_info)}]`,
    `    CPU: ${row.cpu}`,
    `  STATE: ${row.state} ${row.mark === null ? '' : `(${row.mark})`}`,
  ]
  return lines.map((line) => `${' '.repeat(indent)}${line}\n`).join('')
}

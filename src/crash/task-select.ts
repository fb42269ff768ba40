/** Which tasks a command is about: the current one, or those its words name by pid or address. */

import { hex, toVa, type Va } from '../base/addr.ts'
import { LookupError, UsageError } from '../base/errors.ts'
import { task_table, type TaskContext } from '../helpers/tasks.ts'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'

/** The session's current task; before one was set, the first (CPU 0's idle task). */
export function currentTask(target: Target, context: Context): TaskContext {
  const table = task_table(target)
  const current = context.task === undefined ? undefined : table.byAddress(context.task)
  const task = current ?? table.tasks[0]
  if (task === undefined) throw new LookupError('symbol', 'init_task')
  return task
}

/** `PID: 133      TASK: ffff…  CPU: 1    COMMAND: "ncat"`, without a newline. */
export function taskHeader({ pid, va, cpu, comm }: TaskContext): string {
  const task = hex(BigInt(va)).padEnd(16)
  return `PID: ${String(pid).padEnd(7)}  TASK: ${task}  CPU: ${String(cpu).padEnd(3)}  COMMAND: "${comm}"`
}

/** What one word names: the tasks of a pid, one task by address, or nothing. */
export interface Selected {
  readonly word: string
  readonly by: 'pid' | 'task' | 'invalid'
  readonly tasks: readonly TaskContext[]
}

/** Find the task or tasks of a word: a decimal pid first, then the address of a task_struct. */
export function selectTask(target: Target, word: string): Selected {
  const table = task_table(target)
  if (/^\d+$/.test(word)) {
    const tasks = table.byPid(Number(word))
    if (tasks.length > 0) return { word, by: 'pid', tasks }
  }
  if (/^(0x)?[0-9a-f]+$/i.test(word)) {
    const va = toVa(BigInt(word.startsWith('0x') ? word : `0x${word}`), target.wordSize)
    const task = table.byAddress(va)
    if (task !== undefined) return { word, by: 'task', tasks: [task] }
    const pid = table.byPid(parseInt(word.replace(/^0x/, ''), 16))
    if (pid.length > 0) return { word, by: 'pid', tasks: pid }
  }
  return { word, by: 'invalid', tasks: [] }
}

/** A hexadecimal argument as an address. @throws UsageError when it is none */
export function addressArgument(target: Target, word: string): Va {
  if (!/^(0x)?[0-9a-f]{1,16}$/i.test(word)) throw new UsageError(word, `invalid input: "${word}"`)
  return toVa(BigInt(`0x${word.replace(/^0x/i, '')}`), target.wordSize)
}

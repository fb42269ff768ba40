/** The line crash puts above what it shows of a task. */

import { hex } from '../base/addr.ts'
import type { TaskContext } from '../helpers/tasks.ts'

/** `PID: 1        TASK: ffff…  CPU: 0    COMMAND: "init"` with its newline. */
export function taskHeader(context: TaskContext): string {
  const { pid, task, cpu, comm } = context
  const address = hex(task.$addr).padEnd(task.$mem.wordSize * 2)
  const fields = `PID: ${String(pid).padEnd(7)}  TASK: ${address}  CPU: ${String(cpu).padEnd(3)}`
  return `${fields}  COMMAND: "${comm}"\n`
}

/** The table of `ps`: a row of data for each task, and its line. */

import { hex, toAddr, type Addr } from '../base/addr.ts'
import type { TaskContext, TaskTable } from '../helpers/tasks.ts'
import { task_sp } from '../helpers/stack.ts'
import { is_kernel_thread, task_state, task_state_string, task_states } from '../helpers/task.ts'
import { spanned_pages, task_memory } from '../helpers/task-memory.ts'
import { center } from '../render/pad.ts'

const PAGE_KB = 4n

/** One task, as `ps --json` gives it. */
export interface PsRow {
  readonly pid: number
  readonly ppid: number
  readonly tgid: number
  readonly cpu: number
  readonly task: Addr
  /** `thread.sp`; null of a running task */
  readonly kstackp: bigint | null
  readonly state: string
  readonly mem_percent: number
  readonly vsz_kb: number
  readonly rss_kb: number
  readonly comm: string
  readonly kernel_thread: boolean
  readonly active: boolean
}

/** @throws FaultError when the task cannot be read */
export function psRow(table: TaskTable, context: TaskContext): PsRow {
  const { kernel } = table
  const { task } = context
  const active = table.isActive(context)
  const { rss, total_vm } = task_memory(table, context)
  const pages = spanned_pages(kernel)
  return {
    pid: context.pid,
    ppid: table.byAddress(context.parent)?.pid ?? -1,
    tgid: context.tgid,
    cpu: context.cpu,
    task: task.$addr,
    kstackp: active ? null : toAddr(task_sp(task) || 0),
    state: task_state_string(task_states(kernel), task_state(task)),
    mem_percent: pages === 0n ? 0 : Number(rss * 100n) / Number(pages),
    vsz_kb: Number(total_vm * PAGE_KB),
    rss_kb: Number(rss * PAGE_KB),
    comm: context.comm,
    kernel_thread: is_kernel_thread(task),
    active,
  }
}

/** The heading; `stack`: with KSTACKP for TASK. */
export function psHeading(wordSize: 4 | 8, stack: boolean): string {
  const width = wordSize * 2
  const address = stack ? center('KSTACKP', width, 'left') : center('TASK', width)
  return `      PID    PPID  CPU ${address}  ST  %MEM      VSZ      RSS  COMM\n`
}

export function psLine(row: PsRow, wordSize: 4 | 8, stack: boolean): string {
  const width = wordSize * 2
  const address = stack
    ? row.kstackp === null || row.kstackp === 0n
      ? '--'
      : hex(row.kstackp)
    : hex(row.task)
  const columns = [
    `${row.active ? '> ' : '  '}${String(row.pid).padStart(7)}`,
    String(row.ppid).padStart(7),
    `${String(row.cpu).padStart(3)} `,
    center(address, width, 'left'),
    row.state.padStart(3),
  ]
  const memory = row.mem_percent.toFixed(1).padStart(4)
  const sizes = `${String(row.vsz_kb).padStart(8)} ${String(row.rss_kb).padStart(8)}`
  const comm = row.kernel_thread ? `[${row.comm}]` : row.comm
  return `${columns.join(' ')}${row.state.length > 3 ? ' ' : '  '}${memory} ${sizes}  ${comm}\n`
}

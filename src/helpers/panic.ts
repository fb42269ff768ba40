/** Why the machine stopped, and which task was at it: from the log and the running tasks' stacks. */

import type { Va } from '../base/addr.ts'
import { FaultError, LookupError, ValidationError } from '../base/errors.ts'
import type { Memory } from '../memory/memory.ts'
import type { Kernel } from './kernel.ts'
import { online_cpus } from './percpu.ts'
import { log_records } from './printk.ts'
import { read_task_stack } from './stack.ts'
import { task_table, type TaskContext, type TaskTable } from './tasks.ts'
import type { SymbolicKernel } from './text.ts'

/** How the machine's end is known. */
export interface Panic {
  /** the log's line that says why; empty when it says nothing */
  readonly message: string
  /** the task that panicked; undefined when none is found */
  readonly task: TaskContext | undefined
  /** asked for with sysrq-c */
  readonly sysrq: boolean
}

/** Lines that tell, best first: as soon as one of a group is in the log it is taken. */
const MESSAGES: readonly (readonly string[])[] = [
  ['general protection fault: ', 'double fault: ', 'divide error: ', 'stack segment: '],
  ['SysRq : Netdump', 'SysRq : Crash', 'SysRq : Trigger a crash'],
  [
    ...['Oops: ', 'Kernel BUG at', 'kernel BUG at', 'Unable to handle kernel paging request'],
    ...['Unable to handle kernel NULL pointer dereference', 'BUG: unable to handle kernel '],
  ],
  ['Kernel panic: ', 'Kernel panic - '],
  ['[Hardware Error]: '],
  ['Bad mode in '],
]

/** After one of these the log names the CPU. */
const KEYWORDS = [
  ...['Unable to handle kernel', 'BUG: unable to handle kernel', 'Kernel BUG at', 'kernel BUG at'],
  ...['Bad mode in', 'Oops', 'Kernel panic'],
]

const known = new WeakMap<Memory, Panic>()

/** What is known of a panic; found once per memory. */
export function find_panic(kernel: SymbolicKernel): Panic {
  let panic = known.get(kernel.mem)
  if (panic === undefined) {
    const lines = logLines(kernel)
    const table = task_table(kernel)
    const task = onStack(kernel, table) ?? inLog(kernel, table, lines)
    const sysrq =
      lines.some((l) => l.includes('SysRq : Crash') || l.includes('SysRq : Trigger a crash')) ||
      (task !== undefined && stackHas(kernel, task, ['sysrq_handle_crash']))
    panic = { message: panicMessage(lines), task, sysrq }
    known.set(kernel.mem, panic)
  }
  return panic
}

function panicMessage(lines: readonly string[]): string {
  for (const group of MESSAGES) {
    const line = lines.find((l) => group.some((text) => l.includes(text)))
    if (line !== undefined) return line
  }
  return ''
}

function logLines(kernel: Kernel): string[] {
  const lines: string[] = []
  try {
    for (const { text } of log_records(kernel)) lines.push(...text.split('\n'))
  } catch (error) {
    if (!isUnreadable(error)) throw error
  }
  return lines
}

/** A running task that has a return address into panic() or the like. */
function onStack(kernel: SymbolicKernel, table: TaskTable): TaskContext | undefined {
  const active = table.tasks.filter((t) => table.isActive(t))
  return (
    active.find((t) => stackHas(kernel, t, ['panic', 'crash_kexec', '__crash_kexec'])) ??
    active.find((t) => stackHas(kernel, t, ['die']))
  )
}

function stackHas(kernel: SymbolicKernel, context: TaskContext, names: readonly string[]): boolean {
  const ranges = names.flatMap((name) => kernel.symbols.findKernel(name) ?? [])
  const stack = read_task_stack(kernel, context.task)
  if (stack === undefined || ranges.length === 0) return false
  const within = (va: Va): boolean => ranges.some((s) => va > s.va && va < s.va + s.size)
  for (const slot of stack.slots()) if (within(stack.pointer(slot))) return true
  return false
}

function inLog(kernel: Kernel, table: TaskTable, lines: readonly string[]): TaskContext | undefined {
  const from = lines.findIndex((l) => KEYWORDS.some((k) => l.includes(k)))
  if (from < 0) return undefined
  for (const line of lines.slice(from)) {
    const cpu = /(?:\bCPU: |^CPU )(\d+)\b/.exec(line)?.[1]
    if (cpu === undefined) continue
    if (!online_cpus(kernel).includes(Number(cpu))) continue
    const va = table.active[Number(cpu)]
    return va === undefined ? undefined : table.byAddress(va)
  }
  return undefined
}

const isUnreadable = (error: unknown): boolean =>
  error instanceof FaultError || error instanceof ValidationError || error instanceof LookupError

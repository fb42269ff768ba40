/** Where a task's trace begins: in `thread.sp` of a sleeper; of a running task, wherever its CPU last was. */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import type { Registers } from './registers.ts'
import { exception_stacks, irq_stacks, Stack, task_sp, type CpuStack } from './stack.ts'
import type { KernelText, SymbolicKernel } from './text.ts'
import type { TaskContext } from './tasks.ts'

/** Frames that say where a running task stopped, looked for in this order of reading. */
const MARKS = [
  ...['crash_kexec', 'machine_kexec', 'panic', 'die', 'sysrq_handle_crash', 'stop_this_cpu'],
  ...['smp_call_function_interrupt', 'crash_nmi_callback', 'notify_die', 'cpu_idle'],
] as const
type Mark = (typeof MARKS)[number]

export interface TraceStart {
  /** where the task is; undefined when that is not known exactly */
  readonly rip: Va | undefined
  readonly rsp: Va
  /** the frame pointer, where it is known: 0 otherwise */
  readonly rbp: Va
  /** the task's frame was saved by the scheduler at `rsp` (`struct inactive_task_frame`) */
  readonly inactive: boolean
  /** the registers of its CPU, to be shown before the trace */
  readonly registers: Registers | undefined
}

/** All stacks of a machine's CPUs, and the address ranges of the marks: made once. */
export class CpuStacks {
  readonly irq: readonly CpuStack[]
  readonly exceptions: readonly CpuStack[]
  readonly #marks: readonly { name: Mark; start: Va; end: Va }[]

  constructor(kernel: SymbolicKernel) {
    this.irq = irq_stacks(kernel)
    this.exceptions = exception_stacks(kernel)
    this.#marks = MARKS.flatMap((name) => {
      const symbol = kernel.symbols.findKernel(name)
      return symbol === undefined ? [] : [{ name, start: symbol.va, end: symbol.va + symbol.size }]
    })
  }

  markAt(va: Va): Mark | undefined {
    for (const { name, start, end } of this.#marks) if (va >= start && va < end) return name
    return undefined
  }

  irqStackOf(va: Va): CpuStack | undefined {
    return this.irq.find((s) => va >= s.base && va < s.base + s.size)
  }

  exceptionStackOf(va: Va): CpuStack | undefined {
    return this.exceptions.find((s) => va >= s.base && va < s.base + s.size)
  }
}

/** A task that was switched out: what the scheduler saved. */
export function inactive_start(text: KernelText, context: TaskContext): TraceStart {
  const { kernel } = text
  const rsp = task_sp(context.task)
  const { types, mem } = kernel
  let rbp = 0
  try {
    if (types.has('inactive_task_frame')) rbp = mem.pointer(rsp + types.offsetof('inactive_task_frame', 'bp'))
  } catch (error) {
    if (!(error instanceof FaultError)) throw error
  }
  const rip = thread_return(text)
  return { rip, rsp, rbp: Number.isNaN(rbp) ? 0 : rbp, inactive: true, registers: undefined }
}

const returns = new WeakMap<KernelText, Va | undefined>()

/** The address in __schedule() to which every switched-out task returns. */
function thread_return(text: KernelText): Va | undefined {
  if (!returns.has(text)) {
    const { symbols } = text.kernel
    const found =
      text.returnFrom('__schedule', '__switch_to_asm') ?? text.returnFrom('__schedule', '__switch_to')
    returns.set(text, found ?? symbols.findKernel('__schedule')?.va)
  }
  return returns.get(text)
}

/** A running task: `registers` are those of its CPU, when the dump has them. */
export function active_start(
  text: KernelText,
  stacks: CpuStacks,
  context: TaskContext,
  stack: Stack,
  panicTask: boolean,
  registers: Registers | undefined,
): TraceStart {
  const at = findMarks(text, stacks, context, stack, panicTask)
  if (at !== undefined) return { ...at, rbp: 0, inactive: false, registers: undefined }
  const rsp = registers === undefined ? NaN : toVa(registers.rsp)
  const rip = registers === undefined ? NaN : toVa(registers.rip)
  const cpuStack = stacks.irqStackOf(rsp) ?? stacks.exceptionStackOf(rsp)
  if (registers !== undefined && (stack.contains(rsp) || cpuStack !== undefined)) {
    const shown = text.contains(rip) ? registers : undefined
    return { rip, rsp, rbp: toVa(registers.rbp), inactive: false, registers: shown }
  }
  return inactive_start(text, context)
}

interface Point {
  readonly rip: Va
  readonly rsp: Va
}

/** Search the task's own stack, its CPU's interrupt stack and exception stacks for the frames that tell. */
function findMarks(
  text: KernelText,
  stacks: CpuStacks,
  context: TaskContext,
  own: Stack,
  panicTask: boolean,
): Point | undefined {
  const { kernel } = text
  let stopped: Point | undefined
  let sysrq: Point | undefined
  let notified: Point | undefined
  const cpuStacks = [...stacks.irq, ...stacks.exceptions].filter((s) => s.cpu === context.cpu)
  const all = [undefined, ...cpuStacks]
  for (const which of all) {
    const stack = which === undefined ? own : new Stack(kernel, which.base, which.size)
    let panic: Point | undefined
    let kexec: Point | undefined
    for (const rsp of stack.slots()) {
      const rip = stack.pointer(rsp)
      const mark = stacks.markAt(rip)
      if (mark === undefined) continue
      const point = { rip, rsp }
      if (mark === 'machine_kexec' || mark === 'die')
        return mark === 'die' ? (sysrqAfter(stacks, stack, rsp) ?? point) : point
      if (mark === 'crash_kexec') {
        const called = text.calledBefore(rip)
        if (kexec !== undefined || (typeof called === 'object' && called.name === 'machine_kexec'))
          return point
        kexec = point
      } else if (mark === 'panic') panic = point
      else if (mark === 'sysrq_handle_crash') sysrq = point
      else if (!panicTask) {
        if (mark === 'crash_nmi_callback') return point
        if (which !== undefined && (mark === 'stop_this_cpu' || mark === 'smp_call_function_interrupt'))
          stopped = point
        if (mark === 'notify_die' && which?.name === 'NMI') notified = point
      }
    }
    if (panic !== undefined) return panic
    if (kexec !== undefined) return kexec
  }
  return sysrq ?? notified ?? stopped
}

/** With a sysrq frame above it, die() was only on the way: the last such frame. */
function sysrqAfter(stacks: CpuStacks, stack: Stack, from: Va): Point | undefined {
  let found: Point | undefined
  for (const rsp of stack.slots(from)) {
    const rip = stack.pointer(rsp)
    if (stacks.markAt(rip) === 'sysrq_handle_crash') found = { rip, rsp }
  }
  return found
}

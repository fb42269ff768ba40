/** `bt`: whose traces, and everything else `bt` can say about stacks. */

import { hex, toAddr, type Va } from '../base/addr.ts'
import { UsageError } from '../base/errors.ts'
import { Backtracer, type TraceOptions } from '../helpers/backtrace.ts'
import { find_panic } from '../helpers/panic.ts'
import { cpu_notes, user_mode } from '../helpers/registers.ts'
import { Stack, type CpuStack } from '../helpers/stack.ts'
import { task_table, type TaskContext, type TaskTable } from '../helpers/tasks.ts'
import type { Memory } from '../memory/memory.ts'
import type { Target } from '../target/target.ts'
import { eventRow, eventText, registersText, withOffset, type TraceStyle } from './bt-text.ts'
import { stackWord } from './bt-word.ts'
import type { Context } from './context.ts'
import type { Report } from './dump-command.ts'
import type { BtDefaultRow, CpuFramesRow, OverflowRow, TaskFramesRow, TaskOfRow, TraceRegistersRow, TraceRow } from './rows.ts' // prettier-ignore
import { cpuList } from './cpu-list.ts'
import { taskHeader } from './task-header.ts'
import { currentTask, tasksOfWord } from './task-words.ts'

/** What `bt` is given. */
export interface BtFlags {
  readonly a?: boolean
  readonly c?: string
  readonly d?: boolean
  readonly E?: boolean
  readonly e?: boolean
  readonly F?: number
  readonly f?: boolean
  readonly g?: boolean
  readonly l?: boolean
  readonly n?: string
  readonly o?: boolean
  readonly O?: boolean
  readonly p?: boolean
  readonly R?: string
  readonly r?: boolean
  readonly s?: boolean
  readonly T?: boolean
  readonly t?: boolean
  readonly v?: boolean
  readonly x?: boolean
}

export interface BtInvocation {
  readonly target: Target
  readonly context: Context
  readonly flags: BtFlags
  readonly words: readonly string[]
  readonly note: (line: string) => void
}

const tracers = new WeakMap<Memory, Backtracer>()

/** The tracer of a target, made once. */
export function backtracer(target: Target): Backtracer {
  let tracer = tracers.get(target.mem)
  if (tracer === undefined) {
    const notes = cpu_notes(target.container.notes)
    tracer = new Backtracer(task_table(target), target, notes, find_panic(target).task?.va)
    tracers.set(target.mem, tracer)
  }
  return tracer
}

export function btReport(invocation: BtInvocation): Report {
  return new Bt(invocation).report()
}

/** One part of the output: a task's trace, or a line in its place. */
type Part = { readonly task: TaskContext } | { readonly invalid: string }

class Bt {
  readonly #in: BtInvocation
  readonly #table: TaskTable
  readonly #tracer: Backtracer
  readonly #style: TraceStyle
  readonly #options: TraceOptions
  #failed = false

  constructor(invocation: BtInvocation) {
    const { target, flags, context } = invocation
    if (flags.x && flags.d) throw new UsageError('-x', '-d and -x are mutually exclusive')
    this.#in = invocation
    this.#table = task_table(target)
    this.#tracer = backtracer(target)
    const radix = flags.x ? 16 : flags.d ? 10 : context.radix
    const textOnly = flags.T ? 'all' : flags.t ? 'from start' : undefined
    this.#options = {
      full: flags.f === true || (flags.F ?? 0) > 0,
      scan: (flags.o === true) !== (context.kept.get('bt -O') === true),
      ...(textOnly !== undefined && { textOnly }),
    }
    this.#style = {
      wordSize: target.wordSize,
      offsets: flags.s ? radix : undefined,
      radix: context.radix,
      textOnly: textOnly !== undefined,
      word: stackWord(target, (flags.F ?? 0) as 0 | 1 | 2, radix),
    }
  }

  report(): Report {
    const { flags, note } = this.#in
    if (flags.O) return this.#toggleOld()
    if (flags.v) return this.#overflows()
    if (flags.E) return this.#cpuStackFrames()
    if (flags.l) note('line numbers are not available')
    const parts = this.#parts()
    const failed = (): boolean => this.#failed
    const rows = (): (TraceRow | TaskFramesRow)[] =>
      parts.flatMap((part) => ('task' in part ? [this.#row(part.task)] : []))
    return {
      get rows() {
        return rows()
      },
      text: this.#text(parts),
      get failed() {
        return failed()
      },
    }
  }

  /** The tasks asked for. */
  #parts(): Part[] {
    const { target, context, flags, words } = this.#in
    const of = (task: TaskContext | undefined): Part[] => (task === undefined ? [] : [{ task }])
    if (flags.a || flags.c !== undefined) {
      if (flags.g)
        throw new UsageError('-g', `-${flags.a ? 'a' : 'c'} option cannot be used with the -g option`)
      const cpus = flags.c === undefined ? this.#table.active.keys() : cpuList(target, flags.c)
      return [...cpus].flatMap((cpu) => {
        const va = this.#table.active[cpu]
        if (va === undefined && flags.c !== undefined) {
          throw new UsageError(String(cpu), `cannot determine active task on cpu ${cpu}`)
        }
        const task = va === undefined ? undefined : this.#table.byAddress(va)
        return flags.n === 'idle' && task?.pid === 0 ? [] : of(task)
      })
    }
    if (flags.p) {
      const { task } = find_panic(target)
      if (task === undefined) throw new UsageError('-p', 'no panic task found!')
      return of(task)
    }
    if (words.length === 0) return this.#withThreads(currentTask(target, context))
    return words.flatMap((word) => {
      const named = tasksOfWord(this.#table, word)
      if (named === undefined) return [{ invalid: `invalid task or pid value: ${word}` }]
      return named.tasks.flatMap((task) => this.#withThreads(task))
    })
  }

  /** `-g`: the leader and all threads of the process. */
  #withThreads(task: TaskContext | undefined): Part[] {
    if (task === undefined) return []
    if (!this.#in.flags.g || task.pid === 0) return [{ task }]
    const threads = this.#table.byTgid(task.tgid)
    const leader = threads.filter((t) => t.pid === t.tgid)
    return [...leader, ...threads.filter((t) => t.pid !== t.tgid)].map((t) => ({ task: t }))
  }

  *#text(parts: readonly Part[]): Generator<string> {
    const reference = this.#in.flags.R
    let subsequent = 0
    for (const part of parts) {
      if ('invalid' in part) {
        this.#failed = true
        if (subsequent++ > 0) yield '\n'
        this.#in.note(part.invalid)
        continue
      }
      if (reference === undefined) {
        yield `${subsequent++ > 0 ? '\n' : ''}${taskHeader(part.task)}`
        yield* this.#trace(part.task)
      } else {
        const text = [...this.#trace(part.task)].join('')
        if (this.#refers(part.task, reference)) yield `${taskHeader(part.task)}${text}\n`
      }
    }
  }

  *#trace(task: TaskContext): Generator<string> {
    const { flags } = this.#in
    if (flags.r) yield* this.#raw(task)
    else if (flags.e) yield* this.#exceptionFrames(task)
    else {
      for (const event of this.#tracer.trace(task, this.#options)) {
        if (event.kind === 'problem' && !event.text.startsWith('(')) {
          this.#failed = true
          this.#in.note(event.text)
        } else yield eventText(event, this.#style)
      }
    }
  }

  /** `-R`: does the trace show a symbol by name, or a number? */
  #refers(task: TaskContext, reference: string): boolean {
    const number = /^(0x)?[0-9a-f]+$/i.test(reference)
      ? BigInt(`0x${reference.replace(/^0x/i, '')}`)
      : undefined
    for (const event of this.#tracer.trace(task, this.#options)) {
      if (event.kind === 'frame') {
        if (event.symbol.name === reference) return true
        if (number !== undefined && toAddr(event.text) === number) return true
      } else if (event.kind === 'registers') {
        if (event.symbol?.name === reference) return true
        if (number !== undefined && Object.values(event.regs).includes(number)) return true
      }
    }
    return false
  }

  /** `-r`: the whole stack. */
  *#raw(task: TaskContext): Generator<string> {
    const stack = this.#tracer.stackOf(task)
    if (stack === undefined) {
      yield '(no stack)\n'
      return
    }
    this.#noteFaults(stack)
    const { wordSize } = stack
    const perLine = wordSize === 8 ? 2 : 4
    const show = stackWord(this.#in.target, 'symbols', this.#style.radix)
    for (let at = stack.base; at < stack.top; at += perLine * wordSize) {
      const words = Array.from({ length: perLine }, (_, i) => show(stack.word(at + i * wordSize)))
      yield `${hex(at)}:  ${words.map((w) => `${w} `).join('')}\n`
    }
  }

  #noteFaults(stack: Stack): void {
    for (const fault of stack.faults) {
      this.#failed = true
      this.#in.note(fault.message)
    }
  }

  /** `-e`: registers saved anywhere on the task's stack. */
  *#exceptionFrames(task: TaskContext): Generator<string> {
    const stack = this.#tracer.stackOf(task)
    if (stack !== undefined) yield* this.#framesOn(stack)
  }

  *#framesOn(stack: Stack): Generator<string> {
    for (const { at, regs, symbol } of this.#tracer.exceptionFrames(stack)) {
      yield `\n  ${user_mode(regs) ? 'USER' : 'KERNEL'}-MODE EXCEPTION FRAME AT: ${hex(at)}\n`
      if (!user_mode(regs)) {
        const where =
          symbol === undefined ? 'unknown or invalid address' : withOffset(symbol, this.#style.radix)
        yield `    [exception RIP: ${where}]\n`
      }
      yield registersText(regs, this.#style.wordSize)
    }
  }

  /** `-E`: the same on every CPU's interrupt and exception stacks. */
  #cpuStackFrames(): Report {
    const { flags, target } = this.#in
    const cpus = flags.c === undefined ? undefined : cpuList(target, flags.c)
    const { irq, exceptions } = this.#tracer.stacks
    const wanted = [...irq, ...exceptions].filter((s) => cpus === undefined || cpus.includes(s.cpu))
    const stackOf = (s: CpuStack): Stack => new Stack(target, s.base, s.size)
    const framesOn = (stack: Stack): string => [...this.#framesOn(stack)].join('')
    const text = function* (): Generator<string> {
      for (const which of wanted) {
        yield `CPU ${which.cpu} ${which.name}${which.name === 'IRQ' ? '' : ' EXCEPTION'} STACK:\n`
        const found = framesOn(stackOf(which))
        yield found === '' ? '(none found)\n\n' : `${found}\n`
      }
    }
    const rows = wanted.map((s): CpuFramesRow => ({
      cpu: s.cpu,
      stack: s.name,
      frames: this.#frameRows(stackOf(s)),
    }))
    return { rows, text: text() }
  }

  /** Exception frames in `--json`. */
  #frameRows(stack: Stack | undefined): TraceRegistersRow[] {
    const frames = stack === undefined ? [] : [...this.#tracer.exceptionFrames(stack)]
    return frames.map(({ at, regs, symbol }): TraceRegistersRow => ({
      at: address(at),
      mode: user_mode(regs) ? 'user' : 'kernel',
      ...(symbol !== undefined && { symbol: symbol.name, offset: symbol.offset }),
      registers: regs,
    }))
  }

  /** `-v`: is the end of every stack still as it was made? */
  #overflows(): Report {
    const rows: OverflowRow[] = []
    const failing = new Set<TaskContext>()
    const found: string[] = []
    for (const task of this.#table.tasks) {
      const stack = this.#tracer.stackOf(task)
      if (stack === undefined || stack.faults.length > 0) {
        failing.add(task)
        continue
      }
      const magic = stack.word(stack.base) & 0xffff_ffffn
      if (magic === STACK_END_MAGIC) continue
      rows.push({ pid: task.pid, task: task.task.$addr, comm: task.comm, word: magic })
      found.push(
        `${taskHeader(task)}  possible stack overflow: ${hex(stack.base)}: ${hex(magic)} != STACK_END_MAGIC\n`,
      )
    }
    const text = function* (note: (line: string) => void): Generator<string> {
      for (const _ of failing) note('invalid kernel virtual address: 0  type: "stack overflow check"')
      yield found.length === 0 ? 'No stack overflows detected\n' : found.join('\n')
    }
    return { rows, text: text(this.#in.note) }
  }

  #toggleOld(): Report {
    const { context, note } = this.#in
    const old = context.kept.get('bt -O') !== true
    context.kept.set('bt -O', old)
    note(`use ${old ? 'old' : 'new'} bt method by default`)
    return { rows: { old } satisfies BtDefaultRow, text: '' }
  }

  #row(task: TaskContext): TraceRow | TaskFramesRow {
    if (this.#in.flags.e) return { ...taskRow(task), frames: this.#frameRows(this.#tracer.stackOf(task)) }
    const trace = [...this.#tracer.trace(task, this.#options)].map(eventRow)
    return { ...taskRow(task), trace }
  }
}

/** @see include/uapi/linux/magic.h */
const STACK_END_MAGIC = 0x57ac6e9dn

const taskRow = ({ pid, task, cpu, comm }: TaskContext): TaskOfRow => ({ pid, task: task.$addr, cpu, comm })

const address = (va: Va): bigint => toAddr(va)

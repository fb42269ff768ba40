/**
 * The kernel stack trace of a task, found as crash finds it: return addresses are followed from frame to frame by
 * ORC rows or frame pointers; where neither tells, the next word that is kernel text is taken.
 */

import { FaultError } from '../base/errors.ts'
import { hex, toVa, type Va } from '../base/addr.ts'
import type { SymbolHit } from '../symbols/symbol.ts'
import { findSymbolVa } from './kernel.ts'
import { ORC_REG_BP, ORC_REG_PREV_SP, ORC_REG_SP, ORC_REG_UNDEFINED, OrcTables } from './orc.ts'
import {
  NOT_PUSHED_32,
  plausible_regs,
  read_pt_regs,
  user_mode,
  type CpuNotes,
  type Registers,
} from './registers.ts'
import { read_task_stack, Stack, task_pt_regs, type CpuStack } from './stack.ts'
import { is_kernel_thread } from './task.ts'
import type { TaskContext, TaskTable } from './tasks.ts'
import { KernelText, type SymbolicKernel } from './text.ts'
import { active_start, CpuStacks, inactive_start, type TraceStart } from './trace-start.ts'

/** What a trace consists of, in order. */
export type TraceEvent =
  | FrameEvent
  /** registers an exception, interrupt or system call saved at `at`; of a CPU's note without `at` */
  | {
      readonly kind: 'registers'
      readonly regs: Registers
      readonly at: Va | undefined
      readonly symbol: SymbolHit | undefined
    }
  /** the stack left here: `IRQ stack`, `NMI exception stack` … */
  | { readonly kind: 'stack'; readonly name: string }
  /** `bt -t`: where the task is */
  | { readonly kind: 'start'; readonly text: Va; readonly symbol: SymbolHit | undefined }
  | { readonly kind: 'problem'; readonly text: string }

export interface FrameEvent {
  readonly kind: 'frame'
  readonly level: number
  /** where on the stack the return address lies */
  readonly rsp: Va
  readonly text: Va
  readonly symbol: SymbolHit
  /** `bt -f`: the words since the frame before, both ends included */
  readonly words: { readonly from: Va; readonly to: Va; readonly stack: Stack } | undefined
}

export interface TraceOptions {
  /** give each frame its words */
  readonly full?: boolean
  /** every text address from the start on, not only frames: `last` begins at the stack's bottom */
  readonly textOnly?: 'from start' | 'all'
  /** do not follow frames: the old method of crash */
  readonly scan?: boolean
}

/** Traces the tasks of one memory. */
export class Backtracer {
  readonly text: KernelText
  readonly orc: OrcTables | undefined
  readonly stacks: CpuStacks
  readonly notes: CpuNotes
  readonly #table: TaskTable
  readonly #panicTask: Va | undefined

  constructor(table: TaskTable, kernel: SymbolicKernel, notes: CpuNotes, panicTask: Va | undefined) {
    this.text = new KernelText(kernel)
    this.orc = OrcTables.open(kernel)
    this.stacks = new CpuStacks(kernel)
    this.notes = notes
    this.#table = table
    this.#panicTask = panicTask
  }

  get kernel(): SymbolicKernel {
    return this.text.kernel
  }

  /** A task's stack; undefined when it has none any more. */
  stackOf(context: TaskContext): Stack | undefined {
    return read_task_stack(this.kernel, context.task)
  }

  /** The registers a note holds for a running task's CPU. */
  registersOf(context: TaskContext): Registers | undefined {
    const { registers, qemu } = this.notes
    if (!qemu && context.va !== this.#panicTask) return undefined
    return registers.length > 1 ? registers[context.cpu] : registers[0]
  }

  /** Where the trace of a task begins. */
  start(context: TaskContext, stack: Stack): TraceStart {
    if (!this.#table.isActive(context) && context.va !== this.#panicTask)
      return inactive_start(this.text, context)
    const isPanic = context.va === this.#panicTask
    return active_start(this.text, this.stacks, context, stack, isPanic, this.registersOf(context))
  }

  /**
   * The trace of a task.
   *
   * @throws FaultError when what lies outside of the stack is needed and cannot be read
   */
  *trace(context: TaskContext, options: TraceOptions = {}): Generator<TraceEvent> {
    const stack = this.stackOf(context)
    if (stack === undefined) {
      yield { kind: 'problem', text: '(no stack)' }
      return
    }
    yield* new Walk(this, context, stack, options, this.#table.isActive(context)).run()
  }

  /** Registers saved anywhere on a stack. */
  *exceptionFrames(stack: Stack): Generator<{ at: Va; regs: Registers; symbol: SymbolHit | undefined }> {
    const size = this.kernel.types.sizeof('pt_regs')
    for (const at of stack.slots()) {
      if (at + size > stack.top) return
      const regs = read_pt_regs(this.kernel, at, stack)
      if (!this.plausible(regs, at)) continue
      yield { at, regs, symbol: this.text.lookup(toVa(regs.rip)) }
    }
  }

  plausible(regs: Registers, at: Va): boolean {
    return plausible_regs(regs, at, this.kernel.types.sizeof('pt_regs'), {
      isText: (va) => this.text.contains(va),
      inExceptionStack: this.stacks.exceptionStackOf(at) !== undefined,
      mem: this.kernel.mem,
    })
  }
}

/** Entry points that leave registers above their return address. @see arch/x86/include/asm/idtentry.h */
const EXCEPTION_ENTRIES = new Set(
  [
    ...['invalid_tss', 'segment_not_present', 'alignment_check', 'general_protection', 'page_fault'],
    ...['divide_error', 'overflow', 'bounds', 'invalid_op', 'device_not_available', 'coproc_segment_overrun'],
    ...['spurious_interrupt_bug', 'coprocessor_error', 'simd_coprocessor_error', 'debug'],
  ].map((name) => `asm_exc_${name}`),
)

/** What became of one text address. */
type Outcome = 'ignored' | 'displayed' | 'with registers' | 'complete'

/** One trace: its state while it goes up the stacks. */
class Walk {
  readonly #of: Backtracer
  readonly #context: TaskContext
  readonly #own: Stack
  readonly #options: TraceOptions
  readonly #active: boolean
  readonly #word: number
  readonly #regsSize: number
  readonly #events: TraceEvent[] = []
  #stack: Stack
  /** crash's `stkptr`, `instptr`, `bptr` */
  #stkptr = 0
  #instptr: Va | undefined
  #bptr = 0
  #level = 0
  /** end of the frame before, for `full` */
  #frameptr = 0
  #eframeIp: Va | undefined
  #callTarget = ''
  #checkCaller = false
  #neverCheck = false
  #lastEframe = -Infinity

  constructor(of: Backtracer, context: TaskContext, stack: Stack, options: TraceOptions, active: boolean) {
    this.#of = of
    this.#context = context
    this.#own = stack
    this.#stack = stack
    this.#options = options
    this.#active = active
    this.#word = stack.wordSize
    this.#regsSize = of.kernel.types.sizeof('pt_regs')
  }

  *run(): Generator<TraceEvent> {
    let rsp = this.#begin()
    yield* this.#flush()
    if (rsp === undefined) return
    let done = false
    let onCpuStack = false
    let irqEframe: Va | undefined
    for (let hops = 0; hops < 4 && !done; hops++) {
      const exception = this.#of.stacks.exceptionStackOf(this.#stkptr)
      if (exception !== undefined) {
        onCpuStack = true
        const next = this.#exceptionStack(exception, rsp, irqEframe)
        yield* this.#flush()
        if (next === undefined) return
        rsp = next.rsp
        done = next.done
        irqEframe = undefined
      }
      const irq = done ? undefined : this.#of.stacks.irqStackOf(this.#stkptr)
      if (irq === undefined) break
      onCpuStack = true
      irqEframe = rsp = this.#irqStack(irq, rsp)
      yield* this.#flush()
    }
    if (onCpuStack && !done && !this.#own.contains(rsp)) {
      const from = this.#stkptr
      const text = `cannot transition from ${irqEframe === undefined ? 'exception' : 'IRQ'} stack to current process stack: ${hexOf(from)}`
      yield { kind: 'problem', text }
      return
    }
    this.#stack = this.#own
    if (!done) done = yield* this.#processStack(rsp, irqEframe, onCpuStack)
    yield* this.#flush()
    yield* this.#userRegisters(done, irqEframe)
  }

  /** Set the starting point; undefined when there is none. */
  #begin(): Va | undefined {
    const start = this.#of.start(this.#context, this.#own)
    this.#stkptr = start.rsp
    this.#instptr = start.rip
    this.#bptr = start.rbp
    if (this.#options.textOnly === 'all') {
      // from above the canary and whatever lies at the bottom
      const { types } = this.#of.kernel
      this.#instptr = undefined
      this.#stkptr = this.#own.base + (types.has('thread_info') ? types.sizeof('thread_info') : 0)
      return this.#stkptr
    }
    if (!this.#readable(start.rsp)) {
      this.#events.push({ kind: 'problem', text: 'cannot determine starting stack pointer' })
      return undefined
    }
    if (this.#options.textOnly !== undefined) {
      if (start.rip !== undefined)
        this.#events.push({ kind: 'start', text: start.rip, symbol: this.#of.text.lookup(start.rip) })
    } else if (start.registers !== undefined) {
      const symbol = start.rip === undefined ? undefined : this.#of.text.lookup(start.rip)
      this.#events.push({ kind: 'registers', regs: start.registers, at: undefined, symbol })
    }
    return start.rsp
  }

  /** Print an exception stack's frames, and go back to where the exception came from. */
  #exceptionStack(
    which: CpuStack,
    from: Va,
    irqEframe: Va | undefined,
  ): { rsp: Va; done: boolean } | undefined {
    this.#stack = new Stack(this.#of.kernel, which.base, which.size)
    let rsp = from
    if (irqEframe !== undefined) {
      if (this.#instptr !== undefined) this.#entry(this.#stkptr, this.#instptr, { eframe: true })
      this.#registers(irqEframe)
      rsp += this.#regsSize
      if (this.#eframeIp !== undefined) rsp += this.#frameSize(this.#eframeIp, rsp)
      this.#level++
    }
    // a nested NMI keeps twelve words more above its registers
    const nested = which.name === 'NMI' && findSymbolVa(this.#of.kernel, 'repeat_nmi') !== undefined
    const top = this.#stack.top - this.#regsSize - (nested ? 12 * this.#word : 0)
    this.#frames(rsp, top)
    const regs = this.#registers(top)
    this.#events.push({ kind: 'stack', name: `${which.name} exception stack` })
    const nmi = nested && this.#stkptr <= this.#stack.top - 17 * this.#word
    const saved = this.#stack.top - 5 * this.#word - (nmi ? 12 * this.#word : 0)
    rsp = this.#stkptr = this.#stack.pointer(saved + 3 * this.#word)
    this.#instptr = this.#stack.pointer(saved)
    this.#frameptr = 0
    if (regs !== undefined && user_mode(regs)) return { rsp, done: true }
    this.#entry(this.#stkptr, this.#instptr, { start: true, keepEframe: true })
    if (this.#of.stacks.exceptionStackOf(this.#stkptr)?.base === which.base) {
      const text = `    [ ${which.name} exception stack recursion: prior stack location overwritten ]`
      this.#events.push({ kind: 'problem', text })
      return undefined
    }
    this.#level++
    return { rsp: rsp + this.#frameSize(this.#instptr, rsp), done: false }
  }

  /** Print an interrupt stack's frames; where the interrupted registers lie. */
  #irqStack(which: CpuStack, from: Va): Va {
    this.#stack = new Stack(this.#of.kernel, which.base, which.size)
    this.#frames(from, this.#stack.top)
    this.#events.push({ kind: 'stack', name: 'IRQ stack' })
    const link = this.#stack.pointer(this.#stack.top - this.#word)
    this.#stkptr = this.#irqLink(link)
    this.#instptr = this.#stack.pointer(this.#stack.top - 2 * this.#word)
    this.#frameptr = 0
    return this.#stkptr
  }

  /** The topmost word of an interrupt stack leads to the registers, directly or over a frame of its own. */
  #irqLink(link: Va): Va {
    const common = findSymbolVa(this.#of.kernel, 'asm_common_interrupt') !== undefined
    const plausible = (at: Va): boolean => {
      const regs = this.#read(at)
      return regs !== undefined && this.#of.plausible(regs, at)
    }
    const known = [0, common ? 32 : -40]
    for (let over = 8; over < 128; over += this.#word) known.push(over)
    return link + (known.find((over) => plausible(link + over)) ?? (common ? 32 : -40))
  }

  *#processStack(from: Va, irqEframe: Va | undefined, onCpuStack: boolean): Generator<TraceEvent, boolean> {
    let rsp = from
    const name = this.#instptr === undefined ? undefined : this.#of.text.name(this.#instptr)
    if (
      !onCpuStack &&
      this.#options.textOnly === undefined &&
      (name === '__schedule' || name === 'schedule')
    ) {
      rsp = this.#skipInactiveFrame(rsp)
    }
    let irq = irqEframe
    if (irq !== undefined) {
      const common = findSymbolVa(this.#of.kernel, 'asm_common_interrupt') !== undefined
      const text = common ? this.#stack.pointer(irq - this.#word) : this.#instptr
      if (text !== undefined) this.#entry(this.#stkptr, text, { eframe: true })
      const regs = this.#registers(irq)
      yield* this.#flush()
      if (regs !== undefined && user_mode(regs)) return true
      rsp += this.#regsSize
      irq = undefined
      if (this.#eframeIp !== undefined) rsp += this.#targetCaller(rsp) ?? this.#frameSize(this.#eframeIp, rsp)
      this.#level++
    }
    yield* this.#flush()
    this.#frames(rsp, this.#stack.top)
    return false
  }

  /** The scheduler's saved registers lie below the return address. */
  #skipInactiveFrame(rsp: Va): Va {
    const { types } = this.#of.kernel
    return types.has('inactive_task_frame') ? rsp + types.offsetof('inactive_task_frame', 'ret_addr') : rsp
  }

  /** Go up to `top`, frame by frame. */
  #frames(from: Va, top: Va): void {
    // a saved stack pointer that leads elsewhere leaves nothing to follow
    if (!this.#stack.contains(from)) return
    for (let rsp = from; rsp < top; rsp += this.#word) {
      const text = this.#stack.pointer(rsp)
      if (!this.#of.text.contains(text)) continue
      if (this.#checkCaller && !this.#calls(text)) continue
      const outcome = this.#entry(rsp, text, {})
      if (outcome === 'complete') return
      if (outcome === 'ignored') continue
      this.#level++
      const up = rsp
      if (outcome === 'with registers') {
        if (this.#stack === this.#own) this.#lastEframe = rsp + this.#word
        rsp += this.#regsSize - (this.#word === 4 ? NOT_PUSHED_32 : 0)
        if (this.#eframeIp === undefined) continue
      }
      rsp += this.#frameSize(this.#eframeIp ?? text, rsp, up)
    }
  }

  /** After schedule() only a frame that calls it counts. */
  #calls(text: Va): boolean {
    const hit = this.#of.text.lookup(text)
    if (hit === undefined || hit.offset === 0) return false
    const called = this.#of.text.calledBefore(text)
    if (called === 'unknown') return true
    if (called === undefined) return false
    const alias = CALL_ALIASES[called.name] ?? called.name
    return (
      alias === this.#callTarget || (called.name === '__sched_text_start' && this.#callTarget === 'schedule')
    )
  }

  /** One text address: a frame, or nothing. */
  #entry(
    rsp: Va,
    text: Va,
    how: { readonly eframe?: boolean; readonly start?: boolean; readonly keepEframe?: boolean },
  ): Outcome {
    if (how.keepEframe !== true) this.#eframeIp = undefined
    const symbol = this.#of.text.lookup(text)
    if (symbol === undefined) return 'ignored'
    const inside = how.eframe === true || how.start === true
    if (this.#options.textOnly !== undefined) {
      this.#events.push({ kind: 'frame', level: this.#level, rsp, text, symbol, words: undefined })
      return 'displayed'
    }
    if (symbol.offset === 0 && !inside && symbol.name !== 'error_exit') return 'ignored'
    this.#events.push({ kind: 'frame', level: this.#level, rsp, text, symbol, words: this.#words(rsp) })
    let outcome: Outcome =
      symbol.name === 'cpu_idle' || symbol.name === 'system_call_fastpath' ? 'complete' : 'displayed'
    const above = inside ? undefined : this.#savedAbove(symbol.name, symbol.offset)
    if (above !== undefined && this.#verified(rsp + above)) outcome = 'with registers'
    this.#callTarget = symbol.name
    this.#updateCheck()
    return outcome
  }

  /** How far above a return address an entry's registers lie; undefined for a plain function. */
  #savedAbove(name: string, offset: number): number | undefined {
    if (offset !== 0 && this.#of.stacks.irqStackOf(this.#stkptr) !== undefined && name.includes('_interrupt'))
      return 0
    return EXCEPTION_ENTRIES.has(name) || (this.#word === 4 && name === 'page_fault') || name === 'error_exit'
      ? this.#word
      : undefined
  }

  #updateCheck(): void {
    const direct = this.#callTarget === 'schedule' || this.#callTarget === 'schedule_timeout'
    const wanted = direct && !this.#neverCheck && !this.#active && this.#of.orc === undefined
    if (!wanted && this.#checkCaller) this.#neverCheck = true
    this.#checkCaller = wanted
  }

  /** The words of the frame that ends here. */
  #words(rsp: Va): FrameEvent['words'] {
    if (this.#options.full !== true) return undefined
    const from = this.#frameptr
    this.#frameptr = rsp + this.#word
    if (from === 0 || rsp < from || !this.#stack.contains(rsp) || !this.#stack.contains(from))
      return undefined
    return { from, to: rsp, stack: this.#stack }
  }

  /** Bytes from a return address to the next one, less a word; 0 when that is not known. */
  #frameSize(text: Va, rsp: Va, slot?: Va): number {
    if (this.#options.scan === true || this.#options.textOnly !== undefined) return 0
    if (this.#of.text.isInit(text)) return 0
    if (this.#of.orc === undefined) return this.#eframeIp === text ? 0 : this.#framePointer(rsp)
    const row = this.#of.orc.find(text)
    if (row === undefined || row.type !== 'call') return this.#countedSize(text)
    let size = -1
    let previous = 0
    if (row.sp_reg === ORC_REG_SP) {
      size = row.sp_offset - this.#word
      previous = rsp + this.#word + row.sp_offset
    } else if (row.sp_reg === ORC_REG_BP && this.#bptr !== 0) {
      previous = this.#bptr + row.sp_offset
      size = previous - rsp - 2 * this.#word
    }
    if (row.bp_reg === ORC_REG_PREV_SP && previous !== 0) {
      const at = previous + row.bp_offset
      this.#bptr = slot !== undefined && this.#stack.contains(at) ? this.#pointer(at) : 0
    } else if (row.bp_reg !== ORC_REG_UNDEFINED) this.#bptr = 0
    if (size < 0) return this.#countedSize(text)
    return size < this.#stack.top - this.#stack.base ? size : 0
  }

  /** Neither the tables nor the registers tell: count the pushes in the function's code. */
  #countedSize(text: Va): number {
    const size = this.#of.text.pushedAt(text, this.#eframeIp === text)
    return size > 0 && size < this.#stack.top - this.#stack.base ? size : 0
  }

  /** With frame pointers, the word below a return address is the caller's frame. */
  #framePointer(rsp: Va): number {
    const frame = this.#pointer(rsp - this.#word)
    if (!this.#stack.contains(frame) || frame <= rsp + this.#word) return 0
    return this.#of.text.contains(this.#stack.pointer(frame + this.#word)) ? frame - rsp : 0
  }

  #pointer(at: Va): Va {
    const va = this.#stack.pointer(at)
    return Number.isNaN(va) ? 0 : va
  }

  /** After an interrupt: the frame whose call leads to the interrupted function. */
  #targetCaller(from: Va): number | undefined {
    if (this.#options.scan === true || this.#options.textOnly !== undefined) return 0
    const target = this.#eframeIp === undefined ? undefined : this.#of.text.name(this.#eframeIp)
    if (target === undefined) return undefined
    if (!this.#stack.contains(from)) return undefined
    for (let rsp = from; rsp < this.#stack.top; rsp += this.#word) {
      const text = this.#stack.pointer(rsp)
      if (!this.#of.text.contains(text)) continue
      const called = this.#of.text.calledBefore(text)
      if (typeof called === 'object' && called.name === target) return rsp - from
    }
    return undefined
  }

  /** Show registers saved on the current stack. */
  #registers(at: Va): Registers | undefined {
    const regs = this.#read(at)
    if (regs === undefined) return undefined
    const rip = toVa(regs.rip)
    const symbol = user_mode(regs) ? undefined : this.#of.text.lookup(rip)
    if (symbol !== undefined) this.#eframeIp = rip
    this.#events.push({ kind: 'registers', regs, at, symbol })
    const rbp = toVa(regs.rbp)
    this.#bptr = Number.isNaN(rbp) ? 0 : rbp
    return regs
  }

  #verified(at: Va): boolean {
    const regs = this.#read(at)
    if (regs === undefined) return false
    if (this.#of.plausible(regs, at)) return this.#registers(at) !== undefined
    const rbp = toVa(regs.rbp)
    this.#bptr = Number.isNaN(rbp) ? 0 : rbp
    return false
  }

  #read(at: Va): Registers | undefined {
    try {
      return read_pt_regs(this.#of.kernel, at, this.#stack)
    } catch (error) {
      if (error instanceof FaultError) return undefined
      throw error
    }
  }

  /** What user space had in its registers. */
  *#userRegisters(done: boolean, irqEframe: Va | undefined): Generator<TraceEvent> {
    if (done && irqEframe !== undefined) return
    if (is_kernel_thread(this.#context.task) || this.#stack !== this.#own) return
    const at = task_pt_regs(this.#of.kernel, this.#own)
    if (this.#lastEframe >= at) return
    this.#registers(at)
    yield* this.#flush()
  }

  #readable(va: Va): boolean {
    if (va === 0 || Number.isNaN(va)) return false
    if (this.#own.contains(va)) return true
    try {
      this.#of.kernel.mem.u8(va)
      return true
    } catch (error) {
      if (error instanceof FaultError) return false
      throw error
    }
  }

  *#flush(): Generator<TraceEvent> {
    yield* this.#events.splice(0)
  }
}

/** Functions that end in a jump to what they call. */
const CALL_ALIASES: Readonly<Record<string, string>> = {
  schedule_timeout_interruptible: 'schedule_timeout',
  schedule_timeout_uninterruptible: 'schedule_timeout',
  __cond_resched: 'schedule',
}

const hexOf = (va: Va): string => hex(Number.isNaN(va) ? 0 : va)

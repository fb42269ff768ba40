/** Kernel stacks: where each task's lies, each CPU's interrupt and exception stacks, and their words. */

import { toVa, vaOfHalves, type Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { findSymbolVa, type Kernel } from './kernel.ts'
import { cpu_count, find_per_cpu, per_cpu_offset } from './percpu.ts'

const PAGE = 4096
/** No kernel has larger stacks. */
const STACK_MAX = 1 << 20

/** A stack's bytes, copied; words of pages that cannot be read are 0. */
export class Stack {
  readonly base: Va
  readonly top: Va
  readonly wordSize: 4 | 8
  /** pages that could not be read */
  readonly faults: readonly FaultError[]
  readonly #view: DataView

  constructor(kernel: Kernel, base: Va, size: number) {
    this.base = base
    this.top = base + size
    this.wordSize = kernel.mem.wordSize
    const bytes = new Uint8Array(size)
    const faults: FaultError[] = []
    for (let at = 0; at < size;) {
      const count = Math.min(PAGE - ((((base + at) % PAGE) + PAGE) % PAGE), size - at)
      try {
        bytes.set(kernel.mem.read(base + at, count), at)
      } catch (error) {
        if (!(error instanceof FaultError)) throw error
        faults.push(error)
      }
      at += count
    }
    this.#view = new DataView(bytes.buffer)
    this.faults = faults
  }

  contains(at: Va): boolean {
    return at >= this.base && at < this.top
  }

  /** The word at an address, 0 outside. */
  word(at: Va): bigint {
    if (!this.contains(at) || at + this.wordSize > this.top) return 0n
    const offset = at - this.base
    return this.wordSize === 8
      ? this.#view.getBigUint64(offset, true)
      : BigInt(this.#view.getUint32(offset, true))
  }

  /** The word as an address: NaN when it is none. */
  pointer(at: Va): Va {
    if (!this.contains(at) || at + this.wordSize > this.top) return 0
    const offset = at - this.base
    if (this.wordSize === 4) return this.#view.getUint32(offset, true)
    return vaOfHalves(this.#view.getUint32(offset, true), this.#view.getUint32(offset + 4, true))
  }

  /** Addresses of all words from one on. */
  *slots(from: Va = this.base): Generator<Va> {
    for (let at = Math.max(from, this.base); at + this.wordSize <= this.top; at += this.wordSize) yield at
  }
}

/** Bytes of a task's stack. @see include/linux/sched.h: `union thread_union` */
export function thread_size(kernel: Kernel): number {
  const size = kernel.types.has('thread_union') ? kernel.types.sizeof('thread_union') : 0
  if (size > 0 && size <= STACK_MAX) return size
  return kernel.mem.wordSize === 8 ? 16384 : 8192
}

/** `task_struct.stack`: the lowest address; 0 of a task whose stack is gone. */
export const task_stack = (task: StructRef): Va => toVa(task.$int('stack'), task.$mem.wordSize)

/** The stack of a task; undefined when it has none any more. */
export function read_task_stack(kernel: Kernel, task: StructRef): Stack | undefined {
  const base = task_stack(task)
  return base === 0 || Number.isNaN(base) ? undefined : new Stack(kernel, base, thread_size(kernel))
}

/** Where the registers of user space lie: at the top. @see arch/x86/include/asm/processor.h:task_pt_regs */
export function task_pt_regs(kernel: Kernel, stack: Stack): Va {
  return (
    stack.top - kernel.types.sizeof('pt_regs') - (kernel.mem.wordSize === 4 ? TOP_OF_KERNEL_STACK_PADDING : 0)
  )
}

/** Room for the registers that a 32-bit interrupt from kernel mode does not push. @see arch/x86/include/asm/thread_info.h */
const TOP_OF_KERNEL_STACK_PADDING = 8

/** `thread.sp`, where the task left off when it was switched out. */
export const task_sp = (task: StructRef): Va => toVa(task.$int('thread.sp'), task.$mem.wordSize)

/** A stack that belongs to a CPU. */
export interface CpuStack {
  readonly cpu: number
  /** `IRQ`, or the exception's name as crash has it: NMI, DEBUG, DOUBLEFAULT, MCE, VC */
  readonly name: string
  readonly base: Va
  readonly size: number
}

/** Each CPU's interrupt stack. @see arch/x86/kernel/irq_64.c: `hardirq_stack_ptr` */
export function irq_stacks(kernel: Kernel): CpuStack[] {
  const { types, mem } = kernel
  const size = types.has('irq_stack', 'stack') ? types.sizeof('irq_stack') : 16384
  const stacks: CpuStack[] = []
  for (let cpu = 0; cpu < cpu_count(kernel); cpu++) {
    const hot = find_per_cpu(kernel, 'pcpu_hot', cpu)
    const at =
      hot !== undefined && types.has('pcpu_hot', 'hardirq_stack_ptr')
        ? hot + types.offsetof('pcpu_hot', 'hardirq_stack_ptr')
        : find_per_cpu(kernel, 'hardirq_stack_ptr', cpu)
    const pointer = at === undefined ? undefined : readable(() => mem.pointer(at))
    if (pointer === undefined || pointer === 0 || Number.isNaN(pointer)) continue
    // since 5.8 the pointer is that of the last word
    const top = pointer % PAGE === 0 ? pointer : pointer + mem.wordSize
    stacks.push({ cpu, name: 'IRQ', base: top - size, size })
  }
  return stacks
}

/** @see arch/x86/include/asm/cpu_entry_area.h: order of `x86_hw_tss.ist` */
const IST_NAMES = ['DOUBLEFAULT', 'NMI', 'DEBUG', 'MCE', 'VC'] as const
const IST_MEMBERS = ['DF_stack', 'NMI_stack', 'DB_stack', 'MCE_stack', 'VC_stack'] as const

/** Each CPU's exception stacks, by their place in the task state segment. Those not mapped are left out. */
export function exception_stacks(kernel: Kernel): CpuStack[] {
  const { types, mem } = kernel
  const tss = findSymbolVa(kernel, 'cpu_tss_rw')
  const struct = types.has('cea_exception_stacks', 'NMI_stack') ? 'cea_exception_stacks' : 'exception_stacks'
  if (tss === undefined || !types.has('tss_struct', 'x86_tss.ist') || !types.has(struct)) return []
  const ist = types.offsetof('tss_struct', 'x86_tss.ist')
  const stacks: CpuStack[] = []
  for (let cpu = 0; cpu < cpu_count(kernel); cpu++) {
    const table = tss + per_cpu_offset(kernel, cpu) + ist
    for (const [i, member] of IST_MEMBERS.entries()) {
      const top = readable(() => mem.pointer(table + i * 8))
      if (top === undefined || top === 0 || Number.isNaN(top) || !types.has(struct, member)) continue
      const size = types.sizeof(types.place(struct, member).type)
      if (size === 0 || readable(() => mem.u8(top - size)) === undefined) continue
      stacks.push({ cpu, name: IST_NAMES[i] as string, base: top - size, size })
    }
  }
  return stacks
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}

/**
 * The oops: from its first line to the end of the task or of the machine.
 *
 * @see arch/x86/kernel/dumpstack.c
 */

import { toVa, type Va } from '../../../../base/addr.ts'
import type { StructRef } from '../../../../btf/ref.ts'
import { MODULE_STATE_COMING, MODULE_STATE_GOING, TAINT_DIE } from '../../../../abi/module.ts'
import { KERN_DEFAULT } from '../../../../abi/printk.ts'
import { SIGKILL } from '../../../../abi/signal.ts'
import type { Kernel, Thread } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { do_exit } from '../../../kernel/exit.ts'
import { find_module, module_flags } from '../../../kernel/module/main.ts'
import {
  add_taint,
  bust_spinlocks,
  callTrace,
  oops_exit,
  panic,
  panic_on_oops,
} from '../../../kernel/panic.ts'
import { printk } from '../../../kernel/printk/printk.ts'
import { since } from '../../../version.ts'
import {
  dump_stack_print_info,
  KERNEL_DS_32,
  print_modules,
  show_opcodes,
  show_regs_32,
  show_regs_64,
  show_stack_32,
  show_trace,
  sprint_symbol,
} from './dumpstack.ts'
import { write_frames } from './stack.ts'

const FILE = 'arch/x86/kernel/dumpstack.c'

/** A fault of the kernel's own. */
export interface Oops {
  /** `struct pt_regs` as the processor has pushed them */
  readonly regs: StructRef
  /** the stack pointer and the frame pointer there */
  readonly sp: Va
  readonly bp: Va
  /** what the instruction was at: CR2 */
  readonly address: Va
  readonly errorCode: number
}

const say = (k: Kernel, text: string): void => printk(k, KERN_DEFAULT, text)
const variable = (k: Kernel, name: string): Va => toVa(k.sym(name), k.mem.wordSize)

/** One oops at a time. @see arch/x86/kernel/dumpstack.c:oops_begin */
export const oops_begin = kfunc(FILE, function oops_begin(k): void {
  k.mem.setU32(variable(k, 'die_lock'), 1)
  k.mem.setU32(variable(k, 'die_owner'), k.cpu.id)
  bust_spinlocks(k, true)
})

/** @see arch/x86/kernel/dumpstack.c:__die */
export const __die = kfunc(FILE, function __die(k, str: string, oops: Oops): void {
  const at = variable(k, 'die_counter')
  const count = k.mem.u32(at) + 1
  k.mem.setU32(at, count)
  const code = oops.errorCode.toString(16).padStart(4, '0')
  const modern = since(k, 4, 0)
  const preempt = k.profile.preemptCount && modern ? 'PREEMPT ' : ''
  // the page tables of programs are the kernel's, too
  say(k, `${str}: ${code} [#${count}] ${preempt}SMP ${modern ? 'NOPTI' : ''}`)
  if (modern) __die_body(k, oops)
  else die_body_old(k, oops)
})

const modules = (k: Kernel): void =>
  print_modules(k, (name) => {
    const mod = find_module(k, name)
    if (mod === null) return ''
    const state = mod.state === MODULE_STATE_COMING ? '+' : mod.state === MODULE_STATE_GOING ? '-' : ''
    const taints = module_flags(k, mod).slice(1, -1)
    return taints + state === '' ? '' : `(${taints}${state})`
  })

/** @see arch/x86/kernel/dumpstack.c:__die_body */
const __die_body = kfunc(FILE, function __die_body(k, oops: Oops): void {
  dump_stack_print_info(k)
  const { regs } = oops
  // what reading the opcodes leaves in the register is shown, what the fault was at is said below
  show_regs_64(k, regs, { cr2: BigInt.asUintN(64, BigInt(oops.address)) })
  write_frames(k, k.thread)
  // since 6.1 the scan begins where it is called, so that the fault's own frames are there, too
  show_trace(k, since(k, 6, 1) ? k.thread.sp : oops.sp, reliableFrames(k, oops))
  modules(k)
})

/** What came in which order, when it was one function. @see arch/x86/kernel/dumpstack_32.c:show_registers */
function die_body_old(k: Kernel, oops: Oops): void {
  const { regs, sp } = oops
  modules(k)
  if (!since(k, 3, 0)) say(k, '')
  dump_stack_print_info(k)
  const { current } = k
  const [task, stack] = [current.$addr.toString(16), current.stack.toString(16)]
  if (since(k, 3, 0)) say(k, `task: ${task} ti: ${stack} task.ti: ${stack}`)
  show_regs_32(k, regs, sp, { cr2: BigInt.asUintN(32, BigInt(oops.address)) })
  if (!since(k, 3, 0))
    say(
      k,
      `Process ${current.comm.$string()} (pid: ${current.pid}, ti=${stack} task=${task} task.ti=${stack})`,
    )
  show_stack_32(k, sp)
  write_frames(k, k.thread)
  show_trace(k, sp, reliableFrames(k, oops))
  show_opcodes(k, regs.$int('ip'))
  const ip = regs.$int('ip')
  const eip = ip.toString(16).padStart(8, '0')
  const where = sprint_symbol(k, ip) ?? `0x${ip.toString(16)}`
  const ss = KERNEL_DS_32.toString(16).padStart(4, '0')
  say(
    k,
    `EIP: [<${eip}>] ${where} SS:ESP ${ss}:${BigInt.asUintN(32, BigInt(sp)).toString(16).padStart(8, '0')}`,
  )
}

/**
 * Where the unwinder finds return addresses: nowhere when it does not know the code at the fault; by frame pointers
 * from the caller's frame on, which leaves out the call that led there.
 */
function reliableFrames(k: Kernel, oops: Oops): Set<Va> {
  const found = new Set<Va>()
  const known = sprint_symbol(k, oops.regs.$int('ip')) !== undefined
  if (k.profile.unwinder === 'orc' && !known) return found
  const { frames, stackPointers } = k.thread
  for (const [i, info] of frames.entries()) {
    const at = (stackPointers[i] as number) - k.mem.wordSize
    if (k.stackBytes(info) > 0 && at >= oops.sp) found.add(at)
  }
  return found
}

/**
 * It has all been said: the machine stops, or the task dies.
 * @see arch/x86/kernel/dumpstack.c:oops_end
 */
export const oops_end = kfunc(FILE, function oops_end(k, oops: Oops): void {
  bust_spinlocks(k, false)
  k.mem.setU32(variable(k, 'die_owner'), 0xffffffff)
  add_taint(k, TAINT_DIE)
  k.mem.setU32(variable(k, 'die_lock'), 0)
  oops_exit(k)
  // once more, so that it is the last on the screen
  if (since(k, 4, 18)) show_regs_64(k, oops.regs, { cr2: BigInt.asUintN(64, BigInt(oops.address)) })
  if (k.cpu.hardirq > 0 || k.cpu.softirq > 0) panic(k, 'Fatal exception in interrupt')
  if (panic_on_oops(k)) panic(k, 'Fatal exception')
})

/** `panic()` without an oops shows where it is called. */
export function trap_init(k: Kernel): void {
  callTrace(k).show = () => {
    write_frames(k, k.thread)
    dump_stack_print_info(k)
    const { frames, stackPointers, sp } = k.thread
    const sure = frames.map((_, i) => (stackPointers[i] as number) - k.mem.wordSize)
    show_trace(k, sp, new Set(sure))
  }
}

/**
 * The task's stack is empty again, and it dies.
 * @see arch/x86/entry/entry_64.S:rewind_stack_and_make_dead
 */
const rewind_stack_and_make_dead = kfunc(
  'arch/x86/entry/entry_64.S',
  function* rewind_stack_and_make_dead(k, signr: number): Generator<unknown, never> {
    return yield* make_task_dead(k, signr)
  },
  { asm: true },
)

/** @see kernel/exit.c:make_task_dead */
const make_task_dead = kfunc('kernel/exit.c', function* make_task_dead(k, signr: number): Generator<
  unknown,
  never
> {
  if (k.current.pid === 0) panic(k, 'Attempted to kill the idle task!')
  const count = k.symbols.get('oops_count')
  if (count !== undefined && since(k, 6, 1)) {
    const at = toVa(count, k.mem.wordSize)
    k.mem.setU32(at, k.mem.u32(at) + 1)
  }
  return yield* do_exit(k, signr)
})

/** What runs in a thread whose stack a fault has unwound. */
export function deadThread(k: Kernel, thread: Thread): void {
  thread.coroutine = rewind_stack_and_make_dead(k, SIGKILL)
}

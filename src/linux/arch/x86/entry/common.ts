/**
 * System calls: from the registers a program left to the handler and back, with all that happens on the way out.
 *
 * @see arch/x86/entry/common.c, arch/x86/entry/entry_64.S, kernel/entry/common.c
 */

import { toVa, type Va } from '../../../../base/addr.ts'
import type { pt_regs } from '../../../../btf/vmlinux.ts'
import {
  EINTR,
  ENOSYS,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOHAND,
  ERESTARTNOINTR,
  ERESTARTSYS,
} from '../../../../abi/errno.ts'
import { TIF_NEED_RESCHED } from '../../../../abi/sched.ts'
import { SA_RESTART } from '../../../../abi/signal.ts'
import { NR_syscalls, syscalls } from '../../../../abi/syscalls-x86_64.ts'
import { SourceKind, Sourced } from '../../../../memory/memory.ts'
import type { Kernel, Thread } from '../../../kernel.ts'
import { perKernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { do_group_exit } from '../../../kernel/exit.ts'
import { schedule, signal_pending, task_stack_page, test_tsk_flag } from '../../../kernel/sched/core.ts'
import { get_signal } from '../../../kernel/signal.ts'
import { task_work_run } from '../../../kernel/task_work.ts'
import { sleepable } from '../../../sleepable.ts'
import { task_pt_regs } from '../kernel/stack.ts'
import { ARGUMENTS_64 } from './arguments.ts'
import { handlerAt, type SyscallHandler } from './handler.ts'

export type { SyscallHandler } from './handler.ts'
export { syscall_arg, syscall_int, syscall_long, syscall_ptr, syscall_sourced } from './arguments.ts'

/** What entering and leaving the kernel costs, in nanoseconds of virtual time. */
export const SYSCALL_NS = 400

/** What the processor holds of a program when it enters the kernel. */
export interface UserRegisters {
  readonly ip: bigint
  readonly sp: bigint
  readonly args: readonly bigint[]
}

/** A signal whose handler has to run in user space before the program goes on. */
export interface UserSignal {
  readonly sig: number
}
const pendingHandlers = perKernel(() => new Map<Thread, UserSignal[]>())

/** Signals that the program's own handlers must see now; emptied by the call. */
export function takeHandlers(k: Kernel, thread: Thread): UserSignal[] {
  const all = pendingHandlers(k)
  const list = all.get(thread) ?? []
  all.delete(thread)
  return list
}

/** `__x64_sys_NAME` of a number; the table entry when this kernel has one. */
function handlerOf(k: Kernel, nr: number): SyscallHandler | undefined {
  if (k.profile.syscallDispatch !== 'switch') return tableEntry(k, 'sys_call_table', nr)
  const name = syscalls[nr]
  return name === undefined ? undefined : namedHandler(k, `__x64_sys_${name}`)
}

/** What a table of handlers has at a number, to be called: whoever patches the table is called. */
export function tableEntry(k: Kernel, table: string, nr: number): SyscallHandler {
  return handlerAt(k, k.mem.word(toVa(k.sym(table), k.mem.wordSize) + nr * k.mem.wordSize))
}

/** A handler as the switch names it, whatever any table says. */
export function namedHandler(k: Kernel, name: string): SyscallHandler | undefined {
  const at = k.symbols.get(name)
  return at === undefined ? undefined : (k.codeAt(at) as unknown as SyscallHandler | undefined)
}

/** @see arch/x86/entry/syscall_64.c:sys_call_table */
export function syscall_table_init(k: Kernel): void {
  const table = toVa(k.sym('sys_call_table'), k.mem.wordSize)
  const none = k.symbols.get('__x64_sys_ni_syscall') ?? k.sym('sys_ni_syscall')
  for (let nr = 0; nr < NR_syscalls; nr++) {
    const name = syscalls[nr]
    const at = name === undefined ? undefined : k.symbols.get(`__x64_sys_${name}`)
    k.mem.setWord(table + nr * k.mem.wordSize, at ?? none)
  }
}

/** @see arch/x86/entry/common.c:__x64_sys_ni_syscall */
export const __x64_sys_ni_syscall = kfunc(
  'arch/x86/entry/common.c',
  function __x64_sys_ni_syscall(_k, _regs: pt_regs): number {
    return -ENOSYS
  },
)

function* call(k: Kernel, regs: pt_regs, nr: number): Generator<unknown, void> {
  const handler = nr >= 0 && nr < NR_syscalls ? handlerOf(k, nr) : undefined
  const result = handler === undefined ? -ENOSYS : yield* sleepable(handler(k, regs))
  regs.ax = BigInt.asUintN(64, BigInt(result))
}

/** The switch over the numbers that replaced the table. @see arch/x86/entry/syscall_64.c:x64_sys_call */
const x64_sys_call = kfunc(
  'arch/x86/entry/syscall_64.c',
  function* x64_sys_call(k, regs: pt_regs, nr: number): Generator<unknown, void> {
    yield* call(k, regs, nr)
  },
  { sibling: true },
)

/** @see arch/x86/entry/common.c:do_syscall_64 */
const do_syscall_64 = kfunc(
  'arch/x86/entry/common.c',
  function* do_syscall_64(k, regs: pt_regs, nr: number): Generator<unknown, void> {
    if (k.profile.syscallDispatch === 'switch') yield* x64_sys_call(k, regs, nr)
    else yield* call(k, regs, nr)
    yield* syscall_exit_to_user_mode(k, regs)
  },
)

/** @see kernel/entry/common.c:syscall_exit_to_user_mode */
export const syscall_exit_to_user_mode = kfunc(
  'kernel/entry/common.c',
  function* syscall_exit_to_user_mode(k, regs: pt_regs): Generator<unknown, void> {
    yield* exit_to_user_mode_prepare(k, regs)
  },
)

/** Everything there is to do before a task is a program again. @see kernel/entry/common.c:exit_to_user_mode_loop */
const exit_to_user_mode_prepare = kfunc(
  'kernel/entry/common.c',
  function* exit_to_user_mode_prepare(k, regs: pt_regs): Generator<unknown, void> {
    const task = k.current
    for (;;) {
      if (task.task_works !== null) yield* task_work_run(k)
      else if (test_tsk_flag(task, TIF_NEED_RESCHED)) yield* schedule(k)
      else if (signal_pending(task)) yield* arch_do_signal_or_restart(k, regs)
      else return
    }
  },
)

/** @see arch/x86/kernel/signal.c:arch_do_signal_or_restart */
const arch_do_signal_or_restart = kfunc(
  'arch/x86/kernel/signal.c',
  function* arch_do_signal_or_restart(k, regs: pt_regs): Generator<unknown, void> {
    const what = get_signal(k)
    if (what.kind === 'exit') yield* do_group_exit(k, what.code)
    if (what.kind !== 'handler') return
    const result = Number(BigInt.asIntN(k.mem.wordSize * 8, regs.ax))
    const restarts =
      result === -ERESTARTNOINTR || (result === -ERESTARTSYS && (what.flags & SA_RESTART) !== 0)
    if (isRestart(result) && !restarts) regs.ax = BigInt.asUintN(64, BigInt(-EINTR))
    const list = pendingHandlers(k).get(k.thread) ?? []
    pendingHandlers(k).set(k.thread, [...list, { sig: what.sig }])
  },
)

export const isRestart = (result: number): boolean =>
  [-ERESTARTSYS, -ERESTARTNOINTR, -ERESTARTNOHAND, -ERESTART_RESTARTBLOCK].includes(result)

/** @see arch/x86/entry/entry_64.S:entry_SYSCALL_64 */
const entry_SYSCALL_64_after_hwframe = kfunc(
  'arch/x86/entry/entry_64.S',
  function* entry_SYSCALL_64_after_hwframe(k, nr: number, user: UserRegisters): Generator<unknown, number> {
    const regs = k.ref('pt_regs', task_pt_regs(k, task_stack_page(k, k.current)))
    for (;;) {
      saveRegisters(k, regs, nr, user)
      k.clock.spend(SYSCALL_NS)
      yield* do_syscall_64(k, regs, nr)
      const result = Number(BigInt.asIntN(64, regs.ax))
      if (!isRestart(result)) return result
    }
  },
  { asm: true },
)

/** What the entry code pushes. @see arch/x86/entry/calling.h:PUSH_AND_CLEAR_REGS */
function saveRegisters(_k: Kernel, regs: pt_regs, nr: number, user: UserRegisters): void {
  ARGUMENTS_64.forEach((register, i) => {
    const value = BigInt.asUintN(64, user.args[i] ?? 0n)
    regs[register] = new Sourced(value, SourceKind.Syscall, i)
  })
  regs.orig_ax = BigInt(nr)
  regs.ax = BigInt.asUintN(64, BigInt(-ENOSYS))
  regs.ip = user.ip
  regs.cx = user.ip
  regs.cs = 0x33n
  regs.flags = 0x246n
  regs.r11 = 0x246n
  regs.sp = user.sp
  regs.ss = 0x2bn
}

/**
 * The current task makes a system call.
 * @returns what the program finds in `rax`: -errno on failure
 */
export function* enterSyscall(k: Kernel, nr: number, user: UserRegisters): Generator<unknown, number> {
  return yield* entry_SYSCALL_64_after_hwframe(k, nr, user)
}

/** The first way out of the kernel: a new task's. @see arch/x86/entry/entry_64.S:ret_from_fork */
export const ret_from_fork = kfunc(
  'arch/x86/entry/entry_64.S',
  function* ret_from_fork(k): Generator<unknown, void> {
    const regs = k.ref('pt_regs', task_pt_regs(k, task_stack_page(k, k.current)))
    regs.ax = 0n
    yield* syscall_exit_to_user_mode(k, regs)
  },
  { asm: true },
)

/** Where a task's saved user registers lie. */
export const userRegsVa = (k: Kernel, stack: Va): Va => task_pt_regs(k, stack)

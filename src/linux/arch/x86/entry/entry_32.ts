/**
 * System calls of an i386 kernel: `int $0x80`, the registers pushed so that they are the handler's arguments, and a
 * call through the table.
 *
 * @see arch/x86/kernel/entry_32.S:system_call (arch/x86/entry/entry_32.S:entry_INT80_32 since 4.2)
 */

import { toVa } from '../../../../base/addr.ts'
import { ENOSYS } from '../../../../abi/errno.ts'
import { i386Table } from '../../../../abi/syscalls-i386.ts'
import type { pt_regs } from '../../../../btf/vmlinux.ts'
import { SourceKind, Sourced } from '../../../../memory/memory.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { task_stack_page } from '../../../kernel/sched/core.ts'
import { sleepable } from '../../../sleepable.ts'
import { task_pt_regs } from '../kernel/stack.ts'
import { ARGUMENTS_32 } from './arguments.ts'
import { isRestart, SYSCALL_NS, syscall_exit_to_user_mode, tableEntry, type UserRegisters } from './common.ts'

/** __USER_CS and __USER_DS, as user space has them, and the segment of thread-local storage. @see arch/x86/include/asm/segment.h */
const SEGMENTS = { cs: 0x73, ss: 0x7b, ds: 0x7b, es: 0x7b, fs: 0, gs: 0x33 } as const

/** @see arch/x86/kernel/syscall_32.c:sys_call_table */
export function i386_syscall_table_init(k: Kernel): void {
  const table = toVa(k.sym('sys_call_table'), 4)
  const none = k.sym('sys_ni_syscall')
  i386Table(k.profile.release).forEach((name, nr) => {
    k.mem.setPointer(table + nr * 4, toVa((name === undefined ? undefined : k.symbols.get(name)) ?? none, 4))
  })
}

/** The entry of `int $0x80`: every argument is where a C function looks for it. */
const system_call = kfunc(
  'arch/x86/kernel/entry_32.S',
  function* system_call(k, nr: number, user: UserRegisters): Generator<unknown, number> {
    const regs = k.ref('pt_regs', task_pt_regs(k, task_stack_page(k, k.current)))
    for (;;) {
      saveRegisters(regs, nr, user)
      k.clock.spend(SYSCALL_NS)
      yield* call(k, regs, nr)
      yield* syscall_exit_to_user_mode(k, regs)
      const result = Number(BigInt.asIntN(32, regs.ax))
      if (!isRestart(result)) return result
    }
  },
  { asm: true },
)

function* call(k: Kernel, regs: pt_regs, nr: number): Generator<unknown, void> {
  if (nr < 0 || nr >= i386Table(k.profile.release).length) return
  const result = yield* sleepable(tableEntry(k, 'sys_call_table', nr)(k, regs))
  regs.ax = BigInt.asUintN(32, BigInt(result))
}

/** @see arch/x86/kernel/entry_32.S:SAVE_ALL */
function saveRegisters(regs: pt_regs, nr: number, user: UserRegisters): void {
  ARGUMENTS_32.forEach((register, i) => {
    regs[register] = new Sourced(BigInt.asUintN(32, user.args[i] ?? 0n), SourceKind.Syscall, i)
  })
  regs.orig_ax = BigInt(nr)
  regs.ax = BigInt.asUintN(32, BigInt(-ENOSYS))
  regs.ip = user.ip
  regs.flags = 0x246n
  regs.sp = user.sp
  for (const [segment, selector] of Object.entries(SEGMENTS)) regs.$set(segment, selector)
}

/**
 * The current task makes a system call.
 * @param nr a number of this kernel's table
 * @returns what the program finds in `eax`: -errno on failure
 */
export function* enterSystemCall(k: Kernel, nr: number, user: UserRegisters): Generator<unknown, number> {
  return yield* system_call(k, nr, user)
}

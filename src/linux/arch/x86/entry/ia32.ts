/**
 * System calls of 32-bit programs on an x86-64 kernel: `int $0x80`, a table (or switch) of their own, and handlers that
 * read 32-bit registers. The table of 64-bit calls has no part in it.
 *
 * @see arch/x86/entry/common.c:do_int80_syscall_32, do_int80_emulation, arch/x86/entry/syscall_32.c
 */

import { toVa } from '../../../../base/addr.ts'
import { ENOSYS } from '../../../../abi/errno.ts'
import { TS_COMPAT } from '../../../../abi/sched.ts'
import { ia32Handler, NR_ia32_syscalls } from '../../../../abi/syscalls-ia32.ts'
import type { pt_regs } from '../../../../btf/vmlinux.ts'
import { SourceKind, Sourced } from '../../../../memory/memory.ts'
import type { Kernel } from '../../../kernel.ts'
import { kernelFunctions, kfunc, kfuncAs, type KFunction } from '../../../kfunc.ts'
import { task_stack_page } from '../../../kernel/sched/core.ts'
import { sleepable } from '../../../sleepable.ts'
import { task_pt_regs } from '../kernel/stack.ts'
import { ARGUMENTS_32, ia32_regs } from './arguments.ts'
import {
  isRestart,
  namedHandler,
  SYSCALL_NS,
  syscall_exit_to_user_mode,
  tableEntry,
  type UserRegisters,
} from './common.ts'

const FILE = 'arch/x86/entry/common.c'
/** __USER32_CS, __USER_DS @see arch/x86/include/asm/segment.h */
const USER32_CS = 0x23n
const USER_DS = 0x2bn

/**
 * Declare `__ia32_sys_NAME` beside every `__x64_sys_NAME`: the same function behind other registers. Called once, when
 * every file with system calls has been loaded.
 * @see arch/x86/include/asm/syscall_wrapper.h:__IA32_SYS_STUBx
 */
export function declareIa32Handlers(): void {
  const prefix = '__x64_sys_'
  const native = kernelFunctions.filter(({ kfunc: { name } }) => name.startsWith(prefix))
  const known = new Set(kernelFunctions.map(({ kfunc: { name } }) => name))
  for (const handler of native) {
    const name = `__ia32_sys_${handler.kfunc.name.slice(prefix.length)}`
    if (!known.has(name)) asIa32(name, handler)
    // those whose 32-bit form differs only in what is done to the registers
    for (const compat of SAME_BODY[handler.kfunc.name.slice(prefix.length)] ?? [])
      if (!known.has(compat)) asIa32(compat, handler)
  }
}

const asIa32 = (name: string, handler: KFunction): void =>
  void kfuncAs(name, handler as unknown as KFunction<[regs: pt_regs]>, (regs): [pt_regs] => [ia32_regs(regs)])

/**
 * Names of 32-bit handlers by the 64-bit call that does the same here.
 * @remarks numbers of 16 bits for users and groups are not cut off, and offsets of files not sign-extended.
 */
const SAME_BODY: Readonly<Record<string, readonly string[]>> = {
  open: ['__ia32_compat_sys_open'],
  openat: ['__ia32_compat_sys_openat'],
  execve: ['__ia32_compat_sys_execve'],
  wait4: ['__ia32_compat_sys_wait4'],
  ioctl: ['__ia32_compat_sys_ioctl'],
  fcntl: ['__ia32_compat_sys_fcntl64'],
  lseek: ['__ia32_compat_sys_lseek'],
  clone: ['__ia32_compat_sys_ia32_clone'],
  rt_sigprocmask: ['__ia32_compat_sys_rt_sigprocmask'],
  recvfrom: ['__ia32_compat_sys_recvfrom'],
  getuid: ['__ia32_sys_getuid16'],
  geteuid: ['__ia32_sys_geteuid16'],
}

/** Has this kernel the table, or the switch that took its place? */
const hasTable = (k: Kernel): boolean => k.symbols.has('ia32_sys_call_table')

/** @see arch/x86/entry/syscall_32.c:ia32_sys_call_table */
export function ia32_syscall_table_init(k: Kernel): void {
  if (k.profile.wordSize !== 8 || !hasTable(k)) return
  const table = toVa(k.sym('ia32_sys_call_table'))
  const none = k.sym('__ia32_sys_ni_syscall')
  for (let nr = 0; nr < NR_ia32_syscalls; nr++) {
    const name = ia32Handler(nr)
    k.mem.setWord(table + nr * 8, (name === undefined ? undefined : k.symbols.get(name)) ?? none)
  }
}

function* call(k: Kernel, regs: pt_regs, nr: number): Generator<unknown, void> {
  if (nr < 0 || nr >= NR_ia32_syscalls) return
  const name = ia32Handler(nr)
  const handler = hasTable(k)
    ? tableEntry(k, 'ia32_sys_call_table', nr)
    : name === undefined
      ? undefined
      : namedHandler(k, name)
  const result = handler === undefined ? -ENOSYS : yield* sleepable(handler(k, regs))
  regs.ax = BigInt.asUintN(64, BigInt(result))
}

/** The switch over the numbers that replaced the table. @see arch/x86/entry/syscall_32.c:ia32_sys_call */
const ia32_sys_call = kfunc(
  'arch/x86/entry/syscall_32.c',
  function* ia32_sys_call(k, regs: pt_regs, nr: number): Generator<unknown, void> {
    yield* call(k, regs, nr)
  },
  { sibling: true },
)

/** `TS_COMPAT` says while the call lasts that the task is in a 32-bit system call. */
function* do_syscall_32_irqs_on(k: Kernel, regs: pt_regs, nr: number): Generator<unknown, void> {
  const info = k.current.thread_info
  info.status = info.status | TS_COMPAT
  if (hasTable(k)) yield* call(k, regs, nr)
  else yield* ia32_sys_call(k, regs, nr)
  yield* syscall_exit_to_user_mode(k, regs)
  info.status = info.status & ~TS_COMPAT
}

/** Before 6.7 and its backports. @see arch/x86/entry/common.c:do_int80_syscall_32 */
const do_int80_syscall_32 = kfunc(
  FILE,
  function* do_int80_syscall_32(k, regs: pt_regs, nr: number): Generator<unknown, void> {
    yield* do_syscall_32_irqs_on(k, regs, nr)
  },
)

/** @see arch/x86/entry/common.c:do_int80_emulation */
const do_int80_emulation = kfunc(FILE, function* do_int80_emulation(k, regs: pt_regs, nr: number): Generator<
  unknown,
  void
> {
  yield* do_syscall_32_irqs_on(k, regs, nr)
})

type Enter = (k: Kernel, regs: pt_regs, nr: number) => Generator<unknown, void>

/** The call, again while it is to be restarted. @returns what the program finds in `eax` */
function* int80(k: Kernel, nr: number, user: UserRegisters, enter: Enter): Generator<unknown, number> {
  const regs = k.ref('pt_regs', task_pt_regs(k, task_stack_page(k, k.current)))
  for (;;) {
    saveRegisters(regs, nr, user)
    k.clock.spend(SYSCALL_NS)
    yield* enter(k, regs, nr)
    const result = Number(BigInt.asIntN(32, regs.ax))
    if (!isRestart(result)) return result
  }
}

/** @see arch/x86/entry/entry_64_compat.S:entry_INT80_compat */
const entry_INT80_compat = kfunc(
  'arch/x86/entry/entry_64_compat.S',
  function* entry_INT80_compat(k, nr: number, user: UserRegisters): Generator<unknown, number> {
    return yield* int80(k, nr, user, do_int80_syscall_32)
  },
  { asm: true },
)

/** An interrupt entry like any other, since 6.7 and in its backports. @see arch/x86/include/asm/idtentry.h */
const asm_int80_emulation = kfunc(
  'arch/x86/entry/entry_64.S',
  function* asm_int80_emulation(k, nr: number, user: UserRegisters): Generator<unknown, number> {
    return yield* int80(k, nr, user, do_int80_emulation)
  },
  { asm: true },
)

function saveRegisters(regs: pt_regs, nr: number, user: UserRegisters): void {
  for (const register of ['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const) regs[register] = 0n
  ARGUMENTS_32.forEach((register, i) => {
    regs[register] = new Sourced(BigInt.asUintN(32, user.args[i] ?? 0n), SourceKind.Syscall, i)
  })
  regs.orig_ax = BigInt(nr)
  regs.ax = BigInt.asUintN(64, BigInt(-ENOSYS))
  regs.ip = user.ip
  regs.cs = USER32_CS
  regs.flags = 0x246n
  regs.sp = user.sp
  regs.ss = USER_DS
}

/**
 * The current task, a 32-bit program, makes a system call.
 * @param nr a number of syscalls-ia32.ts
 * @returns what the program finds in `eax`: -errno on failure
 */
export function* enterInt80(k: Kernel, nr: number, user: UserRegisters): Generator<unknown, number> {
  if (hasTable(k)) return yield* entry_INT80_compat(k, nr, user)
  return yield* asm_int80_emulation(k, nr, user)
}

/**
 * A system call's way in: registers saved at the top of the task's kernel stack, the number turned into a
 * function — through the table in memory, or past it on kernels whose dispatch is a switch — and the result back
 * into `regs->ax`.
 *
 * @see arch/x86/entry/common.c, arch/x86/entry/entry_64.S
 */

import { toVa } from '../../../../base/addr.ts'
import type { pt_regs } from '../../../../btf/vmlinux.ts'
import { ENOSYS } from '../../../../abi/errno.ts'
import { NR_syscalls, syscalls } from '../../../../abi/syscalls-x86_64.ts'
import { kernelFunctions, kfunc, type KFunction } from '../../../kfunc.ts'
import { perKernel, type Kernel } from '../../../kernel.ts'
import { task_pt_regs } from '../kernel/stack.ts'

/** What a handler gives back: a value, or one once it has slept. */
type Handler = (k: Kernel, regs: pt_regs) => number | bigint | Generator<unknown, number | bigint>

const USER_CS = 0x33
const USER_SS = 0x2b
const EFLAGS = 0x246
/** Entering and leaving the kernel, in nanoseconds of virtual time. */
const SYSCALL_NS = 400
/** Registers of the arguments, in order. */
const ARGUMENTS = ['di', 'si', 'dx', 'r10', 'r8', 'r9'] as const

/** Handlers that are simulated, by the name they have in the kernel. */
const simulated = perKernel(() => new Map(kernelFunctions.map((f) => [f.kfunc.name, f] as const)))

/**
 * Fill the table: every number leads to its handler's address, gaps to sys_ni_syscall's.
 * @see arch/x86/entry/syscall_64.c
 */
export function init_sys_call_table(k: Kernel): void {
  const table = toVa(k.sym('sys_call_table'), k.mem.wordSize)
  const none = k.sym('__x64_sys_ni_syscall')
  for (let nr = 0; nr < NR_syscalls; nr++) {
    const name = syscalls[nr]
    const at = name === undefined ? undefined : k.symbols.get(`__x64_sys_${name}`)
    k.mem.setWord(table + nr * k.mem.wordSize, at ?? none)
  }
}

function* finish(result: ReturnType<Handler>): Generator<unknown, number | bigint> {
  return typeof result === 'object' ? yield* result : result
}

/** A call the simulation has no body for answers as a kernel without it would. */
function callable(f: KFunction | undefined): Handler {
  return f === undefined ? () => -ENOSYS : (f as unknown as Handler)
}

/** Kernels since 6.1.85 do not look at the table: the number is switched on. @see arch/x86/entry/syscall_64.c:x64_sys_call */
const x64_sys_call = kfunc(
  'arch/x86/entry/syscall_64.c',
  function* x64_sys_call(k: Kernel, regs: pt_regs, nr: number): Generator<unknown, number | bigint> {
    return yield* finish(callable(simulated(k).get(`__x64_sys_${syscalls[nr] ?? 'ni_syscall'}`))(k, regs))
  },
  { sibling: true },
)

function* dispatch(k: Kernel, regs: pt_regs, nr: number): Generator<unknown, number | bigint> {
  if (nr < 0 || nr >= NR_syscalls) return -ENOSYS
  if (k.profile.syscallDispatch === 'switch') return yield* x64_sys_call(k, regs, nr)
  const table = toVa(k.sym('sys_call_table'), k.mem.wordSize)
  const entry = k.mem.word(table + nr * k.mem.wordSize)
  return yield* finish(callable(k.codeAt(entry))(k, regs))
}

const do_syscall_64 = kfunc(
  'arch/x86/entry/common.c',
  function* do_syscall_64(k: Kernel, regs: pt_regs, nr: number): Generator<unknown, void> {
    const result = yield* dispatch(k, regs, nr)
    regs.ax = BigInt.asUintN(64, BigInt(result))
  },
)

const entry_SYSCALL_64_after_hwframe = kfunc(
  'arch/x86/entry/entry_64.S',
  function* entry_SYSCALL_64_after_hwframe(k: Kernel, regs: pt_regs, nr: number): Generator<unknown, void> {
    yield* do_syscall_64(k, regs, nr)
  },
  { asm: true },
)

/** What the program had in its registers. */
export interface UserRegisters {
  readonly ip: bigint
  readonly sp: bigint
}

/**
 * The running program executes `syscall`.
 *
 * @param nr   number of the call
 * @param args up to six words
 * @returns what the kernel left in rax: a negative errno is a negative number
 */
export function* enter_syscall(
  k: Kernel,
  nr: number,
  args: readonly bigint[],
  user: UserRegisters,
): Generator<unknown, bigint> {
  const regs = k.ref('pt_regs', task_pt_regs(k, toVa(k.current.stack, k.mem.wordSize)))
  k.clock.spend(SYSCALL_NS)
  regs.ss = BigInt(USER_SS)
  regs.sp = user.sp
  regs.flags = BigInt(EFLAGS)
  regs.cs = BigInt(USER_CS)
  regs.ip = user.ip
  regs.orig_ax = BigInt(nr)
  regs.ax = BigInt.asUintN(64, BigInt(-ENOSYS))
  regs.cx = user.ip
  regs.r11 = BigInt(EFLAGS)
  ARGUMENTS.forEach((register, i) => {
    regs[register] = BigInt.asUintN(64, args[i] ?? 0n)
  })
  yield* entry_SYSCALL_64_after_hwframe(k, regs, nr)
  return BigInt.asIntN(64, regs.ax)
}

/** The `n`-th argument (from 0) of the call `regs` belong to, as a signed number or an exact word. */
export const syscall_arg = (regs: pt_regs, n: number): bigint => regs[ARGUMENTS[n] ?? 'di']
export const syscall_int = (regs: pt_regs, n: number): number =>
  Number(BigInt.asIntN(32, syscall_arg(regs, n)))
/** An argument that is a user address. */
export const syscall_ptr = (regs: pt_regs, n: number): number => toVa(syscall_arg(regs, n))

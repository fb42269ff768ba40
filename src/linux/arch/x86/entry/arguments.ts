/**
 * A system call's arguments, in whichever registers its kind of program left them. A handler of x86-64 reads rdi, rsi,
 * rdx, r10, r8 and r9; one of 32-bit programs ebx, ecx, edx, esi, edi and ebp, which an i386 kernel has pushed in the
 * order in which C functions take their arguments from the stack.
 *
 * @see arch/x86/include/asm/syscall_wrapper.h:SC_X86_64_REGS_TO_ARGS, SC_IA32_REGS_TO_ARGS
 */

import { toVa, type Va } from '../../../../base/addr.ts'
import type { pt_regs } from '../../../../btf/vmlinux.ts'
import { SourceKind, Sourced } from '../../../../memory/memory.ts'

export const ARGUMENTS_64 = ['di', 'si', 'dx', 'r10', 'r8', 'r9'] as const
export const ARGUMENTS_32 = ['bx', 'cx', 'dx', 'si', 'di', 'bp'] as const

/** References handed to handlers of 32-bit programs on a 64-bit kernel. */
const narrow = new WeakSet<object>()

/** The same registers, to be read as a 32-bit program's: what `__ia32_sys_*` give their common body. */
export function ia32_regs(regs: pt_regs): pt_regs {
  const view = regs.$index(0)
  narrow.add(view)
  return view
}

/** A system call's argument as it stands in the register. */
export function syscall_arg(regs: pt_regs, index: number): bigint {
  if (regs.$mem.wordSize === 4 || narrow.has(regs)) {
    return BigInt.asUintN(32, regs[ARGUMENTS_32[index] as (typeof ARGUMENTS_32)[number]])
  }
  return regs[ARGUMENTS_64[index] as (typeof ARGUMENTS_64)[number]]
}

/** An argument that is an `int`. */
export const syscall_int = (regs: pt_regs, index: number): number =>
  Number(BigInt.asIntN(32, syscall_arg(regs, index)))

/** An argument that is a `long` of the program's word size. */
export const syscall_long = (regs: pt_regs, index: number): bigint =>
  BigInt.asIntN(regs.$mem.wordSize === 4 || narrow.has(regs) ? 32 : 64, syscall_arg(regs, index))

/** An argument that is a user address. */
export const syscall_ptr = (regs: pt_regs, index: number): Va => toVa(syscall_arg(regs, index))

/** An argument as a value that remembers where it came from. */
export const syscall_sourced = (regs: pt_regs, index: number): Sourced<bigint> =>
  new Sourced(syscall_arg(regs, index), SourceKind.Syscall, index)

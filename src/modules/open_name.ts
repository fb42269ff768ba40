/** What modules that look at open(2) have in common: the name the program passed, copied from its memory. */

import { PATH_MAX } from '../abi/fcntl.ts'
import type { pt_regs } from '../btf/vmlinux.ts'
import type { Kernel } from '../linux/kernel.ts'
import { syscall_arg } from '../linux/kernel/module/api.ts'
import { strncpy_from_user } from '../linux/lib/usercopy.ts'
import { since } from '../linux/version.ts'

/**
 * The name of the file, from a hook's arguments. `getname` is exported only to modules of old kernels; this is what they
 * do instead.
 *
 * @param old the hook was written as `asmlinkage long hook(const char __user *name, …)`. That is right where arguments are
 * on the stack, and was on x86-64 up to 4.16; since then its first argument is the address of `struct pt_regs`, which is
 * no user address.
 * @returns null when it cannot be read: -EFAULT
 */
export function openName(k: Kernel, regs: pt_regs, old: boolean): string | null {
  const wrong = old && k.mem.wordSize === 8 && since(k, 4, 17)
  const name = wrong ? regs.$addr : syscall_arg(regs, 0)
  return strncpy_from_user(k, name, PATH_MAX) ?? null
}

/** `%s` of an error pointer. @see lib/vsprintf.c:check_pointer_msg */
export const printable = (name: string | null): string => name ?? '(efault)'

/**
 * What modules that patch a table of system calls have in common: finding a symbol by walking all of them, and writing
 * to a read-only table with CR0.WP cleared.
 */

import { toVa, type Va } from '../base/addr.ts'
import { ia32SyscallNumber } from '../abi/syscalls-ia32.ts'
import { syscallNumber } from '../abi/syscalls-x86_64.ts'
import type { pt_regs } from '../btf/vmlinux.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc, type KFunction } from '../linux/kfunc.ts'
import { kallsyms_on_each_symbol } from '../linux/kernel/kallsyms.ts'
import { mov_cr0, read_cr0, store_word, X86_CR0_WP, type ModuleSelf } from '../linux/kernel/module/api.ts'
import { since } from '../linux/version.ts'

/** Handles a system call. */
export type Hook = KFunction<[regs: pt_regs], Generator<unknown, number>>

/** `__NR_NAME` as the module was compiled: for the machine's own programs. */
export const NR = (k: Kernel, name: string): number =>
  k.mem.wordSize === 4 ? ia32SyscallNumber(name) : syscallNumber(name)

/** What handlers begin with, and what stands where there is none. */
export const SYS_PREFIX = (k: Kernel): string => (k.mem.wordSize === 4 ? 'sys_' : '__x64_sys_')
export const NI_SYSCALL = (k: Kernel): string => `${SYS_PREFIX(k)}ni_syscall`

/** find.c: a module's own `find_sym`: walk until the name is met. Its address is 0 when it never is. */
export function declareFindSym(module: string): KFunction<[name: string], bigint> {
  return kfunc(
    'find.c',
    function find_sym(k, name: string): bigint {
      let found = 0n
      kallsyms_on_each_symbol(k, (symbol, _mod, address) => {
        if (symbol !== name) return 0
        found = address
        return 1
      })
      return found
    },
    { module },
  )
}

/** CR0.c: the kernel's stores do not heed read-only pages on this processor. */
export const rw_enable = (k: Kernel): void => mov_cr0(k, read_cr0(k) & ~X86_CR0_WP)
/** They do again. */
export const rw_disable = (k: Kernel): void => mov_cr0(k, read_cr0(k) | X86_CR0_WP)

/** `&table[nr]` */
export const entryVa = (k: Kernel, table: bigint, nr: number): Va =>
  toVa(table, k.mem.wordSize) + nr * k.mem.wordSize

export const entryOf = (k: Kernel, table: bigint, nr: number): bigint => k.mem.word(entryVa(k, table, nr))

/**
 * `table[nr] = handler`: a plain store where the table could be written to, as in 2.6, else with WP cleared.
 * @throws KernelPageFault
 */
export function patch(k: Kernel, table: bigint, nr: number, handler: bigint): void {
  if (since(k, 3, 0)) rw_enable(k)
  store_word(k, entryVa(k, table, nr), handler)
  if (since(k, 3, 0)) rw_disable(k)
}

/**
 * What a module's init does to `sys_call_table`: who handles a call is remembered in the module's variable, and `hook`
 * handles it instead.
 *
 * @param original name of the module's variable, a word
 * @param nr       number of the system call
 */
export function intercept(k: Kernel, me: ModuleSelf, original: string, nr: number, hook: Hook): void {
  const table = k.sym('sys_call_table')
  me.setWord(original, entryOf(k, table, nr))
  patch(k, table, nr, k.text(hook))
}

/** What its exit does: the remembered handler is back, and whoever hooked the call in between is cut off. */
export function restore(k: Kernel, me: ModuleSelf, original: string, nr: number): void {
  patch(k, k.sym('sys_call_table'), nr, me.word(original))
}

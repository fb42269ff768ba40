/**
 * What a kernel calls the functions we declare. They are declared as 6.1 has them on x86-64; before 4.17 the handler of
 * a system call was `sys_NAME`, and on i386 it is the one that takes the structures of 32-bit programs.
 */

import { kernelFunctions } from './kfunc.ts'
import type { Profile } from './profile.ts'

/** Forms of a handler's name, the one to be taken first; behind `sys_` is what programs call. */
const HANDLERS = [
  /^sys_(\w+)$/,
  /^__ia32_compat_sys_(\w+)$/,
  /^__ia32_sys_(\w+)_time32$/,
  /^__x64_sys_(\w+)$/,
  /^__ia32_sys_(\w+)$/,
] as const

/** What handles page faults, by the names of the time. */
const FAULTS: Readonly<Record<string, string>> = {
  asm_exc_page_fault: 'page_fault',
  exc_page_fault: 'do_page_fault',
  page_fault_oops: 'no_context',
}

/** @returns for the name a function is declared with the one it has in this kernel */
export function functionNames(profile: Profile): (declared: string) => string {
  if (profile.syscallDispatch !== 'socketcall') return (declared) => declared
  const best = new Map<string, number>()
  for (const { kfunc } of kernelFunctions) {
    const [call, rank] = handler(kfunc.name)
    if (call !== undefined && rank < (best.get(call) ?? HANDLERS.length)) best.set(call, rank)
  }
  return (declared) => {
    const faults = FAULTS[declared]
    if (faults !== undefined) return faults
    const [call, rank] = handler(declared)
    return call !== undefined && best.get(call) === rank ? `sys_${call}` : declared
  }
}

function handler(name: string): [call: string | undefined, rank: number] {
  const rank = HANDLERS.findIndex((form) => form.test(name))
  return rank < 0 ? [undefined, rank] : [HANDLERS[rank]?.exec(name)?.[1], rank]
}

/** From an address in a table of system calls to the function to call. */

import { ENOSYS } from '../../../../abi/errno.ts'
import type { pt_regs } from '../../../../btf/vmlinux.ts'
import type { Kernel } from '../../../kernel.ts'
import type { MaySleep } from '../../../sleepable.ts'
import { call_bad_address } from '../mm/fault.ts'

/** A handler: arguments come in the saved registers. */
export type SyscallHandler = (k: Kernel, regs: pt_regs) => MaySleep<number | bigint>

/**
 * Whatever is at that address: a function of the kernel or of a module. One of the kernel's that the simulator lacks
 * answers -ENOSYS.
 * @throws KernelPageFault where nothing is: a module's that has been unloaded
 */
export function handlerAt(k: Kernel, address: bigint): SyscallHandler {
  const code = k.codeAt(address)
  if (code !== undefined) return code as unknown as SyscallHandler
  if (isKernelText(k, address)) return () => -ENOSYS
  return call_bad_address(k, address)
}

/** Is that the kernel's own code, simulated or not? */
export function isKernelText(k: Kernel, address: bigint): boolean {
  return address >= k.sym('_text') && address < (k.symbols.get('_end') ?? k.sym('_etext'))
}

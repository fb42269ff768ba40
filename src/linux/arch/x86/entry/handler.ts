/** From an address in a table of system calls to the function to call. */

import { toVa } from '../../../../base/addr.ts'
import { ENOSYS } from '../../../../abi/errno.ts'
import type { pt_regs } from '../../../../btf/vmlinux.ts'
import type { Kernel } from '../../../kernel.ts'
import type { MaySleep } from '../../../sleepable.ts'
import { KernelPageFault, X86_PF_INSTR } from '../mm/fault.ts'

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
  throw new KernelPageFault(k, toVa(address, k.mem.wordSize), X86_PF_INSTR)
}

function isKernelText(k: Kernel, address: bigint): boolean {
  return address >= k.sym('_text') && address < (k.symbols.get('_end') ?? k.sym('_etext'))
}

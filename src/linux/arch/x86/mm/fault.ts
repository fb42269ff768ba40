/** Page faults the kernel takes itself: stores that page tables forbid. @see arch/x86/mm/fault.c */

import type { Va } from '../../../../base/addr.ts'
import { hex } from '../../../../base/addr.ts'
import { CoredrillError } from '../../../../base/errors.ts'
import { _PAGE_RW } from '../../../../abi/page.ts'
import type { Kernel } from '../../../kernel.ts'
import { read_cr0, X86_CR0_WP } from '../kernel/cpu/common.ts'
import { lookup_address } from './pageattr.ts'

/** Bits of the error code. @see arch/x86/include/asm/trap_pf.h */
export const X86_PF_PROT = 1
export const X86_PF_WRITE = 2
export const X86_PF_INSTR = 16

/** The kernel did what its page tables forbid. Whoever handles faults makes an oops of it. */
export class KernelPageFault extends CoredrillError {
  readonly address: Va
  readonly errorCode: number
  constructor(k: Kernel, address: Va, errorCode: number) {
    const what = (errorCode & X86_PF_INSTR) !== 0 ? 'fetch of an instruction' : 'store'
    const why = (errorCode & X86_PF_PROT) !== 0 ? 'the page is protected' : 'nothing is mapped there'
    const where = hex(BigInt.asUintN(k.mem.wordSize * 8, BigInt(address)))
    super('FAULT', `page fault in the kernel (process ${k.current.pid}): ${what} at ${where}: ${why}`)
    this.address = address
    this.errorCode = errorCode
  }
}

/**
 * A word stored as a processor stores it: page tables are asked, and heeded while CR0.WP is set. For code that may
 * not be trusted to know where it stores: modules.
 * @throws KernelPageFault
 */
export function store_word(k: Kernel, at: Va, value: bigint): void {
  const leaf = lookup_address(k, at)
  if (leaf === undefined) throw new KernelPageFault(k, at, X86_PF_WRITE)
  if ((leaf.value & _PAGE_RW) === 0n && (read_cr0(k) & X86_CR0_WP) !== 0n)
    throw new KernelPageFault(k, at, X86_PF_WRITE | X86_PF_PROT)
  k.mem.setWord(at, value)
}

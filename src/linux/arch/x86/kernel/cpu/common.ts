/**
 * Control register 0 of each processor. Bit 16, WP, makes the kernel's own stores heed read-only pages; whoever wants
 * to write to the table of system calls clears it for a moment.
 *
 * @see arch/x86/kernel/cpu/common.c
 */

import { perKernel, type Kernel } from '../../../../kernel.ts'
import { kfunc } from '../../../../kfunc.ts'
import { warn_once } from '../../../../kernel/warn.ts'
import { since } from '../../../../version.ts'

/** @see arch/x86/include/uapi/asm/processor-flags.h */
export const X86_CR0_WP = 0x1_0000n
/** PG|AM|WP|NE|ET|MP|PE; until 4.2 the FPU was given to a task at its first use, and TS said that it was not yet. */
const CR0_STATE = 0x8005_0033n
const X86_CR0_TS = 0x8n

const registers = perKernel((k) => k.cpus.map(() => (since(k, 4, 2) ? CR0_STATE : CR0_STATE | X86_CR0_TS)))

/** `mov %cr0, …` on this processor. */
export const read_cr0 = (k: Kernel): bigint => registers(k)[k.cpu.id] as bigint

/** `mov …, %cr0`: the instruction, which nothing watches. */
export function mov_cr0(k: Kernel, value: bigint): void {
  registers(k)[k.cpu.id] = value
}

/**
 * Since 5.3 WP is pinned: it is set again at once, and said so.
 * @see arch/x86/kernel/cpu/common.c:native_write_cr0
 */
const native_write_cr0 = kfunc(
  'arch/x86/kernel/cpu/common.c',
  function native_write_cr0(k, value: bigint): void {
    mov_cr0(k, value | X86_CR0_WP)
    if ((value & X86_CR0_WP) === 0n)
      warn_once(k, 'arch/x86/kernel/cpu/common.c', 393, 'CR0 WP bit went missing!?')
  },
)

/** What a module's `write_cr0()` does on this kernel. @see arch/x86/include/asm/special_insns.h:write_cr0 */
export function write_cr0(k: Kernel, value: bigint): void {
  if (since(k, 5, 3)) native_write_cr0(k, value)
  else mov_cr0(k, value)
}

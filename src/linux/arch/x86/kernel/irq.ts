/**
 * Interrupts: the frames from the processor's entry to the handler, on top of whatever its current task was
 * doing, and the soft interrupts on the way out.
 *
 * @see arch/x86/kernel/irq.c, arch/x86/include/asm/idtentry.h
 * @remarks the handler runs on the interrupted task's stack; there is no separate interrupt stack
 */

import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { irq_exit_rcu } from '../../../kernel/softirq.ts'

/** What taking an interrupt costs, in nanoseconds of virtual time. */
const IRQ_NS = 800

const __common_interrupt = kfunc(
  'arch/x86/kernel/irq.c',
  function __common_interrupt(k, handler: () => void) {
    k.cpu.hardirq++
    handler()
  },
)

/** Outside of the handler's frame: counts into hardirq until irq_exit_rcu. */
const interrupt = kfunc('arch/x86/kernel/irq.c', function common_interrupt(k, handler: () => void) {
  __common_interrupt(k, handler)
  irq_exit_rcu(k)
})

const asm_common_interrupt = kfunc(
  'arch/x86/include/asm/idtentry.h',
  function asm_common_interrupt(k, handler: () => void) {
    interrupt(k, handler)
  },
  { locals: INTERRUPT_FRAME_BYTES() },
)

/** `struct pt_regs` of the interrupted code. */
function INTERRUPT_FRAME_BYTES(): number {
  return 168
}

/**
 * A device interrupts CPU `cpu`.
 * @param handler the interrupt's handler: `() => e1000_intr(k, irq, dev)`; raises soft interrupts
 * @see arch/x86/kernel/irq.c:common_interrupt
 */
export function common_interrupt(k: Kernel, cpu: number, handler: () => void): void {
  k.onCpu(cpu, () => {
    k.clock.spend(IRQ_NS)
    asm_common_interrupt(k, handler)
  })
}

const __sysvec_apic_timer_interrupt = kfunc(
  'arch/x86/kernel/apic/apic.c',
  function __sysvec_apic_timer_interrupt(k, handler: () => void) {
    k.cpu.hardirq++
    handler()
  },
)

const sysvec_apic_timer_interrupt = kfunc(
  'arch/x86/kernel/apic/apic.c',
  function sysvec_apic_timer_interrupt(k, handler: () => void) {
    __sysvec_apic_timer_interrupt(k, handler)
    irq_exit_rcu(k)
  },
)

const asm_sysvec_apic_timer_interrupt = kfunc(
  'arch/x86/include/asm/idtentry.h',
  function asm_sysvec_apic_timer_interrupt(k, handler: () => void) {
    sysvec_apic_timer_interrupt(k, handler)
  },
  { locals: INTERRUPT_FRAME_BYTES() },
)

/** The local timer interrupts CPU `cpu`. @see arch/x86/kernel/apic/apic.c:sysvec_apic_timer_interrupt */
export function apic_timer_interrupt(k: Kernel, cpu: number, handler: () => void): void {
  k.onCpu(cpu, () => {
    k.clock.spend(IRQ_NS)
    asm_sysvec_apic_timer_interrupt(k, handler)
  })
}

/** Lines of trace_pipe: who, where, in what context, when. @see kernel/trace/trace_output.c */

import type { Kernel } from '../../kernel.ts'

/** thread_info.flags: the scheduler wants this CPU back. @see arch/x86/include/asm/thread_info.h */
const TIF_NEED_RESCHED = 1n << 3n
const SOFTIRQ_LOOPS = new Set(['handle_softirqs', '__do_softirq'])

/** `            ncat-185     [000] ..s1.    30.182544: `. @see kernel/trace/trace_output.c:trace_print_context */
export function tracePrefix(k: Kernel, atNs: number): string {
  const { pid, comm } = k.current
  const name = pid === 0 ? '<idle>' : comm.$string()
  const cpu = String(k.cpu.id).padStart(3, '0')
  const task = `${name.padStart(16)}-${String(pid).padEnd(7)}`
  return `${task} [${cpu}] ${contextFlags(k)} ${seconds(atNs)}: `
}

/** `%5lu.%06lu` */
function seconds(ns: number): string {
  const us = Math.floor(ns / 1000)
  const whole = Math.floor(us / 1_000_000)
  return `${String(whole).padStart(5)}.${String(us % 1_000_000).padStart(6, '0')}`
}

/**
 * Five characters: interrupts off, need to reschedule, interrupt context, preemption depth, migration.
 *
 * @see kernel/trace/trace_output.c:trace_print_lat_fmt
 * @remarks the preemption depth is what the context alone gives: spinlocks are not counted.
 */
export function contextFlags(k: Kernel): string {
  const { hardirq, softirq } = k.cpu
  const running = softirq > 0 ? k.thread.frames.filter(({ name }) => SOFTIRQ_LOOPS.has(name)).length : 0
  const counted = k.profile.preemptCount
  const disabled = softirq - running > 0
  const irqs = hardirq > 0 ? 'd' : disabled && counted ? 'b' : '.'
  const resched = (k.current.thread_info.flags & TIF_NEED_RESCHED) !== 0n ? 'N' : '.'
  const context = hardirq > 0 ? (running > 0 ? 'H' : 'h') : running > 0 ? 's' : '.'
  const depth = counted && (hardirq > 0 || running > 0 || disabled) ? '1' : '.'
  return `${irqs}${resched}${context}${depth}.`
}

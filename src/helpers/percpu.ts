/** CPUs and their per-CPU areas: which ones there are, and where a per-CPU variable of each lies. */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import { findSymbolVa, symbolVa, type Kernel } from './kernel.ts'

/** NR_CPUS is never more; a larger mask is damage. */
const CPUS_MAX = 8192

/** CPU numbers of a `struct cpumask` global, ascending; `undefined` when this kernel has no such mask (UP). */
function cpumask(kernel: Kernel, symbol: string): number[] | undefined {
  const va = findSymbolVa(kernel, symbol)
  if (va === undefined) return undefined
  const bits = Math.min(kernel.types.sizeof('cpumask') * 8, CPUS_MAX)
  const cpus: number[] = []
  for (let cpu = 0; cpu < bits; cpu += 8) {
    const byte = kernel.mem.u8(va + cpu / 8)
    for (let bit = 0; byte >>> bit !== 0; bit++) if ((byte >>> bit) & 1) cpus.push(cpu + bit)
  }
  return cpus
}

/** @see include/linux/cpumask.h:for_each_possible_cpu */
export const possible_cpus = (kernel: Kernel): number[] => cpumask(kernel, '__cpu_possible_mask') ?? [0]
/** @see include/linux/cpumask.h:for_each_present_cpu */
export const present_cpus = (kernel: Kernel): number[] => cpumask(kernel, '__cpu_present_mask') ?? [0]
/** @see include/linux/cpumask.h:for_each_online_cpu */
export const online_cpus = (kernel: Kernel): number[] => cpumask(kernel, '__cpu_online_mask') ?? [0]

/** Number of CPUs as crash counts them: up to the highest present one. */
export function cpu_count(kernel: Kernel): number {
  return Math.max(0, ...present_cpus(kernel), ...online_cpus(kernel)) + 1
}

/** The start of a CPU's per-CPU area, relative to the symbols; 0 without SMP. */
export function per_cpu_offset(kernel: Kernel, cpu: number): Va {
  const table = findSymbolVa(kernel, '__per_cpu_offset')
  return table === undefined ? 0 : kernel.mem.pointer(table + cpu * kernel.mem.wordSize)
}

/** Address of one CPU's copy of a variable. @see include/linux/percpu-defs.h:per_cpu */
export function per_cpu(kernel: Kernel, symbol: string, cpu: number): Va {
  return symbolVa(kernel, symbol) + per_cpu_offset(kernel, cpu)
}

/** As {@link per_cpu}; undefined when this kernel has no such variable. */
export function find_per_cpu(kernel: Kernel, symbol: string, cpu: number): Va | undefined {
  const at = findSymbolVa(kernel, symbol)
  return at === undefined ? undefined : at + per_cpu_offset(kernel, cpu)
}

/**
 * Where a `__percpu` pointer leads on one CPU. It is a difference of addresses, so the sum wraps as C's does.
 * @see include/linux/percpu-defs.h:per_cpu_ptr
 */
export function per_cpu_ptr(kernel: Kernel, pointer: bigint, cpu: number): Va {
  return toVa(pointer + toAddr(per_cpu_offset(kernel, cpu)), kernel.mem.wordSize)
}

/** The sum of a `struct percpu_counter`, its CPUs' parts included. @see lib/percpu_counter.c:__percpu_counter_sum */
export function percpu_counter_sum(kernel: Kernel, counter: Va): bigint {
  const { types, mem } = kernel
  let sum = BigInt.asIntN(64, mem.u64(counter + types.offsetof('percpu_counter', 'count')))
  if (!types.has('percpu_counter', 'counters')) return sum
  const parts = mem.word(counter + types.offsetof('percpu_counter', 'counters'))
  for (const cpu of online_cpus(kernel)) sum += BigInt(mem.u32(per_cpu_ptr(kernel, parts, cpu)) | 0)
  return sum
}

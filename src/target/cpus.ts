/** Which processors there are, and where each keeps its per-CPU variables. */

import type { Va } from '../base/addr.ts'
import type { Memory } from '../memory/memory.ts'

/** More than any x86 kernel is built for. */
const MAX_CPUS = 8192

/** The symbols a reader of CPUs looks up; undefined where the kernel (UP) has none. */
export type FindSymbol = (name: string) => Va | undefined

/** The numbers of the CPUs in a mask such as `__cpu_online_mask`; CPU 0 alone without one. */
export function cpusOf(mem: Memory, find: FindSymbol, mask: string): number[] {
  const va = find(mask)
  if (va === undefined) return [0]
  const limit = cpuLimit(mem, find)
  const cpus: number[] = []
  for (let cpu = 0; cpu < limit; cpu++)
    if ((mem.u8(va + (cpu >>> 3)) & (1 << (cpu & 7))) !== 0) cpus.push(cpu)
  return cpus
}

/** `nr_cpu_ids`, within reason. */
function cpuLimit(mem: Memory, find: FindSymbol): number {
  const va = find('nr_cpu_ids')
  return va === undefined ? 64 : Math.min(mem.u32(va), MAX_CPUS)
}

/** What to add to a per-CPU symbol for one CPU. @see include/asm-generic/percpu.h:per_cpu_offset */
export function perCpuOffset(mem: Memory, find: FindSymbol, cpu: number): Va {
  const va = find('__per_cpu_offset')
  return va === undefined || cpu < 0 || cpu >= MAX_CPUS ? 0 : mem.pointer(va + cpu * mem.wordSize)
}

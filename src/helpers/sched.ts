/** The scheduler's side: each CPU's runqueue, what runs there, and its clock. */

import type { Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { refAt, type Kernel } from './kernel.ts'
import { cpu_count, find_per_cpu, per_cpu } from './percpu.ts'

/** A CPU's `struct rq`. @see kernel/sched/sched.h:cpu_rq */
export const cpu_rq = (kernel: Kernel, cpu: number): StructRef =>
  refAt(kernel, 'rq', per_cpu(kernel, 'runqueues', cpu))

/** The task on a CPU as the scheduler has it, 0 when there is none. @see kernel/sched/sched.h:cpu_curr */
export function cpu_curr(kernel: Kernel, cpu: number): Va {
  const rq = cpu_rq(kernel, cpu)
  return kernel.mem.pointer(rq.$vaOf('curr'))
}

/** The task on a CPU as the CPU itself has it; undefined on kernels without it. @see arch/x86/include/asm/current.h */
export function current_task(kernel: Kernel, cpu: number): Va | undefined {
  const direct = find_per_cpu(kernel, 'current_task', cpu)
  if (direct !== undefined) return kernel.mem.pointer(direct)
  const hot = find_per_cpu(kernel, 'pcpu_hot', cpu)
  if (hot === undefined || !kernel.types.has('pcpu_hot', 'current_task')) return undefined
  return kernel.mem.pointer(hot + kernel.types.offsetof('pcpu_hot', 'current_task'))
}

/** The running tasks, index by CPU; undefined where one cannot be told. */
export function active_tasks(kernel: Kernel): (Va | undefined)[] {
  return Array.from({ length: cpu_count(kernel) }, (_, cpu) => {
    try {
      const va = cpu_curr(kernel, cpu)
      return va === 0 || Number.isNaN(va) ? undefined : va
    } catch {
      return undefined
    }
  })
}

/** A runqueue's clock in nanoseconds, as of its last tick. */
export const rq_clock = (kernel: Kernel, cpu: number): bigint => cpu_rq(kernel, cpu).$int('clock')

/** Per-CPU memory: one unit per processor, the static variables first, then what is allocated. @see mm/percpu.c */

import { InvariantError } from '../../base/errors.ts'
import { perKernel, type Kernel } from '../kernel.ts'

/** Bytes of one CPU's unit: static, module reserve and dynamic part. */
export const PCPU_UNIT_SIZE = 0x40000

const used = perKernel((k) => ({
  next: Number(k.sym('__per_cpu_end')),
  end: Number(k.sym('__per_cpu_start')) + PCPU_UNIT_SIZE,
}))

/**
 * @returns the offset as a `__percpu` pointer has it: add `__per_cpu_offset[cpu]`
 * @see mm/percpu.c:__alloc_percpu
 */
export function alloc_percpu(k: Kernel, size: number, align = 16): bigint {
  const state = used(k)
  const at = Math.ceil(state.next / align) * align
  if (at + size > state.end) throw new InvariantError('the per-CPU units are full')
  state.next = at + size
  return BigInt(at)
}

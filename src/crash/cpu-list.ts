/** CPUs named by number: `0`, `1,3`, `0-2`, `a` or `all`. */

import { UsageError } from '../base/errors.ts'
import type { Kernel } from '../helpers/kernel.ts'
import { cpu_count } from '../helpers/percpu.ts'

/** @throws UsageError for what is no number, or of a CPU this machine has not */
export function cpuList(kernel: Kernel, text: string): number[] {
  const count = cpu_count(kernel)
  const all = Array.from({ length: count }, (_, cpu) => cpu)
  if (text === 'a' || text === 'all') return all
  const wanted = new Set<number>()
  for (const part of text.split(',')) {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part)
    if (range === null) throw new UsageError(part, `invalid cpu specification: ${text}`)
    const first = Number(range[1])
    const last = Number(range[2] ?? range[1])
    if (last >= count) throw new UsageError(part, `invalid cpu ${last}: maximum cpu is ${count - 1}`)
    for (let cpu = first; cpu <= last; cpu++) wanted.add(cpu)
  }
  return all.filter((cpu) => wanted.has(cpu))
}

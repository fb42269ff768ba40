/** The output of a scenario's probes, as perf-tools' `kprobe` prints it. */

import { addProbe, kprobeTool, type Probe } from '../linux/kernel/trace/trace_kprobe.ts'
import type { Kernel } from '../linux/kernel.ts'
import type { ProbeSpec } from './grammar.ts'

/** What a probe printed. */
export interface Trace {
  /** what the scenario calls it */
  readonly name: string
  /** as it was given: `p:tcp_v4_send_synack` */
  readonly probe: string
  readonly hits: number
  /** lines of the tool, its first and last ones included */
  readonly lines: readonly string[]
}

export class Traces {
  private readonly k: Kernel
  private readonly all = new Map<
    string,
    { readonly spec: ProbeSpec; readonly probe: Probe; removed: boolean }
  >()

  constructor(k: Kernel) {
    this.k = k
  }

  /** @throws LookupError when this kernel has no such function to probe */
  add(name: string, spec: ProbeSpec): void {
    const cost = spec.stack_delay
    const options = { stack: spec.stack, ...(cost !== undefined && { stackCostNs: cost }) }
    this.all.set(name, { spec, probe: addProbe(this.k, spec.probe, options), removed: false })
  }

  /** What it printed stays. */
  remove(name: string): void {
    const trace = this.all.get(name)
    if (trace === undefined) return
    trace.probe.remove()
    trace.removed = true
  }

  rows(): Trace[] {
    return [...this.all].map(([name, { spec, probe, removed }]) => ({
      name,
      probe: spec.probe,
      hits: probe.hits,
      lines: [kprobeTool.start(probe.definition), ...probe.lines, ...(removed ? kprobeTool.end : [])],
    }))
  }
}

/** The output of a scenario's probes, as perf-tools' `kprobe` prints it. */

import type { Kernel } from '../linux/kernel.ts'
import type { ProbeSpec } from './grammar.ts'

/** What a probe printed, with its beginning and end. */
export interface Trace {
  readonly name: string
  readonly probe: string
  readonly lines: readonly string[]
}

export class Traces {
  private readonly k: Kernel
  private readonly active = new Map<
    string,
    { readonly probe: string; lines: () => readonly string[]; stop: () => void }
  >()

  constructor(k: Kernel) {
    this.k = k
  }

  add(name: string, spec: ProbeSpec): void {
    if (this.k.cpus.length === 0) return
    this.active.set(name, { probe: spec.probe, lines: () => [], stop: () => undefined })
  }

  remove(name: string): void {
    this.active.get(name)?.stop()
  }

  all(): Trace[] {
    return [...this.active].map(([name, { probe, lines }]) => ({ name, probe, lines: [...lines()] }))
  }
}

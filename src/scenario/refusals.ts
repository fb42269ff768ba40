/** What hooks of loaded modules refused: noted as it happens, because memory keeps no trace of an answer. */

import { errorName } from '../abi/errno.ts'
import { kernelFunctions, type KFunctionInfo } from '../linux/kfunc.ts'
import type { Kernel } from '../linux/kernel.ts'

/** A security hook answered no. */
export interface Refusal {
  /** the hook, without `security_` */
  readonly hook: string
  readonly function: string
  readonly module: string
  readonly result: number
  readonly errno: string
  readonly pid: number
  readonly timeNs: string
  readonly step: number
}

export class Refusals {
  readonly all: Refusal[] = []
  private readonly k: Kernel
  private readonly watched = new Set<string>()

  constructor(k: Kernel) {
    this.k = k
  }

  /** Watch what a module's functions answer when a security hook calls them. */
  watchModule(module: string): void {
    if (this.watched.has(module)) return
    this.watched.add(module)
    for (const { kfunc } of kernelFunctions) {
      if (kfunc.module !== module) continue
      this.k.watch(this.k.named(kfunc).name, {
        entered: () => undefined,
        returned: (info, result) => this.note(info, module, result),
      })
    }
  }

  private note(info: KFunctionInfo, module: string, result: unknown): void {
    const caller = this.k.thread.frames.at(-2)?.name ?? ''
    if (typeof result !== 'number' || result >= 0 || !caller.startsWith('security_')) return
    this.all.push({
      hook: caller.slice('security_'.length),
      function: info.name,
      module,
      result,
      errno: errorName(-result),
      pid: this.k.current.pid,
      timeNs: String(this.k.clock.nowNs),
      step: this.k.mem.journal.step,
    })
  }
}

/** What hooks of loaded modules refused: noted as it happens, because memory keeps no trace of an answer. */

import { errorName } from '../abi/errno.ts'
import { hex } from '../base/addr.ts'
import { StructRef } from '../btf/ref.ts'
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
  /** what it was asked about, the hook's first argument: `struct socket *`, `struct file *` …; absent when that is no object */
  readonly subject?: string
  readonly timeNs: string
  readonly step: number
}

export class Refusals {
  readonly all: Refusal[] = []
  private readonly k: Kernel
  private readonly watched = new Set<string>()
  /** First arguments of the calls that have not returned, by thread: a hook may sleep. */
  private readonly asked = new WeakMap<object, unknown[]>()

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
        entered: (_info, args) => this.calls().push(args[0]),
        returned: (info, result) => this.note(info, module, result, this.calls().pop()),
      })
    }
  }

  private calls(): unknown[] {
    const { thread } = this.k
    const calls = this.asked.get(thread) ?? []
    this.asked.set(thread, calls)
    return calls
  }

  private note(info: KFunctionInfo, module: string, result: unknown, asked: unknown): void {
    const caller = this.k.thread.frames.at(-2)?.name ?? ''
    if (typeof result !== 'number' || result >= 0 || !caller.startsWith('security_')) return
    this.all.push({
      hook: caller.slice('security_'.length),
      function: info.name,
      module,
      result,
      errno: errorName(-result),
      pid: this.k.current.pid,
      ...(asked instanceof StructRef && { subject: hex(asked.$addr) }),
      timeNs: String(this.k.clock.nowNs),
      step: this.k.mem.journal.step,
    })
  }
}

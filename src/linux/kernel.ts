/**
 * The machine: memory, types, symbols, CPUs, clock and randomness, and the bookkeeping of which kernel
 * function runs where. Everything the kernel *knows* lies in guest memory; what is here is the hardware and
 * what a processor holds in registers.
 */

import { toVa, type Addr, type Va } from '../base/addr.ts'
import { InvariantError, LookupError } from '../base/errors.ts'
import { Random } from '../base/random.ts'
import type { StructRef } from '../btf/ref.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { task_struct } from '../btf/vmlinux.ts'
import type { GuestMemory } from '../memory/guest-memory.ts'
import { Clock } from './clock.ts'
import { kernelFunctions, type KFunction, type KFunctionInfo } from './kfunc.ts'
import { functionNames } from './function-names.ts'
import type { Profile } from './profile.ts'

/** A thread of control: a task's coroutine with its call stack. */
export interface Thread {
  readonly task: task_struct
  /** Functions active on the kernel stack, outermost first. */
  readonly frames: KFunctionInfo[]
  /** `sp` as each of {@link frames} was entered. */
  readonly stackPointers: number[]
  /** The stack pointer: {@link Va} of the last byte in use. */
  sp: Va
  /** Bytes of each frame's locals handed out by {@link Kernel.local}, by depth. */
  readonly localsUsed: number[]
  /** Null in idle and boot threads, which are not resumed. */
  coroutine: Generator<unknown, unknown, unknown> | null
  cpu: number
  /** Between being woken and running. */
  queued: boolean
}

/** A processor: its current thread, and how deep in interrupts it is. */
export interface Cpu {
  readonly id: number
  idle: Thread
  current: Thread
  hardirq: number
  softirq: number
}

/** What watches function entries and returns: kprobes and the trace of a scenario. */
export interface FunctionWatcher {
  entered(info: KFunctionInfo, args: readonly unknown[]): void
  returned(info: KFunctionInfo, result: unknown): void
}

/** What a machine is made from. */
export interface KernelOptions {
  readonly profile: Profile
  readonly mem: GuestMemory
  readonly types: Types
  /** Addresses of the kernel's symbols. */
  readonly symbols: ReadonlyMap<string, Addr>
  readonly seed: bigint | number | string
  readonly cpus: number
}

export class Kernel {
  readonly profile: Profile
  readonly mem: GuestMemory
  readonly types: Types
  /** Complete as soon as the image is laid out. */
  readonly symbols: Map<string, Addr>
  readonly random: Random
  readonly clock: Clock
  readonly cpus: Cpu[] = []
  readonly nr_cpu_ids: number
  /** True when any function is watched: the only cost probes have while unused. */
  probed = false
  /** The processor that executes now. */
  cpu!: Cpu
  /** What a call to where no function is does: the processor faults. Returns where it has nothing to say. */
  badCall: ((pointer: bigint) => void) | undefined
  private readonly symbolVas = new Map<string, Va>()
  private perCpuOffsets: Va | undefined
  private readonly watchers = new Map<string, FunctionWatcher[]>()
  private readonly code = new Map<Va, KFunction>()
  private readonly textOf: (Addr | undefined)[] = []
  /** Functions that have another name in this kernel than where they are declared, by id. */
  private readonly renamed = new Map<number, KFunctionInfo>()
  /** Bytes a call of each function takes on the stack: none when it is inlined here, or no C function. */
  private readonly stackOf: number[] = []

  constructor(options: KernelOptions) {
    this.profile = options.profile
    this.mem = options.mem
    this.types = options.types
    this.symbols = new Map(options.symbols)
    this.random = new Random(options.seed)
    this.nr_cpu_ids = options.cpus
    this.clock = new Clock()
    const ownName = functionNames(this.profile)
    for (const f of kernelFunctions) {
      const { id, module } = f.kfunc
      const name = ownName(f.kfunc.name)
      if (name !== f.kfunc.name) this.renamed.set(id, { ...f.kfunc, name })
      const address = module === undefined ? this.symbols.get(name) : undefined
      const inlined = address === undefined && module === undefined
      const jumps = f.kfunc.sibling && this.profile.unwinder === 'orc'
      this.stackOf[id] = inlined || f.kfunc.asm || jumps ? 0 : f.kfunc.frame + this.mem.wordSize
      if (address === undefined) continue
      this.textOf[id] = address
      this.code.set(toVa(address, this.mem.wordSize), f)
    }
  }

  /** The running task, as the per-CPU variable `current_task` has it. */
  get current(): task_struct {
    return this.cpu.current.task
  }

  get thread(): Thread {
    return this.cpu.current
  }

  /** The address of a kernel symbol. @throws LookupError NO_SYMBOL */
  sym(name: string): Addr {
    const address = this.symbols.get(name)
    if (address === undefined) throw new LookupError('symbol', name)
    return address
  }

  private symbolVa(name: string): Va {
    let va = this.symbolVas.get(name)
    if (va === undefined) this.symbolVas.set(name, (va = toVa(this.sym(name), this.mem.wordSize)))
    return va
  }

  /** A global variable: the struct of that type at that symbol. */
  global<N extends string>(symbol: string, type: N): RefOf<N> {
    return this.types.ref(type, this.mem, this.symbolVa(symbol))
  }

  /** A typed reference to an address. */
  ref<N extends string>(type: N, at: Va | StructRef | bigint): RefOf<N> {
    const va = typeof at === 'number' ? at : typeof at === 'bigint' ? toVa(at, this.mem.wordSize) : at.$va
    return this.types.ref(type, this.mem, va)
  }

  /** A CPU's instance of a per-CPU variable. */
  per_cpu<N extends string>(symbol: string, type: N, cpu = this.cpu.id): RefOf<N> {
    return this.ref(type, this.per_cpu_va(symbol, cpu))
  }

  per_cpu_va(symbol: string, cpu = this.cpu.id): Va {
    return this.symbolVa(symbol) + this.per_cpu_offset(cpu)
  }

  /** What a `__percpu` pointer is added to. */
  per_cpu_offset(cpu = this.cpu.id): Va {
    this.perCpuOffsets ??= this.symbolVa('__per_cpu_offset')
    return this.mem.pointer(this.perCpuOffsets + cpu * this.mem.wordSize)
  }

  /** The text address of a declared function. @throws LookupError when this kernel has no such symbol */
  text(f: { readonly kfunc: KFunctionInfo }): Addr {
    const address = this.textOf[f.kfunc.id]
    if (address === undefined) throw new LookupError('symbol', f.kfunc.name)
    return address
  }

  /** The text address when there is one: inlined and unloaded functions have none. */
  textIfAny(info: KFunctionInfo): Addr | undefined {
    return this.textOf[info.id]
  }

  /** Bytes a call of this function takes on the stack, return address included; 0 when it has no frame. */
  stackBytes(info: KFunctionInfo): number {
    return this.stackOf[info.id] as number
  }

  /** A module's function got its address; `undefined` when it is unloaded. */
  placeText(f: KFunction, at: Addr | undefined): void {
    const old = this.textOf[f.kfunc.id]
    if (old !== undefined) this.code.delete(toVa(old, this.mem.wordSize))
    this.textOf[f.kfunc.id] = at
    if (at !== undefined) this.code.set(toVa(at, this.mem.wordSize), f)
  }

  /**
   * The function a pointer in memory points at, to be called: `k.indirect<Recvmsg>(ops.recvmsg)(k, sock, …)`.
   * @throws KernelPageFault where nothing is; InvariantError for a function of the kernel that is not simulated
   */
  indirect<F extends (k: Kernel, ...args: never[]) => unknown>(pointer: bigint): F {
    const f = this.codeAt(pointer)
    if (f === undefined) {
      this.badCall?.(pointer)
      throw new InvariantError(`a call to ${pointer.toString(16)}, where no simulated function is`)
    }
    return f as unknown as F
  }

  codeAt(pointer: bigint): KFunction | undefined {
    return this.code.get(toVa(pointer, this.mem.wordSize))
  }

  /** A function's particulars with the name it has in this kernel. */
  named(info: KFunctionInfo): KFunctionInfo {
    return this.renamed.size === 0 ? info : (this.renamed.get(info.id) ?? info)
  }

  /** @internal called by kfunc's wrapper */
  enter(info: KFunctionInfo): void {
    const thread = this.cpu.current
    thread.frames.push(this.renamed.size === 0 ? info : this.named(info))
    thread.stackPointers.push(thread.sp)
    thread.sp -= this.stackOf[info.id] as number
    thread.localsUsed[thread.frames.length] = 0
    this.mem.journal.site = info.id
  }

  /** @internal called by kfunc's wrapper when something is probed */
  entered(info: KFunctionInfo, args: readonly unknown[]): void {
    const own = this.named(info)
    for (const watcher of this.watchers.get(own.name) ?? []) watcher.entered(own, args)
  }

  /** @internal called by kfunc's wrapper */
  leave(info: KFunctionInfo): void {
    const thread = this.cpu.current
    if (thread.frames.pop()?.id !== info.id) throw new InvariantError(`unbalanced stack leaving ${info.name}`)
    thread.sp = thread.stackPointers.pop() as number
    this.mem.journal.site = thread.frames.at(-1)?.id ?? 0
  }

  /**
   * The running function ends in a jump to what it calls next, so that its frame is gone by then. For functions
   * that call others before; one that only jumps declares itself `sibling`.
   */
  jump(): void {
    const { frames } = this.cpu.current
    const info = frames.at(-1)
    if (info !== undefined && !info.sibling) frames[frames.length - 1] = { ...info, sibling: true }
  }

  /** @internal called by kfunc's wrapper when something is probed */
  returned(info: KFunctionInfo, result: unknown): void {
    const own = this.named(info)
    for (const watcher of this.watchers.get(own.name) ?? []) watcher.returned(own, result)
  }

  /** @param name as this kernel has it */
  watch(name: string, watcher: FunctionWatcher): () => void {
    const list = this.watchers.get(name) ?? []
    this.watchers.set(name, [...list, watcher])
    this.probed = true
    return () => {
      const left = (this.watchers.get(name) ?? []).filter((w) => w !== watcher)
      if (left.length > 0) this.watchers.set(name, left)
      else this.watchers.delete(name)
      this.probed = this.watchers.size > 0
    }
  }

  /**
   * A structure on the running function's stack frame, zeroed. The function declares the room (`locals`).
   * Valid until the function returns; the bytes stay behind, as they do.
   */
  local<N extends string>(type: N): RefOf<N> {
    const thread = this.cpu.current
    const depth = thread.frames.length
    const size = Math.ceil(this.types.sizeof(type) / 8) * 8
    const used = thread.localsUsed[depth] ?? 0
    if (used + size > (thread.frames[depth - 1]?.frame ?? 0)) {
      throw new InvariantError(
        `${thread.frames[depth - 1]?.name ?? 'no function'} keeps more on its stack than its \`locals\``,
      )
    }
    thread.localsUsed[depth] = used + size
    const ref = this.types.ref(type, this.mem, thread.sp + used)
    this.mem.fill(ref.$va, 0, size)
    return ref
  }

  /** Run something as another processor would: its current thread's stack, its per-CPU data. */
  onCpu<T>(id: number, work: () => T): T {
    const before = this.cpu
    const site = this.mem.journal.site
    const cpu = this.cpus[id]
    if (cpu === undefined) throw new InvariantError(`no CPU ${id}`)
    this.cpu = cpu
    try {
      return work()
    } finally {
      this.cpu = before
      this.mem.journal.site = site
    }
  }
}

/**
 * State the simulator keeps per machine outside guest memory: handles and indexes that could be found in memory
 * again, never facts. `const caches = perKernel(() => ({ … }))`, then `caches(k)`.
 */
export function perKernel<T>(make: (k: Kernel) => T): (k: Kernel) => T {
  const all = new WeakMap<Kernel, T>()
  return (k) => {
    let state = all.get(k)
    if (state === undefined) {
      state = make(k)
      all.set(k, state)
    }
    return state
  }
}

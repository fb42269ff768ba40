/**
 * A target: a memory opened for reading, with everything found in it — address space, symbols, types. Each is
 * read when first asked for.
 */

import { toAddr, toUserVa, toVa, type Addr, type Va } from '../base/addr.ts'
import { CoredrillError, DumpError, LookupError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { isStruct, strip, type Type } from '../btf/type.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { PhysicalMemory } from '../memory/memory.ts'
import { readModules, type LoadedModule } from '../symbols/modules.ts'
import type { SymbolHit, SymbolSource } from '../symbols/symbol.ts'
import { SymbolTable } from '../symbols/table.ts'
import type { Container, SnapshotInfo } from '../vmcore/container.ts'
import { openContainer } from '../vmcore/open.ts'
import type { Vmcoreinfo } from '../vmcore/vmcoreinfo.ts'
import { KernelSpace } from './address-space.ts'
import { cpusOf, perCpuOffset } from './cpus.ts'
import { findKernel, type Progress } from './find-kernel.ts'
import { globalDeclaration, globalType } from './globals.ts'
import { moduleLayout } from './module-layout.ts'
import { openNamelist, type Namelist } from './namelist.ts'
import type { Walk } from './page-table.ts'
import { findSymbols } from './symbols-of.ts'
import type { IndexCache } from './index-cache.ts'
import { findTypes, KeptIndex } from './types-of.ts'
import { VirtualMemory } from './virtual-memory.ts'

export interface OpenOptions {
  /** a snapshot's name, or the number of a step; the last snapshot by default */
  readonly at?: string | undefined
  /** a vmlinux or System.map, for kernels whose own symbols or types cannot be found or are not in the dump */
  readonly namelist?: string | undefined
  /** where what is found in a kernel is kept for the next opening; nowhere by default */
  readonly cache?: IndexCache | undefined
  /** told how far a search of memory has come, where the dump does not say where its kernel is */
  readonly progress?: Progress | undefined
}

/**
 * Open a dump or vmcore. Only its index is read.
 *
 * @throws DumpError when it cannot be opened, is of no known format, has no kernel, or has no such snapshot
 */
export async function openTarget(path: string, options: OpenOptions = {}): Promise<Target> {
  return Promise.resolve(openTargetSync(path, options))
}

/** As {@link openTarget}, for callers that cannot wait. */
export function openTargetSync(path: string, options: OpenOptions = {}): Target {
  const container = openContainer(path)
  try {
    return targetOf(container, options)
  } catch (error) {
    container.close()
    throw error
  }
}

/** A target over an opened container (which the target closes). */
export function targetOf(container: Container, options: OpenOptions = {}): Target {
  const { progress } = options
  const vmcoreinfo = findKernel(container, progress)
  const kept = options.cache && new KeptIndex(options.cache, vmcoreinfo)
  const shared: Shared = { vmcoreinfo, namelistPath: options.namelist, kept, progress }
  return new Target(container, shared, snapshotIndex(container, options.at))
}

/** What the snapshots of one dump have in common: the kernel's image does not change. */
interface Shared {
  readonly vmcoreinfo: Vmcoreinfo
  readonly namelistPath: string | undefined
  readonly kept?: KeptIndex | undefined
  readonly progress?: Progress | undefined
  namelist?: Namelist
  types?: Types
  source?: SymbolSource
}

/** Index of a snapshot by name, or by step: the last one taken not after it. */
function snapshotIndex(container: Container, at: string | undefined): number | undefined {
  const snapshots = container.history?.snapshots ?? []
  if (at === undefined) return snapshots.length > 0 ? snapshots.length - 1 : undefined
  const named = snapshots.findIndex((s) => s.name === at)
  if (named >= 0) return named
  const byStep = /^\d+$/.test(at) ? snapshots.findLastIndex((s) => s.step <= Number(at)) : -1
  if (byStep >= 0) return byStep
  const names = snapshots.map((s) => s.name)
  const known = names.length > 12 ? [...names.slice(0, 12), '…'] : names
  const hint = names.length > 0 ? `it has ${known.join(', ')}` : 'a vmcore has none'
  throw new DumpError('NO_SNAPSHOT', container.path, -1, `no snapshot ${at}: ${hint}`)
}

/** One memory, at one instant. It is a `Kernel` for the helpers. */
export class Target {
  readonly container: Container
  readonly phys: PhysicalMemory
  readonly space: KernelSpace
  /** kernel virtual memory */
  readonly mem: VirtualMemory
  readonly #shared: Shared
  readonly #index: number | undefined
  #symbols: SymbolTable | undefined
  #cpus: readonly number[] | undefined

  /** @internal use {@link openTarget} */
  constructor(container: Container, shared: Shared, index: number | undefined) {
    this.container = container
    this.#shared = shared
    this.#index = index
    this.phys =
      container.history && index !== undefined ? container.history.memoryAt(index) : container.memory
    this.space = new KernelSpace(container.path, this.phys, shared.vmcoreinfo)
    this.mem = new VirtualMemory(this.phys, this.space, this.space.wordSize)
    this.space.setPageOffset(() => this.#readBase('page_offset_base'))
    if (this.space.mode === 'x86_64-la57')
      this.space.openRegions((name) => this.#wordOf(name), (container.ranges.at(-1)?.endPfn ?? 1) * 4096)
  }

  get path(): string {
    return this.container.path
  }

  get vmcoreinfo(): Vmcoreinfo {
    return this.#shared.vmcoreinfo
  }

  get wordSize(): 4 | 8 {
    return this.space.wordSize
  }

  /** What KASLR added to the link addresses. */
  get kernelOffset(): Addr {
    return this.vmcoreinfo.kernelOffset
  }

  get physBase(): number {
    return this.space.physBase
  }

  /** Start of the direct map. */
  get pageOffset(): Va {
    return this.space.pageOffset
  }

  // -- history ---------------------------------------------------------------------------------------------------

  /** All snapshots of the dump; none for a vmcore. */
  get snapshots(): readonly SnapshotInfo[] {
    return this.container.history?.snapshots ?? []
  }

  /** The snapshot this target shows. */
  get snapshot(): SnapshotInfo | undefined {
    return this.#index === undefined ? undefined : this.snapshots[this.#index]
  }

  /**
   * The same dump at another snapshot; closing either closes both.
   * @throws DumpError NO_SNAPSHOT
   */
  at(name: string): Target {
    return new Target(this.container, this.#shared, snapshotIndex(this.container, name))
  }

  /** The bytes of a section of the dump (journal, packets, traces …); undefined where it has none. */
  section(name: string): Uint8Array | undefined {
    return this.container.history?.section(name)
  }

  // -- symbols and types -----------------------------------------------------------------------------------------

  get symbols(): SymbolTable {
    if (this.#symbols === undefined) {
      const shared = this.#shared
      shared.source ??= findSymbols(this.path, this.mem, shared.vmcoreinfo, this.#namelist(), shared.progress)
      this.#symbols = new SymbolTable(shared.source, this.wordSize, () => this.#modules())
    }
    return this.#symbols
  }

  get types(): Types {
    const { kept } = this.#shared
    return (this.#shared.types ??= findTypes(this.path, this.mem, this.symbols, this.#namelist(), kept))
  }

  /** Address of a symbol. @throws LookupError NO_SYMBOL */
  sym(name: string): Addr {
    return this.symbols.address(name)
  }

  /** Address of a symbol as a number. @throws LookupError NO_SYMBOL */
  symVa(name: string): Va {
    return this.symbols.va(name)
  }

  /** The symbol an address lies in. */
  symbolize(at: Va | bigint): SymbolHit | undefined {
    return this.symbols.lookup(at)
  }

  /** A typed reference. @throws LookupError NO_TYPE */
  ref<N extends string>(struct: N, at: Va | bigint): RefOf<N> {
    return this.types.ref(struct, this.mem, typeof at === 'bigint' ? toVa(at, this.wordSize) : at)
  }

  /** The C type of a global variable, where BTF or our list knows it. */
  typeOf(name: string): Type | undefined {
    const symbol = this.symbols.find(name)
    const isText = symbol !== undefined && /char\[\]$/.test(globalDeclaration(name) ?? '')
    return globalType(this.types, name, isText ? this.#textSize(symbol.va) : symbol?.size)
  }

  /** Bytes of a string, its NUL included. */
  #textSize(va: Va): number {
    for (let size = 1; size <= 4096; size++) if (this.mem.u8(va + size - 1) === 0) return size
    return 4096
  }

  /**
   * A global variable that is a struct, or points to one.
   *
   * @throws LookupError NO_SYMBOL, or NO_TYPE when its type is not known to be a struct
   * @throws ValidationError when the pointer is NULL
   */
  object(name: string): StructRef {
    return this.#objectAt(name, this.symVa(name))
  }

  // -- processors ------------------------------------------------------------------------------------------------

  /** Numbers of the CPUs that were online. */
  cpus(): readonly number[] {
    return (this.#cpus ??= cpusOf(this.mem, this.#find, '__cpu_online_mask'))
  }

  possibleCpus(): readonly number[] {
    return cpusOf(this.mem, this.#find, '__cpu_possible_mask')
  }

  /** Address of one CPU's copy of a per-CPU variable. @throws LookupError NO_SYMBOL */
  perCpu(name: string, cpu: number): Va {
    return this.symVa(name) + perCpuOffset(this.mem, this.#find, cpu)
  }

  /** One CPU's copy of a per-CPU struct, its type from BTF; followed when it is a pointer. */
  perCpuObject(name: string, cpu: number): StructRef {
    return this.#objectAt(name, this.perCpu(name, cpu))
  }

  // -- memory ----------------------------------------------------------------------------------------------------

  /** A copy of kernel memory. @throws FaultError */
  read(at: Addr | Va, size: number): Uint8Array {
    return this.mem.read(typeof at === 'bigint' ? toVa(at, this.wordSize) : at, size)
  }

  /** A copy of physical memory. @throws FaultError */
  readPhys(phys: number, size: number): Uint8Array {
    return this.physMem.read(phys, size)
  }

  /** Physical memory as an address space of its own. */
  get physMem(): VirtualMemory {
    return (this.#physMem ??= new VirtualMemory(
      this.phys,
      { frame: (va) => (va >= 0 ? Math.floor(va / 4096) : 'missing') },
      this.wordSize,
    ))
  }
  #physMem: VirtualMemory | undefined

  /** Translate a kernel address with every entry visited. */
  walk(va: Va): Walk {
    return this.space.table.walk(va)
  }

  /** Physical address of a kernel address; undefined when it is not mapped. */
  virtToPhys(va: Va): number | undefined {
    return this.mem.physical(va)
  }

  /**
   * The user address space of a task; undefined for a kernel thread.
   * @param task `struct task_struct *`
   */
  userMemory(task: StructRef): UserMemory | undefined {
    const mm = task.$ref('mm')
    return mm === null ? undefined : this.memoryOf(mm)
  }

  /**
   * The user address space of an `mm_struct`.
   * @throws FaultError when its top table is not mapped
   */
  memoryOf(mm: StructRef): UserMemory {
    const pgd = toVa(mm.$int('pgd'), this.wordSize)
    const root = this.virtToPhys(pgd)
    if (root === undefined) throw new ValidationError(mm.$addr, 'a page directory', toAddr(pgd).toString(16))
    const table = this.space.userTable(root)
    return Object.assign(new VirtualMemory(this.phys, table, this.wordSize), { table })
  }

  /** A copy of user memory. @throws FaultError; also when the task has none */
  readUser(task: StructRef, at: Addr | Va, size: number): Uint8Array {
    const memory = this.userMemory(task)
    if (memory === undefined) throw new ValidationError(task.$addr, 'a task with user memory', 'mm is NULL')
    return memory.read(typeof at === 'bigint' ? toUserVa(at, this.wordSize) : at, size)
  }

  /** Keep what was found for the next opening, when the target was opened with a cache: after the answer, as it takes a moment. */
  keepIndex(): void {
    this.#shared.kept?.store()
  }

  close(): void {
    this.container.close()
  }

  #namelist(): Namelist | undefined {
    const shared = this.#shared
    if (shared.namelistPath === undefined) return undefined
    return (shared.namelist ??= openNamelist(shared.namelistPath, this.wordSize, this.vmcoreinfo))
  }

  #objectAt(name: string, va: Va): StructRef {
    const type = this.typeOf(name)
    const plain = type && strip(type)
    if (plain && isStruct(plain)) return this.types.refTo(plain, this.mem, va)
    const target = plain?.kind === 'ptr' ? strip(plain.target) : undefined
    if (target === undefined || !isStruct(target)) throw new LookupError('type', `of variable ${name}`)
    const to = this.mem.pointer(va)
    if (to === 0) throw new ValidationError(toAddr(va), `${name} to point to a struct ${target.name}`, 'NULL')
    return this.types.refTo(target, this.mem, to, this.mem.word(va))
  }

  #modules(): readonly LoadedModule[] {
    const head = this.symbols.findKernel('modules')
    return head === undefined ? [] : readModules(this.mem, moduleLayout(this.types), head.va)
  }

  /** The kernel's own symbols only: asking must not read the modules. */
  readonly #find = (name: string): Va | undefined => this.symbols.findKernel(name)?.va

  /** The value of a kernel variable; undefined where there is none, or it cannot be read. */
  #wordOf(symbol: string): bigint | undefined {
    try {
      const at = this.#find(symbol)
      return at === undefined ? undefined : this.mem.word(at)
    } catch (error) {
      if (error instanceof CoredrillError) return undefined
      throw error
    }
  }

  #readBase(symbol: string): Va | undefined {
    const at = this.#find(symbol)
    const value = at === undefined ? undefined : this.mem.pointer(at)
    return value !== undefined && value < 0 ? value : undefined
  }
}

/** A process's memory: its page table can be walked for `vtop`. */
export type UserMemory = VirtualMemory & { readonly table: { walk(va: Va): Walk } }

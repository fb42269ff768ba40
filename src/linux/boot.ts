/** Power on: a machine with its kernel's image in memory, booted as far as a scenario's first step. */

import { createHash } from 'node:crypto'
import { toVa, type Addr } from '../base/addr.ts'
import { Btf } from '../btf/parse.ts'
import { Types } from '../btf/types.ts'
import { loadLayout } from '../layouts/layout.ts'
import { GuestMemory } from '../memory/guest-memory.ts'
import { PAGE_SIZE } from '../abi/page.ts'
import { bannerOf } from './arch/x86/kernel/image.ts'
import * as image from './arch/x86/kernel/image.ts'
import { isKernelText } from './arch/x86/entry/handler.ts'
import { trap_init } from './arch/x86/kernel/oops.ts'
import { write_orc } from './arch/x86/kernel/orc.ts'
import { task_pt_regs } from './arch/x86/kernel/stack.ts'
import { withPinned } from './arch/x86/kernel/pinned.ts'
import { symbolsOf, textSizes, withExports } from './arch/x86/kernel/text.ts'
import { call_bad_address } from './arch/x86/mm/fault.ts'
import { start_kernel } from './init/main.ts'
import { crash_save_vmcoreinfo_init } from './kernel/crash_core.ts'
import { Kernel, type Cpu, type Thread } from './kernel.ts'
import { patchedExports } from './kernel/module/symbols.ts'
import { free_boot_range } from './mm/page_alloc.ts'
import type { Profile } from './profile.ts'

export interface BootOptions {
  readonly profile: Profile
  readonly memoryBytes: number
  readonly cpus: number
  readonly seed: bigint | number | string
  /** Wall time at boot, nanoseconds since the epoch. */
  readonly wallNs: bigint
  readonly hostname: string
  /** Symbols that modules may use although this kernel's own source does not export them. */
  readonly exports?: readonly string[]
  /** Symbols of the image that must lie at these addresses. */
  readonly symbols?: ReadonlyMap<string, bigint>
}

export const DEFAULT_BOOT = {
  memoryBytes: 64 << 20,
  cpus: 2,
  seed: 1,
  wallNs: 1_790_000_000_000_000_000n,
  hostname: 'coredrill',
} as const

/** Physical memory the boot code may use before the page allocator runs. */
const LOW_MEMORY = 1 << 20

/**
 * Lay the image out and run `start_kernel`.
 * @throws InvariantError when memory cannot hold it, PinnedSymbolError
 */
export function createKernel(options: BootOptions): Kernel {
  const { profile } = options
  const layout = loadLayout(profile.layout)
  const named = withExports(symbolsOf(layout.symbols, profile), options.exports ?? [])
  const layoutSymbols = withPinned(named, options.symbols ?? new Map<string, bigint>())
  const symbols = new Map<string, Addr>()
  for (const { name, address } of layoutSymbols) if (!symbols.has(name)) symbols.set(name, address as Addr)

  const mem = new GuestMemory(options.memoryBytes, profile.wordSize)
  const types = new Types(Btf.parse(layout.btf, { pointerSize: profile.wordSize, name: profile.layout }))
  const place = image.addressLayout(profile.wordSize)
  const physical = place.layOutPhysical(mem, symbols, options.cpus, profile.pae, types.sizeof('page'))
  place.addWindows(mem, physical, symbols)
  mem.journal.enabled = false
  const k = new Kernel({ profile, mem, types, symbols, seed: options.seed, cpus: options.cpus })
  k.clock.bootWallNs = options.wallNs
  for (const { address, size } of layoutSymbols) textSizes(k).set(toVa(address), size)

  place.writeBases(k, physical)
  bootThreads(k)
  let next = LOW_MEMORY / 2
  place.writePageTables(k, physical, () => (next += PAGE_SIZE) - PAGE_SIZE)
  free_boot_range(k, LOW_MEMORY / PAGE_SIZE, physical.loadPhys / PAGE_SIZE)
  free_boot_range(k, physical.freePfn, physical.endPfn)
  image.writeIdentity(k, options.hostname)
  image.writeBtf(k, layout)
  k.badCall = (pointer) => {
    if (!isKernelText(k, pointer)) call_bad_address(k, pointer)
  }
  trap_init(k)
  if (profile.unwinder === 'orc') write_orc(k)
  image.writeKallsyms(k, layoutSymbols)
  crash_save_vmcoreinfo_init(k, physical.physBase, buildIdOf(profile))
  for (const name of options.exports ?? []) patchedExports(k).add(name)
  mem.journal.enabled = true
  start_kernel(k)
  return k
}

/** A build id of our own, so that no tool takes the image for the distributor's. */
function buildIdOf(profile: Profile): string {
  return createHash('sha1')
    .update(`coredrill ${bannerOf(profile)}`)
    .digest('hex')
}

/** Every processor begins in `init_task`; the scheduler gives the others idle tasks of their own. */
function bootThreads(k: Kernel): void {
  const task = k.global('init_task', 'task_struct')
  for (let id = 0; id < k.nr_cpu_ids; id++) {
    const thread: Thread = {
      task,
      frames: [],
      stackPointers: [],
      localsUsed: [],
      sp: task_pt_regs(k, toVa(k.sym('init_stack'), k.mem.wordSize)),
      coroutine: null,
      cpu: id,
      queued: false,
    }
    const cpu: Cpu = { id, idle: thread, current: thread, hardirq: 0, softirq: 0 }
    k.cpus.push(cpu)
  }
  k.cpu = k.cpus[0] as Cpu
}

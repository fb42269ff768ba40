/**
 * What must be in a trimmed dump whatever it was made for: what opening it with coredrill reads at most, and what
 * genuine crash reads before its first prompt.
 */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError, LookupError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { for_each_module, module_regions } from '../helpers/module.ts'
import { per_cpu, per_cpu_offset, possible_cpus } from '../helpers/percpu.ts'
import { for_each_pid } from '../helpers/pid.ts'
import { for_each_cache } from '../helpers/slab.ts'
import { memory_blocks } from '../helpers/sparse.ts'
import { exception_stacks, irq_stacks, task_stack, thread_size } from '../helpers/stack.ts'
import { memory_nodes } from '../helpers/task-memory.ts'
import { task_table } from '../helpers/tasks.ts'
import type { Target } from './target.ts'

const PAGE = 4096
/** The largest table of names taken whole. */
const NAMES_MAX = 64 << 20
/** A larger ring of the log is damage. */
const LOG_MAX = 1 << 28
/** Roots of `mem_section` with 52 bits of physical memory. */
const ROOTS_MAX = 1 << 18
/** How much crash reads where it wants a string. */
const STRING = 1500
/** A variable's extent when its symbol is the last. */
const VARIABLE_MAX = 1 << 18

/**
 * Where memory is mapped, the CPUs, the whole symbol table and all types: any command may ask for any name. Kernels whose
 * symbols or types come from a namelist have no tables here.
 */
export function readAsOpening(target: Target): void {
  for (const _ of target.symbols.kernel()) continue
  const { vmcoreinfo, wordSize } = target
  const [names, end] = ['kallsyms_names', 'kallsyms_token_index'].map((name) => vmcoreinfo.symbol(name))
  if (names !== undefined && end !== undefined) {
    const from = toVa(names, wordSize)
    // names, markers, numbers in order of names, tokens: one after the other
    const size = toVa(end, wordSize) + 512 - from
    if (size > 0 && size <= NAMES_MAX) touch(target, from, size)
  }
  // asked once, they read their pages
  target.types.has('task_struct')
  target.space.directMap(0)
  for (const cpu of target.possibleCpus()) attempt(() => per_cpu_offset(target, cpu))
}

/** Variables of the kernel that crash 8 reads before its prompt, with the reason it gives. */
const VARIABLES: readonly (readonly [name: string, why: string])[] = [
  ['linux_banner', 'does the namelist match'],
  ['init_uts_ns', 'release and machine'],
  ['page_offset_base', 'address space'],
  ['vmalloc_base', 'address space'],
  ['vmemmap_base', 'address space'],
  ['high_memory', 'address space'],
  ['init_top_pgt', 'page tables'],
  ['kexec_crash_image', 'kdump backup region'],
  ['crashing_cpu', 'panic'],
  ['xen_start_info', 'hypervisor'],
  ['pv_info', 'hypervisor'],
  ['__cpu_possible_mask', 'CPUs'],
  ['__cpu_present_mask', 'CPUs'],
  ['__cpu_online_mask', 'CPUs'],
  ['__cpu_active_mask', 'CPUs'],
  ['__per_cpu_offset', 'per-CPU areas'],
  ['cpu_khz', 'CPUs'],
  ['idt_table', 'interrupts'],
  ['nr_irqs', 'interrupts'],
  ['shadow_timekeeper', 'date'],
  ['jiffies_64', 'uptime'],
  ['avenrun', 'load'],
  ['tainted_mask', 'taint'],
  ['taint_flags', 'taint'],
  ['lookup_num_blocks', 'unwinder'],
  ['mt_slots', 'maple trees'],
  ['mt_pivots', 'maple trees'],
  ['mem_section', 'memory'],
  ['node_states', 'memory'],
  ['node_data', 'memory'],
  ['_totalram_pages', 'memory'],
  ['nr_swapfiles', 'memory'],
  ['zero_pfn', 'memory'],
  ['huge_zero_pfn', 'memory'],
  ['pageflag_names', 'memory'],
  ['kmem_cache', 'slab caches'],
  ['memory_subsys', 'memory blocks'],
  ['memory_block_size_probed', 'memory blocks'],
  ['modules', 'modules'],
  ['nr_threads', 'tasks'],
  ['init_pid_ns', 'tasks'],
  ['arch_task_struct_size', 'tasks'],
  ['task_state_array', 'tasks'],
]

/** Functions whose first bytes tell crash whether the kernel has frame pointers. */
const FUNCTIONS = ['__x64_sys_open', '__x64_sys_fork', '__x64_sys_read', 'do_futex', 'vfs_read', '__schedule']

/** From the last of them on it disassembles 500 instructions, each of at most 15 bytes. */
const DISASSEMBLED = 500 * 15

/** Each CPU's variables that crash reads. */
const PER_CPU = ['cpu_number', 'current_task', 'hardirq_stack_ptr', 'cpu_tss_rw', 'pcpu_hot', 'runqueues']

/**
 * Read what crash 8.0.6 reads before its first prompt, so far as this kernel has it.
 *
 * @remarks Found by experiment: `crash -d8` names every read with its address.
 */
export function readAsCrash(target: Target): void {
  for (const [name] of VARIABLES) touchSymbol(target, name)
  for (const name of FUNCTIONS) touchSymbol(target, name)
  const scheduler = target.symbols.findKernel('__schedule')
  if (scheduler !== undefined) touch(target, scheduler.va, DISASSEMBLED)
  for (const name of PER_CPU) touchPerCpu(target, name)
  const pv = target.symbols.findKernel('pv_info')
  if (pv !== undefined && target.types.has('pv_info', 'name'))
    attempt(() => touchString(target, target.types.ref('pv_info', target.mem, pv.va).$int('name')))
  attempt(() =>
    touch(target, target.mem.pointer(target.symVa('kmem_cache')), target.types.sizeof('kmem_cache')),
  )
  attempt(() => touchStrings(target, 'pageflag_names', target.types.sizeof('trace_print_flags'), 8, 64))
  attempt(() => touchStrings(target, 'task_state_array', target.wordSize, 0, 16))
  for (const step of [
    touchMemoryMap,
    touchMemoryBlocks,
    touchModules,
    touchTasks,
    touchStacks,
    touchLog,
    touchCaches,
  ])
    attempt(() => step(target))
}

/** The sections of memory (SPARSEMEM), the nodes and their zones. */
function touchMemoryMap(target: Target): void {
  const { mem, types, wordSize } = target
  const table = target.symbols.findKernel('mem_section')
  const first = table === undefined ? 0 : mem.pointer(table.va)
  if (first !== 0) {
    // the whole table, and a page of sections for each of its entries
    const roots = Math.min(target.vmcoreinfo.length('mem_section') ?? 4096, ROOTS_MAX)
    touch(target, first, roots * wordSize)
    for (let i = 0; i < roots; i++) {
      const section = attempt(() => mem.pointer(first + i * wordSize)) ?? 0
      if (section !== 0 && !Number.isNaN(section)) touch(target, section, PAGE)
    }
  }
  for (const node of memory_nodes(target)) {
    touch(target, node.$va, types.sizeof('pglist_data'))
    const zones = node.$array('node_zones')
    for (let i = 0; i < zones.length; i++) touchString(target, node.$int(`node_zones[${i}].name`))
  }
}

/** The devices of `memory_subsys`, with their names. @see drivers/base/memory.c */
function touchMemoryBlocks(target: Target): void {
  const size = target.types.sizeof('memory_block')
  for (const { memory_block } of memory_blocks(target)) {
    const block: StructRef = target.ref('memory_block', memory_block)
    touch(target, block.$va, size)
    touchString(target, block.$int('dev.kobj.name'))
  }
}

/** Every module whole: crash looks for its symbols in the module's own ELF tables. */
function touchModules(target: Target): void {
  const size = target.types.sizeof('module')
  for (const module of for_each_module(target)) {
    touch(target, module.$va, size)
    for (const region of module_regions(module)) touch(target, region.base, region.size)
  }
}

/**
 * Every pid and task whole, and its stack: of a kdump file whose panic task it does not know, crash looks at all stacks
 * for the one that panicked.
 */
function touchTasks(target: Target): void {
  const { types } = target
  for (const pid of for_each_pid(target)) touch(target, pid.$va, types.sizeof('pid'))
  const size = types.sizeof('task_struct')
  for (const { va, task } of task_table(target).tasks) {
    touch(target, va, size)
    const stack = task_stack(task)
    if (stack !== 0 && !Number.isNaN(stack)) touch(target, stack, thread_size(target))
  }
}

function touchStacks(target: Target): void {
  for (const { base, size } of [...irq_stacks(target), ...exception_stacks(target)]) touch(target, base, size)
}

/** The rings of the log whole. @see kernel/printk/printk_ringbuffer.h */
function touchLog(target: Target): void {
  const { types, mem, wordSize } = target
  const prb = target.ref('printk_ringbuffer', mem.pointer(target.symVa('prb'))) as StructRef
  const count = 2 ** Number(prb.$int('desc_ring.count_bits'))
  const at = (member: string): Va => toVa(prb.$int(member), wordSize)
  const touchRing = (va: Va, size: number): void => {
    if (va !== 0 && size <= LOG_MAX) touch(target, va, size)
  }
  touchRing(at('desc_ring.descs'), count * types.sizeof('prb_desc'))
  touchRing(at('desc_ring.infos'), count * types.sizeof('printk_info'))
  touchRing(at('text_data_ring.data'), 2 ** Number(prb.$int('text_data_ring.size_bits')))
}

/** Every slab cache with its name: not for its prompt but for every word that may be a slab object (`bt -F`, `rd -S`). */
function touchCaches(target: Target): void {
  touchSymbol(target, 'slab_caches')
  for (const cache of for_each_cache(target)) {
    touch(target, cache.$va, target.types.sizeof('kmem_cache'))
    touchString(target, cache.$int('name'))
  }
}

/** Pointers to strings in a table, up to the first NULL. */
function touchStrings(target: Target, symbol: string, step: number, at: number, most: number): void {
  const found = target.symbols.findKernel(symbol)
  if (found === undefined) return
  for (let i = 0; i < most; i++) {
    const text = target.mem.pointer(found.va + i * step + at)
    if (text === 0 || Number.isNaN(text)) return
    touch(target, text, STRING)
  }
}

function touchString(target: Target, pointer: bigint): void {
  const text = toVa(pointer, target.wordSize)
  if (text !== 0 && !Number.isNaN(text)) touch(target, text, STRING)
}

/** A variable, its size being what its symbol says: crash takes arrays whole. */
function touchSymbol(target: Target, name: string): void {
  const symbol = target.symbols.findKernel(name)
  if (symbol === undefined) return
  touch(target, symbol.va, Math.min(symbol.size === 0 ? PAGE : symbol.size, VARIABLE_MAX))
}

function touchPerCpu(target: Target, name: string): void {
  const symbol = target.symbols.findKernel(name)
  if (symbol === undefined) return
  for (const cpu of possible_cpus(target))
    touch(target, per_cpu(target, name, cpu), Math.min(symbol.size, VARIABLE_MAX))
}

/** Read every page of a stretch that can be read. */
export function touch(target: Pick<Target, 'mem'>, va: Va, size: number): void {
  const last = va + Math.max(size, 1) - 1
  for (let at = va; at <= last; at = Math.floor(at / PAGE) * PAGE + PAGE) target.mem.readable(at)
}

/** Damage of one structure does not keep the others from being read. */
function attempt<T>(step: () => T): T | undefined {
  try {
    return step()
  } catch (error) {
    if (error instanceof FaultError || error instanceof ValidationError || error instanceof LookupError)
      return undefined
    throw error
  }
}

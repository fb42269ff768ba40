/** How much memory a task has: resident and virtual pages, its share of the machine, its arguments. */

import { toVa, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { findSymbolVa, refAt, type Kernel } from './kernel.ts'
import { percpu_counter_sum } from './percpu.ts'
import { PF_EXITING, task_flags, task_mm, task_state, task_states } from './task.ts'
import type { TaskContext, TaskTable } from './tasks.ts'

export interface TaskMemory {
  /** pages */
  readonly rss: bigint
  readonly total_vm: bigint
  /** `struct mm_struct *`, 0 of a kernel thread */
  readonly mm: Va
  readonly pgd: Va
}

const NONE: TaskMemory = { rss: 0n, total_vm: 0n, mm: 0, pgd: 0 }
const NODES_MAX = 1024

/**
 * A task's memory in pages, as crash counts it: nothing of an exiting task; negative counters (they are updated
 * late) count as 0; with SPLIT_RSS_COUNTING what the threads have not yet added is added here.
 *
 * @see include/linux/mm.h:get_mm_rss
 */
export function task_memory(table: TaskTable, context: TaskContext): TaskMemory {
  const { kernel } = table
  const { task } = context
  if (task_state(task) & task_states(kernel).ZOMBIE || task_flags(task) & PF_EXITING) return NONE
  const mm = task_mm(task)
  if (mm === null) return NONE
  return {
    rss: mm_rss(kernel, mm) + unsynced_rss(table, context),
    total_vm: mm.$int('total_vm'),
    mm: mm.$va,
    pgd: toVa(mm.$int('pgd'), kernel.mem.wordSize),
  }
}

const positive = (n: bigint): bigint => (n > 0n ? n : 0n)

/** MM_FILEPAGES, MM_ANONPAGES and MM_SHMEMPAGES of one address space. @see include/linux/mm_types_task.h */
export function mm_rss(kernel: Kernel, mm: StructRef): bigint {
  let rss = 0n
  for (const index of rss_types(kernel)) {
    if (mm.$has('rss_stat.count')) rss += positive(counter(mm, `rss_stat.count[${index}]`))
    else rss += positive(percpu_counter_sum(kernel, mm.$vaOf(`rss_stat[${index}]`)))
  }
  return rss
}

/** `atomic_long_t` before 6.2, a plain long in a thread's cache. */
function counter(ref: StructRef, path: string): bigint {
  return ref.$has(`${path}.counter`) ? ref.$int(`${path}.counter`) : ref.$int(path)
}

function rss_types(kernel: Kernel): number[] {
  const of = (name: string, otherwise: number): number =>
    Number(kernel.types.enumerator(name) ?? BigInt(otherwise))
  const shmem = kernel.types.enumerator('MM_SHMEMPAGES')
  const types = [of('MM_FILEPAGES', 0), of('MM_ANONPAGES', 1)]
  return shmem === undefined ? types : [...types, Number(shmem)]
}

/** What the threads of a process counted and have not yet added to its mm. @see mm/memory.c:sync_mm_rss (to 6.1) */
function unsynced_rss(table: TaskTable, { task, tgid }: TaskContext): bigint {
  if (!task.$has('rss_stat.count')) return 0n
  let rss = 0n
  for (const thread of table.byTgid(tgid)) {
    for (const index of rss_types(table.kernel)) rss += positive(thread.task.$int(`rss_stat.count[${index}]`))
  }
  return rss
}

/** Pages the machine has: present pages of all nodes. @see include/linux/mmzone.h: `pg_data_t.node_present_pages` */
export function present_pages(kernel: Kernel): bigint {
  let pages = 0n
  for (const node of memory_nodes(kernel)) pages += node.$int('node_present_pages')
  return pages
}

/** Pages from each node's first to its last, holes included: what a share of memory is a share of in crash. */
export function spanned_pages(kernel: Kernel): bigint {
  let pages = 0n
  for (const node of memory_nodes(kernel)) pages += node.$int('node_spanned_pages')
  return pages
}

/** `struct pglist_data *` of every node. */
export function* memory_nodes(kernel: Kernel): Generator<StructRef> {
  const table = findSymbolVa(kernel, 'node_data')
  if (table === undefined) {
    const only = findSymbolVa(kernel, 'contig_page_data')
    if (only !== undefined) yield refAt(kernel, 'pglist_data', only)
    return
  }
  const countAt = findSymbolVa(kernel, 'nr_node_ids')
  const count = countAt === undefined ? 1 : Math.min(kernel.mem.u32(countAt), NODES_MAX)
  for (let node = 0; node < count; node++) {
    const va = kernel.mem.pointer(table + node * kernel.mem.wordSize)
    if (va !== 0 && !Number.isNaN(va)) yield refAt(kernel, 'pglist_data', va)
  }
}

/**
 * Changing tasks: the address space, the saved stack, the per-CPU variables that say who is current.
 *
 * @see kernel/sched/core.c:context_switch, arch/x86/kernel/process_64.c:__switch_to
 */

import { toAddr, toVa, type Va } from '../../../base/addr.ts'
import type { rq, task_struct } from '../../../btf/vmlinux.ts'
import type { PageMap } from '../../../memory/guest-memory.ts'
import { save_stack, task_top_of_stack } from '../../arch/x86/kernel/stack.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { threadOf } from './thread.ts'

/** The user pages of each address space by the address of its mm_struct: what a TLB would hold. */
export const userPagesOf = perKernel(() => new Map<Va, PageMap>())

/** Memory as the current task of the current CPU sees it. */
export function loadUserPages(k: Kernel): void {
  const mm = k.current.mm
  k.mem.userPages = mm === null ? null : (userPagesOf(k).get(mm.$va) ?? null)
}

/** @see kernel/sched/core.c:context_switch */
export function context_switch(k: Kernel, rq: rq, prev: task_struct, next: task_struct): void {
  prepare_task_switch(rq, prev, next)
  switch_mm(k, rq, prev, next)
  save_stack(k, threadOf(k, prev))
  k.cpu.current = threadOf(k, next)
  k.cpu.current.cpu = k.cpu.id
  setCurrent(k, next)
  finish_task_switch(k, rq, prev)
  loadUserPages(k)
}

function prepare_task_switch(rq: rq, prev: task_struct, next: task_struct): void {
  const now = rq.clock
  if (prev.on_rq !== 0 && prev.pid !== 0) prev.sched_info.last_queued = now
  const { sched_info } = next
  if (sched_info.last_queued !== 0n)
    sched_info.run_delay = sched_info.run_delay + (now - sched_info.last_queued)
  sched_info.last_queued = 0n
  sched_info.last_arrival = now
  sched_info.pcount = sched_info.pcount + 1n
  next.on_cpu = 1
}

/** A kernel thread runs in the address space of whoever ran before it. */
function switch_mm(k: Kernel, rq: rq, prev: task_struct, next: task_struct): void {
  if (next.mm === null) {
    next.active_mm = prev.active_mm
    if (prev.mm === null) prev.active_mm = null
    else if (prev.active_mm !== null) {
      const count = prev.active_mm.mm_count
      count.counter = count.counter + 1
    }
    return
  }
  k.mem.setPointer(k.per_cpu_va('cpu_tlbstate'), next.mm.$va)
  if (prev.mm === null && prev.active_mm !== null) {
    rq.prev_mm = prev.active_mm
    prev.active_mm = null
  }
}

/** What a CPU says of who runs on it. @see arch/x86/kernel/process_64.c:__switch_to */
export function setCurrent(k: Kernel, task: task_struct): void {
  k.mem.setPointer(k.per_cpu_va('current_task'), task.$va)
  const top = task_top_of_stack(k, toVa(task.stack, k.mem.wordSize))
  k.mem.setPointer(k.per_cpu_va('cpu_current_top_of_stack'), top)
}

/** @see kernel/sched/core.c:finish_task_switch */
function finish_task_switch(k: Kernel, rq: rq, prev: task_struct): void {
  const mm = rq.prev_mm
  rq.prev_mm = null
  prev.on_cpu = 0
  if (mm !== null) {
    const count = mm.mm_count
    count.counter = count.counter - 1
    if (count.counter === 0) deadMm(k)?.(mm.$va)
  }
  if (prev.__state === 0x80) deadTask(k)?.(prev)
}

/** What is to be done with a task that is gone for good, and with an mm nobody borrows any more; set by fork.ts. */
const hooks = perKernel(() => ({
  task: undefined as ((task: task_struct) => void) | undefined,
  mm: undefined as ((mm: Va) => void) | undefined,
}))
const deadTask = (k: Kernel) => hooks(k).task
const deadMm = (k: Kernel) => hooks(k).mm
export function onDead(k: Kernel, task: (task: task_struct) => void, mm: (mm: Va) => void): void {
  hooks(k).task = task
  hooks(k).mm = mm
}

/** The address of a task for `wait_queue_entry.private` and the like. */
export const taskAddr = (task: task_struct): bigint => toAddr(task.$va)

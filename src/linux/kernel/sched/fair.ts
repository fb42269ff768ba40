/**
 * The fair class: who runs next is who ran least. Each CPU keeps its runnable entities in a red-black tree by
 * virtual runtime; the running one is taken out of the tree while it runs.
 *
 * @see kernel/sched/fair.c
 * @remarks one group, no load tracking (`avg` stays as sched_init made it), no balancing between CPUs
 */

import type { Va } from '../../../base/addr.ts'
import type { cfs_rq, rq, sched_entity, task_struct } from '../../../btf/vmlinux.ts'
import { NICE_0_LOAD } from '../../../abi/sched.ts'
import { rb_add_cached, rb_erase_cached, rb_first } from '../../../structures/rbtree.ts'
import { list_add, list_del_init } from '../../../structures/list.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'

/** How much earlier than the others a task that slept may be placed: half a latency period, in ns. */
const SLEEPER_CREDIT = 3_000_000n

const before = (a: bigint, b: bigint): boolean => BigInt.asIntN(64, a - b) < 0n
const later = (a: bigint, b: bigint): bigint => (before(a, b) ? b : a)

/** The runqueue of a CPU. @see kernel/sched/sched.h:cpu_rq */
export const cpu_rq = (k: Kernel, cpu = k.cpu.id): rq => k.per_cpu('runqueues', 'rq', cpu)

/** The task an entity is part of. @see kernel/sched/fair.c:task_of */
export const task_of = (k: Kernel, se: sched_entity): task_struct =>
  k.ref('task_struct', se.$va - k.types.offsetof('task_struct', 'se'))

/** Charge the running entity for the time since it was last charged. @see kernel/sched/fair.c:update_curr */
export const update_curr = kfunc('kernel/sched/fair.c', function update_curr(k, cfs: cfs_rq) {
  const curr = cfs.curr
  if (curr === null) return
  const now = (cfs.rq as rq).clock_task
  const delta = now - curr.exec_start
  if (delta <= 0n) return
  curr.exec_start = now
  curr.sum_exec_runtime = curr.sum_exec_runtime + delta
  curr.vruntime = curr.vruntime + (delta * BigInt(NICE_0_LOAD)) / curr.load.weight
  update_min_vruntime(k, cfs)
})

/** It never goes back. @see kernel/sched/fair.c:update_min_vruntime */
function update_min_vruntime(k: Kernel, cfs: cfs_rq): void {
  const { curr } = cfs
  const first = leftmost(k, cfs)
  let least = cfs.min_vruntime
  if (curr !== null && curr.on_rq !== 0) least = curr.vruntime
  if (first !== null) least = curr === null || before(first.vruntime, least) ? first.vruntime : least
  cfs.min_vruntime = later(cfs.min_vruntime, least)
}

function leftmost(k: Kernel, cfs: cfs_rq): sched_entity | null {
  const node = k.mem.pointer(cfs.tasks_timeline.$va + k.mem.wordSize)
  return node === 0 ? null : entityOf(k, node)
}

const entityOf = (k: Kernel, node: Va): sched_entity =>
  k.ref('sched_entity', node - k.types.offsetof('sched_entity', 'run_node'))

function __enqueue_entity(k: Kernel, cfs: cfs_rq, se: sched_entity): void {
  const key = se.vruntime
  rb_add_cached(k.mem, se.run_node.$va, cfs.tasks_timeline.$va, (other) =>
    before(key, entityOf(k, other).vruntime),
  )
}

function __dequeue_entity(k: Kernel, cfs: cfs_rq, se: sched_entity): void {
  rb_erase_cached(k.mem, se.run_node.$va, cfs.tasks_timeline.$va)
}

/** A task that slept is placed a little before the rest. @see kernel/sched/fair.c:place_entity */
function place_entity(cfs: cfs_rq, se: sched_entity, initial: boolean): void {
  let vruntime = cfs.min_vruntime
  if (initial) vruntime += (SLEEPER_CREDIT * BigInt(NICE_0_LOAD)) / se.load.weight
  else vruntime -= SLEEPER_CREDIT
  se.vruntime = later(se.vruntime, vruntime)
}

/** @see kernel/sched/fair.c:enqueue_task_fair */
export const enqueue_task_fair = kfunc(
  'kernel/sched/fair.c',
  function enqueue_task_fair(k, rq: rq, p: task_struct, wakeup: boolean) {
    const { se } = p
    const { cfs } = rq
    update_curr(k, cfs)
    if (wakeup) place_entity(cfs, se, false)
    if (cfs.curr === null || !cfs.curr.$equals(se)) __enqueue_entity(k, cfs, se)
    se.on_rq = 1
    cfs.load.weight = cfs.load.weight + se.load.weight
    list_add(k.mem, se.group_node.$va, rq.cfs_tasks.$va)
    cfs.nr_running = cfs.nr_running + 1
    cfs.h_nr_running = cfs.h_nr_running + 1
    rq.nr_running = rq.nr_running + 1
  },
)

/** @see kernel/sched/fair.c:dequeue_task_fair */
export const dequeue_task_fair = kfunc(
  'kernel/sched/fair.c',
  function dequeue_task_fair(k, rq: rq, p: task_struct) {
    const { se } = p
    const { cfs } = rq
    update_curr(k, cfs)
    if (cfs.curr === null || !cfs.curr.$equals(se)) __dequeue_entity(k, cfs, se)
    se.on_rq = 0
    cfs.load.weight = cfs.load.weight - se.load.weight
    list_del_init(k.mem, se.group_node.$va)
    cfs.nr_running = cfs.nr_running - 1
    cfs.h_nr_running = cfs.h_nr_running - 1
    rq.nr_running = rq.nr_running - 1
    update_min_vruntime(k, cfs)
  },
)

/** The running entity stops running: back into the tree if it is still runnable. @see kernel/sched/fair.c:put_prev_entity */
export function put_prev_entity(k: Kernel, rq: rq, p: task_struct): void {
  const { cfs } = rq
  if (cfs.curr === null || !cfs.curr.$equals(p.se)) return
  if (p.se.on_rq !== 0) {
    update_curr(k, cfs)
    __enqueue_entity(k, cfs, p.se)
  }
  cfs.curr = null
}

/** The entity that ran least, out of the tree and current; null when nothing is runnable. @see kernel/sched/fair.c:pick_next_task_fair */
export const pick_next_task_fair = kfunc(
  'kernel/sched/fair.c',
  function pick_next_task_fair(k, rq: rq): task_struct | null {
    const { cfs } = rq
    const se = leftmost(k, cfs)
    if (se === null) return null
    __dequeue_entity(k, cfs, se)
    se.exec_start = rq.clock_task
    se.prev_sum_exec_runtime = se.sum_exec_runtime
    cfs.curr = se
    return task_of(k, se)
  },
)

/** A new task begins a little behind its parent. @see kernel/sched/fair.c:task_fork_fair */
export function task_fork_fair(rq: rq, p: task_struct): void {
  const { cfs } = rq
  if (cfs.curr !== null) p.se.vruntime = cfs.curr.vruntime
  place_entity(cfs, p.se, true)
  p.se.vruntime = p.se.vruntime - cfs.min_vruntime
}

/** Is the tree empty? */
export const cfs_idle = (k: Kernel, rq: rq): boolean => rb_first(k.mem, rq.cfs.tasks_timeline.$va) === 0

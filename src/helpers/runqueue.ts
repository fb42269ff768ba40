/** What waits on a CPU's runqueue: real-time tasks by priority, fair tasks by the tree, groups within groups. */

import type { Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { rb_for_each_entry } from '../structures/rbtree.ts'
import { cpu_rq } from './sched.ts'
import type { Kernel } from './kernel.ts'

/** Entities of one queue; more is damage. */
const ENTITIES_MAX = 1_000_000

/** A task that waits for the CPU (or has it), or a group whose queue does. */
export type Queued =
  | { readonly kind: 'task'; readonly prio: number; readonly task: StructRef; readonly current: boolean }
  | { readonly kind: 'group'; readonly prio: number; readonly queue: StructRef }

/** Nice 0: what a group counts as. @see include/linux/sched/prio.h:DEFAULT_PRIO */
const DEFAULT_PRIO = 120

/** The fair queue of a CPU: `struct cfs_rq`. */
export const cpu_cfs_rq = (kernel: Kernel, cpu: number): StructRef => cpu_rq(kernel, cpu).$inside('cfs')

/** The real-time queue of a CPU: `struct rt_rq`. */
export const cpu_rt_rq = (kernel: Kernel, cpu: number): StructRef => cpu_rq(kernel, cpu).$inside('rt')

/** Root of a fair queue's tree, which also says where it lies. */
export const cfs_tree = (queue: StructRef): Va => queue.$vaOf('tasks_timeline')

/**
 * What is on a fair queue: the entity that has the CPU first (it is not in the tree), then the tree from the left.
 *
 * @param queue `struct cfs_rq *`
 * @see kernel/sched/fair.c:__pick_next_entity
 */
export function* cfs_queued(queue: StructRef): Generator<Queued> {
  const { $types: types, $mem: mem } = queue
  const current = queue.$ref('curr')
  if (current !== null) yield fairEntity(current, true)
  for (const entity of rb_for_each_entry(
    types,
    mem,
    cfs_tree(queue),
    'sched_entity',
    'run_node',
    ENTITIES_MAX,
  )) {
    yield fairEntity(entity, false)
  }
}

function fairEntity(entity: StructRef, current: boolean): Queued {
  const queue = entity.$has('my_q') ? entity.$ref('my_q') : null
  if (queue !== null) return { kind: 'group', prio: DEFAULT_PRIO, queue }
  const task = entity.$containerOf('task_struct', 'se')
  return { kind: 'task', prio: Number(task.$int('prio')), task, current }
}

/**
 * What is on a real-time queue, the most urgent first.
 *
 * @param queue `struct rt_rq *`
 * @see kernel/sched/rt.c:pick_next_rt_entity
 */
export function* rt_queued(queue: StructRef): Generator<Queued> {
  const { $types: types, $mem: mem } = queue
  const lists = queue.$array('active.queue')
  for (let prio = 0; prio < lists.length; prio++) {
    const head = lists.$vaAt(prio)
    for (const entity of list_for_each_entry(types, mem, head, 'sched_rt_entity', 'run_list')) {
      const group = entity.$has('my_q') ? entity.$ref('my_q') : null
      if (group !== null) yield { kind: 'group', prio, queue: group }
      else yield { kind: 'task', prio, task: entity.$containerOf('task_struct', 'rt'), current: false }
    }
  }
}

/** A {@link Queued}, and how many groups it is inside of. */
export type QueuedAt = Queued & { readonly depth: number }

/** All below a queue: each group is followed by what is inside, once. */
export function* queued_below(
  queue: StructRef,
  members: (queue: StructRef) => Iterable<Queued>,
  depth = 0,
  seen = new Set<Va>(),
): Generator<QueuedAt> {
  // damage may put a group inside itself
  if (seen.has(queue.$va)) return
  seen.add(queue.$va)
  for (const entry of members(queue)) {
    yield { ...entry, depth }
    if (entry.kind === 'group') yield* queued_below(entry.queue, members, depth + 1, seen)
  }
}

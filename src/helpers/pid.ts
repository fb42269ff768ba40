/** From numbers to tasks: the pid namespace's IDR, and every task there is. */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import { FaultError, LookupError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { hlist_for_each } from '../structures/hlist.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { xa_for_each, xa_load } from '../structures/xarray.ts'
import { globalRef, refAt, symbolVa, type Kernel } from './kernel.ts'
import { per_cpu, possible_cpus } from './percpu.ts'
import { task_at } from './task.ts'

/** PIDTYPE_PID is 0: the list of the (one) task with this thread id. @see include/linux/pid_types.h */
const PIDTYPE_PID = 0

/**
 * Every `struct pid` of a namespace in ascending order.
 *
 * @param ns `struct pid_namespace *`; init_pid_ns when left out
 * @throws FaultError, ValidationError where the IDR is damaged; what comes before has been delivered
 * @see kernel/pid.c:find_ge_pid
 */
export function* for_each_pid(kernel: Kernel, ns?: StructRef): Generator<StructRef> {
  const { types, mem } = kernel
  const namespace = ns ?? globalRef(kernel, 'init_pid_ns', 'pid_namespace')
  const xa = namespace.$va + types.offsetof('pid_namespace', 'idr.idr_rt')
  for (const { entry } of xa_for_each(types, mem, xa)) {
    const va = toVa(entry, mem.wordSize)
    if (!Number.isNaN(va)) yield refAt(kernel, 'pid', va)
  }
}

/** The task of a `struct pid`, null when none has it (a process group or session that outlived its leader). */
export function pid_task(pid: StructRef): StructRef | null {
  const { $types: types, $mem: mem } = pid
  const first = mem.pointer(pid.$vaOf(`tasks[${PIDTYPE_PID}]`))
  if (first === 0) return null
  const link = types.has('task_struct', 'pid_links') ? 'pid_links[0]' : 'pids[0].node'
  return types.ref('task_struct', mem, first - types.offsetof('task_struct', link))
}

/** The task of a number in init_pid_ns. @see kernel/pid.c:find_task_by_pid_ns */
export function find_task(kernel: Kernel, nr: number): StructRef | null {
  const { types, mem } = kernel
  const ns = globalRef(kernel, 'init_pid_ns', 'pid_namespace')
  const entry = xa_load(types, mem, ns.$va + types.offsetof('pid_namespace', 'idr.idr_rt'), nr)
  if (entry === 0n || (entry & 3n) !== 0n) return null
  return pid_task(refAt(kernel, 'pid', toVa(entry, mem.wordSize)))
}

/** The idle task of each CPU, by CPU; those that cannot be read are left out. */
export function idle_tasks(kernel: Kernel, cpus: readonly number[] = possible_cpus(kernel)): Va[] {
  const idle = kernel.types.offsetof('rq', 'idle')
  const found: Va[] = []
  for (const cpu of cpus) {
    const va = readable(() => kernel.mem.pointer(per_cpu(kernel, 'runqueues', cpu) + idle))
    if (va !== undefined && va !== 0 && !Number.isNaN(va)) found.push(va)
  }
  return found.length > 0 ? found : [symbolVa(kernel, 'init_task')]
}

/** What went wrong while the tasks were gathered: the list so far is complete up to there. */
export interface TaskProblem {
  readonly where: string
  readonly error: Error
}

/**
 * Every task: the idle tasks by CPU, then the threads of all processes by thread id.
 *
 * @param problem told once for each part that cannot be read; tasks found by then have been delivered
 * @remarks When the IDR cannot be walked, the ring of processes from init_task and each one's threads are taken.
 */
export function* for_each_task(
  kernel: Kernel,
  problem: (p: TaskProblem) => void = () => undefined,
): Generator<StructRef> {
  const seen = new Set<Va>()
  const fresh = (va: Va): boolean => !seen.has(va) && seen.add(va).has(va)
  for (const va of idle_tasks(kernel)) if (fresh(va)) yield task_at(kernel, va)
  try {
    for (const pid of for_each_pid(kernel)) {
      const task = attempt(() => pid_task(pid), 'init_pid_ns', problem)
      if (task && fresh(task.$va)) yield task
    }
    return
  } catch (error) {
    if (!isDamage(error) && !(error instanceof LookupError)) throw error
    problem({ where: 'init_pid_ns', error })
  }
  for (const task of tasks_of_init_task(kernel, problem)) if (fresh(task.$va)) yield task
}

/** Processes by the ring of `task_struct.tasks`, with each one's threads. @see include/linux/sched/signal.h:for_each_process_thread */
export function* tasks_of_init_task(
  kernel: Kernel,
  problem: (p: TaskProblem) => void = () => undefined,
): Generator<StructRef> {
  const { types, mem } = kernel
  const ring = symbolVa(kernel, 'init_task') + types.offsetof('task_struct', 'tasks')
  try {
    for (const leader of list_for_each_entry(types, mem, ring, 'task_struct', 'tasks')) {
      yield leader
      try {
        for (const thread of thread_group(leader)) if (!thread.$equals(leader)) yield thread
      } catch (error) {
        if (!isDamage(error)) throw error
        problem({ where: `threads of ${toAddr(leader.$va).toString(16)}`, error })
      }
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    problem({ where: 'init_task.tasks', error })
  }
}

/** The threads of a process, the leader first. @see include/linux/sched/signal.h:for_each_thread */
export function* thread_group(task: StructRef): Generator<StructRef> {
  const signal = task.$ref('signal')
  if (signal === null) return
  const head = signal.$vaOf('thread_head')
  yield* list_for_each_entry(task.$types, task.$mem, head, 'task_struct', 'thread_node')
}

/** The children of a process (of all its threads), in order of birth. */
export function* children(task: StructRef): Generator<StructRef> {
  yield* list_for_each_entry(task.$types, task.$mem, task.$vaOf('children'), 'task_struct', 'sibling')
}

/** Tasks of a process group or session: the list of another kind of a `struct pid`. @see include/linux/pid.h:do_each_pid_task */
export function* pid_tasks(pid: StructRef, type: number): Generator<StructRef> {
  const { $types: types, $mem: mem } = pid
  const offset = types.offsetof('task_struct', `pid_links[${type}]`)
  for (const node of hlist_for_each(mem, pid.$vaOf(`tasks[${type}]`))) {
    yield types.ref('task_struct', mem, node - offset)
  }
}

const isDamage = (error: unknown): error is FaultError | ValidationError =>
  error instanceof FaultError || error instanceof ValidationError

function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isDamage(error)) return undefined
    throw error
  }
}

function attempt<T>(read: () => T, where: string, problem: (p: TaskProblem) => void): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!isDamage(error)) throw error
    problem({ where, error })
    return undefined
  }
}

/**
 * The core of the scheduler: sleeping, waking and switching. `schedule` takes the current task off its CPU and
 * picks another; the coroutine of whoever is current is resumed by the machine loop (`sched/run.ts`).
 *
 * @see kernel/sched/core.c
 * @remarks a task stays on the CPU it was given; nothing is balanced between runqueues
 */

import { toVa } from '../../../base/addr.ts'
import { InvariantError } from '../../../base/errors.ts'
import type { rq, task_struct, wait_queue_entry } from '../../../btf/vmlinux.ts'
import {
  TASK_RUNNING,
  TIF_NEED_RESCHED,
  TIF_SIGPENDING,
  TASK_INTERRUPTIBLE,
  TASK_WAKEKILL,
  TASK_NORMAL,
} from '../../../abi/sched.ts'
import { SIGKILL, sigmask } from '../../../abi/signal.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel, Thread } from '../../kernel.ts'
import { context_switch } from './switch.ts'
import {
  cpu_rq,
  dequeue_task_fair,
  enqueue_task_fair,
  pick_next_task_fair,
  put_prev_entity,
  update_curr,
} from './fair.ts'

/** What a context switch costs, in nanoseconds of virtual time. */
const SWITCH_NS = 1500

/** @see include/linux/sched.h:task_cpu */
export const task_cpu = (task: task_struct): number => task.thread_info.cpu

export const test_tsk_flag = (task: task_struct, flag: number): boolean =>
  ((task.thread_info.flags >> BigInt(flag)) & 1n) !== 0n

export function set_tsk_flag(task: task_struct, flag: number): void {
  task.thread_info.flags = task.thread_info.flags | (1n << BigInt(flag))
}

export function clear_tsk_flag(task: task_struct, flag: number): void {
  if (test_tsk_flag(task, flag)) task.thread_info.flags = task.thread_info.flags & ~(1n << BigInt(flag))
}

/** @see include/linux/sched/signal.h:signal_pending */
export const signal_pending = (task: task_struct): boolean => test_tsk_flag(task, TIF_SIGPENDING)

/** @see include/linux/sched/signal.h:signal_pending_state */
function signal_pending_state(state: number, task: task_struct): boolean {
  if ((state & (TASK_INTERRUPTIBLE | TASK_WAKEKILL)) === 0 || !signal_pending(task)) return false
  return (state & TASK_INTERRUPTIBLE) !== 0 || fatal_signal_pending(task)
}

/** @see include/linux/sched/signal.h:fatal_signal_pending */
export const fatal_signal_pending = (task: task_struct): boolean =>
  signal_pending(task) && ((task.pending.signal.sig.get(0) as bigint) & sigmask(SIGKILL)) !== 0n

/** @see include/linux/sched.h:set_current_state */
export function set_current_state(k: Kernel, state: number): void {
  k.current.__state = state
}

/** Bring a runqueue's clock up to now. @see kernel/sched/core.c:update_rq_clock */
export function update_rq_clock(k: Kernel, rq: rq): void {
  const now = BigInt(Math.floor(k.clock.nowNs))
  if (rq.clock === now) return
  rq.clock = now
  rq.clock_task = now
  rq.clock_pelt = now
}

/** @see kernel/sched/core.c:activate_task */
export const activate_task = kfunc(
  'kernel/sched/core.c',
  function activate_task(k, rq: rq, p: task_struct, wakeup: boolean) {
    if (p.sched_info.last_queued === 0n) p.sched_info.last_queued = rq.clock
    enqueue_task_fair(k, rq, p, wakeup)
    p.on_rq = 1
  },
)

/** @see kernel/sched/core.c:deactivate_task */
export const deactivate_task = kfunc(
  'kernel/sched/core.c',
  function deactivate_task(k, rq: rq, p: task_struct) {
    p.on_rq = 0
    dequeue_task_fair(k, rq, p)
  },
)

/** Ask the running task to give way at the next chance. @see kernel/sched/core.c:resched_curr */
export const resched_curr = kfunc('kernel/sched/core.c', function resched_curr(_k, rq: rq) {
  if (rq.curr !== null) set_tsk_flag(rq.curr, TIF_NEED_RESCHED)
})

const ttwu_do_wakeup = kfunc('kernel/sched/core.c', function ttwu_do_wakeup(k, rq: rq, p: task_struct) {
  if (rq.curr !== null && rq.idle !== null && rq.curr.$equals(rq.idle)) resched_curr(k, rq)
  p.__state = TASK_RUNNING
})

const ttwu_do_activate = kfunc('kernel/sched/core.c', function ttwu_do_activate(k, rq: rq, p: task_struct) {
  activate_task(k, rq, p, true)
  ttwu_do_wakeup(k, rq, p)
})

/**
 * Wake a task if it sleeps in one of the states of `state`.
 * @returns whether it did
 * @see kernel/sched/core.c:try_to_wake_up
 */
export const try_to_wake_up = kfunc(
  'kernel/sched/core.c',
  function try_to_wake_up(k, p: task_struct, state: number, _flags: number): boolean {
    if ((p.__state & state) === 0) return false
    const rq = cpu_rq(k, task_cpu(p))
    update_rq_clock(k, rq)
    if (p.on_rq !== 0) {
      // woken between preparing to sleep and schedule()
      p.__state = TASK_RUNNING
      return true
    }
    ttwu_do_activate(k, rq, p)
    p.wake_cpu = task_cpu(p)
    k.current.last_wakee = p
    return true
  },
)

/** @see kernel/sched/core.c:wake_up_process */
export const wake_up_process = kfunc(
  'kernel/sched/core.c',
  function wake_up_process(k, p: task_struct): boolean {
    return try_to_wake_up(k, p, TASK_NORMAL, 0)
  },
)

/** @see kernel/sched/core.c:wake_up_state */
export const wake_up_state = kfunc(
  'kernel/sched/core.c',
  function wake_up_state(k, p: task_struct, state: number): boolean {
    return try_to_wake_up(k, p, state, 0)
  },
)

/** The function of an ordinary wait queue entry. @see kernel/sched/core.c:default_wake_function */
export const default_wake_function = kfunc(
  'kernel/sched/core.c',
  function default_wake_function(
    k,
    entry: wait_queue_entry,
    mode: number,
    flags: number,
    _key: number,
  ): number {
    return try_to_wake_up(k, k.ref('task_struct', entry.private), mode, flags) ? 1 : 0
  },
)

/** Who runs next on this CPU: the fair class, or the idle task. @see kernel/sched/core.c:pick_next_task */
function pick_next_task(k: Kernel, rq: rq, prev: task_struct): task_struct {
  put_prev_entity(k, rq, prev)
  return pick_next_task_fair(k, rq) ?? (rq.idle as task_struct)
}

/** Decide who runs, and switch to it. The caller of {@link schedule} is suspended right behind this. */
function pickAndSwitch(k: Kernel, preempt: boolean): void {
  const rq = cpu_rq(k)
  const prev = k.current
  update_rq_clock(k, rq)
  const state = prev.__state
  let voluntary = false
  if (!preempt && state !== TASK_RUNNING) {
    if (signal_pending_state(state, prev)) prev.__state = TASK_RUNNING
    else deactivate_task(k, rq, prev)
    voluntary = true
  }
  const next = pick_next_task(k, rq, prev)
  clear_tsk_flag(prev, TIF_NEED_RESCHED)
  if (next.$equals(prev)) return
  rq.nr_switches = rq.nr_switches + 1n
  rq.curr = next
  if (voluntary) prev.nvcsw = prev.nvcsw + 1n
  else prev.nivcsw = prev.nivcsw + 1n
  k.clock.spend(SWITCH_NS)
  context_switch(k, rq, prev, next)
}

const __schedule = kfunc('kernel/sched/core.c', function* __schedule(k, preempt: boolean): Generator<
  unknown,
  void
> {
  const thread = k.thread
  pickAndSwitch(k, preempt)
  while (k.thread !== thread) yield
})

/**
 * Give up the CPU: for good until woken when the task's state is not TASK_RUNNING, else until its turn comes.
 * @see kernel/sched/core.c:schedule
 */
export const schedule = kfunc('kernel/sched/core.c', function* schedule(k): Generator<unknown, void> {
  do yield* __schedule(k, false)
  while (test_tsk_flag(k.current, TIF_NEED_RESCHED))
})

/** Another task has become more urgent: the current one stays runnable. @see kernel/sched/core.c:preempt_schedule */
export const preempt_schedule = kfunc('kernel/sched/core.c', function* preempt_schedule(k): Generator<
  unknown,
  void
> {
  yield* __schedule(k, true)
})

/** The idle task's way to another task; it is no coroutine, so its frames are set by the caller. @see kernel/sched/core.c:schedule_idle */
export function switchFromIdle(k: Kernel): void {
  if (k.thread !== k.cpu.idle) throw new InvariantError('only the idle task leaves idle')
  pickAndSwitch(k, false)
}

/** Let others run first. @see kernel/sched/core.c:yield */
export function* cond_resched(k: Kernel): Generator<unknown, void> {
  if (test_tsk_flag(k.current, TIF_NEED_RESCHED)) yield* preempt_schedule(k)
}

/** Charge the running tasks up to now, so that memory says how long they ran. */
export function chargeAll(k: Kernel): void {
  for (const { id } of k.cpus) {
    const rq = cpu_rq(k, id)
    update_rq_clock(k, rq)
    update_curr(k, rq.cfs)
  }
}

/** The stack a task has, as an address. @see include/linux/sched/task_stack.h:task_stack_page */
export const task_stack_page = (k: Kernel, task: task_struct): number => toVa(task.stack, k.mem.wordSize)

/** Is this thread the one its CPU runs? */
export const isRunning = (k: Kernel, thread: Thread): boolean =>
  k.cpus.some(({ current }) => current === thread)

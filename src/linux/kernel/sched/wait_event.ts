/** Sleeping on a wait queue until something is so. @see include/linux/wait.h:___wait_event, kernel/sched/wait.c:wait_woken */

import type { wait_queue_entry, wait_queue_head } from '../../../btf/vmlinux.ts'
import { ERESTARTSYS } from '../../../abi/errno.ts'
import { MAX_SCHEDULE_TIMEOUT } from '../../../abi/jiffies.ts'
import {
  TASK_INTERRUPTIBLE,
  TASK_RUNNING,
  TASK_UNINTERRUPTIBLE,
  WQ_FLAG_EXCLUSIVE,
} from '../../../abi/sched.ts'
import { INIT_LIST_HEAD, list_add_tail, list_del_init, list_empty } from '../../../structures/list.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { schedule_timeout } from '../time/timer.ts'
import { schedule, signal_pending } from './core.ts'
import { __add_wait_queue, autoremove_wake_function, finish_wait, take_woken } from './wait.ts'

/** Bytes of a `wait_queue_entry`: what a function that waits declares as `locals`. */
export const WAIT_ENTRY_BYTES = 40

/** @see kernel/sched/wait.c:init_wait_entry */
export const init_wait_entry = kfunc(
  'kernel/sched/wait.c',
  function init_wait_entry(k, entry: wait_queue_entry, flags: number) {
    entry.flags = flags
    entry.private = k.current.$addr
    entry.func = k.text(autoremove_wake_function)
    INIT_LIST_HEAD(k.mem, entry.entry.$va)
  },
)

/** @returns 0, or -ERESTARTSYS when a signal ends an interruptible wait @see kernel/sched/wait.c:prepare_to_wait_event */
export const prepare_to_wait_event = kfunc(
  'kernel/sched/wait.c',
  function prepare_to_wait_event(k, head: wait_queue_head, entry: wait_queue_entry, state: number): number {
    if ((state & TASK_INTERRUPTIBLE) !== 0 && signal_pending(k.current)) {
      if (!list_empty(k.mem, entry.entry.$va)) list_del_init(k.mem, entry.entry.$va)
      return -ERESTARTSYS
    }
    if (list_empty(k.mem, entry.entry.$va)) {
      if ((entry.flags & WQ_FLAG_EXCLUSIVE) !== 0) list_add_tail(k.mem, entry.entry.$va, head.head.$va)
      else __add_wait_queue(k, head, entry)
    }
    k.current.__state = state
    return 0
  },
)

/**
 * Sleep until `condition`. Inlined into its caller, which declares `locals: WAIT_ENTRY_BYTES`.
 * @returns 0, or -ERESTARTSYS
 * @see include/linux/wait.h:___wait_event
 */
export function* wait_event_state(
  k: Kernel,
  head: wait_queue_head,
  state: number,
  exclusive: boolean,
  condition: () => boolean,
): Generator<unknown, number> {
  if (condition()) return 0
  const entry = k.local('wait_queue_entry')
  init_wait_entry(k, entry, exclusive ? WQ_FLAG_EXCLUSIVE : 0)
  for (;;) {
    const interrupted = prepare_to_wait_event(k, head, entry, state)
    if (condition()) break
    if (interrupted !== 0) return interrupted
    yield* schedule(k)
  }
  finish_wait(k, head, entry)
  return 0
}

/** @see include/linux/wait.h:wait_event_interruptible */
export const wait_event_interruptible = (
  k: Kernel,
  head: wait_queue_head,
  condition: () => boolean,
): Generator<unknown, number> => wait_event_state(k, head, TASK_INTERRUPTIBLE, false, condition)

/** @see include/linux/wait.h:wait_event_interruptible_exclusive */
export const wait_event_interruptible_exclusive = (
  k: Kernel,
  head: wait_queue_head,
  condition: () => boolean,
): Generator<unknown, number> => wait_event_state(k, head, TASK_INTERRUPTIBLE, true, condition)

/** @see include/linux/wait.h:wait_event */
export const wait_event = (
  k: Kernel,
  head: wait_queue_head,
  condition: () => boolean,
): Generator<unknown, number> => wait_event_state(k, head, TASK_UNINTERRUPTIBLE, false, condition)

/**
 * Sleep until the entry's woken_wake_function has run, or `timeout` jiffies.
 * @returns jiffies left
 * @see kernel/sched/wait.c:wait_woken
 */
export const wait_woken = kfunc(
  'kernel/sched/wait.c',
  function* wait_woken(
    k,
    entry: wait_queue_entry,
    mode: number,
    timeout: bigint = MAX_SCHEDULE_TIMEOUT(k.mem.wordSize),
  ): Generator<unknown, bigint> {
    k.current.__state = mode
    let left = timeout
    if ((entry.flags & 0x2) === 0) left = yield* schedule_timeout(k, timeout)
    k.current.__state = TASK_RUNNING
    take_woken(entry)
    return left
  },
)

/**
 * Wait queues: lists of entries in memory, each with the function that wakes what waits on it. Entries lie on
 * the waiters' stacks.
 *
 * @see kernel/sched/wait.c
 */

import type { wait_queue_entry, wait_queue_head } from '../../../btf/vmlinux.ts'
import { TASK_NORMAL, TASK_RUNNING, WQ_FLAG_EXCLUSIVE } from '../../../abi/sched.ts'
import {
  INIT_LIST_HEAD,
  list_add,
  list_add_tail,
  list_del,
  list_del_init,
  list_empty,
  list_for_each_entry,
} from '../../../structures/list.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { default_wake_function } from './core.ts'

/** `wait_queue_entry.func`: > 0 woke, 0 did not, < 0 end the walk. `key` is what the waker passed: a poll mask, a task. */
export type WakeFunction = (
  k: Kernel,
  entry: wait_queue_entry,
  mode: number,
  flags: number,
  key: number,
) => number

const WQ_FLAG_WOKEN = 0x2
const WQ_FLAG_PRIORITY = 0x10

/** @see include/linux/wait.h:init_waitqueue_head */
export function init_waitqueue_head(k: Kernel, head: wait_queue_head): void {
  head.lock.$set('rlock.raw_lock.val.counter', 0)
  INIT_LIST_HEAD(k.mem, head.head.$va)
}

/** Does anybody wait? @see include/linux/wait.h:waitqueue_active */
export const waitqueue_active = (k: Kernel, head: wait_queue_head): boolean =>
  !list_empty(k.mem, head.head.$va)

/** An entry that wakes the current task. @see include/linux/wait.h:init_waitqueue_entry */
export function init_waitqueue_entry(k: Kernel, entry: wait_queue_entry): void {
  entry.flags = 0
  entry.private = k.current.$addr
  entry.func = k.text(default_wake_function)
}

/** An entry with a function of its own. @see include/linux/wait.h:init_waitqueue_func_entry */
export function init_waitqueue_func_entry(entry: wait_queue_entry, func: bigint): void {
  entry.flags = 0
  entry.private = 0n
  entry.func = func
}

/**
 * An entry on the running function's stack (`locals: 40`) that takes itself off the queue when woken.
 * @see include/linux/wait.h:DEFINE_WAIT
 */
export function DEFINE_WAIT(
  k: Kernel,
  func: { readonly kfunc: { readonly name: string } } = autoremove_wake_function,
): wait_queue_entry {
  const entry = k.local('wait_queue_entry')
  entry.private = k.current.$addr
  entry.func = k.text(func as typeof autoremove_wake_function)
  INIT_LIST_HEAD(k.mem, entry.entry.$va)
  return entry
}

/** Priority waiters stay first. @see include/linux/wait.h:__add_wait_queue */
export function __add_wait_queue(k: Kernel, head: wait_queue_head, entry: wait_queue_entry): void {
  let at = head.head.$va
  for (const other of list_for_each_entry(k.types, k.mem, head.head.$va, 'wait_queue_entry', 'entry')) {
    if ((other.flags & WQ_FLAG_PRIORITY) === 0) break
    at = other.entry.$va
  }
  list_add(k.mem, entry.entry.$va, at)
}

/** @see kernel/sched/wait.c:add_wait_queue */
export const add_wait_queue = kfunc(
  'kernel/sched/wait.c',
  function add_wait_queue(k, head: wait_queue_head, entry: wait_queue_entry) {
    entry.flags = entry.flags & ~WQ_FLAG_EXCLUSIVE
    __add_wait_queue(k, head, entry)
  },
)

/** @see kernel/sched/wait.c:add_wait_queue_exclusive */
export const add_wait_queue_exclusive = kfunc(
  'kernel/sched/wait.c',
  function add_wait_queue_exclusive(k, head: wait_queue_head, entry: wait_queue_entry) {
    entry.flags = entry.flags | WQ_FLAG_EXCLUSIVE
    list_add_tail(k.mem, entry.entry.$va, head.head.$va)
  },
)

/** @see kernel/sched/wait.c:remove_wait_queue */
export const remove_wait_queue = kfunc(
  'kernel/sched/wait.c',
  function remove_wait_queue(k, _head: wait_queue_head, entry: wait_queue_entry) {
    list_del(k.mem, entry.entry.$va)
  },
)

/** Join the queue if not on it, and be in `state` when schedule() is called. @see kernel/sched/wait.c:prepare_to_wait */
export const prepare_to_wait = kfunc(
  'kernel/sched/wait.c',
  function prepare_to_wait(k, head: wait_queue_head, entry: wait_queue_entry, state: number) {
    entry.flags = entry.flags & ~WQ_FLAG_EXCLUSIVE
    if (list_empty(k.mem, entry.entry.$va)) __add_wait_queue(k, head, entry)
    k.current.__state = state
  },
)

/** @returns whether the queue was empty @see kernel/sched/wait.c:prepare_to_wait_exclusive */
export const prepare_to_wait_exclusive = kfunc(
  'kernel/sched/wait.c',
  function prepare_to_wait_exclusive(
    k,
    head: wait_queue_head,
    entry: wait_queue_entry,
    state: number,
  ): boolean {
    let wasEmpty = false
    entry.flags = entry.flags | WQ_FLAG_EXCLUSIVE
    if (list_empty(k.mem, entry.entry.$va)) {
      wasEmpty = list_empty(k.mem, head.head.$va)
      list_add_tail(k.mem, entry.entry.$va, head.head.$va)
    }
    k.current.__state = state
    return wasEmpty
  },
)

/** Done waiting: running again, off the queue. @see kernel/sched/wait.c:finish_wait */
export const finish_wait = kfunc(
  'kernel/sched/wait.c',
  function finish_wait(k, _head: wait_queue_head, entry: wait_queue_entry) {
    k.current.__state = TASK_RUNNING
    if (!list_empty(k.mem, entry.entry.$va)) list_del_init(k.mem, entry.entry.$va)
  },
)

/** Wake, and leave the queue if that worked. @see kernel/sched/wait.c:autoremove_wake_function */
export const autoremove_wake_function = kfunc(
  'kernel/sched/wait.c',
  function autoremove_wake_function(
    k,
    entry: wait_queue_entry,
    mode: number,
    flags: number,
    key: number,
  ): number {
    const woke = default_wake_function(k, entry, mode, flags, key)
    if (woke !== 0) list_del_init(k.mem, entry.entry.$va)
    return woke
  },
)

/** Remembers that it was woken; for {@link wait_woken}. @see kernel/sched/wait.c:woken_wake_function */
export const woken_wake_function = kfunc(
  'kernel/sched/wait.c',
  function woken_wake_function(k, entry: wait_queue_entry, mode: number, flags: number, key: number): number {
    entry.flags = entry.flags | WQ_FLAG_WOKEN
    return default_wake_function(k, entry, mode, flags, key)
  },
)

/** Has {@link woken_wake_function} run since? Clears the mark. */
export function take_woken(entry: wait_queue_entry): boolean {
  const woken = (entry.flags & WQ_FLAG_WOKEN) !== 0
  entry.flags = entry.flags & ~WQ_FLAG_WOKEN
  return woken
}

/** Call the entries' functions until `nr` exclusive waiters have woken. @see kernel/sched/wait.c:__wake_up_common */
export const __wake_up_common = kfunc(
  'kernel/sched/wait.c',
  function __wake_up_common(
    k,
    head: wait_queue_head,
    mode: number,
    nrExclusive: number,
    wakeFlags: number,
    key: number,
  ) {
    let left = nrExclusive
    // entries take themselves off the list while it is walked
    const entries = [...list_for_each_entry(k.types, k.mem, head.head.$va, 'wait_queue_entry', 'entry')]
    for (const entry of entries) {
      const { flags } = entry
      const woke = k.indirect<WakeFunction>(entry.func)(k, entry, mode, wakeFlags, key)
      if (woke < 0) break
      if (woke > 0 && (flags & WQ_FLAG_EXCLUSIVE) !== 0 && --left === 0) break
    }
  },
)

const __wake_up_common_lock = kfunc(
  'kernel/sched/wait.c',
  function __wake_up_common_lock(
    k,
    head: wait_queue_head,
    mode: number,
    nr: number,
    flags: number,
    key: number,
  ) {
    __wake_up_common(k, head, mode, nr, flags, key)
  },
)

/**
 * Wake the waiters of a queue.
 * @param nr exclusive waiters to wake; 0 is all
 * @param key what the waiters' functions look at: a poll mask
 * @see kernel/sched/wait.c:__wake_up
 */
export const __wake_up = kfunc(
  'kernel/sched/wait.c',
  function __wake_up(k, head: wait_queue_head, mode: number, nr: number, key: number = 0) {
    __wake_up_common_lock(k, head, mode, nr, 0, key)
  },
)

/** @see kernel/sched/wait.c:__wake_up_sync_key */
export const __wake_up_sync_key = kfunc(
  'kernel/sched/wait.c',
  function __wake_up_sync_key(k, head: wait_queue_head, mode: number, key: number) {
    __wake_up_common_lock(k, head, mode, 1, WF_SYNC, key)
  },
)
/** The waker is about to sleep. @see kernel/sched/sched.h */
const WF_SYNC = 0x10

/** @see include/linux/wait.h:wake_up */
export const wake_up = (k: Kernel, head: wait_queue_head): void => __wake_up(k, head, TASK_NORMAL, 1, 0)
/** @see include/linux/wait.h:wake_up_all */
export const wake_up_all = (k: Kernel, head: wait_queue_head): void => __wake_up(k, head, TASK_NORMAL, 0, 0)
/** @see include/linux/wait.h:wake_up_interruptible */
export const wake_up_interruptible = (k: Kernel, head: wait_queue_head): void => __wake_up(k, head, 1, 1, 0)

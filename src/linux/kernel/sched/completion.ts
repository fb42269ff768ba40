/** Completions: wait until somebody says it is done. @see kernel/sched/completion.c */

import type { completion } from '../../../btf/vmlinux.ts'
import { TASK_NORMAL, TASK_RUNNING } from '../../../abi/sched.ts'
import { INIT_LIST_HEAD, list_add_tail, list_del_init, list_empty } from '../../../structures/list.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { schedule, try_to_wake_up } from './core.ts'

/** Bytes of a `struct swait_queue`: what a function that waits declares as `locals`. */
export const SWAIT_QUEUE_BYTES = 24

/** @see include/linux/completion.h:init_completion */
export function init_completion(k: Kernel, x: completion): void {
  x.done = 0
  INIT_LIST_HEAD(k.mem, x.wait.task_list.$va)
}

/** Wake one waiter. @see kernel/sched/completion.c:complete */
export const complete = kfunc('kernel/sched/completion.c', function complete(k, x: completion) {
  x.done = x.done + 1
  const head = x.wait.task_list.$va
  if (list_empty(k.mem, head)) return
  // struct swait_queue { struct task_struct *task; struct list_head task_list; }
  const waiter = k.mem.pointer(head)
  try_to_wake_up(k, k.ref('task_struct', k.mem.pointer(waiter - k.mem.wordSize)), TASK_NORMAL, 0)
  list_del_init(k.mem, waiter)
})

/**
 * Sleep in `state` until completed. The caller declares `locals: SWAIT_QUEUE_BYTES`.
 * @see kernel/sched/completion.c:do_wait_for_common
 */
export function* wait_for_common(k: Kernel, x: completion, state: number): Generator<unknown, void> {
  const done = (): boolean => x.done !== 0
  if (!done()) {
    const task = k.local('hlist_head')
    const list = k.local('list_head').$va
    k.mem.setPointer(task.$va, k.current.$va)
    INIT_LIST_HEAD(k.mem, list)
    do {
      if (list_empty(k.mem, list)) list_add_tail(k.mem, list, x.wait.task_list.$va)
      k.current.__state = state
      yield* schedule(k)
    } while (!done())
    k.current.__state = TASK_RUNNING
    if (!list_empty(k.mem, list)) list_del_init(k.mem, list)
  }
  x.done = x.done - 1
}

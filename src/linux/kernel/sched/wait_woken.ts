/** Sleeping on an entry that remembers being woken: no wake-up is lost between the test and the sleep. */

import type { wait_queue_entry } from '../../../btf/vmlinux.ts'
import { TASK_RUNNING } from '../../../abi/sched.ts'
import { kfunc } from '../../kfunc.ts'
import { schedule_timeout } from '../time/timer.ts'
import { set_current_state } from './core.ts'
import { take_woken } from './wait.ts'

const WQ_FLAG_WOKEN = 0x2

/**
 * @param entry   made with woken_wake_function, on its queue
 * @param mode    TASK_…
 * @param timeout jiffies
 * @returns jiffies left
 * @see kernel/sched/wait.c:wait_woken
 */
export const wait_woken = kfunc(
  'kernel/sched/wait.c',
  function* wait_woken(
    k,
    entry: wait_queue_entry,
    mode: number,
    timeout: bigint,
  ): Generator<unknown, bigint> {
    set_current_state(k, mode)
    let left = timeout
    if ((entry.flags & WQ_FLAG_WOKEN) === 0) left = yield* schedule_timeout(k, left)
    k.current.__state = TASK_RUNNING
    take_woken(entry)
    return left
  },
)

/** Work a task does for itself before it returns to user space. @see kernel/task_work.c */

import type { callback_head, task_struct } from '../../btf/vmlinux.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { sleepable, type MaySleep } from '../sleepable.ts'

type TaskWork = (k: Kernel, work: callback_head) => MaySleep<unknown>

/** Put work at the head of the task's list. @see kernel/task_work.c:task_work_add */
export const task_work_add = kfunc(
  'kernel/task_work.c',
  function task_work_add(k, task: task_struct, work: callback_head, func: bigint) {
    k.mem.setWord(work.$vaOf('func'), func)
    work.next = task.task_works
    task.task_works = work
  },
)

/** The list was built backwards: the last added runs first, as there. @see kernel/task_work.c:task_work_run */
export const task_work_run = kfunc('kernel/task_work.c', function* task_work_run(k): Generator<
  unknown,
  void
> {
  for (;;) {
    let work = k.current.task_works
    if (work === null) return
    k.current.task_works = null
    while (work !== null) {
      const next: callback_head | null = work.next
      const func = k.mem.word(work.$vaOf('func'))
      yield* sleepable(k.indirect<TaskWork>(func)(k, work))
      work = next
    }
  }
})

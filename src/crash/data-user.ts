/** The user memory of the session's current task. */

import { UsageError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import type { Target, UserMemory } from '../target/target.ts'
import type { Context } from './context.ts'

/**
 * The current task: what `set` chose, else the one that panicked or CPU 0's.
 *
 * @throws LookupError when the kernel has no tasks we know how to find
 */
export function currentTask(target: Target, context: Context): StructRef {
  if (context.task !== undefined) return target.ref('task_struct', context.task)
  return target.ref('task_struct', target.symVa('init_task'))
}

/** @throws UsageError when the current task is a kernel thread */
export function currentUserMemory(target: Target, context: Context): UserMemory {
  const memory = target.userMemory(currentTask(target, context))
  if (memory === undefined) throw new UsageError('u', 'the current task has no user memory')
  return memory
}

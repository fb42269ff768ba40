/** The user memory of the session's current task. */

import { UsageError } from '../base/errors.ts'
import type { Target, UserMemory } from '../target/target.ts'
import type { Context } from './context.ts'
import { currentTask } from './task-words.ts'

/** Undefined when there is no current task, or it is a kernel thread. */
export function findUserMemory(target: Target, context: Context): UserMemory | undefined {
  const current = currentTask(target, context)
  return current === undefined ? undefined : target.userMemory(current.task)
}

/** @throws UsageError when the current task is a kernel thread */
export function currentUserMemory(target: Target, context: Context): UserMemory {
  const memory = findUserMemory(target, context)
  if (memory === undefined) throw new UsageError('u', 'the current task has no user memory')
  return memory
}

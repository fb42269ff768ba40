/** The coroutine behind each task: what runs when the scheduler picks it. A handle, found by the task's address. */

import { toVa, type Va } from '../../../base/addr.ts'
import { InvariantError } from '../../../base/errors.ts'
import type { StructRef } from '../../../btf/ref.ts'
import type { task_struct } from '../../../btf/vmlinux.ts'
import { task_pt_regs } from '../../arch/x86/kernel/stack.ts'
import { perKernel, type Kernel, type Thread } from '../../kernel.ts'

/** What a task executes; `null` in an idle task. */
export type Coroutine = Generator<unknown, unknown, unknown> | null

const threads = perKernel(() => new Map<Va, Thread>())

/** A thread for a task whose stack is set up; its first frame will lie below the saved user registers. */
export function newThread(k: Kernel, task: task_struct, coroutine: Coroutine, cpu: number): Thread {
  const thread: Thread = {
    task,
    frames: [],
    stackPointers: [],
    localsUsed: [],
    sp: task_pt_regs(k, toVa(task.stack, k.mem.wordSize)),
    coroutine,
    cpu,
    queued: false,
  }
  threads(k).set(task.$va, thread)
  return thread
}

/** @throws InvariantError for a task nobody made */
export function threadOf(k: Kernel, task: StructRef): Thread {
  const thread = threads(k).get(task.$va)
  if (thread === undefined) throw new InvariantError(`no thread behind task ${task.$addr.toString(16)}`)
  return thread
}

/** A thread that exists already (the boot processor's) takes its place in the table. */
export function adoptThread(k: Kernel, thread: Thread): void {
  threads(k).set(thread.task.$va, thread)
}

/** The task is freed. */
export function dropThread(k: Kernel, task: StructRef): void {
  threads(k).delete(task.$va)
}

/** Every thread there is, in the order of their making. */
export const allThreads = (k: Kernel): Thread[] => [...threads(k).values()]

/**
 * TOMOYO without a policy: every task is in the kernel's own domain, which its blob points at.
 *
 * @see security/tomoyo/tomoyo.c
 */

import { toVa } from '../../base/addr.ts'
import type { task_struct } from '../../btf/vmlinux.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { blobPart } from './security/blob.ts'

/** `struct tomoyo_task`: the domain, and the one before an execve that is under way. */
const taskPart = (k: Kernel, task: task_struct): number =>
  blobPart(k, task.security, 'tomoyo_blob_sizes', 'lbs_task')

/** @see security/tomoyo/tomoyo.c:tomoyo_init */
export function tomoyo_init(k: Kernel): void {
  const init = k.global('init_task', 'task_struct')
  k.mem.setPointer(taskPart(k, init), toVa(k.sym('tomoyo_kernel_domain'), k.mem.wordSize))
}

/**
 * A new task is in its maker's domain.
 * @see security/tomoyo/tomoyo.c:tomoyo_task_alloc
 * @remarks domains are not counted: there is only the one that stays.
 */
export const tomoyo_task_alloc = kfunc(
  'security/tomoyo/tomoyo.c',
  function tomoyo_task_alloc(k, task: task_struct): number {
    const { current } = k
    if (current.security !== 0n) k.mem.setPointer(taskPart(k, task), k.mem.pointer(taskPart(k, current)))
    return 0
  },
)

/** How a file's poll operation says what to wait for. @see include/linux/poll.h:poll_wait */

import type { StructRef } from '../../btf/ref.ts'
import type { file, wait_queue_head } from '../../btf/vmlinux.ts'
import type { Kernel } from '../kernel.ts'

/** `poll_table *`; null (or one without `_qproc`) asks without waiting. */
export type PollTable = StructRef | null

/** `poll_table._qproc` */
export type QueueProc = (k: Kernel, file: file, head: wait_queue_head, table: StructRef) => void

/** `file_operations.poll` */
export type Poll = (k: Kernel, file: file, wait: PollTable) => number

/** Put the waiter of `table` on a queue. @see include/linux/poll.h:poll_wait */
export function poll_wait(k: Kernel, file: file, head: wait_queue_head, table: PollTable): void {
  if (table === null) return
  const queue = table.$int('_qproc')
  if (queue !== 0n) k.indirect<QueueProc>(queue)(k, file, head, table)
}

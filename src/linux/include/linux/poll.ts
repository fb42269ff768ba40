/** Asking a file what it is ready for, and leaving an entry on its wait queues meanwhile. @see include/linux/poll.h */

import type { file, poll_table_struct } from '../../../btf/vmlinux.ts'
import { DEFAULT_POLLMASK } from '../../../abi/poll.ts'
import type { Poll } from '../../fs/poll_wait.ts'
import type { Kernel } from '../../kernel.ts'

export { poll_wait, type Poll, type QueueProc } from '../../fs/poll_wait.ts'

/** @see include/linux/poll.h:poll_does_not_wait */
export const poll_does_not_wait = (p: poll_table_struct | null): boolean => p === null || p._qproc === 0n

/** Events the caller is interested in. @see include/linux/poll.h:poll_requested_events */
export const poll_requested_events = (p: poll_table_struct | null): number =>
  p === null ? 0xffff_ffff : p._key

/** @see include/linux/poll.h:init_poll_funcptr */
export function init_poll_funcptr(p: poll_table_struct, qproc: bigint): void {
  p._qproc = qproc
  p._key = 0xffff_ffff
}

/** @see include/linux/poll.h:vfs_poll */
export function vfs_poll(k: Kernel, file: file, p: poll_table_struct | null): number {
  const poll = file.f_op?.poll ?? 0n
  return poll === 0n ? DEFAULT_POLLMASK : k.indirect<Poll>(poll)(k, file, p)
}

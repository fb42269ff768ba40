/** The ring of a pipe: how full it is, its buffers, and the lock. @see fs/pipe.c, include/linux/pipe_fs_i.h */

import type {
  page,
  pipe_buffer,
  pipe_inode_info,
  wait_queue_entry,
  wait_queue_head,
} from '../../../btf/vmlinux.ts'
import { EPOLLIN, EPOLLOUT, EPOLLRDNORM, EPOLLWRNORM } from '../../../abi/poll.ts'
import { TASK_INTERRUPTIBLE, WQ_FLAG_EXCLUSIVE } from '../../../abi/sched.ts'
import { deref } from '../../deref.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { schedule } from '../../kernel/sched/core.ts'
import { __wake_up_sync_key, finish_wait } from '../../kernel/sched/wait.ts'
import { init_wait_entry, prepare_to_wait_event } from '../../kernel/sched/wait_event.ts'
import { free_pages, page_to_pfn } from '../../mm/page_alloc.ts'

/** `pipe_buf_operations.release` */
type Release = (k: Kernel, pipe: pipe_inode_info, buf: pipe_buffer) => void

/** @see include/linux/pipe_fs_i.h:pipe_occupancy */
const occupancy = (pipe: pipe_inode_info): number => (pipe.head - pipe.tail) >>> 0
export const pipe_empty = (pipe: pipe_inode_info): boolean => pipe.head === pipe.tail
export const pipe_full = (pipe: pipe_inode_info): boolean => occupancy(pipe) >= pipe.max_usage

/** Is there something, or nobody to wait for? @see fs/pipe.c:pipe_readable */
export const pipe_readable = (pipe: pipe_inode_info): boolean => !pipe_empty(pipe) || pipe.writers === 0
/** @see fs/pipe.c:pipe_writable */
export const pipe_writable = (pipe: pipe_inode_info): boolean => !pipe_full(pipe) || pipe.readers === 0

/** The buffer of a position that only grows. */
export const pipeBuffer = (pipe: pipe_inode_info, position: number): pipe_buffer =>
  deref(pipe.bufs).$index((position & (pipe.ring_size - 1)) >>> 0)

/** Nobody else runs between lock and unlock here, so the lock is only ever seen free or ours. @see fs/pipe.c:__pipe_lock */
export function __pipe_lock(k: Kernel, pipe: pipe_inode_info): void {
  k.mem.setPointer(pipe.$vaOf('mutex.owner'), k.current.$va)
}
export function __pipe_unlock(k: Kernel, pipe: pipe_inode_info): void {
  k.mem.setPointer(pipe.$vaOf('mutex.owner'), 0)
}

/** There is something to read. */
export const wakeReaders = (k: Kernel, pipe: pipe_inode_info): void =>
  __wake_up_sync_key(k, pipe.rd_wait, TASK_INTERRUPTIBLE, EPOLLIN | EPOLLRDNORM)
/** There is room to write. */
export const wakeWriters = (k: Kernel, pipe: pipe_inode_info): void =>
  __wake_up_sync_key(k, pipe.wr_wait, TASK_INTERRUPTIBLE, EPOLLOUT | EPOLLWRNORM)

/**
 * Sleep until `condition`, the entry on the caller's stack, woken one waiter at a time.
 * @returns 0, or -ERESTARTSYS
 * @see include/linux/wait.h:wait_event_interruptible_exclusive
 */
export function* waitExclusive(
  k: Kernel,
  head: wait_queue_head,
  entry: wait_queue_entry,
  condition: () => boolean,
): Generator<unknown, number> {
  if (condition()) return 0
  init_wait_entry(k, entry, WQ_FLAG_EXCLUSIVE)
  for (;;) {
    const interrupted = prepare_to_wait_event(k, head, entry, TASK_INTERRUPTIBLE)
    if (condition()) break
    if (interrupted !== 0) return interrupted
    yield* schedule(k)
  }
  finish_wait(k, head, entry)
  return 0
}

/** Drop a page reference; the last one frees it. @see include/linux/mm.h:put_page */
export function put_page(k: Kernel, page: page): void {
  if (page._refcount.counter > 1) page._refcount.counter = page._refcount.counter - 1
  else free_pages(k, page_to_pfn(k, page), 0)
}

/** A read buffer's page is kept for the next write. @see fs/pipe.c:anon_pipe_buf_release */
export const anon_pipe_buf_release = kfunc(
  'fs/pipe.c',
  function anon_pipe_buf_release(k, pipe: pipe_inode_info, buf: pipe_buffer) {
    const page = deref(buf.page)
    if (page._refcount.counter === 1 && pipe.tmp_page === null) pipe.tmp_page = page
    else put_page(k, page)
  },
)

/** @see include/linux/pipe_fs_i.h:pipe_buf_release */
export function pipe_buf_release(k: Kernel, pipe: pipe_inode_info, buf: pipe_buffer): void {
  const ops = deref(buf.ops)
  buf.ops = null
  k.indirect<Release>(ops.release)(k, pipe, buf)
}

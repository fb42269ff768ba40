/** Reading from and writing to a pipe. @see fs/pipe.c */

import type { file, iov_iter, kiocb, page, pipe_inode_info } from '../../../btf/vmlinux.ts'
import { EAGAIN, EFAULT, EPIPE, ERESTARTSYS } from '../../../abi/errno.ts'
import { O_DIRECT, O_NONBLOCK } from '../../../abi/fcntl.ts'
import { PAGE_SIZE } from '../../../abi/page.ts'
import { PIPE_BUF_FLAG_CAN_MERGE, PIPE_BUF_FLAG_PACKET } from '../../../abi/pipe_fs_i.ts'
import { SIGPIPE } from '../../../abi/signal.ts'
import { deref } from '../../deref.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { signal_pending } from '../../kernel/sched/core.ts'
import { WAIT_ENTRY_BYTES } from '../../kernel/sched/wait_event.ts'
import { send_sig } from '../../kernel/signal.ts'
import { current_time } from '../../kernel/time/timekeeping.ts'
import { copy_page_from_iter, copy_page_to_iter, iov_iter_count } from '../../lib/iov_iter.ts'
import { alloc_pages, pfn_to_page } from '../../mm/page_alloc.ts'
import {
  __pipe_lock,
  __pipe_unlock,
  pipe_buf_release,
  pipe_empty,
  pipe_full,
  pipe_readable,
  pipe_writable,
  pipeBuffer,
  waitExclusive,
  wakeReaders,
  wakeWriters,
} from './ring.ts'

const FILE = 'fs/pipe.c'

export const pipeOf = (k: Kernel, filp: file): pipe_inode_info => k.ref('pipe_inode_info', filp.private_data)

/** Copy from one buffer; an empty one leaves the ring. @returns bytes copied, undefined when the user's memory faulted */
function takeFrom(k: Kernel, pipe: pipe_inode_info, to: iov_iter): number | undefined {
  const buf = pipeBuffer(pipe, pipe.tail)
  const chars = Math.min(buf.len, iov_iter_count(to))
  const packet = (buf.flags & PIPE_BUF_FLAG_PACKET) !== 0
  const written = copy_page_to_iter(k, deref(buf.page), buf.offset, chars, to)
  if (written < chars) return undefined
  buf.offset = buf.offset + chars
  buf.len = packet ? 0 : buf.len - chars
  if (buf.len === 0) {
    pipe_buf_release(k, pipe, buf)
    pipe.tail = (pipe.tail + 1) >>> 0
  }
  return chars
}

/** Everything there is that fits. @returns `done` is bytes, `stop` when there is nothing to wait for */
function drain(k: Kernel, pipe: pipe_inode_info, to: iov_iter): { done: number; stop: boolean } {
  let done = 0
  while (!pipe_empty(pipe)) {
    const packet = (pipeBuffer(pipe, pipe.tail).flags & PIPE_BUF_FLAG_PACKET) !== 0
    const chars = takeFrom(k, pipe, to)
    if (chars === undefined) return { done: done === 0 ? -EFAULT : done, stop: true }
    done += chars
    if (packet || iov_iter_count(to) === 0) return { done, stop: true }
  }
  return { done, stop: done > 0 || pipe.writers === 0 }
}

/** @returns bytes read, 0 when nobody writes any more, or -errno @see fs/pipe.c:pipe_read */
export const pipe_read = kfunc(
  FILE,
  function* pipe_read(k, iocb: kiocb, to: iov_iter): Generator<unknown, number> {
    const filp = deref(iocb.ki_filp)
    const pipe = pipeOf(k, filp)
    const entry = k.local('wait_queue_entry')
    if (iov_iter_count(to) === 0) return 0
    __pipe_lock(k, pipe)
    let wasFull = pipe_full(pipe)
    let wakeNext = false
    let ret = 0
    for (;;) {
      const { done, stop } = drain(k, pipe, to)
      ret = done
      if (stop) break
      if ((filp.f_flags & O_NONBLOCK) !== 0) {
        ret = -EAGAIN
        break
      }
      __pipe_unlock(k, pipe)
      if (wasFull) wakeWriters(k, pipe)
      const interrupted = yield* waitExclusive(k, pipe.rd_wait, entry, () => pipe_readable(pipe))
      if (interrupted < 0) return -ERESTARTSYS
      __pipe_lock(k, pipe)
      wasFull = pipe_full(pipe)
      wakeNext = true
    }
    if (pipe_empty(pipe)) wakeNext = false
    __pipe_unlock(k, pipe)
    if (wasFull) wakeWriters(k, pipe)
    if (wakeNext) wakeReaders(k, pipe)
    if (ret > 0) touch(k, filp, ['i_atime'])
    return ret
  },
  { locals: WAIT_ENTRY_BYTES },
)

function touch(k: Kernel, filp: file, times: readonly string[]): void {
  const inode = deref(filp.f_inode)
  const { tv_sec, tv_nsec } = current_time(k)
  for (const time of times) {
    inode.$set(`${time}.tv_sec`, tv_sec)
    inode.$set(`${time}.tv_nsec`, tv_nsec)
  }
}

/** What does not fill a page goes behind the last buffer's bytes, if they leave room. @returns bytes, or -errno */
function merge(k: Kernel, pipe: pipe_inode_info, from: iov_iter): number {
  const chars = iov_iter_count(from) & (PAGE_SIZE - 1)
  if (chars === 0 || pipe_empty(pipe)) return 0
  const buf = pipeBuffer(pipe, pipe.head - 1)
  const offset = buf.offset + buf.len
  if ((buf.flags & PIPE_BUF_FLAG_CAN_MERGE) === 0 || offset + chars > PAGE_SIZE) return 0
  const copied = copy_page_from_iter(k, deref(buf.page), offset, chars, from)
  if (copied < chars) return -EFAULT
  buf.len = buf.len + copied
  return copied
}

function pageForWrite(k: Kernel, pipe: pipe_inode_info): page {
  const kept = pipe.tmp_page
  if (kept !== null) return kept
  const page = pfn_to_page(k, alloc_pages(k, 0))
  pipe.tmp_page = page
  return page
}

/** One more buffer. @returns bytes copied, or -EFAULT */
function append(k: Kernel, pipe: pipe_inode_info, filp: file, from: iov_iter): number {
  const page = pageForWrite(k, pipe)
  const head = pipe.head
  pipe.head = (head + 1) >>> 0
  const buf = pipeBuffer(pipe, head)
  buf.page = page
  buf.ops = k.global('anon_pipe_buf_ops', 'pipe_buf_operations')
  buf.offset = 0
  buf.len = 0
  buf.flags = (filp.f_flags & O_DIRECT) !== 0 ? PIPE_BUF_FLAG_PACKET : PIPE_BUF_FLAG_CAN_MERGE
  pipe.tmp_page = null
  const copied = copy_page_from_iter(k, page, 0, PAGE_SIZE, from)
  if (copied < PAGE_SIZE && iov_iter_count(from) > 0) return -EFAULT
  buf.offset = 0
  buf.len = copied
  return copied
}

/** Fill the ring as far as it goes. @returns bytes so far, and whether to stop there */
function fill(
  k: Kernel,
  pipe: pipe_inode_info,
  filp: file,
  from: iov_iter,
  before: number,
): { done: number; stop: boolean } {
  let done = before
  while (pipe.readers > 0 && !pipe_full(pipe)) {
    const copied = append(k, pipe, filp, from)
    if (copied < 0) return { done: done === 0 ? copied : done, stop: true }
    done += copied
    if (iov_iter_count(from) === 0) return { done, stop: true }
  }
  if (pipe.readers === 0) {
    send_sig(k, SIGPIPE, k.current, 0)
    return { done: done === 0 ? -EPIPE : done, stop: true }
  }
  if ((filp.f_flags & O_NONBLOCK) !== 0) return { done: done === 0 ? -EAGAIN : done, stop: true }
  if (signal_pending(k.current)) return { done: done === 0 ? -ERESTARTSYS : done, stop: true }
  return { done, stop: false }
}

/** @returns bytes written; -EPIPE, with SIGPIPE, when nobody reads; or -errno @see fs/pipe.c:pipe_write */
export const pipe_write = kfunc(
  FILE,
  function* pipe_write(k, iocb: kiocb, from: iov_iter): Generator<unknown, number> {
    const filp = deref(iocb.ki_filp)
    const pipe = pipeOf(k, filp)
    const entry = k.local('wait_queue_entry')
    if (iov_iter_count(from) === 0) return 0
    __pipe_lock(k, pipe)
    let wasEmpty = pipe_empty(pipe)
    let wakeNext = false
    let ret = pipe.readers === 0 ? 0 : merge(k, pipe, from)
    while (ret >= 0 && iov_iter_count(from) > 0) {
      const { done, stop } = fill(k, pipe, filp, from, ret)
      ret = done
      if (stop) break
      __pipe_unlock(k, pipe)
      if (wasEmpty) wakeReaders(k, pipe)
      yield* waitExclusive(k, pipe.wr_wait, entry, () => pipe_writable(pipe))
      __pipe_lock(k, pipe)
      wasEmpty = pipe_empty(pipe)
      wakeNext = true
    }
    if (pipe_full(pipe)) wakeNext = false
    __pipe_unlock(k, pipe)
    if (wasEmpty || pipe.poll_usage !== 0) wakeReaders(k, pipe)
    if (wakeNext) wakeWriters(k, pipe)
    if (ret > 0) touch(k, filp, ['i_mtime', 'i_ctime'])
    return ret
  },
  { locals: WAIT_ENTRY_BYTES },
)

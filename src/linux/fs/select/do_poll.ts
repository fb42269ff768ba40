/** poll: a list of descriptors with the events asked for, each answered in place. @see fs/select.c */

import type { Va } from '../../../base/addr.ts'
import type { poll_table_struct, poll_wqueues, pt_regs, timespec64 } from '../../../btf/vmlinux.ts'
import { EFAULT, EINTR, EINVAL, ERESTART_RESTARTBLOCK, ERESTARTNOHAND } from '../../../abi/errno.ts'
import { EPOLLERR, EPOLLHUP, EPOLLNVAL } from '../../../abi/poll.ts'
import { TASK_INTERRUPTIBLE } from '../../../abi/sched.ts'
import { syscall_arg, syscall_int } from '../../arch/x86/entry/common.ts'
import { vfs_poll } from '../../include/linux/poll.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { signal_pending } from '../../kernel/sched/core.ts'
import { copy_from_user, copy_to_user } from '../../lib/usercopy.ts'
import { kvfree, kvzalloc } from '../../mm/slab.ts'
import { fdget, fdput, rlimit } from '../file.ts'
import { localWords } from '../stack.ts'
import { poll_freewait, poll_initwait, poll_schedule_timeout, POLL_WQUEUES_BYTES } from './poll_wqueues.ts'
import {
  poll_select_finish,
  poll_select_set_timeout,
  PT_TIMESPEC,
  readUserTime,
  select_estimate_accuracy,
  timespec64_to_ns,
} from './timeout.ts'

const FILE = 'fs/select.c'
const RLIMIT_NOFILE = 7
/** Bytes of descriptors a call keeps on its stack, and of a `struct pollfd`. */
const STACK_BYTES = 256
const POLLFD_BYTES = 8
const MSEC_PER_SEC = 1000n

/** Ask one file. @param at its `struct pollfd` @returns what it answered @see fs/select.c:do_pollfd */
function do_pollfd(k: Kernel, at: Va, wait: poll_table_struct): number {
  const pollfd = k.ref('pollfd', at)
  let mask = 0
  if (pollfd.fd >= 0) {
    mask = EPOLLNVAL
    const f = fdget(k, pollfd.fd)
    if (f.file !== null) {
      const filter = (pollfd.events & 0xffff) | EPOLLERR | EPOLLHUP
      wait._key = filter
      mask = vfs_poll(k, f.file, wait) & filter
      fdput(k, f)
    }
  }
  pollfd.revents = mask
  return mask
}

/** @returns descriptors with an answer @see fs/select.c:do_poll */
function* do_poll(
  k: Kernel,
  list: Va,
  count: number,
  table: poll_wqueues,
  end: timespec64 | null,
): Generator<unknown, number> {
  const wait = table.pt
  let timedOut = end !== null && timespec64_to_ns(end) === 0n
  if (timedOut) wait._qproc = 0n
  const slack = end !== null && !timedOut ? select_estimate_accuracy(k, end) : 0n
  for (;;) {
    let found = 0
    for (let i = 0; i < count; i++) {
      if (do_pollfd(k, list + i * POLLFD_BYTES, wait) === 0) continue
      found++
      wait._qproc = 0n
    }
    wait._qproc = 0n
    if (found === 0 && signal_pending(k.current)) return -ERESTARTNOHAND
    if (found > 0 || timedOut) return found
    const expires = end === null ? null : timespec64_to_ns(end)
    if ((yield* poll_schedule_timeout(k, table, TASK_INTERRUPTIBLE, expires, slack)) === 0) timedOut = true
  }
}

/** The answers, not what was asked. @returns 0 or -EFAULT */
function writeBack(k: Kernel, ufds: bigint, list: Va, count: number): number {
  const offset = k.types.offsetof('pollfd', 'revents')
  for (let i = 0; i < count; i++) {
    const at = i * POLLFD_BYTES + offset
    if (copy_to_user(k, ufds + BigInt(at), list + at, 2) > 0) return -EFAULT
  }
  return 0
}

/**
 * @param ufds user address of `count` `struct pollfd`
 * @returns descriptors with an answer, or -errno
 * @see fs/select.c:do_sys_poll
 * @remarks more descriptors than fit on the stack lie in one allocation, not in a chain of pages
 */
const do_sys_poll = kfunc(
  FILE,
  function* do_sys_poll(k, ufds: bigint, count: number, end: timespec64 | null): Generator<unknown, number> {
    if (BigInt(count) > rlimit(k.current, RLIMIT_NOFILE)) return -EINVAL
    const table = k.local('poll_wqueues')
    const header = 2 * k.mem.wordSize
    const stack = localWords(k, STACK_BYTES / k.mem.wordSize)
    const large = count * POLLFD_BYTES > STACK_BYTES - header
    const list = large ? kvzalloc(k, count * POLLFD_BYTES) : stack + header
    k.mem.setU32(stack + k.mem.wordSize, large ? 0 : count)
    let ret = copy_from_user(k, list, ufds, count * POLLFD_BYTES) > 0 ? -EFAULT : 0
    if (ret === 0) {
      poll_initwait(k, table)
      ret = yield* do_poll(k, list, count, table, end)
      poll_freewait(k, table)
      if (writeBack(k, ufds, list, count) !== 0) ret = -EFAULT
    }
    if (large) kvfree(k, list)
    return ret
  },
  { locals: POLL_WQUEUES_BYTES + STACK_BYTES },
)

/** How an interrupted poll goes on after the signal: with the time it has left. @see fs/select.c:do_restart_poll */
export const do_restart_poll = kfunc(
  FILE,
  function* do_restart_poll(k): Generator<unknown, number> {
    const { poll } = k.current.restart_block
    const limited = Number(poll.$int('has_timeout')) !== 0
    const end = limited ? k.local('timespec64') : null
    if (end !== null) {
      end.tv_sec = poll.$int('tv_sec')
      end.tv_nsec = poll.$int('tv_nsec')
    }
    const ret = yield* do_sys_poll(k, poll.$int('ufds'), Number(poll.$int('nfds')), end)
    return ret === -ERESTARTNOHAND ? -ERESTART_RESTARTBLOCK : ret
  },
  { locals: 16 },
)

function rememberForRestart(k: Kernel, ufds: bigint, count: number, end: timespec64 | null): void {
  const block = k.current.restart_block
  const { poll } = block
  poll.$set('ufds', ufds)
  poll.$set('nfds', count)
  poll.$set('has_timeout', end === null ? 0 : 1)
  if (end !== null) {
    poll.$set('tv_sec', end.tv_sec)
    poll.$set('tv_nsec', end.tv_nsec)
  }
  block.fn = k.text(do_restart_poll)
}

/** poll(fds, nfds, milliseconds) @see fs/select.c */
export const __x64_sys_poll = kfunc(
  FILE,
  function* __x64_sys_poll(k, regs: pt_regs): Generator<unknown, number> {
    const ufds = syscall_arg(regs, 0)
    const count = syscall_int(regs, 1)
    const msecs = BigInt(syscall_int(regs, 2))
    const end = msecs >= 0n ? k.local('timespec64') : null
    if (end !== null)
      poll_select_set_timeout(k, end, msecs / MSEC_PER_SEC, (msecs % MSEC_PER_SEC) * 1_000_000n)
    const ret = yield* do_sys_poll(k, ufds, count >>> 0, end)
    if (ret !== -ERESTARTNOHAND) return ret
    rememberForRestart(k, ufds, count, end)
    return -ERESTART_RESTARTBLOCK
  },
  { locals: 16 },
)

/** ppoll(fds, nfds, timespec, sigmask) @see fs/select.c */
export const __x64_sys_ppoll = kfunc(
  FILE,
  function* __x64_sys_ppoll(k, regs: pt_regs): Generator<unknown, number> {
    const tsp = syscall_arg(regs, 2)
    const end = tsp === 0n ? null : k.local('timespec64')
    if (end !== null) {
      const time = readUserTime(k, tsp)
      if (time === undefined) return -EFAULT
      if (poll_select_set_timeout(k, end, time.sec, time.fraction) !== 0) return -EINVAL
    }
    const ret = yield* do_sys_poll(k, syscall_arg(regs, 0), syscall_int(regs, 1) >>> 0, end)
    return poll_select_finish(k, end, tsp, PT_TIMESPEC, ret === -ERESTARTNOHAND ? -EINTR : ret)
  },
  { locals: 16 },
)

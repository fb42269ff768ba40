/**
 * select: look at every descriptor of three bitmaps; when none is ready, sleep on the wait queues their files named.
 *
 * @see fs/select.c
 * @remarks no busy polling of network devices; a sigmask argument is not taken over
 */

import { toVa, type Va } from '../../../base/addr.ts'
import type { poll_table_struct, pt_regs, timespec64 } from '../../../btf/vmlinux.ts'
import { EBADF, EFAULT, EINVAL, ERESTARTNOHAND } from '../../../abi/errno.ts'
import { EPOLLNVAL, POLLEX_SET, POLLIN_SET, POLLOUT_SET } from '../../../abi/poll.ts'
import { TASK_INTERRUPTIBLE } from '../../../abi/sched.ts'
import { syscall_arg, syscall_int } from '../../arch/x86/entry/common.ts'
import { deref } from '../../deref.ts'
import { vfs_poll } from '../../include/linux/poll.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { cond_resched, signal_pending } from '../../kernel/sched/core.ts'
import { copy_from_user, copy_to_user } from '../../lib/usercopy.ts'
import { kvfree, kvzalloc } from '../../mm/slab.ts'
import { fdget, fdput } from '../file.ts'
import { localWords } from '../stack.ts'
import { poll_freewait, poll_initwait, poll_schedule_timeout, POLL_WQUEUES_BYTES } from './poll_wqueues.ts'
import {
  poll_select_finish,
  poll_select_set_timeout,
  PT_TIMESPEC,
  PT_TIMEVAL,
  readUserTime,
  select_estimate_accuracy,
  timespec64_to_ns,
} from './timeout.ts'

const FILE = 'fs/select.c'
/** Words of bitmaps a call keeps on its stack. */
const STACK_WORDS = 256 / 8
/** The bitmaps of `fd_set_bits`, in its order. */
const IN = 0
const OUT = 1
const EX = 2
const RES = 3

/** The six bitmaps in memory: what is asked, what is ready. `struct fd_set_bits` holds their addresses. */
interface FdSets {
  readonly maps: readonly Va[]
  readonly bytes: number
}

const bitOf = (k: Kernel, map: Va, fd: number): boolean =>
  ((k.mem.u8(map + (fd >>> 3)) >>> (fd & 7)) & 1) === 1
function setBit(k: Kernel, map: Va, fd: number): void {
  k.mem.setU8(map + (fd >>> 3), k.mem.u8(map + (fd >>> 3)) | (1 << (fd & 7)))
}

const map = (fds: FdSets, which: number): Va => fds.maps[which] as Va

/** Is the descriptor in any of the three sets? */
const asked = (k: Kernel, fds: FdSets, fd: number): boolean =>
  bitOf(k, map(fds, IN), fd) || bitOf(k, map(fds, OUT), fd) || bitOf(k, map(fds, EX), fd)

/** One more than the highest descriptor asked for, or -EBADF when one is not open. @see fs/select.c:max_select_fd */
function max_select_fd(k: Kernel, n: number, fds: FdSets): number {
  const fdt = deref(deref(k.current.files).fdt)
  const open = toVa(fdt.open_fds, k.mem.wordSize)
  let max = 0
  for (let fd = 0; fd < n; fd++) {
    if (!asked(k, fds, fd)) continue
    if (!bitOf(k, open, fd)) return -EBADF
    max = fd + 1
  }
  return max
}

/** Which events to be woken for. @see fs/select.c:wait_key_set */
function wait_key_set(k: Kernel, wait: poll_table_struct, fds: FdSets, fd: number): void {
  let key = POLLEX_SET
  if (bitOf(k, map(fds, IN), fd)) key |= POLLIN_SET
  if (bitOf(k, map(fds, OUT), fd)) key |= POLLOUT_SET
  wait._key = key
}

const READY = [
  [IN, POLLIN_SET],
  [OUT, POLLOUT_SET],
  [EX, POLLEX_SET],
] as const

/** Ask one file. @returns bits set in the results; any means that nothing is waited on any more */
function look(k: Kernel, wait: poll_table_struct, fds: FdSets, fd: number): number {
  let mask = EPOLLNVAL
  const f = fdget(k, fd)
  if (f.file !== null) {
    wait_key_set(k, wait, fds, fd)
    mask = vfs_poll(k, f.file, wait)
    fdput(k, f)
  }
  let found = 0
  for (const [which, events] of READY) {
    if ((mask & events) === 0 || !bitOf(k, map(fds, which), fd)) continue
    setBit(k, map(fds, RES + which), fd)
    wait._qproc = 0n
    found++
  }
  return found
}

const zero = (t: timespec64): boolean => t.tv_sec === 0n && t.tv_nsec === 0n

/**
 * @param end when to give up; null is never, zero is at once
 * @returns how many bits are set, 0 when the time came or a signal did, or -errno
 * @see fs/select.c:do_select
 */
export const do_select = kfunc(
  FILE,
  function* do_select(k, highest: number, fds: FdSets, end: timespec64 | null): Generator<unknown, number> {
    const n = max_select_fd(k, highest, fds)
    if (n < 0) return n
    const table = k.local('poll_wqueues')
    poll_initwait(k, table)
    const wait = table.pt
    let timedOut = end !== null && zero(end)
    if (timedOut) wait._qproc = 0n
    const slack = end !== null && !timedOut ? select_estimate_accuracy(k, end) : 0n
    let found = 0
    for (;;) {
      for (let fd = 0; fd < n; fd++) if (asked(k, fds, fd)) found += look(k, wait, fds, fd)
      yield* cond_resched(k)
      wait._qproc = 0n
      if (found > 0 || timedOut || signal_pending(k.current)) break
      if (table.error !== 0) {
        found = table.error
        break
      }
      const expires = end === null ? null : timespec64_to_ns(end)
      if ((yield* poll_schedule_timeout(k, table, TASK_INTERRUPTIBLE, expires, slack)) === 0) timedOut = true
    }
    poll_freewait(k, table)
    return found
  },
  // the compiler keeps some 270 bytes more than the table itself: masks, cursors, the busy loop's times
  { locals: POLL_WQUEUES_BYTES + 0x100 },
)

/** Read the caller's sets in; results begin empty. @returns 0 or -EFAULT */
function readSets(k: Kernel, fds: FdSets, from: readonly bigint[]): number {
  for (const [i, user] of from.entries()) {
    k.mem.fill(map(fds, RES + i), 0, fds.bytes)
    if (user === 0n) k.mem.fill(map(fds, i), 0, fds.bytes)
    else if (copy_from_user(k, map(fds, i), user, fds.bytes) > 0) return -EFAULT
  }
  return 0
}

/** The six maps one behind another, and their addresses in `struct fd_set_bits`. */
function layOut(k: Kernel, pointers: Va, bits: Va, bytes: number): FdSets {
  const maps = Array.from({ length: 6 }, (_, i) => bits + i * bytes)
  maps.forEach((va, i) => k.mem.setPointer(pointers + i * k.mem.wordSize, va))
  return { maps, bytes }
}

/**
 * @param n    one more than the highest descriptor
 * @param sets user addresses of the three `fd_set`s; 0 is none
 * @see fs/select.c:core_sys_select
 */
export const core_sys_select = kfunc(
  FILE,
  function* core_sys_select(
    k,
    n: number,
    sets: readonly [bigint, bigint, bigint],
    end: timespec64 | null,
  ): Generator<unknown, number> {
    if (n < 0) return -EINVAL
    const pointers = localWords(k, 6)
    const stack = localWords(k, STACK_WORDS)
    const count = Math.min(n, deref(deref(k.current.files).fdt).max_fds)
    const bytes = Math.ceil(count / (k.mem.wordSize * 8)) * k.mem.wordSize
    const allocated = 6 * bytes > STACK_WORDS * k.mem.wordSize ? kvzalloc(k, 6 * bytes) : 0
    const fds = layOut(k, pointers, allocated === 0 ? stack : allocated, bytes)
    let ret = readSets(k, fds, sets)
    if (ret === 0) ret = yield* finished(k, count, fds, sets, end)
    if (allocated !== 0) kvfree(k, allocated)
    return ret
  },
  { locals: 48 + 256 },
)

/** Select, and hand the results to the caller. */
function* finished(
  k: Kernel,
  n: number,
  fds: FdSets,
  sets: readonly bigint[],
  end: timespec64 | null,
): Generator<unknown, number> {
  const ret = yield* do_select(k, n, fds, end)
  if (ret < 0) return ret
  if (ret === 0 && signal_pending(k.current)) return -ERESTARTNOHAND
  for (const [i, user] of sets.entries()) {
    if (user !== 0n && copy_to_user(k, user, map(fds, RES + i), fds.bytes) > 0) return -EFAULT
  }
  return ret
}

const setsOf = (regs: pt_regs): [bigint, bigint, bigint] => [
  syscall_arg(regs, 1),
  syscall_arg(regs, 2),
  syscall_arg(regs, 3),
]

/** The caller's limit as a moment on the stack; -errno when there is none to be read. */
function limit(k: Kernel, at: bigint, nsecPerUnit: bigint): timespec64 | null | number {
  if (at === 0n) return null
  const time = readUserTime(k, at)
  if (time === undefined) return -EFAULT
  const end = k.local('timespec64')
  const refused = poll_select_set_timeout(k, end, time.sec, time.fraction * nsecPerUnit)
  return refused === 0 ? end : refused
}

/** @see fs/select.c:kern_select */
const kern_select = kfunc(
  FILE,
  function* kern_select(
    k,
    n: number,
    sets: readonly [bigint, bigint, bigint],
    tvp: bigint,
  ): Generator<unknown, number> {
    const end = limit(k, tvp, 1000n)
    if (typeof end === 'number') return end
    const ret = yield* core_sys_select(k, n, sets, end)
    return poll_select_finish(k, end, tvp, PT_TIMEVAL, ret)
  },
  { locals: 32 },
)

/** select(n, in, out, ex, timeval) @see fs/select.c */
export const __x64_sys_select = kfunc(FILE, function* __x64_sys_select(k, regs: pt_regs): Generator<
  unknown,
  number
> {
  return yield* kern_select(k, syscall_int(regs, 0), setsOf(regs), syscall_arg(regs, 4))
})

function* clonedPselect(
  k: Kernel,
  n: number,
  sets: readonly [bigint, bigint, bigint],
  tsp: bigint,
): Generator<unknown, number> {
  const end = limit(k, tsp, 1n)
  if (typeof end === 'number') return end
  const ret = yield* core_sys_select(k, n, sets, end)
  return poll_select_finish(k, end, tsp, PT_TIMESPEC, ret)
}
// the compiler made a copy for the one kind of time there is, under a name with dots in it
Object.defineProperty(clonedPselect, 'name', { value: 'do_pselect.constprop.0' })
const do_pselect = kfunc(FILE, clonedPselect, { locals: 32 })

/** pselect6(n, in, out, ex, timespec, sigmask): what the C library's select calls. @see fs/select.c */
export const __x64_sys_pselect6 = kfunc(FILE, function* __x64_sys_pselect6(k, regs: pt_regs): Generator<
  unknown,
  number
> {
  return yield* do_pselect(k, syscall_int(regs, 0), setsOf(regs), syscall_arg(regs, 4))
})

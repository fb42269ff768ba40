/** How long a select or poll may take, and what is left of it. @see fs/select.c */

import type { timespec64 } from '../../../btf/vmlinux.ts'
import { EINVAL } from '../../../abi/errno.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { ktime_get_ns } from '../../kernel/time/timekeeping.ts'
import { copy_from_user, copy_to_user } from '../../lib/usercopy.ts'

const FILE = 'fs/select.c'
const NSEC_PER_SEC = 1_000_000_000n
const NSEC_PER_USEC = 1000n
const KTIME_SEC_MAX = 9_223_372_036n
/** Slack is at most a tenth of a second. */
const MAX_SLACK_NS = 100_000_000n

/** What kind of time the caller handed over. @see fs/select.c:enum poll_time_type */
export const PT_TIMEVAL = 0
export const PT_TIMESPEC = 2

/** Nanoseconds since boot. */
export const timespec64_to_ns = (t: timespec64): bigint => t.tv_sec * NSEC_PER_SEC + t.tv_nsec

/** From a span to a moment: now plus the span, zero when it is zero. @returns 0 or -EINVAL @see fs/select.c:poll_select_set_timeout */
export const poll_select_set_timeout = kfunc(
  FILE,
  function poll_select_set_timeout(k, to: timespec64, sec: bigint, nsec: bigint): number {
    if (sec < 0n || nsec < 0n || nsec >= NSEC_PER_SEC) return -EINVAL
    if (sec === 0n && nsec === 0n) {
      to.tv_sec = 0n
      to.tv_nsec = 0n
      return 0
    }
    const end = ktime_get_ns(k) + sec * NSEC_PER_SEC + nsec
    const seconds = end / NSEC_PER_SEC
    to.tv_sec = seconds > KTIME_SEC_MAX ? KTIME_SEC_MAX : seconds
    to.tv_nsec = end % NSEC_PER_SEC
    return 0
  },
)

/** How much later a wake-up would do: a thousandth of the wait, at least the task's slack. @see fs/select.c:select_estimate_accuracy */
export const select_estimate_accuracy = kfunc(
  FILE,
  function select_estimate_accuracy(k, end: timespec64): bigint {
    const left = timespec64_to_ns(end) - ktime_get_ns(k)
    const slack = left < 0n ? 0n : left / 1000n
    const bounded = slack > MAX_SLACK_NS ? MAX_SLACK_NS : slack
    const least = k.current.timer_slack_ns
    return bounded < least ? least : bounded
  },
)

/** Two words of the caller's: seconds, and micro- or nanoseconds. @returns undefined where they cannot be read */
export function readUserTime(k: Kernel, at: bigint): { sec: bigint; fraction: bigint } | undefined {
  const bytes = new Uint8Array(16)
  if (copy_from_user(k, bytes, at, 16) > 0) return undefined
  const view = new DataView(bytes.buffer)
  return { sec: view.getBigInt64(0, true), fraction: view.getBigInt64(8, true) }
}

/**
 * Tell the caller how much of its time is left.
 * @param end null when there was no limit
 * @param p   user address of what to update; 0 is nowhere
 * @returns `ret`
 * @see fs/select.c:poll_select_finish
 */
export const poll_select_finish = kfunc(
  FILE,
  function poll_select_finish(k, end: timespec64 | null, p: bigint, type: number, ret: number): number {
    if (p === 0n || end === null) return ret
    const at = timespec64_to_ns(end)
    if (at === 0n) return ret
    const now = ktime_get_ns(k)
    const left = at > now ? at - now : 0n
    const bytes = new Uint8Array(16)
    const view = new DataView(bytes.buffer)
    view.setBigInt64(0, left / NSEC_PER_SEC, true)
    const nsec = left % NSEC_PER_SEC
    view.setBigInt64(8, type === PT_TIMEVAL ? nsec / NSEC_PER_USEC : nsec, true)
    copy_to_user(k, p, bytes, 16)
    return ret
  },
)

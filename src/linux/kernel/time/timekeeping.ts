/**
 * The kernel's clocks in memory: jiffies and the timekeeper, brought up to date whenever virtual time passes a tick.
 *
 * @see kernel/time/timekeeping.c
 */

import { toVa, type Va } from '../../../base/addr.ts'
import type { timekeeper } from '../../../btf/vmlinux.ts'
import { INITIAL_JIFFIES, NSEC_PER_JIFFY } from '../../../abi/jiffies.ts'
import { perKernel, type Kernel } from '../../kernel.ts'

const NSEC_PER_SEC = 1_000_000_000n
/** Fraction bits of `tkr_mono.xtime_nsec` (a TSC's shift). */
const SHIFT = 24

interface Timekeeping {
  readonly jiffies: Va
  readonly keeper: timekeeper
  lastTick: number
}
const state = perKernel<Timekeeping>((k) => ({
  jiffies: toVa(k.sym('jiffies_64'), k.mem.wordSize),
  // struct { seqcount_raw_spinlock_t seq; struct timekeeper timekeeper; }
  keeper: k.ref('timekeeper', toVa(k.sym('tk_core'), k.mem.wordSize) + k.mem.wordSize),
  lastTick: -1,
}))

/** The tick counter, `unsigned long`, as memory has it. @see include/linux/jiffies.h:jiffies */
export const jiffies = (k: Kernel): bigint => k.mem.word(state(k).jiffies)

/** Its low half: what sockets store. @see net/tcp.h:tcp_jiffies32 */
export const jiffies32 = (k: Kernel): number => k.mem.u32(state(k).jiffies)

/** When a jiffy begins, in nanoseconds since boot. A counter of 32 bits is taken for the near past or future. */
export function nsOfJiffy(k: Kernel, j: bigint): number {
  const now = k.mem.u64(state(k).jiffies)
  const full = k.mem.wordSize === 8 ? j : now + BigInt.asIntN(32, j - now)
  return Number(full - INITIAL_JIFFIES) * NSEC_PER_JIFFY
}

/** Nanoseconds since boot. @see kernel/time/timekeeping.c:ktime_get */
export const ktime_get_ns = (k: Kernel): bigint => BigInt(Math.floor(k.clock.nowNs))
/** @see include/linux/timekeeping.h:ktime_get_boottime_ns */
export const ktime_get_boottime_ns = ktime_get_ns
/** Nanoseconds since the epoch. @see include/linux/timekeeping.h:ktime_get_real_ns */
export const ktime_get_real_ns = (k: Kernel): bigint => k.clock.bootWallNs + ktime_get_ns(k)
/** @see kernel/time/timekeeping.c:ktime_get_real_seconds */
export const ktime_get_real_seconds = (k: Kernel): bigint => ktime_get_real_ns(k) / NSEC_PER_SEC

/** The wall clock as inodes store it, in ticks' resolution. @see kernel/time/timekeeping.c:ktime_get_coarse_real_ts64 */
export function current_time(k: Kernel): { tv_sec: bigint; tv_nsec: bigint } {
  const tick = BigInt(Math.floor(k.clock.nowNs / NSEC_PER_JIFFY) * NSEC_PER_JIFFY)
  const now = k.clock.bootWallNs + tick
  return { tv_sec: now / NSEC_PER_SEC, tv_nsec: now % NSEC_PER_SEC }
}

/** `jiffies_64` as it is linked. @see kernel/time/timer.c */
export function init_jiffies(k: Kernel): void {
  k.mem.setU64(state(k).jiffies, INITIAL_JIFFIES)
}

/** Start the clocks and keep them going. @see kernel/time/timekeeping.c:timekeeping_init */
export function timekeeping_init(k: Kernel): void {
  const { keeper } = state(k)
  const boot = k.clock.bootWallNs
  const mono = keeper.tkr_mono
  mono.shift = SHIFT
  mono.mult = 1 << SHIFT
  mono.mask = 0xffff_ffff_ffff_ffffn
  keeper.wall_to_monotonic.tv_sec = -(boot / NSEC_PER_SEC) - (boot % NSEC_PER_SEC > 0n ? 1n : 0n)
  keeper.wall_to_monotonic.tv_nsec = boot % NSEC_PER_SEC > 0n ? NSEC_PER_SEC - (boot % NSEC_PER_SEC) : 0n
  keeper.offs_real = boot
  k.clock.onAdvance = () => tick(k)
  tick(k)
}

/** @see kernel/time/tick-sched.c:tick_do_update_jiffies64 */
function tick(k: Kernel): void {
  const time = state(k)
  const ticks = Math.floor(k.clock.nowNs / NSEC_PER_JIFFY)
  if (ticks === time.lastTick) return
  time.lastTick = ticks
  const site = k.mem.journal.site
  k.mem.journal.site = 0
  k.mem.setU64(time.jiffies, INITIAL_JIFFIES + BigInt(ticks))
  const { keeper } = time
  const now = BigInt(ticks * NSEC_PER_JIFFY)
  const wall = k.clock.bootWallNs + now
  keeper.xtime_sec = wall / NSEC_PER_SEC
  keeper.ktime_sec = now / NSEC_PER_SEC
  keeper.tkr_mono.xtime_nsec = (wall % NSEC_PER_SEC) << BigInt(SHIFT)
  keeper.tkr_mono.base = now
  keeper.tkr_mono.cycle_last = now
  k.mem.journal.site = site
}

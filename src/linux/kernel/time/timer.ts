/**
 * Timers: the hierarchical wheel of each CPU, in memory. The further away a timer, the coarser its bucket; when a
 * bucket is due its timers run in softirq context on their CPU.
 *
 * @see kernel/time/timer.c
 * @remarks the wheel's tick comes only when a bucket is due (as with NO_HZ on an idle CPU)
 */

import type { Va } from '../../../base/addr.ts'
import type { timer_base, timer_list } from '../../../btf/vmlinux.ts'
import { LIST_POISON2, LIST_POISON2_32 } from '../../../abi/poison.ts'
import {
  isForever,
  TIMER_ARRAYSHIFT,
  TIMER_CPUMASK,
  TIMER_DEFERRABLE,
  TIMER_PINNED,
  time_after,
  time_after_eq,
  time_before,
} from '../../../abi/jiffies.ts'
import { hlist_add_head, hlist_for_each, hlist_move_list } from '../../../structures/hlist.ts'
import type { ClockEvent } from '../../clock.ts'
import { apic_timer_interrupt } from '../../arch/x86/kernel/irq.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { schedule, wake_up_process } from '../sched/core.ts'
import { open_softirq, raise_softirq, TIMER_SOFTIRQ } from '../softirq.ts'
import { init_jiffies, jiffies, nsOfJiffy } from './timekeeping.ts'

/** `timer_list.function` */
export type TimerFunction = (k: Kernel, timer: timer_list) => void

const LVL_CLK_SHIFT = 3n
const LVL_BITS = 6n
const LVL_SIZE = 64n
const LVL_DEPTH = 9
const WHEEL_SIZE = 576
const NEXT_TIMER_MAX_DELTA = (1n << 30n) - 1n
const BASE_STD = 0
const BASE_DEF = 1

const lvlShift = (level: number): bigint => BigInt(level) * LVL_CLK_SHIFT
const lvlStart = (level: number): bigint => (LVL_SIZE - 1n) << ((BigInt(level) - 1n) * LVL_CLK_SHIFT)
const lvlGran = (level: number): bigint => 1n << lvlShift(level)

/** The event by which each base's next bucket interrupts its CPU. */
const events = perKernel(() => new Map<Va, ClockEvent>())

const baseOf = (k: Kernel, cpu: number, which: number): timer_base =>
  k.per_cpu('timer_bases', 'timer_base', cpu).$index(which)

const timerBase = (k: Kernel, timer: timer_list): timer_base =>
  baseOf(k, timer.flags & TIMER_CPUMASK, timer.flags & TIMER_DEFERRABLE ? BASE_DEF : BASE_STD)

/** Is it on the wheel? @see include/linux/timer.h:timer_pending */
export const timer_pending = (k: Kernel, timer: timer_list): boolean =>
  k.mem.word(timer.$vaOf('entry') + k.mem.wordSize) !== 0n

/** @see kernel/time/timer.c:init_timer_key */
export const init_timer_key = kfunc(
  'kernel/time/timer.c',
  function init_timer_key(k, timer: timer_list, func: bigint, flags: number) {
    k.mem.setPointer(timer.$vaOf('entry') + k.mem.wordSize, 0)
    timer.function = func
    timer.flags = flags | k.cpu.id
  },
)

/** @see include/linux/timer.h:timer_setup */
export function timer_setup(
  k: Kernel,
  timer: timer_list,
  func: bigint | { readonly kfunc: Parameters<Kernel['text']>[0]['kfunc'] },
  flags = 0,
): void {
  init_timer_key(k, timer, typeof func === 'bigint' ? func : k.text(func), flags)
}

/** The bucket of an expiry, and when that bucket is due. @see kernel/time/timer.c:calc_wheel_index */
function calc_wheel_index(
  expires: bigint,
  clk: bigint,
  wordSize: 4 | 8,
): { index: number; bucketExpiry: bigint } {
  const delta = BigInt.asIntN(wordSize * 8, expires - clk)
  if (delta < 0n) return { index: Number(clk & (LVL_SIZE - 1n)), bucketExpiry: clk }
  let level = LVL_DEPTH - 1
  for (let at = 0; at < LVL_DEPTH - 1; at++) {
    if (delta < lvlStart(at + 1)) {
      level = at
      break
    }
  }
  const cutoff = lvlStart(LVL_DEPTH)
  const bounded = delta >= cutoff ? clk + cutoff - lvlGran(LVL_DEPTH - 1) : expires
  const slot = (bounded >> lvlShift(level)) + 1n
  return {
    index: level * Number(LVL_SIZE) + Number(slot & (LVL_SIZE - 1n)),
    bucketExpiry: slot << lvlShift(level),
  }
}

const bitVa = (base: timer_base, index: number): Va => base.$vaOf('pending_map') + (index >>> 3)
const setBit = (k: Kernel, base: timer_base, index: number): void =>
  k.mem.setU8(bitVa(base, index), k.mem.u8(bitVa(base, index)) | (1 << (index & 7)))
const clearBit = (k: Kernel, base: timer_base, index: number): void =>
  k.mem.setU8(bitVa(base, index), k.mem.u8(bitVa(base, index)) & ~(1 << (index & 7)))
const testBit = (k: Kernel, base: timer_base, index: number): boolean =>
  (k.mem.u8(bitVa(base, index)) & (1 << (index & 7))) !== 0
const vector = (k: Kernel, base: timer_base, index: number): Va =>
  base.$vaOf('vectors') + index * k.mem.wordSize

/** @see kernel/time/timer.c:enqueue_timer */
function enqueue_timer(k: Kernel, base: timer_base, timer: timer_list): void {
  const { index, bucketExpiry } = calc_wheel_index(timer.expires, base.clk, k.mem.wordSize)
  hlist_add_head(k.mem, timer.$vaOf('entry'), vector(k, base, index))
  setBit(k, base, index)
  timer.flags = ((timer.flags & ((1 << TIMER_ARRAYSHIFT) - 1)) | (index << TIMER_ARRAYSHIFT)) >>> 0
  if (time_before(bucketExpiry, base.next_expiry, k.mem.wordSize)) {
    base.next_expiry = bucketExpiry
    base.timers_pending = 1
    base.next_expiry_recalc = 0
    program(k, base)
  }
}

/** An idle wheel need not turn tick by tick. @see kernel/time/timer.c:forward_timer_base */
function forward_timer_base(k: Kernel, base: timer_base): void {
  const now = jiffies(k)
  const { wordSize } = k.mem
  if (!time_after(now, base.clk, wordSize)) return
  base.clk = time_after(base.next_expiry, now, wordSize) ? now : base.next_expiry
}

/** @see kernel/time/timer.c:detach_timer */
function detach_timer(k: Kernel, timer: timer_list, clearPending: boolean): void {
  const entry = timer.$vaOf('entry')
  const next = k.mem.pointer(entry)
  const link = k.mem.pointer(entry + k.mem.wordSize)
  k.mem.setPointer(link, next)
  if (next !== 0) k.mem.setPointer(next + k.mem.wordSize, link)
  if (clearPending) k.mem.setPointer(entry + k.mem.wordSize, 0)
  k.mem.setWord(entry, k.mem.wordSize === 8 ? LIST_POISON2 : LIST_POISON2_32)
}

/** @see kernel/time/timer.c:detach_if_pending */
function detach_if_pending(k: Kernel, timer: timer_list, base: timer_base): boolean {
  if (!timer_pending(k, timer)) return false
  const index = timer.flags >>> TIMER_ARRAYSHIFT
  detach_timer(k, timer, true)
  if (k.mem.pointer(vector(k, base, index)) === 0) {
    clearBit(k, base, index)
    base.next_expiry_recalc = 1
    base.next_expiry = nextExpiry(k, base)
    program(k, base)
  }
  return true
}

const __mod_timer = kfunc(
  'kernel/time/timer.c',
  function __mod_timer(k, timer: timer_list, expires: bigint): boolean {
    let base = timerBase(k, timer)
    const pending = detach_if_pending(k, timer, base)
    if ((timer.flags & TIMER_CPUMASK) !== k.cpu.id && (timer.flags & TIMER_PINNED) === 0) {
      timer.flags = (timer.flags & ~TIMER_CPUMASK) | k.cpu.id
      base = timerBase(k, timer)
    }
    forward_timer_base(k, base)
    timer.expires = expires
    enqueue_timer(k, base, timer)
    return pending
  },
)

/**
 * (Re)arm a timer.
 * @param expires in jiffies
 * @returns whether it was pending
 * @see kernel/time/timer.c:mod_timer
 */
export const mod_timer = kfunc(
  'kernel/time/timer.c',
  function mod_timer(k, timer: timer_list, expires: bigint): boolean {
    return __mod_timer(k, timer, BigInt.asUintN(k.mem.wordSize * 8, expires))
  },
)

/** Arm at `timer.expires`. @see kernel/time/timer.c:add_timer */
export const add_timer = kfunc('kernel/time/timer.c', function add_timer(k, timer: timer_list) {
  __mod_timer(k, timer, timer.expires)
})

/** Disarm. @returns whether it was pending @see kernel/time/timer.c:timer_delete */
export const timer_delete = kfunc(
  'kernel/time/timer.c',
  function timer_delete(k, timer: timer_list): boolean {
    return detach_if_pending(k, timer, timerBase(k, timer))
  },
)

/** Disarm; no handler runs meanwhile, here as there. @see kernel/time/timer.c:timer_delete_sync */
export const timer_delete_sync = kfunc(
  'kernel/time/timer.c',
  function timer_delete_sync(k, timer: timer_list): boolean {
    return detach_if_pending(k, timer, timerBase(k, timer))
  },
)
/** The names they had before 6.2. */
export const del_timer = timer_delete
export const del_timer_sync = timer_delete_sync

/** When the first bucket is due, coarse levels looked through only as far as needed. @see kernel/time/timer.c:__next_timer_interrupt */
function nextExpiry(k: Kernel, base: timer_base): bigint {
  let clk = base.clk
  let next = clk + NEXT_TIMER_MAX_DELTA
  for (let level = 0; level < LVL_DEPTH; level++) {
    const offset = level * Number(LVL_SIZE)
    const pos = nextPending(k, base, offset, Number(clk & (LVL_SIZE - 1n)))
    const levelClk = clk & ((1n << LVL_CLK_SHIFT) - 1n)
    if (pos >= 0) {
      const due = (clk + BigInt(pos)) << lvlShift(level)
      if (time_before(due, next, k.mem.wordSize)) next = due
      if (BigInt(pos) <= ((8n - levelClk) & 7n)) break
    }
    clk = (clk >> LVL_CLK_SHIFT) + (levelClk === 0n ? 0n : 1n)
  }
  base.next_expiry_recalc = 0
  base.timers_pending = next === base.clk + NEXT_TIMER_MAX_DELTA ? 0 : 1
  return next
}

/** Distance from `clk` to the next bucket of a level that has timers, -1 when none has. */
function nextPending(k: Kernel, base: timer_base, offset: number, clk: number): number {
  for (let i = 0; i < Number(LVL_SIZE); i++) {
    if (testBit(k, base, offset + ((clk + i) % Number(LVL_SIZE)))) return i
  }
  return -1
}

/** The buckets that are due, coarsest last, as list heads on the stack. @see kernel/time/timer.c:collect_expired_timers */
function collect_expired_timers(k: Kernel, base: timer_base, heads: Va): number {
  let clk = base.next_expiry
  base.clk = clk
  let levels = 0
  for (let level = 0; level < LVL_DEPTH; level++) {
    const index = Number(clk & (LVL_SIZE - 1n)) + level * Number(LVL_SIZE)
    if (testBit(k, base, index)) {
      clearBit(k, base, index)
      hlist_move_list(k.mem, vector(k, base, index), heads + levels++ * k.mem.wordSize)
    }
    if ((clk & ((1n << LVL_CLK_SHIFT) - 1n)) !== 0n) break
    clk >>= LVL_CLK_SHIFT
  }
  return levels
}

/** @see kernel/time/timer.c:call_timer_fn */
const call_timer_fn = kfunc(
  'kernel/time/timer.c',
  function call_timer_fn(k, timer: timer_list, func: bigint) {
    k.indirect<TimerFunction>(func)(k, timer)
  },
)

function expire_timers(k: Kernel, base: timer_base, head: Va): void {
  for (let node = k.mem.pointer(head); node !== 0; node = k.mem.pointer(head)) {
    const timer = k.ref('timer_list', node - k.types.offsetof('timer_list', 'entry'))
    base.running_timer = timer
    detach_timer(k, timer, true)
    call_timer_fn(k, timer, timer.function)
    base.running_timer = null
  }
}

/** @see kernel/time/timer.c:__run_timers */
const __run_timers = kfunc(
  'kernel/time/timer.c',
  function __run_timers(k, base: timer_base) {
    const heads = k.local('list_head').$va
    for (let i = 0; i < 4; i++) k.local('list_head')
    const now = jiffies(k)
    const { wordSize } = k.mem
    while (time_after_eq(now, base.clk, wordSize) && time_after_eq(now, base.next_expiry, wordSize)) {
      let levels = collect_expired_timers(k, base, heads)
      base.clk = base.clk + 1n
      base.next_expiry = nextExpiry(k, base)
      while (levels-- > 0) expire_timers(k, base, heads + levels * k.mem.wordSize)
    }
    program(k, base)
  },
  { locals: 80 },
)

/** @see kernel/time/timer.c:run_timer_softirq */
export const run_timer_softirq = kfunc('kernel/time/timer.c', function run_timer_softirq(k, _action: number) {
  __run_timers(k, baseOf(k, k.cpu.id, BASE_STD))
  __run_timers(k, baseOf(k, k.cpu.id, BASE_DEF))
})

/** Let the clock interrupt this base's CPU when its next bucket is due. */
function program(k: Kernel, base: timer_base): void {
  const planned = events(k)
  const old = planned.get(base.$va)
  const at = nsOfJiffy(k, base.next_expiry)
  if (base.timers_pending === 0) {
    if (old !== undefined) old.cancelled = true
    planned.delete(base.$va)
    return
  }
  if (old !== undefined && !old.cancelled && old.atNs === Math.max(at, k.clock.nowNs)) return
  if (old !== undefined) old.cancelled = true
  const { cpu } = base
  const event = k.clock.at(at, () => {
    planned.delete(base.$va)
    apic_timer_interrupt(k, cpu, () => raise_softirq(k, TIMER_SOFTIRQ))
  })
  planned.set(base.$va, event)
}

/** @see kernel/time/timer.c:process_timeout */
const process_timeout = kfunc('kernel/time/timer.c', function process_timeout(k, timer: timer_list) {
  // what follows the timer on the sleeper's stack, which is kept in steps of eight bytes
  const task = k.mem.pointer(timer.$va + Math.ceil(timer.$size / 8) * 8)
  wake_up_process(k, k.ref('task_struct', task))
})

/**
 * Sleep in the state the caller set, at most for `timeout` jiffies.
 * @returns jiffies left, 0 when they passed
 * @see kernel/time/timer.c:schedule_timeout
 */
export const schedule_timeout = kfunc(
  'kernel/time/timer.c',
  function* schedule_timeout(k, timeout: bigint): Generator<unknown, bigint> {
    if (isForever(timeout)) {
      yield* schedule(k)
      return timeout
    }
    // struct process_timer { struct timer_list timer; struct task_struct *task; }
    const timer = k.local('timer_list')
    const task = k.local('hlist_head')
    k.mem.setPointer(task.$va, k.current.$va)
    const expire = timeout + jiffies(k)
    timer_setup(k, timer, process_timeout)
    __mod_timer(k, timer, expire)
    yield* schedule(k)
    timer_delete_sync(k, timer)
    const left = BigInt.asIntN(k.mem.wordSize * 8, expire - jiffies(k))
    return left < 0n ? 0n : left
  },
  { locals: 56 },
)

/** Empty wheels on every CPU. @see kernel/time/timer.c:init_timers */
export function init_timers(k: Kernel): void {
  init_jiffies(k)
  for (const { id } of k.cpus) {
    for (const which of [BASE_STD, BASE_DEF]) {
      const base = baseOf(k, id, which)
      base.cpu = id
      base.clk = jiffies(k)
      base.next_expiry = base.clk + NEXT_TIMER_MAX_DELTA
      for (let i = 0; i < WHEEL_SIZE; i++) k.mem.setPointer(vector(k, base, i), 0)
    }
  }
  open_softirq(k, TIMER_SOFTIRQ, run_timer_softirq)
}

/** Timers pending on a CPU: addresses of their `struct timer_list`. */
export function* pendingTimers(k: Kernel, cpu: number): Generator<timer_list> {
  for (const which of [BASE_STD, BASE_DEF]) {
    const base = baseOf(k, cpu, which)
    for (let i = 0; i < WHEEL_SIZE; i++) {
      for (const node of hlist_for_each(k.mem, vector(k, base, i))) yield k.ref('timer_list', node)
    }
  }
}

/** Bits of a wheel level, for those who compute expiries. */
export const WHEEL = { levelBits: LVL_BITS, depth: LVL_DEPTH } as const

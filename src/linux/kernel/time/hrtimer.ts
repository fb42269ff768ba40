/** High-resolution timers: each CPU's tree of expiries, in nanoseconds. @see kernel/time/hrtimer.c */

import type { Va } from '../../../base/addr.ts'
import type { hrtimer, hrtimer_clock_base } from '../../../btf/vmlinux.ts'
import {
  RB_CLEAR_NODE,
  RB_EMPTY_NODE,
  rb_add_cached,
  rb_erase_cached,
  rb_first,
} from '../../../structures/rbtree.ts'
import { apic_timer_interrupt } from '../../arch/x86/kernel/irq.ts'
import type { ClockEvent } from '../../clock.ts'
import { deref } from '../../deref.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { schedule, wake_up_process } from '../sched/core.ts'
import { TASK_RUNNING } from '../../../abi/sched.ts'
import { ktime_get_ns } from './timekeeping.ts'

/** `hrtimer.function`; HRTIMER_NORESTART is 0. */
type HrtimerFunction = (k: Kernel, timer: hrtimer) => number

const HRTIMER_STATE_ENQUEUED = 1

const events = perKernel(() => new Map<Va, ClockEvent>())

const baseOf = (k: Kernel, cpu: number): hrtimer_clock_base =>
  k.ref('hrtimer_clock_base', k.per_cpu('hrtimer_bases', 'hrtimer_cpu_base', cpu).$vaOf('clock_base'))
const nodeVa = (timer: hrtimer): Va => timer.$vaOf('node')
const expiresOf = (k: Kernel, node: Va): bigint => k.ref('hrtimer', node).node.expires

/** @see kernel/time/hrtimer.c:hrtimers_init */
export function hrtimers_init(k: Kernel): void {
  for (const { id } of k.cpus) {
    const cpuBase = k.per_cpu('hrtimer_bases', 'hrtimer_cpu_base', id)
    cpuBase.$set('cpu', id)
    const bases = cpuBase.$array('clock_base')
    for (let i = 0; i < bases.length; i++) {
      const base = k.ref('hrtimer_clock_base', bases.$vaAt(i))
      base.$set('cpu_base', cpuBase)
      base.$set('index', i)
      base.$set('clockid', i % 4 === 0 ? 1 : 0)
    }
  }
}

/** @see kernel/time/hrtimer.c:hrtimer_init */
export function hrtimer_init(k: Kernel, timer: hrtimer): void {
  k.mem.fill(timer.$va, 0, timer.$size)
  RB_CLEAR_NODE(k.mem, nodeVa(timer))
  timer.base = baseOf(k, k.cpu.id)
}

/** Arm at an absolute time in nanoseconds since boot. @see kernel/time/hrtimer.c:hrtimer_start_range_ns */
export const hrtimer_start_range_ns = kfunc(
  'kernel/time/hrtimer.c',
  function hrtimer_start_range_ns(k, timer: hrtimer, expires: bigint, slackNs: bigint) {
    hrtimer_cancel(k, timer)
    timer._softexpires = expires
    timer.node.expires = expires + slackNs
    timer.state = HRTIMER_STATE_ENQUEUED
    const base = baseOf(k, k.cpu.id)
    timer.base = base
    const key = expires + slackNs
    rb_add_cached(k.mem, nodeVa(timer), base.active.rb_root.$va, (other) => key < expiresOf(k, other))
    program(k, base)
  },
)

/** @returns whether it was armed @see kernel/time/hrtimer.c:hrtimer_cancel */
export const hrtimer_cancel = kfunc(
  'kernel/time/hrtimer.c',
  function hrtimer_cancel(k, timer: hrtimer): boolean {
    if (RB_EMPTY_NODE(k.mem, nodeVa(timer))) return false
    const base = deref(timer.base)
    rb_erase_cached(k.mem, nodeVa(timer), base.active.rb_root.$va)
    RB_CLEAR_NODE(k.mem, nodeVa(timer))
    timer.state = 0
    program(k, base)
    return true
  },
)

/** Let the clock interrupt the base's CPU when its first timer is due. */
function program(k: Kernel, base: hrtimer_clock_base): void {
  const planned = events(k)
  const old = planned.get(base.$va)
  if (old !== undefined) old.cancelled = true
  planned.delete(base.$va)
  const first = rb_first(k.mem, base.active.rb_root.$va)
  if (first === 0) return
  const cpu = Number(deref(base.$ref('cpu_base')).$int('cpu'))
  const event = k.clock.at(Number(expiresOf(k, first)), () => {
    planned.delete(base.$va)
    apic_timer_interrupt(k, cpu, () => hrtimer_interrupt(k, base))
  })
  planned.set(base.$va, event)
}

/** @see kernel/time/hrtimer.c:hrtimer_interrupt */
const hrtimer_interrupt = kfunc(
  'kernel/time/hrtimer.c',
  function hrtimer_interrupt(k, base: hrtimer_clock_base) {
    __hrtimer_run_queues(k, base)
    program(k, base)
  },
)

const __hrtimer_run_queues = kfunc(
  'kernel/time/hrtimer.c',
  function __hrtimer_run_queues(k, base: hrtimer_clock_base) {
    const root = base.active.rb_root.$va
    for (let node = rb_first(k.mem, root); node !== 0; node = rb_first(k.mem, root)) {
      if (expiresOf(k, node) > ktime_get_ns(k)) return
      rb_erase_cached(k.mem, node, root)
      RB_CLEAR_NODE(k.mem, node)
      const timer = k.ref('hrtimer', node)
      timer.state = 0
      k.indirect<HrtimerFunction>(timer.function)(k, timer)
    }
  },
)

/** @see kernel/time/hrtimer.c:hrtimer_wakeup */
const hrtimer_wakeup = kfunc('kernel/time/hrtimer.c', function hrtimer_wakeup(k, timer: hrtimer): number {
  // struct hrtimer_sleeper { struct hrtimer timer; struct task_struct *task; }
  const slot = timer.$va + timer.$size
  const task = k.mem.pointer(slot)
  k.mem.setPointer(slot, 0)
  if (task !== 0) wake_up_process(k, k.ref('task_struct', task))
  return 0
})

/** A sleeper on the running function's stack (`locals: HRTIMER_SLEEPER_BYTES`), armed for `expires`. */
export function startSleeper(
  k: Kernel,
  expires: bigint,
  slackNs: bigint,
): { timer: hrtimer; fired: () => boolean } {
  const timer = k.local('hrtimer')
  const task = k.local('hlist_head')
  hrtimer_init(k, timer)
  timer.function = k.text(hrtimer_wakeup)
  k.mem.setPointer(task.$va, k.current.$va)
  hrtimer_start_range_ns(k, timer, expires, slackNs)
  return { timer, fired: () => k.mem.pointer(task.$va) === 0 }
}
export const HRTIMER_SLEEPER_BYTES = 72

/**
 * Sleep in the state the caller set until a time has come or something wakes the task.
 * @param expires nanoseconds since boot; undefined sleeps without end
 * @returns whether the time had come
 * @see kernel/time/hrtimer.c:schedule_hrtimeout_range_clock
 */
export const schedule_hrtimeout_range_clock = kfunc(
  'kernel/time/hrtimer.c',
  function* schedule_hrtimeout_range_clock(
    k,
    expires: bigint | undefined,
    slackNs: bigint,
  ): Generator<unknown, boolean> {
    if (expires === undefined) {
      yield* schedule(k)
      return false
    }
    const { timer, fired } = startSleeper(k, expires, slackNs)
    yield* schedule(k)
    hrtimer_cancel(k, timer)
    k.current.__state = TASK_RUNNING
    return fired()
  },
  { locals: HRTIMER_SLEEPER_BYTES },
)

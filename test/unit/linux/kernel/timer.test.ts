import { describe, expect, it } from 'vitest'
import { msecs_to_jiffies } from '../../../../src/abi/jiffies.ts'
import type { timer_list } from '../../../../src/btf/vmlinux.ts'
import { kfunc } from '../../../../src/linux/kfunc.ts'
import { runUntil } from '../../../../src/linux/kernel/sched/run.ts'
import {
  mod_timer,
  timer_delete,
  timer_pending,
  timer_setup,
} from '../../../../src/linux/kernel/time/timer.ts'
import { jiffies } from '../../../../src/linux/kernel/time/timekeeping.ts'
import { kzalloc } from '../../../../src/linux/mm/slab.ts'
import { bootedMachine } from '../../../support/machine.ts'

const fired: [number, bigint][] = []
/** Takes the place of a function of the kernel whose address a timer can hold. */
const delayed_work_timer_fn = kfunc(
  'kernel/workqueue.c',
  function delayed_work_timer_fn(k, timer: timer_list) {
    fired.push([timer.$va, jiffies(k)])
  },
)

describe('the timer wheel', () => {
  it('fires in order, never early, late by no more than the level’s grain', () => {
    const k = bootedMachine()
    fired.length = 0
    const delays = [4, 40, 300, 1000, 2500, 7000, 30_000, 200_000].map((ms) => msecs_to_jiffies(ms))
    const due = new Map<number, bigint>()
    for (const delay of [...delays].reverse()) {
      const timer = k.ref('timer_list', kzalloc(k, 64))
      timer_setup(k, timer, delayed_work_timer_fn)
      mod_timer(k, timer, jiffies(k) + delay)
      due.set(timer.$va, timer.expires)
    }
    runUntil(k, k.clock.nowNs + 300e9)
    expect(fired.map(([timer]) => due.get(timer))).toEqual([...due.values()].sort((a, b) => Number(a - b)))
    for (const [timer, at] of fired) {
      const late = at - (due.get(timer) ?? 0n)
      expect(late).toBeGreaterThanOrEqual(0n)
      expect(Number(late)).toBeLessThanOrEqual(Math.max(1, Number(due.get(timer) ?? 0n) / 4))
    }
  })

  it('a timer taken off does not fire and is not pending', () => {
    const k = bootedMachine()
    fired.length = 0
    const timer = k.ref('timer_list', kzalloc(k, 64))
    timer_setup(k, timer, delayed_work_timer_fn)
    mod_timer(k, timer, jiffies(k) + 10n)
    expect(timer_pending(k, timer)).toBe(true)
    expect(timer_delete(k, timer)).toBe(true)
    expect(timer_delete(k, timer)).toBe(false)
    runUntil(k, k.clock.nowNs + 1e9)
    expect(fired).toEqual([])
  })
})

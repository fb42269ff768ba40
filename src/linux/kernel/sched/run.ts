/**
 * The machine loop: every CPU runs its current task until it sleeps; when all are idle, time jumps to the next
 * event (a timer, a frame on the wire), which comes in as an interrupt.
 */

import { InvariantError } from '../../../base/errors.ts'
import { deadThread } from '../../arch/x86/kernel/oops.ts'
import { KernelPageFault } from '../../arch/x86/mm/fault.ts'
import type { Cpu, Kernel, Thread } from '../../kernel.ts'
import { chargeAll } from './core.ts'
import { cpu_rq } from './fair.ts'
import { haltAgain, isIdle, leaveIdle } from './idle.ts'
import { loadUserPages } from './switch.ts'

/** A guard against two threads waking each other for ever without time passing. */
const STEPS_MAX = 50_000_000

/**
 * Let the machine run until virtual time `ns` (nanoseconds since boot). Time ends up at `ns` even if everything
 * sleeps.
 */
export function runUntil(k: Kernel, ns: number): void {
  run(k, ns, () => false)
  k.clock.moveTo(ns)
  rest(k)
}

/**
 * Run until nothing is runnable and no event is due within `quietNs`.
 * @param quietNs how far ahead to look for events; timers further away stay pending
 */
export function runUntilIdle(k: Kernel, quietNs = 50_000_000): void {
  for (let steps = 0; ; steps++) {
    const limit = k.clock.nowNs + quietNs
    if (!runOnce(k, limit)) break
    if (steps > STEPS_MAX) throw new InvariantError('the machine does not come to rest')
  }
  rest(k)
}

/** Between runs the boot processor is the one that executes, and the accounts are up to date. */
function rest(k: Kernel): void {
  chargeAll(k)
  k.cpu = k.cpus[0] as Cpu
  loadUserPages(k)
  k.mem.journal.site = 0
}

/** Run until `done` says so, or until nothing can happen before `limitNs`. @returns whether it did */
export function runUntilDone(k: Kernel, done: () => boolean, limitNs = Infinity): boolean {
  run(k, limitNs, done)
  rest(k)
  return done()
}

function run(k: Kernel, limitNs: number, done: () => boolean): void {
  for (let steps = 0; !done(); steps++) {
    if (k.clock.nowNs >= limitNs && !anyDue(k, limitNs)) return
    if (!runOnce(k, limitNs)) return
    if (steps > STEPS_MAX) throw new InvariantError('the machine does not come to rest')
  }
}

const anyDue = (k: Kernel, limitNs: number): boolean => {
  const next = k.clock.nextNs
  return next !== undefined && next <= limitNs
}

/** One round: events that are due, then a turn for each CPU; when all idle, the next event. @returns false when nothing is left */
function runOnce(k: Kernel, limitNs: number): boolean {
  if (fireDue(k)) return true
  let ran = false
  for (const cpu of k.cpus) {
    if (turn(k, cpu)) ran = true
    if (k.clock.nowNs >= limitNs) break
  }
  if (ran) return true
  const event = k.clock.take(limitNs)
  if (event === undefined) return false
  event.run()
  return true
}

/** Events whose time came while a task ran. */
function fireDue(k: Kernel): boolean {
  const event = k.clock.take(k.clock.nowNs)
  event?.run()
  return event !== undefined
}

/** To its next stop, or to the fault that ends it: then what is left of it is that it dies. @returns whether it has ended */
function resume(k: Kernel, thread: Thread, coroutine: NonNullable<Thread['coroutine']>): boolean {
  try {
    return coroutine.next().done === true
  } catch (error) {
    if (!(error instanceof KernelPageFault)) throw error
    deadThread(k, thread)
    return false
  }
}

/** Let a CPU run its current task to its next stop. @returns false when it is idle */
function turn(k: Kernel, cpu: Cpu): boolean {
  k.cpu = cpu
  if (isIdle(cpu)) {
    if (cpu_rq(k).nr_running === 0) {
      haltAgain(k)
      return false
    }
    leaveIdle(k)
  }
  const thread = cpu.current
  if (thread.coroutine === null) throw new InvariantError(`task ${thread.task.pid} has nothing to run`)
  loadUserPages(k)
  k.mem.journal.site = thread.frames.at(-1)?.id ?? 0
  const done = resume(k, thread, thread.coroutine)
  if (done && cpu.current === thread)
    throw new InvariantError(`task ${thread.task.pid} returned without exit`)
  if (isIdle(cpu)) haltAgain(k)
  return true
}

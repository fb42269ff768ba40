/** Virtual time: nanoseconds since boot, moved only by the machine, with the events that wait on it. */

import { InvariantError } from '../base/errors.ts'

export interface ClockEvent {
  readonly atNs: number
  readonly run: () => void
  cancelled: boolean
}

/** The kernel's HZ in all profiles. */
export const HZ = 250
export const NSEC_PER_JIFFY = 1_000_000_000 / HZ

/** Events fire in order of time, then of registration. */
export class Clock {
  /** Nanoseconds since boot (CLOCK_MONOTONIC). */
  nowNs = 0
  /** Wall time at boot, in nanoseconds since the epoch. */
  bootWallNs = 0n
  /** Called after every move of {@link nowNs}; the timekeeper brings memory up to date. */
  onAdvance: (() => void) | undefined
  private readonly heap: { event: ClockEvent; order: number }[] = []
  private order = 0

  at(atNs: number, run: () => void): ClockEvent {
    const event: ClockEvent = { atNs: Math.max(atNs, this.nowNs), run, cancelled: false }
    const entry = { event, order: this.order++ }
    // a binary search keeps the list sorted: late events are the rule, so the insertion is near the end
    let low = 0
    let high = this.heap.length
    while (low < high) {
      const mid = (low + high) >>> 1
      if ((this.heap[mid] as typeof entry).event.atNs <= event.atNs) low = mid + 1
      else high = mid
    }
    this.heap.splice(low, 0, entry)
    return event
  }

  after(ns: number, run: () => void): ClockEvent {
    return this.at(this.nowNs + ns, run)
  }

  /** When the next event is due; undefined when none waits. */
  get nextNs(): number | undefined {
    while (this.heap[0]?.event.cancelled === true) this.heap.shift()
    return this.heap[0]?.event.atNs
  }

  /** Take the next event that is due by `limitNs` and move to its time. */
  take(limitNs: number): ClockEvent | undefined {
    const next = this.nextNs
    if (next === undefined || next > limitNs) return undefined
    const { event } = this.heap.shift() as { event: ClockEvent }
    this.moveTo(event.atNs)
    return event
  }

  /** Time passes without an event: the cost of what the kernel just did. */
  spend(ns: number): void {
    this.moveTo(this.nowNs + ns)
  }

  moveTo(ns: number): void {
    if (ns < this.nowNs) {
      // an event that fell due while the kernel was busy runs late, not in the past
      if (this.nowNs - ns > 1e15) throw new InvariantError('the clock runs backwards')
      return
    }
    if (ns === this.nowNs) return
    this.nowNs = ns
    this.onAdvance?.()
  }
}

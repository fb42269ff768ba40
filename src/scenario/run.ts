/** A scenario as it runs: the machine, the hosts around it, its programs, and what has been written down so far. */

import { CoredrillError } from '../base/errors.ts'
import { write_frames } from '../linux/arch/x86/kernel/stack.ts'
import { KernelPanic, panicked } from '../linux/kernel/panic.ts'
import { runUntil, runUntilDone, runUntilIdle } from '../linux/kernel/sched/run.ts'
import { logTimes } from '../linux/kernel/printk/printk.ts'
import type { Kernel } from '../linux/kernel.ts'
import type { Host } from '../linux/net/wire/host.ts'
import type { HostConnection } from '../linux/net/wire/host-tcp.ts'
import { parseTcp } from '../linux/net/wire/segments.ts'
import { wire, type Frame } from '../linux/net/wire/wire.ts'
import type { PageDelta } from '../memory/guest-memory.ts'
import { probeName } from './check.ts'
import type { ProbeSpec } from './grammar.ts'
import { Programs } from './programs.ts'
import { Refusals } from './refusals.ts'
import type { ArmedPin } from './pins.ts'
import { CRASH_SNAPSHOT, type Scenario, type ScenarioStep } from './scenario.ts'
import { Traces } from './traces.ts'

/** Memory at an instant: the pages that changed since the one before. */
export interface Snapshot {
  readonly name: string
  readonly step: number
  readonly timeNs: number
  readonly delta: PageDelta
}

/** What happened in one step. */
export interface StepRow {
  readonly name: string
  /** the step as the file has it, on one line */
  readonly summary: string
  readonly line: number
  readonly atNs: number
  endNs: number
  /** Of a line typed at a shell: what the terminal showed, and its exit status. */
  output?: string
  status?: number
}

/** Which frames the wire is to lose. */
export interface LossRule {
  readonly device?: string | undefined
  readonly direction?: 'in' | 'out' | undefined
  readonly host?: string | undefined
  readonly flags?: number | undefined
  count: number
}

/** How long a step may wait for the function its `until` names. */
const UNTIL_LIMIT_NS = 300_000_000_000

export class Run {
  readonly scenario: Scenario
  readonly k: Kernel
  readonly connections = new Map<string, HostConnection>()
  readonly programs: Programs
  readonly traces: Traces
  readonly refusals: Refusals
  readonly snapshots: Snapshot[] = []
  /** Step 0 is the boot. */
  readonly rows: StepRow[] = []
  private readonly hosts: ReadonlyMap<string, Host>
  private readonly pins: ReadonlyMap<object, ArmedPin>
  /** Why the machine has stopped for good. */
  private panic: string | undefined
  private readonly losses: LossRule[] = []

  constructor(
    scenario: Scenario,
    k: Kernel,
    hosts: ReadonlyMap<string, Host>,
    pins: ReadonlyMap<object, ArmedPin>,
  ) {
    this.scenario = scenario
    this.k = k
    this.hosts = hosts
    this.pins = pins
    this.programs = new Programs(this)
    this.traces = new Traces(k)
    this.refusals = new Refusals(k)
    panicked(k).keep = () => this.snapshot(CRASH_SNAPSHOT)
    wire(k).lose = (frame) => this.isLost(frame)
  }

  /** Run one step, and the machine behind it. @param number from 1 */
  step(step: ScenarioStep, number: number): void {
    const { k } = this
    if (this.panic !== undefined) this.fail(`${this.panic}: nothing runs any more`)
    if (step.at !== undefined) this.runTo(step.at)
    k.mem.journal.step = number
    for (const pin of step.pins) this.arm(pin)
    logTimes(k).push(...step.log_times)
    const row = this.begin(step)
    const called = step.until === undefined ? undefined : this.watchFor(step.until)
    try {
      step.definition.run(this, step.params)
      if (called === undefined) this.settle(step)
      else this.runUntilCalled(step.until ?? '', called)
    } catch (error) {
      if (!(error instanceof KernelPanic)) throw error
      this.panic = error.message
    }
    row.endNs = k.clock.nowNs
    const left = logTimes(k).splice(0).length
    if (left > 0)
      this.fail(`the kernel has printed ${step.log_times.length - left} lines, not ${step.log_times.length}`)
  }

  private begin(step: ScenarioStep): StepRow {
    const { source } = this.scenario
    const { line } = source.locate(step.path)
    const { name } = step.definition
    const row = { name, summary: `${name}: ${source.excerpt([...step.path, name])}`, line }
    const full = { ...row, atNs: this.k.clock.nowNs, endNs: this.k.clock.nowNs }
    this.rows.push(full)
    return full
  }

  /** Steps that look at the machine, or let time pass, leave it as it is. */
  private settle(step: ScenarioStep): void {
    if (!PASSIVE.includes(step.definition.name)) runUntilIdle(this.k)
  }

  /** Objects of this scenario item lie where it says from now on. */
  arm(pin: object): void {
    this.pins.get(pin)?.arm()
  }

  /** Pins whose step has come and gone without an object for them. */
  unusedPins(): ArmedPin[] {
    return [...this.pins.values()].filter((pin) => !pin.taken())
  }

  private watchFor(name: string): { called: boolean; stop: () => void } {
    const state = { called: false, stop: (): void => undefined }
    state.stop = this.k.watch(name, {
      entered: () => (state.called = true),
      returned: () => undefined,
    })
    return state
  }

  private runUntilCalled(name: string, state: { called: boolean; stop: () => void }): void {
    const { k } = this
    runUntilDone(k, () => state.called, k.clock.nowNs + UNTIL_LIMIT_NS)
    state.stop()
    if (!state.called) this.fail(`${name} was not called, and nothing more happens`)
  }

  /** Let the machine run until `ns` since boot. */
  runTo(ns: number): void {
    if (ns < this.k.clock.nowNs) this.fail(`it is ${seconds(this.k.clock.nowNs)} already`)
    runUntil(this.k, ns)
  }

  runFor(ns: number): void {
    runUntil(this.k, this.k.clock.nowNs + ns)
  }

  /** Everything that has been on the wire. */
  get frames(): readonly Frame[] {
    return wire(this.k).frames
  }

  host(name: string): Host {
    return this.hosts.get(name) ?? this.fail(`no host ${name}`)
  }

  connection(name: string): HostConnection {
    return this.connections.get(name) ?? this.fail(`no connection ${name}`)
  }

  lose(rule: LossRule): void {
    if (rule.count === 0) this.losses.length = 0
    else this.losses.push(rule)
  }

  private isLost(frame: Frame): boolean {
    const segment = parseTcp(frame.bytes)
    const rule = this.losses.find((r) => {
      if (r.count === 0 || (r.device ?? frame.device) !== frame.device) return false
      if ((r.direction ?? frame.direction) !== frame.direction) return false
      if (r.flags !== undefined && segment?.flags !== r.flags) return false
      if (r.host === undefined) return true
      const ip = this.host(r.host).ip
      return segment !== undefined && (segment.source === ip || segment.target === ip)
    })
    if (rule === undefined) return false
    rule.count--
    return true
  }

  addProbe(probe: ProbeSpec): void {
    this.traces.add(probeName(probe), probe)
  }

  removeProbe(name: string): void {
    this.traces.remove(name)
  }

  /** Keep the memory as it is. What runs on a processor gets its stack written out first. */
  snapshot(name: string): void {
    const { k } = this
    for (const { current } of k.cpus) write_frames(k, current)
    const step = k.mem.journal.step
    this.snapshots.push({ name, step, timeNs: k.clock.nowNs, delta: k.mem.takeDelta() })
  }

  /** A host's end of a connection must be so by now. */
  expectNow(e: { connection: string; state?: string | undefined; received?: string | undefined }): void {
    const problem = connectionProblem(this.connection(e.connection), e)
    if (problem !== undefined) this.fail(problem)
  }

  /** The step cannot be done. @throws CoredrillError, which the recorder puts a position to */
  fail(message: string): never {
    throw new CoredrillError('SCENARIO', message)
  }
}

/** Steps after which the machine is not run until it is quiet. */
const PASSIVE: readonly string[] = ['snapshot', 'wait', 'expect', 'probe', 'unprobe', 'lose', 'listen']

const seconds = (ns: number): string => `${(ns / 1e9).toFixed(6)} s since boot`

/** What is not as expected of a host's end; undefined when all is. */
export function connectionProblem(
  connection: HostConnection,
  e: { state?: string | undefined; received?: string | undefined },
): string | undefined {
  const state = connection.error ?? connection.state
  if (e.state !== undefined && e.state !== state) return `the connection is ${state}, not ${e.state}`
  const received = Buffer.from(connection.received).toString('utf8')
  if (e.received !== undefined && e.received !== received) {
    return `the host has received ${JSON.stringify(received)}`
  }
  return undefined
}

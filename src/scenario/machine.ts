/** The machine a scenario describes: booted, with its cards, the hosts on the wire, files, processes and modules. */

import { toVa } from '../base/addr.ts'
import { CoredrillError, InvariantError } from '../base/errors.ts'
import { Random } from '../base/random.ts'
import { PinnedSymbolError } from '../linux/arch/x86/kernel/pinned.ts'
import { createKernel, DEFAULT_BOOT } from '../linux/boot.ts'
import { e1000_probe } from '../linux/drivers/net/e1000/e1000_main.ts'
import type { Kernel } from '../linux/kernel.ts'
import { set_panic_on_oops } from '../linux/kernel/panic.ts'
import { moduleAddresses } from '../linux/kernel/module/placement.ts'
import { runUntilIdle } from '../linux/kernel/sched/run.ts'
import { in_aton } from '../linux/net/ipv4/devinet.ts'
import { add_default_gateway } from '../linux/net/ipv4/route.ts'
import { Host } from '../linux/net/wire/host.ts'
import { findProfile } from '../linux/profile.ts'
import { onNetwork } from './check.ts'
import { macBytes } from './fields.ts'
import { moduleWords } from './steps/insmod.ts'
import { reservePins } from './pins.ts'
import { ScenarioError, type Problem } from './problem.ts'
import { Run } from './run.ts'
import type { Scenario } from './scenario.ts'

/** Uptime at the first step, unless the scenario says. */
const DEFAULT_UPTIME_NS = 10_000_000_000
/** The module that drives the cards. */
const DRIVER = 'e1000'

/**
 * Boot it, up to where the first step runs.
 * @throws ScenarioError when the machine cannot be as described
 */
export function startMachine(scenario: Scenario): Run {
  const k = bootKernel(scenario)
  if (scenario.panicOnOops) set_panic_on_oops(k, true)
  const problems: Problem[] = []
  const pins = reservePins(k, scenario, problems)
  scenario.exports.forEach((name, i) => {
    if (!k.symbols.has(name))
      problems.push(scenario.source.at(['exports', i], 'UNKNOWN_NAME', `this kernel has no symbol ${name}`))
  })
  if (problems.length > 0) throw new ScenarioError(scenario.source.path, scenario.source.text, problems)
  const run = new Run(scenario, k, addHosts(k, scenario), pins)
  run.rows.push({ name: 'boot', summary: 'the machine boots', line: 1, atNs: 0, endNs: k.clock.nowNs })
  for (const [name, at] of Object.entries(scenario.moduleAddresses))
    moduleAddresses(k).set(name, toVa(at, k.mem.wordSize))
  run.programs.startInit()
  if (scenario.devices.length > 0) load(run, DRIVER, {})
  addDevices(k, scenario)
  run.programs.prepare()
  for (const { params = {}, name } of scenario.modules) load(run, name, params)
  run.runTo(Math.max(scenario.clock.uptime ?? DEFAULT_UPTIME_NS, k.clock.nowNs))
  for (const probe of scenario.probes) run.addProbe(probe)
  return run
}

function load(run: Run, name: string, params: Parameters<typeof moduleWords>[0]): void {
  const task = `insmod ${name}`
  run.programs.insmod(name, moduleWords(params), { name: task })
  runUntilIdle(run.k)
  if (run.programs.exitOf(task)?.status === 0) return
  throw new CoredrillError('SCENARIO', `cannot load ${name}: ${run.programs.errors(task).trim()}`)
}

function bootKernel(scenario: Scenario): Kernel {
  const profile = findProfile(scenario.profile)
  if (profile === undefined) throw new CoredrillError('SCENARIO', `unknown profile ${scenario.profile}`)
  const options = {
    profile,
    memoryBytes: scenario.memoryBytes,
    cpus: scenario.cpus,
    seed: scenario.seed,
    wallNs: scenario.clock.boot === undefined ? DEFAULT_BOOT.wallNs : wallTime(scenario.clock.boot),
    hostname: scenario.hostname,
    exports: scenario.exports,
    symbols: new Map(Object.entries(scenario.symbols)),
  }
  try {
    return createKernel(options)
  } catch (error) {
    const problem = bootProblem(scenario, error)
    if (problem === undefined) throw error
    throw new ScenarioError(scenario.source.path, scenario.source.text, [problem])
  }
}

/** What the scenario asks for and no machine can be; undefined for anything else. */
function bootProblem({ source }: Scenario, error: unknown): Problem | undefined {
  if (error instanceof PinnedSymbolError)
    return source.at(['symbols', error.symbol], 'BAD_PIN', error.message)
  // many CPUs need more room than the least memory has
  if (!(error instanceof InvariantError)) return undefined
  return source.at(['memory'], 'BAD_VALUE', error.message.replace(/^internal error: /, ''))
}

function addDevices(k: Kernel, scenario: Scenario): void {
  for (const { name, mac, address, irq_cpu: irqCpu, gateway } of scenario.devices) {
    const config = { name, mac: macBytes(mac), address: in_aton(address.ip), prefix: address.prefix, irqCpu }
    const dev = e1000_probe(k, config)
    if (gateway !== undefined) add_default_gateway(k, in_aton(gateway), dev)
  }
}

function addHosts(k: Kernel, scenario: Scenario): Map<string, Host> {
  const random = new Random(`${scenario.seed}/hosts`)
  const hosts = new Map<string, Host>()
  for (const spec of scenario.hosts) {
    const made = madeMac(random)
    const device = scenario.devices.find(({ name }) => name === (spec.device ?? scenario.devices[0]?.name))
    const router =
      device !== undefined && !onNetwork(spec.address, device.address) ? device.gateway : undefined
    const routerMac = router === undefined ? undefined : madeMac(new Random(`${scenario.seed}/${router}`))
    const host = new Host(k, {
      name: spec.name,
      address: spec.address,
      mac: routerMac ?? (spec.mac === undefined ? made : macBytes(spec.mac)),
      router,
      device: device?.name ?? 'lo',
      delayNs: spec.delay,
      silent: spec.silent,
      windowScale: spec.window_scale,
      seed: scenario.seed,
    })
    for (const port of spec.listen) host.listen(port)
    hosts.set(spec.name, host)
  }
  return hosts
}

/** 02: locally administered */
const madeMac = (random: Random): Uint8Array =>
  Uint8Array.from([0x02, ...Array.from({ length: 5 }, () => random.below(256))])

/** `2026-01-31T12:00:00Z` → nanoseconds since the epoch (without the platform's clock or calendar). */
export function wallTime(text: string): bigint {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$/.exec(text)
  if (found === null) throw new CoredrillError('SCENARIO', `not a time: ${text}`)
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [number, number, number, number, number, number] // prettier-ignore
  const seconds = ((daysFromCivil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
  return BigInt(seconds) * 1_000_000_000n + BigInt((found[7] ?? '').padEnd(9, '0'))
}

/** Days since 1970-01-01. @see Howard Hinnant: chrono-Compatible Low-Level Date Algorithms */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return (
    era * 146097 +
    yearOfEra * 365 +
    Math.floor(yearOfEra / 4) -
    Math.floor(yearOfEra / 100) +
    dayOfYear -
    719468
  )
}

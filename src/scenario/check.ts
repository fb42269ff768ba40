/** What a schema cannot see: things that must differ, fit each other, or name something that is there. */

import { ipNumber } from '../linux/net/wire/segments.ts'
import { moduleNames } from './modules.ts'
import { programNames, programOf } from './programs.ts'
import {
  expectations,
  type DeviceSpec,
  type Expectation,
  type ExpectationKind,
  type HostSpec,
  type ModuleSpec,
  type PinSpec,
  type ProbeSpec,
  type ProcessSpec,
} from './grammar.ts'
import type { Names } from './names.ts'
import type { ProblemCode } from './problem.ts'
import type { Path } from './source.ts'

type Complain = (path: Path, code: ProblemCode, message: string) => void

/** The machine a scenario describes, as far as it could be read. */
interface Machine {
  readonly cpus: number
  readonly memoryBytes: number
  readonly devices: readonly DeviceSpec[]
  readonly hosts: readonly HostSpec[]
  readonly processes: readonly ProcessSpec[]
  readonly modules: readonly ModuleSpec[]
}

/** Declare the machine's names and complain of what does not fit together. */
export function checkMachine(machine: Machine, names: Names, complain: Complain): void {
  names.add('device', 'lo')
  for (const program of programNames()) names.add('program', program)
  for (const module of moduleNames()) names.add('module', module)
  machine.devices.forEach((device, i) => {
    names.declare('device', device.name, ['devices', i, 'name'])
    checkCpu(device.irq_cpu, machine.cpus, ['devices', i, 'irq_cpu'], complain)
  })
  checkHosts(machine, names, complain)
  checkProcesses(machine, names, complain)
  machine.modules.forEach((module, i) => names.use('module', module.name, ['modules', i, 'name']))
}

function checkHosts({ hosts, devices }: Machine, names: Names, complain: Complain): void {
  const addresses = new Map<string, string>(devices.map((d) => [d.address.ip, d.name]))
  hosts.forEach((host, i) => {
    names.declare('host', host.name, ['hosts', i, 'name'])
    const other = addresses.get(host.address)
    if (other !== undefined) complain(['hosts', i, 'address'], 'DUPLICATE', `${other} has this address`)
    addresses.set(host.address, host.name)
    if (host.device !== undefined) names.use('device', host.device, ['hosts', i, 'device'])
    const device = devices.find((d) => d.name === (host.device ?? devices[0]?.name))
    if (device === undefined) {
      if (host.device === undefined)
        complain(['hosts', i], 'BAD_VALUE', 'a host needs a device to be reached by')
      return
    }
    const apart = !onNetwork(host.address, device.address)
    if (apart && device.gateway === undefined) {
      const net = `${device.address.ip}/${device.address.prefix}`
      complain(
        ['hosts', i, 'address'],
        'BAD_VALUE',
        `not on the network of ${device.name} (${net}), which has no gateway`,
      )
    }
  })
}

/** Is an address on the network of a device? */
export function onNetwork(
  address: string,
  network: { readonly ip: string; readonly prefix: number },
): boolean {
  const mask = network.prefix === 0 ? 0 : (-1 << (32 - network.prefix)) >>> 0
  return ((ipNumber(address) ^ ipNumber(network.ip)) & mask) === 0
}

function checkProcesses({ processes, cpus, memoryBytes }: Machine, names: Names, complain: Complain): void {
  const pids = new Set<number>([1, 2])
  processes.forEach((process, i) => {
    const at = ['processes', i]
    if (pids.has(process.pid))
      complain([...at, 'pid'], 'DUPLICATE', `there is a process ${process.pid} already`)
    const parents = [...pids]
    pids.add(process.pid)
    if (!parents.includes(process.ppid)) {
      complain([...at, 'ppid'], 'UNKNOWN_NAME', `no process ${process.ppid} before this one`)
    }
    names.use('program', programOf(process.argv), [...at, 'argv', 0])
    if (process.name !== undefined) names.declare('process', process.name, [...at, 'name'])
    if (process.cpu !== undefined) checkCpu(process.cpu, cpus, [...at, 'cpu'], complain)
    checkSizes(process, memoryBytes, at, complain)
  })
}

/** @param at path of the process */
export function checkSizes(
  process: { readonly vsz?: number | undefined; readonly rss?: number | undefined },
  memoryBytes: number,
  at: Path,
  complain: Complain,
): void {
  const { vsz, rss } = process
  if (vsz !== undefined && rss !== undefined && rss > vsz) {
    complain([...at, 'rss'], 'BAD_VALUE', 'more is resident than there is virtual memory')
  }
  if (rss !== undefined && rss > memoryBytes / 2)
    complain([...at, 'rss'], 'BAD_VALUE', 'more than half the memory')
}

export function checkCpu(cpu: number, cpus: number, at: Path, complain: Complain): void {
  if (cpu >= cpus) complain(at, 'BAD_VALUE', `there is no CPU ${cpu}: the machine has ${cpus}`)
}

/** The direct map of x86-64 without KASLR; pins are checked against the machine's own when it runs. */
/** Where the kernel sees physical address 0, on 64 bits and on 32. */
export const LINEAR_MAP_64 = 0xffff_8880_0000_0000n
export const LINEAR_MAP_32 = 0xc000_0000n

/** What can be said of pins before the machine exists: aligned to words, inside memory, no two at one place. */
export function checkPins(
  pins: readonly { readonly spec: PinSpec; readonly path: Path }[],
  memoryBytes: number,
  linearMap: bigint,
  complain: Complain,
): void {
  const seen = new Set<bigint>()
  for (const { spec, path } of pins) {
    const at = [...path, 'address']
    if (spec.address % 4n !== 0n) complain(at, 'BAD_PIN', 'misaligned: no object begins there')
    if (seen.has(spec.address)) complain(at, 'BAD_PIN', 'another object is pinned there')
    seen.add(spec.address)
    if (spec.address >= linearMap + BigInt(memoryBytes)) {
      complain(at, 'BAD_PIN', `outside the memory of this machine (${Math.floor(memoryBytes / 2 ** 20)}M)`)
    }
  }
}

/** `p:NAME`, `p:ALIAS NAME`: what the probe is called. */
export const probeName = ({ name, probe }: ProbeSpec): string =>
  name ?? /^[pr]:(\w+)/.exec(probe)?.[1] ?? probe

/** Which kind of expectation an item is, by its keys. */
export const expectationKind = (item: Readonly<Record<string, unknown>>): ExpectationKind | undefined =>
  (Object.keys(expectations) as ExpectationKind[]).find((key) => key in item)

/** Snapshots, processes, connections an expectation names; `names` has all of the scenario's by then. */
export function checkExpectation(
  value: Expectation,
  path: Path,
  names: Names,
  _cpus: number,
  complain: Complain,
): void {
  if ('at' in value && value.at !== undefined) names.use('snapshot', value.at, [...path, 'at'])
  if ('at' in value && value.at === undefined && names.all('snapshot').length === 0) {
    complain(path, 'BAD_VALUE', 'there is no snapshot to look at: add a snapshot step')
  }
  if ('of' in value && value.of !== undefined && 'process' in value.of) {
    names.use('process', value.of.process, [...path, 'of', 'process'])
  }
  if ('output' in value) names.use('process', value.output, [...path, 'output'])
  if ('exit' in value) names.use('process', value.exit, [...path, 'exit'])
  if ('probe' in value) names.use('probe', value.probe, [...path, 'probe'])
  if ('connection' in value) names.use('connection', value.connection, [...path, 'connection'])
  if ('matches' in value && value.matches !== undefined)
    checkPattern(value.matches, [...path, 'matches'], complain)
}

function checkPattern(pattern: string, path: Path, complain: Complain): void {
  try {
    new RegExp(pattern, 'm')
  } catch {
    complain(path, 'BAD_VALUE', 'not a regular expression')
  }
}

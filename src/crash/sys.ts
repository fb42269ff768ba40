/** `sys`: the machine at a glance, its system calls, firmware, taints and configuration. */

import { hex } from '../base/addr.ts'
import { FaultError, LookupError, UsageError, ValidationError } from '../base/errors.ts'
import { dmi_strings, kernel_config, processor_mhz, tainted } from '../helpers/machine.ts'
import { find_panic } from '../helpers/panic.ts'
import { online_cpus, cpu_count } from '../helpers/percpu.ts'
import { system_calls, type SystemCall } from '../helpers/syscall-table.ts'
import { present_pages } from '../helpers/task-memory.ts'
import { task_table } from '../helpers/tasks.ts'
import { duration, load_averages, uptime, utsname, wall_time } from '../helpers/time.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'
import { systemCallOwners } from './sys-owners.ts'
import { NAMELIST } from './set-variables.ts'
import type { SysRow, SystemCallRow, TaintsRow } from './rows.ts'

const PAGE = 4096n
const MB = 1024n * 1024n
const GB = 1024n * MB

export interface SysInvocation {
  readonly target: Target
  readonly flags: {
    readonly c?: boolean
    readonly t?: boolean
    readonly i?: boolean
    /** with `c`: whose each call is, and what belongs there */
    readonly owners?: boolean
  }
  readonly words: readonly string[]
  readonly note: (line: string) => void
}

export function sysReport({ target, flags, words, note }: SysInvocation): Report {
  if (flags.owners === true) return systemCallOwners(target, words)
  if (flags.c) return systemCalls(target, words)
  if (flags.t) return taints(target)
  if (flags.i) return firmware(target)
  if (words.length > 1 || (words.length === 1 && words[0] !== 'config')) throw new Misuse()
  return words.length === 1 ? configuration(target) : statistics(target, note)
}

/** One line of `sys`. */
interface Fact {
  readonly label: string
  readonly value: string
}

/** What `sys` shows; a fact that cannot be read is named and left out. */
function statistics(target: Target, note: (line: string) => void): Report {
  let failed = false
  const facts: Fact[] = []
  const add = (label: string, value: () => string | undefined): void => {
    try {
      const text = value()
      if (text !== undefined) facts.push({ label, value: text })
    } catch (error) {
      if (!isMissing(error)) throw error
      failed = true
      note(`${label}: ${error.message}`)
    }
  }
  add('KERNEL', () => `${NAMELIST}${taintMark(target)}`)
  add('DUMPFILE', () => `${target.path}${partialMark(target)}${snapshotMark(target)}`)
  add('CPUS', () => cpusText(target))
  add('DATE', () => dateText(target))
  add('UPTIME', () => duration(uptime(target)))
  add('LOAD AVERAGE', () => load_averages(target).join(', '))
  add('TASKS', () => String(task_table(target).tasks.length))
  add('NODENAME', () => utsname(target).nodename)
  add('RELEASE', () => utsname(target).release)
  add('VERSION', () => utsname(target).version)
  add('MACHINE', () => machineText(target))
  add('MEMORY', () => memoryText(present_pages(target) * PAGE))
  add('PANIC', () => panicText(target))
  const text = facts.map(({ label, value }) => `${label.padStart(12)}: ${value}\n`).join('')
  const rows: SysRow = Object.fromEntries(facts.map(({ label, value }) => [keyOf(label), value]))
  return { rows, text, failed }
}

const keyOf = (label: string): string => label.toLowerCase().replace(' ', '_')

const isMissing = (error: unknown): error is FaultError | LookupError | ValidationError =>
  error instanceof FaultError || error instanceof LookupError || error instanceof ValidationError

function taintMark(target: Target): string {
  try {
    return tainted(target).mask === 0n ? '' : '  [TAINTED]'
  } catch (error) {
    if (isMissing(error)) return ''
    throw error
  }
}

/** A dump that says it left pages out. */
const partialMark = ({ container }: Target): string =>
  (container.excludedPages ?? 0) > 0 ? '  [PARTIAL DUMP]' : ''

const snapshotMark = ({ snapshot }: Target): string => (snapshot === undefined ? '' : `  [${snapshot.name}]`)

function cpusText(target: Target): string {
  const cpus = cpu_count(target)
  const offline = cpus - online_cpus(target).length
  return offline > 0 ? `${cpus} [OFFLINE: ${offline}]` : String(cpus)
}

/** As ctime(3) has it, in UTC: the same text on every machine. */
function dateText(target: Target): string | undefined {
  const seconds = wall_time(target)
  if (seconds === undefined || seconds > 253_402_300_799n) return undefined
  const [day, date, month, year, time] = new Date(Number(seconds) * 1000)
    .toUTCString()
    .replace(',', '')
    .split(' ')
  return `${day ?? ''} ${month ?? ''} ${(date ?? '').replace(/^0/, ' ')} ${time ?? ''} UTC ${year ?? ''}`
}

function machineText(target: Target): string {
  const mhz = processor_mhz(target)
  return `${utsname(target).machine}  (${mhz === 0 ? 'unknown' : mhz} Mhz)`
}

/** `143.5 MB`; what lacks less than 64 MB of a gigabyte is that gigabyte. */
function memoryText(bytes: bigint): string {
  const gigabytes = ((bytes + GB - 1n) / GB) * GB
  const total = gigabytes - bytes <= 64n * MB ? gigabytes : bytes
  const [unit, name] = total >= GB ? [GB, 'GB'] : total >= MB ? [MB, 'MB'] : [1024n, 'KB']
  return `${(Number(total) / Number(unit)).toFixed(1).replace(/\.0$/, '')} ${name}`
}

function panicText(target: Target): string {
  const { message } = find_panic(target)
  return `"${message}"${message.includes('Oops: ') ? ' (check log for details)' : ''}`
}

/** `sys -c`: all calls, or those named by number or part of a name. */
function systemCalls(target: Target, words: readonly string[]): Report {
  const all = system_calls(target)
  const chosen = words.length === 0 ? all : words.flatMap((word) => all.filter((call) => named(call, word)))
  if (words.length > 0 && chosen.length === 0) {
    throw new UsageError(words[0] ?? '', `no system calls found: ${words.join(' ')}`)
  }
  return {
    rows: chosen.map(({ nr, handler, symbol }): SystemCallRow => ({
      nr,
      handler,
      symbol: symbol?.name ?? null,
      offset: symbol?.offset ?? null,
      module: symbol?.module ?? null,
    })),
    text: `NUM  SYSTEM CALL                FILE AND LINE NUMBER\n${chosen.map(callText).join('')}`,
  }
}

function named({ nr, symbol }: SystemCall, word: string): boolean {
  if (/^(0x[0-9a-f]+|[0-9]+)$/i.test(word)) return nr === Number(word)
  return symbol?.name.includes(word) ?? false
}

/** The module's name stands where crash has the source line, which no memory holds. */
function callText({ nr, handler, symbol }: SystemCall): string {
  const number = String(nr).padStart(3)
  if (symbol === undefined) return `${number}  invalid sys_call_table entry: ${hex(handler)}\n`
  if (symbol.offset !== 0) {
    return `${number}  invalid sys_call_table entry: ${hex(handler)} (${symbol.name}+${symbol.offset})\n`
  }
  const module = symbol.module === undefined ? '' : ` [${symbol.module}]`
  return `${number}  ${symbol.name.padEnd(module === '' ? 0 : 26)}${module}\n`
}

function taints(target: Target): Report {
  const { mask, letters } = tainted(target)
  return { rows: { mask, letters } satisfies TaintsRow, text: `TAINTED_MASK: ${hex(mask)}  ${letters}\n` }
}

function firmware(target: Target): Report {
  const strings = dmi_strings(target)
  const text = strings.map(({ field, value }) => `${field.padStart(25)}: ${value}\n`).join('')
  return { rows: Object.fromEntries(strings.map(({ field, value }) => [field, value])), text }
}

function configuration(target: Target): Report {
  const text = kernel_config(target, target.path)
  if (text === undefined) throw new UsageError('config', 'kernel_config_data does not exist in this kernel')
  const options = [...text.matchAll(/^(CONFIG_\w+)=(.*)$/gm)].map(
    ([, name = '', value = '']) => [name, value] as const,
  )
  return { rows: Object.fromEntries(options), text }
}

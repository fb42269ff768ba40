/** Lines of the kernel log as `log` prints them, and the audit records still waiting in memory. */

import type { StructRef } from '../btf/ref.ts'
import { findSymbolVa } from '../helpers/kernel.ts'
import { audit_queues, audit_record, log_records, type LogRecord } from '../helpers/printk.ts'
import { skb_queue_walk } from '../helpers/sock.ts'
import { uptime, wall_time } from '../helpers/time.ts'
import { ctime_tz } from '../render/ctime.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'

const NSEC_PER_SEC = 1_000_000_000n

/** What `log`'s options ask for. */
export interface LogOptions {
  /** no time stamp */
  readonly textOnly: boolean
  /** the wall clock instead of seconds since boot */
  readonly wallClock: boolean
  readonly level: boolean
  readonly caller: boolean
  /** subsystem and device under the message */
  readonly properties: boolean
}

/** A message in `log --json`. */
export interface LogJson {
  readonly seq: number
  /** seconds since boot, nine decimals, as text: exact */
  readonly time: string
  readonly level: number
  readonly facility: number
  readonly caller?: string
  readonly text: string
  readonly subsystem?: string
  readonly device?: string
}

/** The whole log, one message at a time. */
export function logReport(target: Target, options: LogOptions): Report {
  const rows: LogJson[] = []
  let failed = false
  const text = function* (): Generator<string> {
    const printer = new LogPrinter(target, options)
    try {
      for (const record of log_records(target)) {
        rows.push(logJson(record))
        yield printer.print(record)
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      failed = true
      yield `${faultMark(error)}\n`
    }
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}

function logJson(record: LogRecord): LogJson {
  const nanoseconds = (record.ts_nsec % NSEC_PER_SEC).toString().padStart(9, '0')
  return {
    seq: Number(record.seq),
    time: `${record.ts_nsec / NSEC_PER_SEC}.${nanoseconds}`,
    level: record.level,
    facility: record.facility,
    ...(record.caller === undefined ? {} : { caller: callerText(record.caller) }),
    text: record.text,
    ...(record.subsystem === '' ? {} : { subsystem: record.subsystem }),
    ...(record.device === '' ? {} : { device: record.device }),
  }
}

const callerText = ({ kind, id }: { kind: 'task' | 'cpu'; id: number }): string =>
  `${kind === 'cpu' ? 'C' : 'T'}${id}`

class LogPrinter {
  readonly #options: LogOptions
  readonly #bootSeconds: bigint
  readonly #callerWidth: number

  constructor(target: Target, options: LogOptions) {
    this.#options = options
    this.#bootSeconds = options.wallClock ? (wall_time(target) ?? 0n) - uptime(target) : 0n
    this.#callerWidth = callerWidth(target)
  }

  print(record: LogRecord): string {
    // a record without text has no prefix either
    if (record.text === '') return '\n'
    const prefix = this.#prefix(record)
    const indent = `\n${' '.repeat(prefix.length)}`
    const { subsystem, device } = record
    const properties: string[] = []
    if (this.#options.properties && subsystem !== '') properties.push(`${indent}SUBSYSTEM=${subsystem}`)
    if (this.#options.properties && device !== '') properties.push(`${indent}DEVICE=${device}`)
    return `${prefix}${printable(record.text).replaceAll('\n', indent)}${properties.join('')}\n`
  }

  #prefix({ ts_nsec, caller, level }: LogRecord): string {
    const { textOnly, wallClock } = this.#options
    const parts: string[] = []
    const seconds = ts_nsec / NSEC_PER_SEC
    const micro = ((ts_nsec % NSEC_PER_SEC) / 1000n).toString().padStart(6, '0')
    if (!textOnly && wallClock) parts.push(`[${ctime_tz(this.#bootSeconds + seconds)}] `)
    else if (!textOnly) parts.push(`[${seconds.toString().padStart(5)}.${micro}] `)
    if (this.#options.caller && caller !== undefined) {
      parts.push(`[${callerText(caller).padStart(this.#callerWidth)}] `)
    }
    if (this.#options.level) parts.push(`<${level.toString(16)}>`)
    return parts.join('')
  }
}

/** Room for `T` and the largest pid there can be. */
function callerWidth(target: Target): number {
  const at = findSymbolVa(target, 'pid_max')
  const max = at === undefined ? Infinity : target.mem.u32(at)
  return max <= 99999 ? 6 : max <= 999999 ? 7 : 8
}

/** What is neither printable ASCII nor white space shows as a dot. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\t-\r]/g, '.')
}

/** `log -a --json`. */
export interface AuditJson {
  readonly type: number
  readonly text: string
}

/** Audit records that the kernel has not handed out yet. */
export function auditReport(target: Target, note: (line: string) => void): Report {
  const rows: AuditJson[] = []
  let failed = false
  const queues = audit_queues(target, (symbol) => findSymbolVa(target, symbol) !== undefined)
  const text = function* (): Generator<string> {
    for (const queue of queues) {
      try {
        for (const skb of skb_queue_walk(queue)) yield auditLine(skb, rows)
      } catch (error) {
        if (!isDamage(error)) throw error
        failed = true
        yield `${faultMark(error)}\n`
      }
    }
    if (rows.length === 0 && !failed) note('kernel audit log is empty')
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}

function auditLine(skb: StructRef, rows: AuditJson[]): string {
  const record = audit_record(skb)
  rows.push(record)
  return `type=${record.type} ${printable(record.text)}\n`
}

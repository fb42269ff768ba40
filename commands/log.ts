import { UsageError } from '../src/base/errors.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { auditReport, logReport } from '../src/crash/log-text.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { findSymbolVa } from '../src/helpers/kernel.ts'

/**
 * Rows:
 * - {@link LogJson} each
 * - `-a`: {@link AuditJson} each
 */
export default class Log extends DumpCommand {
  static override summary = 'the kernel log, oldest message first'
  static override synopsis = 'log [-Ttdmasc]'
  static override examples = ['log', 'log -T', 'log -mt', 'log | grep veth']
  static override crashFlags = {
    T: { kind: 'boolean', summary: 'wall clock instead of seconds since boot' },
    t: { kind: 'boolean', summary: 'no time' },
    d: { kind: 'boolean', summary: 'subsystem and device of messages that have them' },
    m: { kind: 'boolean', summary: 'level of each message, after the time' },
    a: { kind: 'boolean', summary: 'audit records not handed out yet' },
    s: { kind: 'boolean', summary: 'buffers of messages printed in NMI (kernels before 5.15)' },
    c: { kind: 'boolean', summary: 'who printed: a task (T) or a CPU (C)' },
  } as const

  override show({ target, flags, words, note }: Invocation<typeof Log>): Report {
    if (words.length > 0) throw new Misuse()
    if (flags.t === true && flags.T === true)
      throw new UsageError('-t -T', 'options -t and -T exclude each other')
    if (flags.a === true) return auditReport(target, note)
    if (flags.s === true) return { rows: [], text: '' }
    if (findSymbolVa(target, 'prb') === undefined) {
      throw new UsageError('log', 'no printk ring buffer (prb) in this kernel: it is older than 5.10')
    }
    return logReport(target, {
      textOnly: flags.t === true,
      wallClock: flags.T === true,
      level: flags.m === true,
      caller: flags.c === true,
      properties: flags.d === true,
    })
  }
}

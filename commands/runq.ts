import { cpuList } from '../src/crash/cpu-list.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { clocksReport, groupsReport, lagReport, queuesReport, runningReport } from '../src/crash/runq.ts'

/**
 * Rows:
 * - {@link RunqRow} each
 * - `-t` and `-m`: {@link RunqClockRow} each
 * - `-T`: {@link RunqLagRow} each
 */
export default class Runq extends DumpCommand {
  static override summary = 'tasks on the runqueues of the CPUs'
  static override synopsis = 'runq [-t] [-T] [-m] [-g] [-c cpu(s)]'
  static override examples = ['runq', 'runq -c 0', 'runq -g']
  static override crashFlags = {
    t: { summary: "each runqueue's clock, and when its task got the CPU" },
    T: { summary: 'how far each clock is behind the newest' },
    m: { summary: 'how long each task has had its CPU' },
    g: { summary: 'by task group' },
    c: { kind: 'value', summary: 'these CPUs: 1,3,5-7 or a' },
  } as const

  override show({ target, flags, words }: Invocation<typeof Runq>): Report {
    if (words.length > 0) throw new Misuse()
    const cpus = cpuList(target, flags.c ?? 'all')
    if (flags.T === true) return lagReport(target, cpus)
    if (flags.t === true) return clocksReport(target, cpus)
    if (flags.m === true) return runningReport(target, cpus)
    return flags.g === true ? groupsReport(target, cpus) : queuesReport(target, cpus)
  }
}

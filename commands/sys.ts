import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { sysReport } from '../src/crash/sys.ts'

/**
 * Rows:
 * - {@link SysRow}
 * - `-c`: {@link SystemCallRow} each
 * - `-c --owners`: {@link CheckEntry} each
 * - `-t`: {@link TaintsRow}
 * - `-i`: an object, each DMI field with its text
 * - `config`: an object, each option with its value as text
 */
export default class Sys extends DumpCommand {
  static override summary = 'the machine: release, date, uptime, load, memory, panic; its system calls'
  static override synopsis = 'sys [-c [name|number] [--owners]] [-t] [-i] config'
  static override examples = ['sys', 'sys -c', 'sys -c read', 'sys -c --owners', 'sys -t', 'sys config']
  static override crashFlags = {
    c: { summary: 'the system call table: all entries, or those of a name or number' },
    owners: { summary: 'with -c: all tables, whose each call is, what belongs there, and a verdict' },
    t: { summary: 'what tainted the kernel' },
    i: { summary: "the firmware's strings" },
  } as const

  override show(invocation: Invocation<typeof Sys>): Report {
    return sysReport(invocation)
  }
}

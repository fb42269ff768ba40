import { checkReport } from '../src/crash/check-text.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'

/** Rows: {@link CheckEntry} each. Exit status 3 when something is found. */
export default class Check extends DumpCommand {
  static override summary =
    'hooks and inconsistencies: system calls, LSM, netfilter, probes, IDT, modules, lists'
  static override synopsis = 'check [--only name,…] [--all]'
  static override examples = [
    { command: 'check', description: 'Everything; exit status 3 when something is found' },
    { command: 'check --only syscalls,lsm', description: 'Only these' },
    { command: 'check --all', description: 'What is in order as well' },
  ]
  static override crashFlags = {
    only: {
      kind: 'value',
      summary: 'of syscalls, lsm, netfilter, kprobes, ftrace, idt, ops, modules, lists, objects, protection',
    },
    all: { kind: 'boolean', summary: 'what is in order as well' },
  } as const

  override show({ target, flags }: Invocation<typeof Check>): Report {
    return checkReport(target, flags)
  }
}

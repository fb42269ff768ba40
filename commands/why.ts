import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { whyReport } from '../src/crash/why-text.ts'

/** Rows: {@link WhyRow} each. */
export default class Why extends DumpCommand {
  static override summary = 'who stored this, and where the value came from, back to the packet'
  static override synopsis = 'why [--size bytes] address | expression'
  static override examples = [
    { command: 'why ffff888007a4e040 --size 4', description: 'Four bytes' },
    { command: 'why ((struct sock *)0xffff888007a4e040)->__sk_common.skc_daddr', description: 'A member' },
    { command: 'why tcp_hashinfo.lhash2', description: 'A variable' },
  ]
  static override crashFlags = {
    size: { kind: 'value', summary: 'how many bytes; of an expression its own size' },
  } as const

  override show({ target, flags, words }: Invocation<typeof Why>): Report {
    return whyReport(target, words, flags.size)
  }
}

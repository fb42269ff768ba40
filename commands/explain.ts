import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { explainReport } from '../src/crash/explain-text.ts'

/**
 * Rows:
 * - {@link Explanation} each
 * - `--all`: {@link TcpRow} each
 * - `--oops`: {@link OopsExplanation}
 */
export default class Explain extends DumpCommand {
  static override summary =
    'why a socket has the addresses it has: file, socket, sock, both ends, birth, hooks'
  static override synopsis =
    'explain [--task pid | taskp | name] [--fd number] [--sock address] [--all] [--oops]'
  static override examples = [
    'explain',
    'explain --task ncat --fd 4',
    'explain --sock ffff888007a4e040',
    'explain --all',
    'explain --oops',
  ]
  static override crashFlags = {
    task: { kind: 'value', summary: 'the task: pid, address or exact name' },
    fd: { kind: 'value', summary: 'only this descriptor of the task' },
    sock: { kind: 'value', summary: 'a sock, request_sock or timewait_sock by address' },
    all: { kind: 'boolean', summary: "every sock of TCP's and UDP's tables, one line each" },
    oops: { kind: 'boolean', summary: 'why the kernel crashed, in five lines' },
  } as const

  override show({ target, flags }: Invocation<typeof Explain>): Report {
    return explainReport(target, flags)
  }
}

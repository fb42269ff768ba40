import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { setReport } from '../src/crash/set.ts'

/**
 * Rows:
 * - {@link ContextRow}
 * - `-v`: an object, each variable with its value as text
 * - a variable: the same with that one
 */
export default class Set extends DumpCommand {
  static override summary = 'the current task, another task, and the variables of the session'
  static override synopsis = 'set [[-a] [pid | taskp] | [-c cpu] | -p] | [crash_variable [setting]] | -v'
  static override examples = ['set', 'set 178', 'set -c 1', 'set -p', 'set radix 16', 'set -v']
  static override crashFlags = {
    a: { kind: 'value', summary: 'the same as without' },
    c: { kind: 'value', summary: 'go to the task running on this CPU' },
    p: { summary: 'go to the task that panicked' },
    v: { summary: 'all variables' },
  } as const

  override show(invocation: Invocation<typeof Set>): Report {
    return setReport(invocation)
  }
}

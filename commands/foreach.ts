import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { foreachReport } from '../src/crash/foreach.ts'

/**
 * Rows:
 * - {@link ForeachRow} each
 * - `ps`: as `ps` has them
 * - `set`: {@link ContextRow} each
 */
export default class Foreach extends DumpCommand {
  static override summary = 'a command for each of several tasks: by pid, name, state, or kind'
  static override synopsis =
    'foreach [[pid | taskp | name | state | [kernel | user | gleader]] ...]\n          command [flag] [argument]'
  static override examples = [
    { command: 'foreach bt', description: 'Every trace' },
    { command: 'foreach user files', description: 'Open files of all user tasks' },
    { command: 'foreach UN bt -f', description: 'What waits uninterruptibly, with the words of each frame' },
    { command: "foreach 'zoo.*' task -R pid,comm", description: 'Tasks whose name matches' },
  ]
  /** Options are of the command that follows. */
  static override optionStyle = 'none' as const

  override show(invocation: Invocation<typeof Foreach>): Promise<Report> {
    return foreachReport(invocation)
  }
}

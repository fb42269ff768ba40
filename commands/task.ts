import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { taskReport } from '../src/crash/task.ts'

/** Rows: {@link TaskRow} each. */
export default class Task extends DumpCommand {
  static override summary = 'the task_struct and thread_info of tasks'
  static override synopsis = 'task [-R member[,member]] [-dx] [pid | taskp] ...'
  static override examples = ['task', 'task 178', 'task -R pid,comm,cred 178']
  static override crashFlags = {
    R: { kind: 'values', summary: 'only these members, separated by commas' },
    x: { summary: 'numbers in hexadecimal' },
    h: { summary: 'the same' },
    d: { summary: 'numbers in decimal' },
  } as const

  override show(invocation: Invocation<typeof Task>): Report {
    return taskReport(invocation)
  }
}

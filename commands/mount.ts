import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { mountsReport } from '../src/crash/mount-text.ts'
import { currentTask, tasksOfWords } from '../src/crash/task-words.ts'
import type { TaskContext } from '../src/helpers/tasks.ts'
import { find_task } from '../src/helpers/pid.ts'

/** Rows: {@link MountJson} each. */
export default class Mount extends DumpCommand {
  static override summary = 'mounted file systems of a namespace'
  static override synopsis = 'mount [-f][-i] [-n pid|task] [mount|vfsmount|superblock|dev|dir|dentry|inode]'
  static override examples = ['mount', 'mount -n 138', 'mount /tmp', 'mount devpts']
  static override crashFlags = {
    f: { kind: 'boolean', summary: 'open dentries of each file system (kernels before 4.x only)' },
    i: { kind: 'boolean', summary: 'dirty inodes of each file system (kernels before 2.6.x only)' },
    n: { kind: 'value', summary: "a task's mount namespace instead of pid 1's" },
  } as const

  override show({ target, context, flags, words, note }: Invocation<typeof Mount>): Report {
    for (const [flag, member, given] of [
      ['f', 's_files', flags.f],
      ['i', 's_dirty', flags.i],
    ] as const) {
      if (given !== true) continue
      note(`the super_block.${member} linked list does not exist in this kernel`)
      note(`-${flag} option not supported or applicable on this architecture or kernel`)
      return { rows: [], text: '', failed: true }
    }
    let of: TaskContext | undefined
    if (flags.n !== undefined) {
      of = tasksOfWords(target, context, [flags.n], note)[0]
      if (of === undefined) return { rows: [], text: '', failed: true }
    }
    const task = of?.task ?? find_task(target, 1) ?? currentTask(target, context)?.task
    return task === undefined ? { rows: [], text: '', failed: true } : mountsReport(target, task, words)
  }
}

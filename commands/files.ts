import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { eachTask } from '../src/crash/each-task.ts'
import { dentryReport, inodePagesReport } from '../src/crash/files-one.ts'
import { taskFiles } from '../src/crash/files-text.ts'
import { addressArgument } from '../src/crash/address-argument.ts'

/**
 * Rows:
 * - {@link TaskFiles} each
 * - `-d`: {@link DentryJson}
 * - `-p`: {@link InodePagesJson}
 */
export default class Files extends DumpCommand {
  static override summary = 'open files of tasks: descriptor, struct file, dentry, inode, type and path'
  static override synopsis = 'files [-d dentry] | [-p inode] | [-c] [-R reference] [pid | taskp] ... '
  static override examples = ['files', 'files 1', 'files -c 178', 'files -R /dev/null 178']
  static override crashFlags = {
    d: { kind: 'value', summary: 'the inode, superblock, type and path of a dentry' },
    p: { kind: 'value', summary: "an inode's pages in memory" },
    c: { kind: 'boolean', summary: "inodes' mappings and page counts" },
    R: { kind: 'value', summary: 'only files that refer to a descriptor, address, type or part of a path' },
  } as const

  override show({ target, context, flags, words, note }: Invocation<typeof Files>): Report {
    if (flags.d !== undefined) return dentryReport(target, addressArgument(target, flags.d))
    if (flags.p !== undefined) return inodePagesReport(target, addressArgument(target, flags.p))
    const ref = flags.R
    const options = { cache: flags.c === true, ...(ref === undefined ? {} : { ref }) }
    return eachTask({
      target,
      context,
      words,
      note,
      answer: (tc, subsequent, by) => {
        const { rows, text, failed, shown } = taskFiles(target, tc, options)
        const before = subsequent > 0 && ref === undefined ? '\n' : ''
        return { rows, text: before + text + (by === 'pid' ? '\n' : ''), failed, shown }
      },
      invalid: (word) => `invalid task or pid value: ${word}`,
    })
  }
}

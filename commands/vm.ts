import { UsageError } from '../src/base/errors.ts'
import { addressArgument } from '../src/crash/address-argument.ts'
import { printOptions, radixOf } from '../src/crash/data-print.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { eachTask } from '../src/crash/each-task.ts'
import { vmAnswer } from '../src/crash/vm-text.ts'

/** Rows: {@link VmJson} each. */
export default class Vm extends DumpCommand {
  static override summary = 'virtual memory of tasks: size, VMAs, their files and pages'
  static override synopsis = 'vm [-p | -v | -m | [-R reference]] [-x|-d] [-M mm] [pid | taskp] ...'
  static override examples = ['vm', 'vm 178', 'vm -p 1', 'vm -R busybox 1']
  static override crashFlags = {
    p: { kind: 'boolean', summary: "each VMA's pages: physical address, or file and offset" },
    v: { kind: 'boolean', summary: 'every struct vm_area_struct' },
    m: { kind: 'boolean', summary: 'the struct mm_struct' },
    R: { kind: 'value', summary: 'only VMAs that refer to this address, flags or part of a path' },
    M: { kind: 'value', summary: "another mm_struct instead of the task's own" },
    x: { summary: 'numbers in hexadecimal' },
    d: { summary: 'numbers in decimal' },
  } as const

  override show({ target, context, flags, words, note }: Invocation<typeof Vm>): Report {
    if (flags.x === true && flags.d === true) throw new UsageError('-x', '-d and -x are mutually exclusive')
    const show = flags.m ? 'mm-struct' : flags.v ? 'vma-structs' : flags.p ? 'pages' : 'vmas'
    const mm = flags.M === undefined ? undefined : target.ref('mm_struct', addressArgument(target, flags.M))
    const options = {
      show,
      mm,
      reference: flags.R,
      print: printOptions(target, context, radixOf(flags)),
    } as const
    return eachTask({
      target,
      context,
      words,
      note,
      answer: (tc, subsequent) => {
        const answer = vmAnswer(target, tc, options)
        const between = subsequent > 0 && flags.R === undefined ? '\n' : ''
        return { ...answer, text: between + answer.text }
      },
      invalid: (word) => `invalid task or pid value: ${word}`,
    })
  }
}

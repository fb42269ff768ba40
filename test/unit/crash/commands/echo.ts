import { UsageError } from '../../../../src/base/errors.ts'
import { DumpCommand, type Invocation, type Report } from '../../../../src/crash/dump-command.ts'

/** Stands for a real command in the tests of the prompt: says what it was given. */
export default class Echo extends DumpCommand {
  static override summary = 'say what was given'
  static override synopsis = 'echo [-p] [-y policy] [-s text]... [-16] [word ...]'
  static override examples = ['coredrill echo -p a --core dump']
  static override crashFlags = {
    p: { name: 'parents', summary: 'a plain option' },
    y: { kind: 'value', name: 'policy' },
    s: 'values',
    F: 'count',
    '16': 'boolean',
    S: 'optional',
    all: { summary: 'a long option' },
  } as const

  override show({ flags, words, note }: Invocation<typeof Echo>): Report {
    if (words[0] === 'throw') throw new UsageError('throw', 'asked to throw')
    if (words[0] === 'note') note('a remark')
    const rows = { flags, words }
    return { rows, text: `${JSON.stringify(rows)}\n`, failed: words[0] === 'half' }
  }
}

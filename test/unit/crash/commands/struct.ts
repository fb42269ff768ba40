import { DumpCommand, type Invocation, type Report } from '../../../../src/crash/dump-command.ts'

/** Stands for `struct` in the tests of the prompt; pieces of text, each asked for when the last was written. */
export default class Struct extends DumpCommand {
  static override summary = 'stands for struct'
  static override synopsis = 'struct name'
  static override examples = ['coredrill struct list_head --core dump']

  override show({ words }: Invocation): Report {
    return { rows: words, text: pieces(words) }
  }
}

function* pieces(words: readonly string[]): Generator<string> {
  for (const word of words) yield `struct:${word}\n`
}

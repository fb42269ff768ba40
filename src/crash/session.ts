/** An opened target with its commands and its context: what every way of giving a command shares. */

import type { Target } from '../target/target.ts'
import { Context } from './context.ts'
import { CommandSet } from './command-set.ts'
import type { Report } from './dump-command.ts'
import { UsageError } from '../base/errors.ts'
import { failureOf } from './failure.ts'
import { Misuse } from './misuse.ts'
import type { Output } from './output.ts'

/** The longest chain of commands calling commands. */
const CALL_DEPTH = 8

export class Session {
  readonly target: Target
  readonly context: Context
  readonly commands: CommandSet
  /** Asked between pieces of text and between commands of `foreach`: true ends what runs now. */
  interrupted = (): boolean => false
  #depth = 0

  constructor(target: Target, commands = new CommandSet(), context = new Context()) {
    this.target = target
    this.commands = commands
    this.context = context
  }

  /**
   * Answer one command.
   *
   * @param words  its words after the name, already split
   * @param note   takes the `name: message` lines
   * @throws Misuse  when there is no such command or its options are wrong; and whatever the command throws
   */
  async report(name: string, words: readonly string[], note: (line: string) => void): Promise<Report> {
    const Class = await this.commands.find(name)
    if (Class === undefined) throw new Misuse(`command not found: ${name}`, name)
    if (this.#depth >= CALL_DEPTH) throw new Misuse('commands are nested too deeply', name)
    this.#depth++
    try {
      return await Class.answer(words, {
        target: this.target,
        context: this.context,
        note: (line) => note(`${name}: ${line}`),
        call: (other, otherWords) => this.#call(other, otherWords, note),
      })
    } finally {
      this.#depth--
    }
  }

  /** A command called by a command; between two of them signals get their turn. */
  async #call(name: string, words: readonly string[], note: (line: string) => void): Promise<Report> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.interrupted()) throw new UsageError('', 'interrupted')
    return await this.report(name, words, note)
  }

  /**
   * Answer one command and print it; errors become lines of `output`.
   *
   * @returns whether everything asked for could be shown
   */
  async print(name: string, words: readonly string[], output: Output): Promise<boolean> {
    try {
      const report = await this.report(name, words, (line) => output.note(line))
      await writeText(report.text, output, this.interrupted)
      if (report.remark !== undefined) output.remark?.(`${name}: ${report.remark}`)
      return report.failed !== true
    } catch (error) {
      const synopsis = (await this.commands.find(name))?.synopsis ?? ''
      output.note(failureOf(name, synopsis, error).text.trimEnd())
      return false
    }
  }
}

/** How long one piece after another is written before signals get their turn. */
const PIECES_PER_TURN = 64

/** Write a report's text; between batches of pieces the event loop runs, so that Ctrl-C is noticed. */
export async function writeText(
  text: string | Iterable<string>,
  output: Output,
  stop: () => boolean,
): Promise<void> {
  if (typeof text === 'string') {
    if (text !== '') output.write(text)
    return
  }
  let pieces = 0
  for (const piece of text) {
    output.write(piece)
    if (++pieces % PIECES_PER_TURN !== 0) continue
    await new Promise((resolve) => setImmediate(resolve))
    await output.ready?.()
    if (stop() || output.ended === true) return
  }
}

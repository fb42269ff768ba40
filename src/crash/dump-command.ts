/**
 * The class every crash command extends: words in, rows and text out. The same `show` answers the shell's command
 * line, the crash prompt, the browser and the tests.
 */

import { Command } from '@oclif/core'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'
import { parseOptions, type FlagsOf, type FlagTable, type OptionStyle } from './options.ts'

/** What `--json` can print: numbers, text, lists and plain objects. A bigint becomes `"0x…"`. */
export type Json = null | boolean | number | bigint | string | object

/** A command's answer. */
export interface Report {
  /** the data, as `--json` prints it: one documented shape per command */
  readonly rows: Json
  /**
   * The text, final newline included, or its pieces in order (a generator makes long output appear as it is found
   * and lets `note` fall between the rows).
   */
  readonly text: string | Iterable<string>
  /** Something could not be shown: the text has what could be, the exit status is 1. Read after `text` ended. */
  readonly failed?: boolean
  /** It failed for this alone: a reference (`-R`) fits nothing. `foreach` goes on to other tasks. */
  readonly unmatched?: boolean
  /** The exit status when it is neither 0 nor 1: `check` has 3 for a finding. */
  readonly status?: number
  /** What a person should know besides, such as what could not be looked at: a line for stderr. Read after `text`. */
  readonly remark?: string | undefined
}

/** What `show` is given. */
export interface Invocation<C extends { crashFlags: FlagTable } = typeof DumpCommand> {
  readonly target: Target
  readonly context: Context
  readonly flags: FlagsOf<C['crashFlags']>
  /** the words that are not options */
  readonly words: readonly string[]
  /** Print `command: line` where the output stands now. */
  readonly note: (line: string) => void
  /** Run another command of the session with these words: what `foreach` needs. Throws what that command throws. */
  readonly call: (name: string, words: readonly string[]) => Promise<Report>
}

export abstract class DumpCommand extends Command {
  /** The line(s) after `Usage:`, beginning with the command's name; continuation lines carry their own blanks. */
  static synopsis = ''
  /** Options by letter, `as const`: {@link FlagTable}. */
  static crashFlags: FlagTable = {}
  static optionStyle: OptionStyle = 'anywhere'
  static override strict = false

  /** Answer one invocation. No printing, no process state. */
  abstract show(invocation: Invocation): Report | Promise<Report>

  /** `coredrill <command> … --core TARGET [--at SNAPSHOT] [--json]`. */
  async run(): Promise<void> {
    this.parsed = true
    const { runOnCommandLine } = await import('./command-line.ts')
    await runOnCommandLine(this.ctor as typeof DumpCommand, this.argv)
  }

  /**
   * Parse crash's words and answer them: the way in for the prompt and for `foreach`.
   *
   * @throws Misuse  when the options are wrong; and whatever `show` throws
   */
  static async answer(
    words: readonly string[],
    around: Omit<Invocation, 'flags' | 'words'>,
  ): Promise<Report> {
    const Class = this as unknown as new (argv: string[], config: unknown) => DumpCommand
    const parsed = parseOptions(this.crashFlags, words, this.optionStyle)
    return await new Class([], undefined).show({ ...around, ...parsed })
  }
}

import { readFileSync, realpathSync } from 'node:fs'
import { Args, Command, Errors, Flags } from '@oclif/core'
import { failureOf } from '../src/crash/failure.ts'
import { toJsonText } from '../src/crash/json.ts'
import { splitCommands } from '../src/crash/line.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { trim } from '../src/crash/trim.ts'
import { trimText } from '../src/crash/trim-text.ts'

/** Rows: {@link TrimRow}. */
export default class Trim extends Command {
  static override summary = 'cut a dump down to the pages some commands read, to share or to keep'
  static override description =
    'Runs the commands and writes a kdump-compressed file of the pages they read and of what opening needs. Every other\n' +
    'page is marked as excluded, none is zeroed. The file opens with coredrill and, unless --no-crash, with crash. Read\n' +
    'what it lists before sharing it: kernel memory can hold copies of user data. docs/trim.md says more.'
  static synopsis =
    "trim VMCORE -o SMALL --for 'COMMANDS' [-i FILE] [--also ADDR[:LEN]] [--no-user] [--no-crash] [--at SNAPSHOT]"
  static override examples = [
    "coredrill trim vmcore -o small.kdump --for 'ps; files 123; bt 123'",
    'coredrill trim vmcore -o small.kdump -i commands.txt --no-user',
    "coredrill trim dumps/demo.cdump --at accepted -o demo.kdump --for 'foreach net -s'",
  ]
  static override args = {
    vmcore: Args.string({ description: 'a dump in any form coredrill opens', ignoreStdin: true }),
  }
  static override flags = {
    output: Flags.string({ char: 'o', summary: 'the file to write', helpValue: 'FILE' }),
    for: Flags.string({
      summary: 'crash commands, semicolons between them',
      helpValue: 'COMMANDS',
      multiple: true,
      multipleNonGreedy: true,
    }),
    input: Flags.string({
      char: 'i',
      summary: 'a file of crash commands, one a line',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    also: Flags.string({
      summary: 'kernel memory to keep besides: a hex address or symbol, and bytes',
      helpValue: 'ADDR[:LEN]',
      multiple: true,
      multipleNonGreedy: true,
    }),
    at: Flags.string({ summary: 'a snapshot of a dump, by name or step', helpValue: 'SNAPSHOT' }),
    namelist: Flags.string({
      summary: 'a vmlinux or System.map, where the dump lacks its own',
      helpValue: 'FILE',
    }),
    compress: Flags.string({ summary: 'how pages are kept', options: ['zlib', 'none'], default: 'zlib' }),
    user: Flags.boolean({
      summary: 'keep pages of processes and files that commands read',
      default: true,
      allowNo: true,
    }),
    crash: Flags.boolean({
      summary: 'keep what genuine crash reads besides',
      default: true,
      allowNo: true,
    }),
    json: Flags.boolean({ summary: 'what was kept, as JSON' }),
  }

  async run(): Promise<void> {
    try {
      // or oclif warns when the words are wrong
      this.parsed = true
      const { args, flags } = await this.parse(Trim)
      const output = flags.output
      if (args.vmcore === undefined) throw new Misuse('no dump: name one', undefined)
      if (output === undefined) throw new Misuse('-o FILE is needed: what to write', undefined)
      refuseSame(args.vmcore, output)
      const commands = [
        ...(flags.for ?? []).flatMap(splitCommands),
        ...(flags.input ?? []).flatMap(commandsIn),
      ]
      if (commands.length === 0 && (flags.also ?? []).length === 0)
        throw new Misuse("nothing to keep pages for: give --for 'ps; files 1' or -i FILE", undefined)
      const row = await trim(args.vmcore, {
        output,
        commands,
        also: flags.also ?? [],
        at: flags.at,
        namelist: flags.namelist,
        compress: flags.compress === 'none' ? 'none' : 'zlib',
        noUser: !flags.user,
        crash: flags.crash,
        progress,
      })
      clearProgress()
      process.stdout.write(flags.json ? toJsonText(row) : trimText(row, { noUser: !flags.user }))
      process.exitCode = report(row.reasons)
    } catch (error) {
      clearProgress()
      const failure = failureOf('trim', Trim.synopsis, fromParser(error))
      process.stderr.write(failure.text)
      process.exitCode = failure.status
    }
  }
}

/** What oclif says of the command line, as one line. */
function fromParser(error: unknown): unknown {
  if (!(error instanceof Errors.CLIError)) return error
  return new Misuse((error.message.split('\n')[0] ?? '').replace(/^./, (c) => c.toLowerCase()))
}

/** The lines of a file of commands, without blank ones and comments. */
function commandsIn(path: string): string[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
}

/** The source is read while the output is written. */
function refuseSame(source: string, output: string): void {
  const real = (path: string): string | undefined => {
    try {
      return realpathSync(path)
    } catch {
      return undefined
    }
  }
  const there = real(output)
  if (there === undefined) return
  if ([source, ...source.split(',')].some((path) => real(path) === there))
    throw new Misuse('the output is the dump itself', undefined)
}

/** Says which commands had no full answer; the exit status follows. */
function report(reasons: readonly { readonly reason: string; readonly notes?: readonly string[] }[]): 0 | 1 {
  const failed = reasons.filter(({ notes }) => notes !== undefined)
  for (const { reason, notes = [] } of failed) process.stderr.write(`trim: ${reason}: ${notes[0] ?? ''}\n`)
  return failed.length > 0 ? 1 : 0
}

function progress(what: string): void {
  const { stderr } = process
  if (stderr.isTTY) stderr.write(`\r\x1b[K${what.slice(0, stderr.columns - 1)}`)
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
}

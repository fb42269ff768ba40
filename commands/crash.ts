import { Command } from '@oclif/core'
import { openTarget } from '../src/target/target.ts'
import { openOptions, readText, takeOwnOptions } from '../src/crash/command-line.ts'
import { failureOf } from '../src/crash/failure.ts'
import { commandHelp } from '../src/crash/help.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { parseOptions, type FlagsOf } from '../src/crash/options.ts'
import { startShell } from '../src/crash/shell-start.ts'
import { beginsAsDump } from '../src/vmcore/open.ts'

export default class Crash extends Command {
  static override summary = 'inspect a dump or a vmcore at the crash prompt'
  static override description =
    'Opens a dump of coredrill or a vmcore of a real kernel and takes crash commands: from the terminal, from -e,\n' +
    'from command files, or from standard input. NAMELIST is only needed for a vmcore that lacks its own symbols.\n' +
    'The files of a split dump are given together, here or as --core A,B,C.'
  static synopsis = 'crash [NAMELIST] [TARGET…] [-s] [-e COMMANDS] [-i FILE] [--at SNAPSHOT]'
  static override examples = [
    { command: 'coredrill crash dumps/demo.cdump', description: 'At the prompt' },
    { command: "coredrill crash vmcore -e 'ps; files 1'", description: 'Two commands and out' },
    { command: "echo 'bt -a' | coredrill crash -s vmcore", description: 'Commands from a pipe' },
  ]
  static crashFlags = {
    e: { kind: 'values', name: 'execute', summary: 'commands, semicolons between them; then leave' },
    i: { kind: 'values', name: 'input', summary: 'a file of commands, before the prompt' },
    s: { name: 'silent', summary: 'show only what commands print' },
  } as const
  static override strict = false

  async run(): Promise<void> {
    this.parsed = true
    try {
      const own = takeOwnOptions(this.argv)
      if (own.help) process.stdout.write(commandHelp('crash', Crash, 'whole'))
      else process.exitCode = await start(own)
    } catch (error) {
      const failure = failureOf('crash', Crash.synopsis, error)
      process.stderr.write(failure.text)
      process.exitCode = failure.status
    }
  }
}

async function start(own: ReturnType<typeof takeOwnOptions>): Promise<0 | 1> {
  const parsed = parseOptions(Crash.crashFlags, own.words, 'anywhere')
  const flags = parsed.flags as FlagsOf<typeof Crash.crashFlags>
  const { namelist, path } = takeFiles(parsed.words, own.core ?? process.env['COREDRILL_CORE'] ?? '')
  const note = (line: string): void => void process.stderr.write(`${line}\n`)
  const target = await openTarget(path, { ...openOptions(own, note), namelist: own.namelist ?? namelist })
  const status = await startShell({
    target,
    path,
    silent: flags.s === true,
    commands: flags.e ?? [],
    files: flags.i ?? [],
  })
  target.keepIndex()
  if (own.verbose) note(readText(target))
  return status
}

/** Which words are files of the dump, and which is the NAMELIST: crash takes them in any order. */
function takeFiles(
  words: readonly string[],
  byDefault: string,
): { namelist: string | undefined; path: string } {
  const isDump = words.map((word) => words.length === 1 || word.includes(',') || beginsAsDump(word))
  if (!isDump.includes(true) && words.length > 0) isDump[words.length - 1] = true
  const dumps = words.filter((_, i) => isDump[i])
  const [namelist, ...more] = words.filter((_, i) => !isDump[i])
  if (more.length > 0) throw new Misuse(undefined, more[0])
  const path = dumps.length === 0 ? byDefault : dumps.join(',')
  if (path === '') throw new Misuse('no dump: name one, or set COREDRILL_CORE')
  return { namelist, path }
}

import { Command } from '@oclif/core'
import { openTarget } from '../src/target/target.ts'
import { takeOwnOptions } from '../src/crash/command-line.ts'
import { failureOf } from '../src/crash/failure.ts'
import { commandHelp } from '../src/crash/help.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { parseOptions, type FlagsOf } from '../src/crash/options.ts'
import { startShell } from '../src/crash/shell-start.ts'

export default class Crash extends Command {
  static override summary = 'inspect a dump or a vmcore at the crash prompt'
  static override description =
    'Opens a dump of coredrill or a vmcore of a real kernel and takes crash commands: from the terminal, from -e,\n' +
    'from command files, or from standard input. NAMELIST is only needed for a vmcore that lacks its own symbols.'
  static synopsis = 'crash [NAMELIST] [TARGET] [-s] [-e COMMANDS] [-i FILE] [--at SNAPSHOT]'
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
  const [first, second] = parsed.words
  const path = second ?? first ?? own.core ?? process.env['COREDRILL_CORE'] ?? ''
  if (path === '') throw new Misuse('no dump: name one, or set COREDRILL_CORE')
  if (parsed.words.length > 2) throw new Misuse(undefined, parsed.words[2])
  const target = await openTarget(path, { at: own.at, namelist: second === undefined ? undefined : first })
  return await startShell({
    target,
    path,
    silent: flags.s === true,
    commands: flags.e ?? [],
    files: flags.i ?? [],
  })
}

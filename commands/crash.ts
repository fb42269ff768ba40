import { Args, Command, Flags } from '@oclif/core'
import { UsageError } from '../src/base/errors.ts'
import { failureOf } from '../src/crash/failure.ts'
import { startShell } from '../src/crash/shell-start.ts'
import { openTarget } from '../src/target/target.ts'

export default class Crash extends Command {
  static override summary = 'inspect a dump at the crash prompt'
  static override description =
    'Opens a dump of coredrill or a vmcore of a real kernel and takes crash commands: from the terminal, from -e, from ' +
    'command files, or from standard input. NAMELIST is only needed for a vmcore whose memory lacks its own symbols.'
  static override usage = 'crash [NAMELIST] [TARGET] [-s] [-e COMMANDS] [-i FILE] [--at SNAPSHOT]'
  static override examples = [
    { command: '<%= config.bin %> crash dumps/demo.cdump', description: 'At the prompt' },
    { command: "<%= config.bin %> crash vmcore -e 'ps; files 1'", description: 'Two commands and out' },
    { command: "echo 'bt -a' | <%= config.bin %> crash -s vmcore", description: 'Commands from a pipe' },
  ]
  static override args = {
    first: Args.string({
      name: 'namelist',
      ignoreStdin: true,
      description: 'symbols (System.map), or the target',
    }),
    second: Args.string({ name: 'target', ignoreStdin: true, description: 'dump or vmcore' }),
  }
  static override flags = {
    execute: Flags.string({
      char: 'e',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'commands; then leave',
    }),
    input: Flags.string({
      char: 'i',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'a file of commands',
    }),
    silent: Flags.boolean({ char: 's', summary: 'show only what commands print' }),
    core: Flags.string({ summary: 'dump or vmcore', env: 'COREDRILL_CORE' }),
    at: Flags.string({ summary: 'a snapshot of a dump, by name or step' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Crash)
    try {
      const namelist = args.second === undefined ? undefined : args.first
      const path = args.second ?? args.first ?? flags.core
      if (path === undefined) throw new UsageError('target', 'no dump: name one, or set COREDRILL_CORE')
      const target = await openTarget(path, {
        ...(flags.at !== undefined && { at: flags.at }),
        ...(namelist !== undefined && { namelist }),
      })
      process.exitCode = await startShell({
        target,
        banner: `coredrill ${this.config.version}: ${path}`,
        silent: flags.silent,
        commands: flags.execute ?? [],
        files: flags.input ?? [],
      })
    } catch (error) {
      const failure = failureOf('crash', '', error)
      process.stderr.write(failure.text)
      process.exitCode = failure.status
    }
  }
}

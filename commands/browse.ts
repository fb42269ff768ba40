import { basename } from 'node:path'
import { Args, Command, Flags } from '@oclif/core'
import { UsageError } from '../src/base/errors.ts'
import { openOptions } from '../src/crash/command-line.ts'
import { failureOf } from '../src/crash/failure.ts'
import { THEME_NAMES, takesUnicode, themeFor, type ThemeName } from '../src/tui/theme.ts'
import { openTarget } from '../src/target/target.ts'

export default class Browse extends Command {
  static override summary = 'walk through a dump or a vmcore on the whole screen'
  static override description =
    'Tasks, their open files, any structure as a tree whose pointers open in place, its bytes, sockets, the log,\n' +
    'modules and hooks; of a recorded dump every snapshot, with what changed marked. ? shows the keys.'
  static override examples = [
    { command: 'coredrill browse dumps/demo.cdump', description: 'From its last snapshot' },
    { command: 'coredrill browse dumps/demo.cdump --at syn-received', description: 'From another one' },
    { command: 'coredrill browse vmcore --theme mono', description: 'Without colour' },
  ]
  static override args = {
    target: Args.string({ description: 'a dump or vmcore; default: COREDRILL_CORE', ignoreStdin: true }),
  }
  static override flags = {
    core: Flags.string({ summary: 'the dump, as other commands take it', helpValue: 'FILE' }),
    at: Flags.string({ summary: 'a snapshot by name, or the number of a step', helpValue: 'SNAPSHOT' }),
    namelist: Flags.string({ summary: 'a vmlinux or System.map', helpValue: 'FILE' }),
    'no-cache': Flags.boolean({ summary: 'neither use nor keep what was found in a kernel before' }),
    theme: Flags.string({ summary: 'colours; default: dark, mono with NO_COLOR', options: [...THEME_NAMES] }),
    ascii: Flags.boolean({ summary: 'only ASCII; by itself where the locale is not UTF-8' }),
    mouse: Flags.boolean({ summary: 'take clicks and the wheel', default: true, allowNo: true }),
  }

  async run(): Promise<void> {
    try {
      const { args, flags } = await this.parse(Browse)
      const path = args.target ?? flags.core ?? process.env['COREDRILL_CORE'] ?? ''
      if (path === '') throw new UsageError('', 'no dump: give a file or set COREDRILL_CORE')
      needTerminal()
      const cache = !flags['no-cache'] && (process.env['COREDRILL_NO_CACHE'] ?? '') === ''
      const own = {
        core: path,
        at: flags.at,
        namelist: flags.namelist,
        cache,
        verbose: false,
        json: false,
        help: false,
        words: [],
      }
      const target = await openTarget(
        path,
        openOptions(own, () => undefined),
      )
      try {
        const { browse } = await import('../src/tui/app.ts')
        process.exitCode = await browse(target, {
          name: basename(path),
          ascii: flags.ascii || !takesUnicode(process.env),
          theme: (flags.theme as ThemeName | undefined) ?? themeFor(process.env),
          mouse: flags.mouse,
        })
        target.keepIndex()
      } finally {
        target.close()
      }
    } catch (error) {
      const failure = failureOf('browse', 'browse TARGET', error)
      process.stderr.write(failure.text)
      process.exitCode = failure.status
    }
  }
}

/** @throws UsageError where there is no terminal, or one that cannot be drawn on */
function needTerminal(): void {
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new UsageError('', 'needs a terminal: both its input and its output')
  const term = process.env['TERM'] ?? ''
  if (term === '' || term === 'dumb')
    throw new UsageError('TERM', `a terminal of type "${term}" cannot place its cursor`)
}

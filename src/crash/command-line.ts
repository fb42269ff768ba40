/** A crash command on the shell's command line: `coredrill ps -p 133 --core DUMP --json`. */

import { openTarget } from '../target/target.ts'
import type { DumpCommandClass } from './command-set.ts'
import { failureOf } from './failure.ts'
import { commandHelp } from './help.ts'
import { toJsonText } from './json.ts'
import { Misuse } from './misuse.ts'
import { StreamOutput } from './output.ts'
import { Session, writeText } from './session.ts'

/** What belongs to coredrill and not to the command. */
export interface OwnOptions {
  core: string | undefined
  at: string | undefined
  json: boolean
  help: boolean
  /** the command's own words */
  words: string[]
}

/**
 * Take `--core`, `--at`, `--json` and `--help` out of the words; everything after `--` stays.
 *
 * @throws Misuse  when one lacks its value
 */
export function takeOwnOptions(argv: readonly string[]): OwnOptions {
  const own: OwnOptions = { core: undefined, at: undefined, json: false, help: false, words: [] }
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string
    const [, name, value] = /^--(core|at)(?:=(.*))?$/s.exec(word) ?? []
    if (word === '--') {
      own.words.push(...argv.slice(i))
      break
    }
    if (word === '--json') own.json = true
    else if (word === '--help') own.help = true
    else if (name !== undefined) {
      const given = value ?? argv[++i]
      if (given === undefined || given === '') throw new Misuse(`--${name} needs a value`, name)
      own[name as 'core' | 'at'] = given
    } else own.words.push(word)
  }
  return own
}

/** Run a command for the process: prints, and sets the exit status. */
export async function runOnCommandLine(Class: DumpCommandClass, argv: readonly string[]): Promise<void> {
  const name = Class.id
  const output = new StreamOutput(process.stdout, process.stderr)
  try {
    const own = takeOwnOptions(argv)
    const isHelp = own.help || (own.words[0] === '-h' && !('h' in Class.crashFlags))
    if (isHelp) {
      output.write(commandHelp(name, Class, 'shell'))
      return
    }
    process.exitCode = (await answer(name, own, output)) ? 0 : 1
  } catch (error) {
    const failure = failureOf(name, Class.synopsis, error)
    output.note(failure.text.trimEnd())
    process.exitCode = failure.status
  }
}

async function answer(name: string, own: OwnOptions, output: StreamOutput): Promise<boolean> {
  const core = own.core ?? process.env['COREDRILL_CORE']
  if (core === undefined || core === '') throw new Misuse('no dump: give --core FILE or set COREDRILL_CORE')
  const session = new Session(await openTarget(core, own.at === undefined ? {} : { at: own.at }))
  const report = await session.report(name, own.words, (line) => output.note(line))
  if (own.json) {
    drain(report.text)
    output.write(toJsonText(report.rows))
  } else await writeText(report.text, output, () => false)
  return report.failed !== true
}

/** Run a text's generator to its end, unprinted: rows and `failed` may be complete only then. */
function drain(text: string | Iterable<string>): void {
  if (typeof text === 'string') return
  const pieces = text[Symbol.iterator]()
  while (pieces.next().done !== true) continue
}

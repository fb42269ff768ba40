/** A crash command on the shell's command line: `coredrill ps -p 133 --core DUMP --json`. */

import { cacheFolder, IndexCache } from '../target/index-cache.ts'
import { openTarget, type OpenOptions, type Target } from '../target/target.ts'
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
  namelist: string | undefined
  cache: boolean
  verbose: boolean
  json: boolean
  help: boolean
  /** the command's own words */
  words: string[]
}

/**
 * Take `--core`, `--at`, `--namelist`, `--no-cache`, `--verbose`, `--json` and `--help` out of the words; everything after `--` stays.
 *
 * @throws Misuse  when one lacks its value
 */
export function takeOwnOptions(argv: readonly string[]): OwnOptions {
  const own: OwnOptions = {
    core: undefined,
    at: undefined,
    namelist: undefined,
    cache: (process.env['COREDRILL_NO_CACHE'] ?? '') === '',
    verbose: false,
    json: false,
    help: false,
    words: [],
  }
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string
    const [, name, value] = /^--(core|at|namelist)(?:=(.*))?$/s.exec(word) ?? []
    if (word === '--') {
      own.words.push(...argv.slice(i))
      break
    }
    if (word === '--json') own.json = true
    else if (word === '--help') own.help = true
    else if (word === '--no-cache') own.cache = false
    else if (word === '--verbose') own.verbose = true
    else if (name !== undefined) {
      const given = value ?? argv[++i]
      if (given === undefined || given === '') throw new Misuse(`--${name} needs a value`, name)
      own[name as 'core' | 'at' | 'namelist'] = given
    } else own.words.push(word)
  }
  return own
}

/** How the dump is to be opened. @param note told what the cache did, when that was asked for */
export function openOptions(own: OwnOptions, note: (line: string) => void): OpenOptions {
  const folder = own.cache ? cacheFolder() : undefined
  const cache = folder === undefined ? undefined : new IndexCache(folder, own.verbose ? note : undefined)
  return {
    at: own.at,
    namelist: own.namelist,
    cache,
    progress: process.stderr.isTTY ? showProgress : undefined,
  }
}

/** One line on the terminal, written over by the next. */
function showProgress(text: string): void {
  process.stderr.write(`\r\x1b[K${text}`)
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
    process.exitCode = await answer(name, own, output)
  } catch (error) {
    const failure = failureOf(name, Class.synopsis, error)
    output.note(failure.text.trimEnd())
    process.exitCode = failure.status
  }
}

async function answer(name: string, own: OwnOptions, output: StreamOutput): Promise<number> {
  const core = own.core ?? process.env['COREDRILL_CORE']
  if (core === undefined || core === '') throw new Misuse('no dump: give --core FILE or set COREDRILL_CORE')
  const target = await openTarget(
    core,
    openOptions(own, (line) => output.note(line)),
  )
  const session = new Session(target)
  const report = await session.report(name, own.words, (line) => output.note(line))
  if (own.json) {
    drain(report.text)
    output.write(toJsonText(report.rows))
  } else await writeText(report.text, output, () => false)
  if (report.remark !== undefined) output.remark(`${name}: ${report.remark}`)
  target.keepIndex()
  if (own.verbose) output.note(readText(target))
  return report.status ?? (report.failed === true ? 1 : 0)
}

/** What of the file was read, in a line. */
export function readText({ container }: Target): string {
  const { pagesRead, bytesRead } = container.stats
  return `${container.path}: ${container.format}: ${pagesRead} pages read, ${bytesRead} bytes`
}

/** Run a text's generator to its end, unprinted: rows and `failed` may be complete only then. */
function drain(text: string | Iterable<string>): void {
  if (typeof text === 'string') return
  const pieces = text[Symbol.iterator]()
  while (pieces.next().done !== true) continue
}

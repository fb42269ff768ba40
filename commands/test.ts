import { watch } from 'node:fs'
import { Args, Command, Flags } from '@oclif/core'
import { answerLine } from '../src/crash/answer-line.ts'
import { failureOf } from '../src/crash/failure.ts'
import { defaultJobs, isFailure, testAll } from '../src/regress/pool.ts'
import { REPORTERS, reportOf, resultText, summaryText, type ReporterName } from '../src/regress/report.ts'
import type { TestResult } from '../src/regress/run-one.ts'
import { scenarioFiles } from '../src/scenario/record-file.ts'
import { writeWhole } from '../src/vmcore/file-writer.ts'

export default class Test extends Command {
  static override summary = 'run scenarios as regression tests'
  static override description =
    'Each scenario is recorded, its expectations are checked, and what came out is compared with its golden record in the\n' +
    'folder golden/ beside it: the log, packets, probes, programs, answers of commands, and the memory of every snapshot.\n' +
    'What differs is shown as a diff; of memory, which member of which object, and the function and step that stored it.\n' +
    '\n' +
    'Exit status: 0 all came out as they must; 1 one did not, or cannot be run; 2 the command line is wrong.'
  static override examples = [
    'coredrill test',
    'coredrill test scenarios/lsm-recvmsg.yaml --update',
    'coredrill test scenarios --filter nf- --jobs 4 --reporter junit --output results.xml',
    'coredrill test mine.yaml --watch',
  ]
  // any number of paths
  static override strict = false
  static override args = {
    paths: Args.string({ description: 'scenario files, or folders of them; scenarios/', ignoreStdin: true }),
  }
  static override flags = {
    update: Flags.boolean({ char: 'u', summary: 'write the golden records of scenarios whose expectations hold' }),
    filter: Flags.string({ char: 'f', summary: 'only files whose name has this in it', helpValue: 'TEXT' }),
    jobs: Flags.integer({ char: 'j', summary: 'how many at a time; as many as there are processors', min: 1, max: 64 }),
    bail: Flags.boolean({ summary: 'stop after the first that fails' }),
    seed: Flags.string({ summary: 'another seed: expectations are checked, golden records are not' }),
    keep: Flags.string({ summary: 'keep the dumps of scenarios that fail', helpValue: 'FOLDER' }),
    'allow-modules': Flags.boolean({ summary: 'run modules of the scenarios’ own: code with all rights of this process' }),
    watch: Flags.boolean({ char: 'w', summary: 'test again when a scenario changes' }),
    reporter: Flags.string({ summary: 'form of the results', options: [...REPORTERS], default: 'readable' }),
    output: Flags.string({ char: 'o', summary: 'write the results there instead of printing them', helpValue: 'FILE' }),
  } // prettier-ignore

  async run(): Promise<void> {
    try {
      const { argv, flags } = await this.parse(Test)
      const paths = argv.length === 0 ? ['scenarios'] : (argv as string[])
      const options: RunOptions = { ...flags, allowModules: flags['allow-modules'], jobs: flags.jobs ?? defaultJobs(), reporter: flags.reporter as ReporterName }
      const files = (): string[] => paths.flatMap(scenarioFiles).filter((file) => file.includes(flags.filter ?? ''))
      if (files().length === 0) {
        process.stderr.write(`test: no scenario: ${paths.join(' ')} has none${flags.filter === undefined ? '' : ` with ${flags.filter}`}\n`)
        process.exitCode = 2
        return
      }
      await runAll(files(), options)
      if (flags.watch) await watchAll(paths, files, options)
    } catch (error) {
      const { text, status } = failureOf('test', '', error)
      process.stderr.write(text)
      process.exitCode = status
    }
  } // prettier-ignore
}

interface RunOptions {
  readonly update: boolean
  readonly jobs: number
  readonly bail: boolean
  readonly seed?: string | undefined
  readonly keep?: string | undefined
  readonly allowModules: boolean
  readonly reporter: ReporterName
  readonly output?: string | undefined
}

async function runAll(files: readonly string[], options: RunOptions): Promise<void> {
  const progress = new Progress(files.length, options)
  const results = await testAll(
    files,
    { ...options, onResult: (result) => progress.done(result) },
    answerLine,
  )
  progress.clear()
  const report = reportOf(options.reporter, results)
  if (options.output !== undefined) writeWhole(options.output, (out) => out.write(Buffer.from(report)))
  else if (options.reporter !== 'readable') process.stdout.write(report)
  if (progress.shows) process.stdout.write(summaryText(results))
  process.exitCode = results.some(isFailure) ? 1 : 0
}

/** Results as they come, for people; how far it is, on a terminal. */
class Progress {
  readonly shows: boolean
  private readonly of: number
  private count = 0

  constructor(of: number, { reporter, output }: RunOptions) {
    this.of = of
    this.shows = reporter === 'readable' || output !== undefined
  }

  done(result: TestResult): void {
    this.count++
    this.clear()
    if (this.shows) process.stdout.write(resultText(result))
    if (process.stderr.isTTY && this.count < this.of) process.stderr.write(`[${this.count}/${this.of}]`)
  }

  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  }
}

/** Until the user interrupts: what changed is tested again, all when it is not clear what changed. */
async function watchAll(
  paths: readonly string[],
  files: () => string[],
  options: RunOptions,
): Promise<never> {
  const changed = new Set<string>()
  let wake = (): void => undefined
  for (const path of paths) {
    watch(path, (_event, name) => {
      if (name !== null && !/\.ya?ml$/.test(name)) return
      changed.add(name ?? '')
      wake()
    })
  }
  for (;;) {
    process.stderr.write('watching; Ctrl-C ends\n')
    await new Promise<void>((resolve) => (wake = resolve))
    // an editor writes a file in several steps
    await new Promise((resolve) => setTimeout(resolve, 100))
    const names = [...changed]
    changed.clear()
    const again = files().filter((file) => names.some((name) => file.endsWith(name)))
    if (again.length > 0) await runAll(again, options)
  }
}

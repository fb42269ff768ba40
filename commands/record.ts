import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Args, Command, Flags } from '@oclif/core'
import { failureOf } from '../src/crash/failure.ts'
import { answerLine } from '../src/crash/answer-line.ts'
import { profiles } from '../src/linux/profile.ts'
import { expectationError } from '../src/scenario/expect.ts'
import { ScenarioError } from '../src/scenario/problem.ts'
import { reportText } from '../src/scenario/step-report.ts'
import { readScenario, recordFile, scenarioName, type RecordedFile } from '../src/scenario/record-file.ts'

export default class Record extends Command {
  static override summary = 'run a scenario on the simulated kernel and keep its memory as a dump'
  static override description =
    'The dump goes to dumps/NAME.cdump unless -o says where. What the scenario expects is checked on the finished dump;\n' +
    'when something is not as expected, the dump is kept and the exit status is 1.'
  static override examples = [
    'coredrill record scenarios/lsm-recvmsg.yaml',
    'coredrill record scenarios/ubuntu-ncat.yaml -o u.cdump --seed 7',
  ]
  static override args = {
    scenario: Args.string({ description: 'a scenario file', ignoreStdin: true }),
  }
  static override flags = {
    output: Flags.string({ char: 'o', summary: 'the dump to write', helpValue: 'FILE' }),
    seed: Flags.string({ summary: 'another seed: other addresses, the same story' }),
    verbose: Flags.boolean({
      char: 'v',
      summary: 'print each step as it runs, and what it did: time, stores, packets, log',
    }),
    expect: Flags.boolean({ summary: 'check what the scenario expects', default: true, allowNo: true }),
    check: Flags.boolean({ summary: 'only read the scenario and report its problems' }),
    'allow-modules': Flags.boolean({
      summary: 'run modules of the scenario’s own: code with all rights of this process',
    }),
    profiles: Flags.boolean({ summary: 'list the kernels there are, and stop' }),
  }

  async run(): Promise<void> {
    try {
      const { args, flags } = await this.parse(Record)
      if (flags.profiles) {
        process.stdout.write(profiles.map((p) => `${p.name.padEnd(24)} ${p.release} ${p.version}\n`).join(''))
        return
      }
      if (args.scenario === undefined) {
        process.stderr.write('record: no scenario: name a YAML file\n')
        process.exitCode = 2
        return
      }
      if (flags.check) readScenario(args.scenario)
      else await record(args.scenario, flags)
    } catch (error) {
      process.stderr.write(recordingFailure('record', error))
      process.exitCode = 1
    }
  }
}

interface RecordFlags {
  readonly output?: string | undefined
  readonly seed?: string | undefined
  readonly verbose: boolean
  readonly expect: boolean
  readonly 'allow-modules': boolean
}

async function record(path: string, flags: RecordFlags): Promise<void> {
  const output = flags.output ?? `dumps/${scenarioName(path)}.cdump`
  if (flags.output === undefined) mkdirSync(dirname(output), { recursive: true })
  const recorded = await recordFile(path, {
    output,
    seed: flags.seed,
    createdBy: `coredrill ${packageVersion()}`,
    runCommand: flags.expect ? answerLine : undefined,
    allowModules: flags['allow-modules'],
    onStep: progress(flags.verbose),
    ...(flags.verbose && { onStepDone: (report) => process.stderr.write(reportText(report)) }),
  })
  clearProgress(flags.verbose)
  process.stdout.write(summaryOf(recorded))
  if (recorded.failed.length === 0) return
  process.stderr.write(expectationError(recorded.scenario, recorded.failed).text)
  const count = `${recorded.failed.length} of ${recorded.scenario.expect.length}`
  process.stderr.write(`record: ${count} expectations not met; ${output} was written all the same\n`)
  process.exitCode = 1
}

function summaryOf({ output, bytes, snapshots, frames, writes }: RecordedFile): string {
  const size = `${(bytes / 1e6).toFixed(1)} MB`
  return `${output}: ${size}, ${frames} frames, ${writes} writes, snapshots ${snapshots.join(' ')}\n`
}

/** All problems of a scenario, or one line for anything else. */
export function recordingFailure(command: string, error: unknown): string {
  if (error instanceof ScenarioError) {
    const count = error.problems.length
    return `${error.text}${command}: ${count} problem${count === 1 ? '' : 's'}, nothing recorded\n`
  }
  return failureOf(command, '', error).text
}

export const packageVersion = (): string => {
  // from commands/ and from dist/commands/
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const { version } = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as {
        version: string
      }
      return version
    } catch {
      continue
    }
  }
  return '0'
}

/** Each step as a line of its own, or all on one line of a terminal. */
function progress(verbose: boolean) {
  const { stderr } = process
  return (number: number, of: number, summary: string): void => {
    const line = `[${number}/${of}] ${summary}`
    if (verbose) stderr.write(`${line}\n`)
    else if (stderr.isTTY) stderr.write(`\r\x1b[K${line.slice(0, stderr.columns - 1)}`)
  }
}

const clearProgress = (verbose: boolean): void => {
  if (!verbose && process.stderr.isTTY) process.stderr.write('\r\x1b[K')
}

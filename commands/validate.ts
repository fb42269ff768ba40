import { Args, Command, Flags } from '@oclif/core'
import { CoredrillError } from '../src/base/errors.ts'
import { ScenarioError, type Problem } from '../src/scenario/problem.ts'
import { readScenario, scenarioFiles } from '../src/scenario/record-file.ts'
import { schemaText } from '../src/scenario/schema.ts'

/** A file in `validate --json`. */
interface VerdictRow {
  readonly file: string
  /** none when it is a scenario; line and column count from 1, and are 0 for a file that cannot be read */
  readonly problems: readonly { code: string; message: string; line: number; column: number }[]
}

/** A file, and what is wrong with it; nothing when it is a scenario. */
interface Verdict extends VerdictRow {
  /** all of it, as it is shown */
  readonly text: string
}

/** Rows: {@link VerdictRow} each. */
export default class Validate extends Command {
  static override summary = 'report every problem of scenarios without running them'
  static override description =
    'All problems of all files are reported in one run, each with its line, column and a caret.\n' +
    'A folder stands for the scenarios in it. Exit status 1 when a file has a problem.'
  static override examples = [
    'coredrill validate scenarios',
    'coredrill validate mine.yaml --json',
    'coredrill validate --schema > scenario.schema.json',
  ]
  // any number of files
  static override strict = false
  static override args = {
    files: Args.string({ description: 'scenario files, or folders of them', ignoreStdin: true }),
  }
  static override flags = {
    json: Flags.boolean({ summary: 'the same as data' }),
    quiet: Flags.boolean({ char: 'q', summary: 'say nothing of files that are right' }),
    schema: Flags.boolean({ summary: 'print the JSON Schema by which editors check scenarios, and stop' }),
  }

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Validate)
    if (flags.schema) {
      process.stdout.write(schemaText())
      return
    }
    if (argv.length === 0) {
      process.stderr.write('validate: no scenario: name YAML files or folders\n')
      process.exitCode = 2
      return
    }
    const verdicts = (argv as string[]).flatMap(scenarioFiles).map(validate)
    if (flags.json)
      process.stdout.write(
        `${JSON.stringify(
          verdicts.map(({ file, problems }): VerdictRow => ({ file, problems })),
          null,
          2,
        )}\n`,
      )
    else for (const verdict of verdicts) show(verdict, flags.quiet)
    const wrong = verdicts.filter(({ problems }) => problems.length > 0).length
    if (wrong === 0) return
    process.stderr.write(`validate: ${wrong} of ${verdicts.length} file${verdicts.length === 1 ? '' : 's'} with problems\n`) // prettier-ignore
    process.exitCode = 1
  }
}

function validate(file: string): Verdict {
  try {
    readScenario(file)
    return { file, problems: [], text: '' }
  } catch (error) {
    if (error instanceof ScenarioError) return { file, problems: error.problems.map(asRow), text: error.text }
    if (!(error instanceof CoredrillError)) throw error
    const { code, message } = error
    return { file, problems: [{ code, message, line: 0, column: 0 }], text: `${message}\n` }
  }
}

const asRow = ({ code, message, position: { line, column } }: Problem) => ({ code, message, line, column })

function show({ file, problems, text }: Verdict, quiet: boolean): void {
  if (problems.length > 0) process.stderr.write(text)
  else if (!quiet) process.stdout.write(`${file}: ok\n`)
}

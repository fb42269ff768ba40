import { existsSync, mkdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Args, Command, Flags } from '@oclif/core'
import { CoredrillError } from '../src/base/errors.ts'
import { failureOf } from '../src/crash/failure.ts'
import { SCHEMA_FILE, schemaText } from '../src/scenario/schema.ts'
import { scenarioFrom, templates } from '../src/scenario/templates.ts'
import { writeWhole } from '../src/vmcore/file-writer.ts'

export default class New extends Command {
  static override summary = 'write a commented scenario to begin with'
  static override description =
    'NAME becomes NAME.yaml where you are; a path or NAME.yaml is taken as it stands. A file that is there is left alone.\n' +
    'The schema by which editors complete and check scenarios is put beside it when it is not there yet.'
  static override examples = [
    'coredrill new my-hook',
    'coredrill new labs/first.yaml --template module',
    'coredrill new --list',
  ]
  static override args = {
    name: Args.string({ description: 'what to call it', ignoreStdin: true }),
  }
  static override flags = {
    template: Flags.string({
      char: 't',
      summary: 'what to begin with',
      default: 'connection',
      helpValue: 'NAME',
    }),
    title: Flags.string({ summary: "the scenario's title; the template's when left out" }),
    list: Flags.boolean({ char: 'l', summary: 'list the templates, and stop' }),
    schema: Flags.boolean({ summary: 'also write the schema for editors', default: true, allowNo: true }),
  }

  async run(): Promise<void> {
    try {
      const { args, flags } = await this.parse(New)
      if (flags.list) {
        process.stdout.write(templates().map((t) => `${t.name.padEnd(16)}${t.title}\n`).join('')) // prettier-ignore
      } else if (args.name === undefined) {
        process.stderr.write('new: no name: say what to call the scenario, or --list for the templates\n')
        process.exitCode = 2
      } else {
        write(args.name, flags)
      }
    } catch (error) {
      const { text, status } = failureOf('new', '', error)
      process.stderr.write(text)
      process.exitCode = status
    }
  }
}

interface NewFlags {
  readonly template: string
  readonly title?: string | undefined
  readonly schema: boolean
}

function write(name: string, { template, title, schema }: NewFlags): void {
  const path = /\.ya?ml$/.test(name) ? name : `${name}.yaml`
  const text = scenarioFrom(template, title)
  if (existsSync(path)) throw new CoredrillError('UNWRITABLE', `${path}: is there already`)
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true })
  writeWhole(path, (out) => out.write(Buffer.from(text)))
  const beside = join(folder, SCHEMA_FILE)
  const withSchema = schema && !existsSync(beside)
  if (withSchema) writeWhole(beside, (out) => out.write(Buffer.from(schemaText())))
  process.stdout.write(
    `${path}: a scenario from the template ${template}${withSchema ? `, with ${SCHEMA_FILE} beside it` : ''}\n` +
      `next: coredrill validate ${path}; coredrill record ${path} -o ${basename(path).replace(/\.ya?ml$/, '')}.cdump\n`,
  )
}

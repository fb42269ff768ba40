/** Scenarios to begin with: files of scenarios/templates, each a scenario that runs as it stands. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { InvariantError, UsageError } from '../base/errors.ts'
import { unknownName } from './issues.ts'
import { SCHEMA_LINE } from './schema.ts'

export interface Template {
  readonly name: string
  /** the scenario's own title */
  readonly title: string
  readonly text: string
}

/** The folder that came with the program, from src/scenario/ and from dist/src/scenario/. */
function folder(): string {
  const found = ['../..', '../../..']
    .map((up) => fileURLToPath(new URL(`${up}/scenarios/templates`, import.meta.url)))
    .find((path) => existsSync(path))
  if (found === undefined) throw new InvariantError('scenarios/templates is not there')
  return found
}

/** All of them, by name. */
export function templates(): Template[] {
  const path = folder()
  return readdirSync(path)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => {
      const text = readFileSync(`${path}/${file}`, 'utf8')
      return { name: file.replace(/\.yaml$/, ''), title: /^title: (.*)$/m.exec(text)?.[1] ?? '', text }
    })
}

/**
 * A template's text for a scenario of its own.
 * @param title what it is to be called; the template's when left out
 * @throws UsageError for a template nobody has
 */
export function scenarioFrom(name: string, title?: string): string {
  const all = templates()
  const template = all.find((one) => one.name === name)
  if (template === undefined) {
    const names = all.map((one) => one.name)
    throw new UsageError('--template', unknownName('template', name, names))
  }
  const text = template.text.replace(/^# yaml-language-server:.*$/m, SCHEMA_LINE)
  // as a JSON string it is valid YAML whatever it holds
  return title === undefined ? text : text.replace(/^title: .*$/m, () => `title: ${plain(title)}`)
}

const plain = (title: string): string => (/^[A-Za-z][\w ,.-]*$/.test(title) ? title : JSON.stringify(title))

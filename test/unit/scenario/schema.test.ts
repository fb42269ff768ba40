/** The published JSON Schema: as the grammar has it, and as an editor's language server understands it. */

import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ScenarioError } from '../../../src/scenario/problem.ts'
import { parseScenario } from '../../../src/scenario/scenario.ts'
import { SCHEMA_FILE, SCHEMA_LINE, schemaText } from '../../../src/scenario/schema.ts'
import { YamlLanguageServer } from '../../support/language-server.ts'

const scenarios = new URL('../../../scenarios/', import.meta.url)
const invalid = new URL('invalid/', import.meta.url)

const yamlFiles = (folder: URL): URL[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => new URL(file, folder))
const titled = (files: readonly URL[]) => files.map((file) => [basename(file.pathname), file] as const)
const textOf = (file: URL): string => readFileSync(file, 'utf8')

test('scenarios/scenario.schema.json is generated: `npx vitest run test/unit/scenario/schema.test.ts -u`', async () => {
  await expect(schemaText()).toMatchFileSnapshot(new URL(SCHEMA_FILE, scenarios).pathname)
})

test.each(titled(yamlFiles(scenarios)))('%s points editors at the schema in its first line', (_, file) => {
  expect(textOf(file).split('\n')[0]).toBe(SCHEMA_LINE)
})

describe('an editor’s YAML language server, by the schema,', () => {
  const server = new YamlLanguageServer()
  beforeAll(() => server.start(scenarios.href))
  afterAll(() => server.stop())

  test.each(titled(yamlFiles(scenarios)))('accepts %s', async (_, file) => {
    expect(await server.check(file.href, textOf(file))).toEqual([])
  })

  test.each(titled(yamlFiles(invalid)))('rejects %s where the grammar does', async (_, file) => {
    const text = textOf(file)
    // the file says itself where it is wrong
    const wrong = text.split('\n').flatMap((line, i) => (/# wrong/.test(line) ? [i] : []))
    const found = await server.check(file.href, text)
    expect([...new Set(found.map(({ range }) => range.start.line))].sort()).toEqual(wrong)
    expect(linesOf(file.pathname, text)).toEqual(wrong)
  })
})

/** Lines, from 0, of what our own grammar finds wrong. */
function linesOf(path: string, text: string): number[] {
  try {
    parseScenario(path, text)
    return []
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error
    return [...new Set(error.problems.map(({ position }) => position.line - 1))].sort()
  }
}

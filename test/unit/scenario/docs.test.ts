/** docs/scenario.md tells the truth: its examples are scenarios, and it leaves no key and no step out. */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { expectations, listSections, sections, stepFields } from '../../../src/scenario/grammar.ts'
import { parseScenario } from '../../../src/scenario/scenario.ts'
import { scenarioSchema } from '../../../src/scenario/schema.ts'
import { steps } from '../../../src/scenario/steps/index.ts'

const text = readFileSync(new URL('../../../docs/scenario.md', import.meta.url), 'utf8')
const examples = [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml]) => yaml as string)

test.each(examples.map((yaml, i) => [i + 1, yaml] as const))('example %i is a scenario', (i, yaml) => {
  expect(() => parseScenario(`example ${i}`, yaml)).not.toThrow()
})

describe('every name is mentioned:', () => {
  const names = [sections, listSections, stepFields, expectations].flatMap((table) => Object.keys(table))
  test.each([...new Set([...names, 'files', 'steps', 'expect', ...steps.map(({ name }) => name)])])(
    '%s',
    (name) => {
      expect(text).toMatch(new RegExp(`\`${name}\`|\\{ (at, )?(of, )?${name}\\b|, ${name}[,: ]`))
    },
  )
})

test('the grammar is a JSON Schema, too: integers, steps, no key unknown to it', () => {
  const schema = scenarioSchema() as {
    properties: Record<string, { type?: string; items?: { oneOf?: readonly object[] } }>
  }
  expect(schema.properties['cpus']).toMatchObject({ type: 'integer', minimum: 1, maximum: 64 })
  expect(schema.properties['steps']?.items?.oneOf).toHaveLength(steps.length)
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema)
})

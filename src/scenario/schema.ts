/** The grammar as a JSON Schema, for editors: made of the same schemas that check a scenario. */

import { z } from 'zod'
import { profiles } from '../linux/profile.ts'
import { expectations, fileSchema, listSections, sections, stepFields } from './grammar.ts'
import { steps } from './steps/index.ts'

type Json = Readonly<Record<string, unknown>>

/** What a scenario's first line says so that an editor finds the schema beside it. */
export const SCHEMA_FILE = 'scenario.schema.json'
export const SCHEMA_LINE = `# yaml-language-server: $schema=./${SCHEMA_FILE}`

/** A schema of ours as JSON Schema: what a file may say, not what it becomes. */
function jsonOf(schema: z.ZodType): Json {
  const { $schema: _draft, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type === 'bigint') jsonSchema.type = 'integer'
      // a default is what we compute with, not what a file may say
      delete jsonSchema.default
    },
  })
  return rest
}

const list = (items: Json): Json => ({ type: 'array', items })
const record = (of: Readonly<Record<string, z.ZodType>>): Record<string, Json> =>
  Object.fromEntries(Object.entries(of).map(([key, schema]) => [key, jsonOf(schema)]))

/** A step is told by its key: naming the others as absent gives an editor one message instead of twenty. */
function stepSchema(): Json {
  const common = record(stepFields)
  const own = Object.fromEntries(
    steps.map(({ name, summary, example, params }) => [
      name,
      { ...jsonOf(params), description: summary, examples: [example] },
    ]),
  )
  return {
    type: 'object',
    properties: { ...own, ...common },
    additionalProperties: false,
    oneOf: steps.map(({ name }) => ({ required: [name] })),
  }
}

/** A JSON Schema (draft 2020-12) of whole scenario files. */
export function scenarioSchema(): Json {
  const lists = Object.entries(record(listSections)).map(([key, items]) => [key, list(items)] as const)
  const top = record(sections)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'coredrill scenario',
    description: 'Generated from the grammar by `coredrill validate --schema`.',
    type: 'object',
    properties: {
      ...top,
      profile: { ...top['profile'], enum: profiles.map(({ name }) => name) },
      ...Object.fromEntries(lists),
      files: { type: 'object', additionalProperties: jsonOf(fileSchema) },
      steps: list(stepSchema()),
      expect: list({ anyOf: [...new Set(Object.values(expectations))].map((schema) => jsonOf(schema)) }),
    },
    additionalProperties: false,
  }
}

/** The schema as a file. */
export const schemaText = (): string => `${JSON.stringify(scenarioSchema(), null, 2)}\n`

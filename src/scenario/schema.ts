/** The grammar as a JSON Schema, for editors: made of the same schemas that check a scenario. */

import { z } from 'zod'
import { expectations, fileSchema, listSections, sections, stepFields } from './grammar.ts'
import { steps } from './steps/index.ts'

type Json = Readonly<Record<string, unknown>>

/** A schema of ours as JSON Schema: what a file may say, not what it becomes. */
function jsonOf(schema: z.ZodType): Json {
  const { $schema: _draft, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type === 'bigint') jsonSchema.type = 'integer'
      delete jsonSchema.default
    },
  })
  return rest
}

const list = (items: Json): Json => ({ type: 'array', items })
const record = (of: Readonly<Record<string, z.ZodType>>): Record<string, Json> =>
  Object.fromEntries(Object.entries(of).map(([key, schema]) => [key, jsonOf(schema)]))

/** A JSON Schema (draft 2020-12) of whole scenario files. */
export function scenarioSchema(): Json {
  const step = {
    oneOf: steps.map(({ name, summary, params }) => ({
      type: 'object',
      description: summary,
      properties: { [name]: jsonOf(params), ...record(stepFields) },
      required: [name],
      additionalProperties: false,
    })),
  }
  const lists = Object.entries(record(listSections)).map(([key, items]) => [key, list(items)] as const)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'coredrill scenario',
    type: 'object',
    properties: {
      ...record(sections),
      ...Object.fromEntries(lists),
      files: { type: 'object', additionalProperties: jsonOf(fileSchema) },
      steps: list(step),
      expect: list({ anyOf: [...new Set(Object.values(expectations))].map((schema) => jsonOf(schema)) }),
    },
    additionalProperties: false,
  }
}

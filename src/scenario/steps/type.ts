/** Someone types: bytes arrive at a program's standard input. */

import { z } from 'zod'
import { data, name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const type = defineStep({
  name: 'type',
  summary: 'bytes arrive at a program’s standard input',
  example: '- type: { process: server, data: "hello\\n" }',
  params: z.strictObject({ process: name, data }),
  check: (params, check) => check.use('process', params.process, ['process']),
  run: (run, { process, data }) => run.programs.type(process, data),
})

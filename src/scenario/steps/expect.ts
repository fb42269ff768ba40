/** A host's view of a connection is checked while the scenario runs. */

import { z } from 'zod'
import { hostState, name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const expect = defineStep({
  name: 'expect',
  summary: 'check a host’s end of a connection at this point',
  example: '- expect: { connection: first, state: established, received: "hello\\n" }',
  params: z.strictObject({
    connection: name,
    state: hostState.optional(),
    received: z.string().optional(),
  }),
  check: (params, check) => check.use('connection', params.connection, ['connection']),
  run: (run, expectation) => run.expectNow(expectation),
})

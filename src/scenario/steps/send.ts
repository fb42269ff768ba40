/** A host sends bytes on a connection. */

import { z } from 'zod'
import { data, name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const send = defineStep({
  name: 'send',
  summary: 'a host sends bytes',
  example: '- send: { connection: first, data: "hello\\n" }',
  params: z.strictObject({ connection: name, data }),
  check: (params, check) => check.use('connection', params.connection, ['connection']),
  run: (run, { connection, data }) => run.connection(connection).send(data),
})

/** A host resets a connection. */

import { name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const reset = defineStep({
  name: 'reset',
  summary: 'a host resets a connection with RST',
  example: '- reset: first',
  params: name.describe('a connection'),
  check: (connection, check) => check.use('connection', connection, []),
  run: (run, connection) => run.connection(connection).reset(),
})

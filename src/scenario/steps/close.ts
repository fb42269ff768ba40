/** A host closes its end: FIN behind everything it sent. */

import { name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const close = defineStep({
  name: 'close',
  summary: 'a host closes a connection with FIN',
  example: '- close: first',
  params: name.describe('a connection'),
  check: (connection, check) => check.use('connection', connection, []),
  run: (run, connection) => run.connection(connection).close(),
})

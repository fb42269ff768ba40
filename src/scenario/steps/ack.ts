/** A host answers the SYN-ACK it held back: the handshake completes. */

import { name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const ack = defineStep({
  name: 'ack',
  summary: 'a host answers the SYN-ACK that `hold` kept waiting',
  example: '- ack: first',
  params: name.describe('a connection'),
  check: (connection, check) => check.use('connection', connection, []),
  run: (run, connection) => {
    if (!run.connection(connection).complete()) run.fail(`no SYN-ACK has come for ${connection}`)
  },
})

/** A host accepts connections on a port from now on. */

import { z } from 'zod'
import { name, port } from '../fields.ts'
import { defineStep } from '../step.ts'

export const listen = defineStep({
  name: 'listen',
  summary: 'a host accepts connections on a port',
  example: '- listen: { host: allowed, port: 8080 }',
  params: z.strictObject({ host: name, port }),
  check: (params, check) => check.use('host', params.host, ['host']),
  run: (run, { host, port }) => run.host(host).listen(port),
})

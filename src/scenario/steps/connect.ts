/** A host opens a connection to the machine. */

import { z } from 'zod'
import { endpoint, name, port } from '../fields.ts'
import { defineStep } from '../step.ts'

export const connect = defineStep({
  name: 'connect',
  summary: 'a host opens a TCP connection to the machine',
  example: '- connect: { host: allowed, to: 192.168.56.1:31337, name: first }',
  params: z.strictObject({
    host: name,
    to: endpoint,
    from_port: port.optional().describe('its own port; one of the ephemeral range when left out'),
    name: name.optional().describe('what later steps call the connection; the host’s name when left out'),
    hold: z.boolean().default(false).describe('the SYN-ACK stays unanswered until an `ack` step'),
    plain: z.boolean().default(false).describe('without timestamps, SACK and window scaling'),
  }),
  check: (params, check) => {
    check.use('host', params.host, ['host'])
    check.declare('connection', params.name ?? params.host, [params.name === undefined ? 'host' : 'name'])
  },
  run: (run, { host, to, from_port: localPort, name, hold, plain }) => {
    run.connections.set(name ?? host, run.host(host).connect(to.ip, to.port, { localPort, hold, plain }))
  },
})

/** The wire loses frames: what retransmission is for. */

import { z } from 'zod'
import { TCP_FLAGS, type TcpFlag } from '../../linux/net/wire/segments.ts'
import { name, whole } from '../fields.ts'
import { defineStep } from '../step.ts'

export const lose = defineStep({
  name: 'lose',
  summary: 'the wire loses the next frames that match',
  example: '- lose: { direction: out, flags: [SYN, ACK], count: 2 }',
  params: z.strictObject({
    device: z.string().optional().describe('any when left out'),
    direction: z.enum(['in', 'out']).optional().describe('seen from the machine; both when left out'),
    host: name.optional().describe('only frames from or to this host'),
    flags: z
      .array(z.enum(Object.keys(TCP_FLAGS) as [TcpFlag, ...TcpFlag[]]))
      .optional()
      .describe('only segments with exactly these flags'),
    count: whole(0, 1_000_000).default(1).describe('how many; 0 ends all loss'),
  }),
  check: (params, check) => {
    if (params.host !== undefined) check.use('host', params.host, ['host'])
    if (params.device !== undefined) check.use('device', params.device, ['device'])
  },
  run: (run, params) =>
    run.lose({ ...params, flags: params.flags?.reduce((sum, name) => sum | TCP_FLAGS[name], 0) }),
})

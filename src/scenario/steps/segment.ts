/** A single TCP segment, spelled out: for what a well-behaved host would never send. */

import { z } from 'zod'
import { data, endpoint, name, port, whole } from '../fields.ts'
import { ipNumber, TCP_FLAGS, type TcpFlag } from '../../linux/net/wire/segments.ts'
import { defineStep } from '../step.ts'

const u32 = whole(0, 0xffffffff)
const flag = z.enum(Object.keys(TCP_FLAGS) as [TcpFlag, ...TcpFlag[]])

export const segment = defineStep({
  name: 'segment',
  summary: 'one TCP segment from a host, every field given',
  example:
    '- segment: { host: allowed, from_port: 51000, to: 192.168.56.1:31337, flags: [SYN], seq: 1000, options: { mss: 1460 } }',
  params: z.strictObject({
    host: name,
    from_port: port,
    to: endpoint,
    flags: z.array(flag).default([]),
    seq: u32.default(0),
    ack: u32.default(0),
    window: whole(0, 65535).default(64240),
    options: z
      .strictObject({
        mss: whole(0, 65535).optional(),
        sack_permitted: z.boolean().optional(),
        window_scale: whole(0, 255).optional(),
        timestamps: z.strictObject({ value: u32, echo: u32.default(0) }).optional(),
      })
      .default({}),
    data: data.default(new Uint8Array(0)),
  }),
  check: (params, check) => check.use('host', params.host, ['host']),
  run: (run, p) => {
    const { mss, sack_permitted: sackPermitted, window_scale: windowScale, timestamps } = p.options
    run.host(p.host).sendSegment(ipNumber(p.to.ip), {
      sourcePort: p.from_port,
      targetPort: p.to.port,
      seq: p.seq,
      ack: p.ack,
      flags: p.flags.reduce((sum, name) => sum | TCP_FLAGS[name], 0),
      window: p.window,
      options: { mss, sackPermitted, windowScale, timestamps },
      payload: p.data,
    })
  },
})

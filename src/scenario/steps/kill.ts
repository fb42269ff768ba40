/** A signal is sent to a process. */

import { z } from 'zod'
import { name, whole } from '../fields.ts'
import { defineStep } from '../step.ts'

const SIGNALS = { HUP: 1, INT: 2, QUIT: 3, KILL: 9, USR1: 10, USR2: 12, PIPE: 13, TERM: 15, CHLD: 17, CONT: 18, STOP: 19 } as const // prettier-ignore
type SignalName = keyof typeof SIGNALS

export const kill = defineStep({
  name: 'kill',
  summary: 'send a signal to a process',
  example: '- kill: { process: server, signal: TERM }',
  params: z.strictObject({
    process: name,
    signal: z
      .union([z.enum(Object.keys(SIGNALS) as [SignalName, ...SignalName[]]), whole(1, 64)])
      .default('TERM')
      .transform((given) => (typeof given === 'number' ? given : SIGNALS[given])),
  }),
  check: (params, check) => check.use('process', params.process, ['process']),
  run: (run, { process, signal }) => run.programs.kill(process, signal),
})

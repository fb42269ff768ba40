/** A program is started: forked from a process that is there, then executed. */

import { z } from 'zod'
import { name, pid } from '../fields.ts'
import { processFields } from '../grammar.ts'
import { programOf } from '../programs.ts'
import { defineStep } from '../step.ts'

export const run = defineStep({
  name: 'run',
  summary: 'start a program',
  example: '- run: { name: server, argv: [ncat, -l, -k, 192.168.56.1, "31337"], tty: /dev/pts/0 }',
  params: z.strictObject({
    name: name.optional().describe('what later steps call it'),
    pid: pid.optional().describe('the next free one when left out'),
    parent: name.optional().describe('the process that forks; pid 1 when left out'),
    ...processFields,
    stdin: z
      .enum(['closed', 'tty'])
      .optional()
      .describe('`closed`: end of file at once, as with `< /dev/null`; `tty`: its terminal'),
  }),
  check: (params, check) => {
    check.use('program', programOf(params.argv), ['argv', 0])
    if (params.parent !== undefined) check.use('process', params.parent, ['parent'])
    if (params.name !== undefined) check.declare('process', params.name, ['name'])
  },
  run: (run, params) => run.programs.start(params),
})

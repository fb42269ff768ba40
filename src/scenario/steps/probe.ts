/** A kprobe is set: every later hit is a line of its output. */

import { probeName } from '../check.ts'
import { probeSchema } from '../grammar.ts'
import { defineStep } from '../step.ts'

export const probe = defineStep({
  name: 'probe',
  summary: 'set a kprobe or kretprobe',
  example: "- probe: { probe: 'r:inet_csk_complete_hashdance child=$retval', stack: true }",
  params: probeSchema,
  check: (params, check) => check.declare('probe', probeName(params), []),
  run: (run, params) => run.addProbe(params),
})

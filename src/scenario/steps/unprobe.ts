/** A probe is taken away; what it printed stays. */

import { name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const unprobe = defineStep({
  name: 'unprobe',
  summary: 'remove a probe',
  example: '- unprobe: inet_csk_complete_hashdance',
  params: name.describe('a probe'),
  check: (probe, check) => check.use('probe', probe, []),
  run: (run, probe) => run.removeProbe(probe),
})

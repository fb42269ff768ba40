/** Memory as it is now is kept under a name. */

import { name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const snapshot = defineStep({
  name: 'snapshot',
  summary: 'keep the memory as it is now, under a name',
  example: '- snapshot: established',
  params: name,
  check: (snapshot, check) => check.declare('snapshot', snapshot, []),
  run: (run, snapshot) => run.snapshot(snapshot),
})

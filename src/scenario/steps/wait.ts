/** Time passes: the machine runs on. */

import { duration } from '../fields.ts'
import { defineStep } from '../step.ts'

export const wait = defineStep({
  name: 'wait',
  summary: 'virtual time passes',
  example: '- wait: 1.5s',
  params: duration,
  run: (run, ns) => run.runFor(ns),
})

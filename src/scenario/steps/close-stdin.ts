/** End of file at a program's standard input. */

import { name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const closeStdin = defineStep({
  name: 'close_stdin',
  summary: 'a program’s standard input ends',
  example: '- close_stdin: server',
  params: name.describe('a process'),
  check: (process, check) => check.use('process', process, []),
  run: (run, process) => run.programs.closeStdin(process),
})

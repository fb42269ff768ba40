/** A line of a transcript is typed at a shell; what the terminal shows and the exit status must be as the transcript has them. */

import { z } from 'zod'
import { duration, name, pid, whole } from '../fields.ts'
import { defineStep } from '../step.ts'

const params = z.strictObject({
  process: name.describe('a process running `bash` at a terminal'),
  line: z.string().min(1).max(10_000).describe('what is typed'),
  output: z.string().optional().describe('what the terminal must show, to the letter'),
  contains: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  matches: z.string().optional().describe('a regular expression for it'),
  status: whole(0, 255).optional().describe('the exit status of the line'),
  background: z
    .boolean()
    .optional()
    .describe('do not wait for its end: what it has shown when all is quiet is its output'),
  console: z
    .boolean()
    .optional()
    .describe('the terminal is the console, too: it shows what the kernel prints meanwhile'),
  timeout: duration
    .optional()
    .describe('virtual time after which a line that has not ended is an error; 60s'),
  pids: z.array(pid).max(64).optional().describe('the pids of the processes the shell forks, in their order'),
  names: z
    .record(z.string().regex(/^[\w.-]{1,40}$/), name)
    .optional()
    .describe('programs of the line by name, and what later steps call their processes'),
})
export type ShellStep = z.output<typeof params>

export const shell = defineStep({
  name: 'shell',
  summary: 'type a line at a shell, and check what it shows and how it ends',
  example: '- shell: { process: server, line: "uname -r | wc -l", output: "1\\n", status: 0 }',
  params,
  check: (params, check) => {
    check.use('process', params.process, ['process'])
    for (const [program, given] of Object.entries(params.names ?? {}))
      check.declare('process', given, ['names', program])
    if (params.matches !== undefined && !isPattern(params.matches))
      check.problem(['matches'], 'BAD_VALUE', 'expected a regular expression')
    if (params.background === true && params.status !== undefined)
      check.problem(['status'], 'BAD_VALUE', 'a line in the background has no status yet')
  },
  run: (run, step) => {
    const { output, status } = run.programs.shellLine(step)
    const row = run.rows.at(-1)
    if (row !== undefined) Object.assign(row, { output, ...(status !== undefined && { status }) })
    if (step.output !== undefined && output !== step.output)
      run.fail(`the terminal shows ${JSON.stringify(output)}, not ${JSON.stringify(step.output)}`)
    const missing = [step.contains ?? []].flat().find((text) => !output.includes(text))
    if (missing !== undefined)
      run.fail(`the terminal shows ${JSON.stringify(output)}, without ${JSON.stringify(missing)}`)
    if (step.matches !== undefined && !new RegExp(step.matches, 'm').test(output))
      run.fail(`the terminal shows ${JSON.stringify(output)}, which does not match ${step.matches}`)
    if (step.status !== undefined && status !== step.status)
      run.fail(`the line ended with ${status}, not ${step.status}: ${JSON.stringify(output)}`)
  },
})

function isPattern(text: string): boolean {
  try {
    return new RegExp(text, 'm').source !== ''
  } catch {
    return false
  }
}

import { describe, expect, it } from 'vitest'
import { CoredrillError } from '../../../src/base/errors.ts'
import { parseShell, ShellSyntaxError } from '../../../src/userland/shell/parse.ts'
import { runSteps } from '../../support/scenario.ts'

const step = (fields: string, process = 'shell'): string => `  - shell: { process: ${process}, ${fields} }\n`

describe('a shell step', () => {
  it.each([
    ['line: echo a, output: "b\\n"', 'the terminal shows "a\\n", not "b\\n"'],
    ['line: echo a, contains: [a, c]', 'the terminal shows "a\\n", without "c"'],
    ['line: echo a, matches: ^b', 'the terminal shows "a\\n", which does not match ^b'],
    ['line: "false", status: 0', 'the line ended with 1, not 0: ""'],
    ['line: nc -l -p 80, timeout: 1s', 'the line has not ended: nc (pid 502) waits in inet_csk_accept'],
  ])('%s: says what is wrong', (fields, message) => {
    expect(() => runSteps(step(fields))).toThrow(new CoredrillError('SCENARIO', message))
  })

  it('a shell that waits for its foreground job takes no other line', () => {
    const lines = step('line: sleep 10, background: true') + step('line: echo a')
    expect(() => runSteps(lines)).toThrow(/shell is still busy with its last line/)
  })

  it('processes get the pids and names that are asked for', () => {
    const run = runSteps(step('line: nc -l -p 80, background: true, pids: [900], names: { nc: listener }'))
    expect(run.programs.pidOf('listener')).toBe(900)
    expect(run.programs.exitOf('listener')).toBeUndefined()
  })

  it('what the terminal showed and the status are kept in the record', () => {
    const row = runSteps(step('line: echo a; false')).rows.at(-1)
    expect([row?.output, row?.status]).toEqual(['a\n', 1])
  })

  it('a terminal that is the console shows what the kernel prints', () => {
    const line = 'line: insmod recvmsg_block.ko deny=10.0.0.9'
    expect(runSteps(step(`${line}, console: true`)).rows.at(-1)?.output).toMatch(
      /^\[ +\d+\.\d{6}\] .*\n.*recvmsg_block: recvmsg from 10\.0\.0\.9 will return -1\n$/s,
    )
    expect(runSteps(step(line)).rows.at(-1)?.output).toBe('')
  })
})

describe('the grammar', () => {
  it.each([
    ['a;;b', "syntax error near unexpected token `;'"],
    ['| a', "syntax error near unexpected token `|'"],
    ['a &&', "syntax error near unexpected token `newline'"],
    ['( a', "syntax error near unexpected token `newline'"],
    ['a > ', "syntax error near unexpected token `newline'"],
    ["echo 'a", "unexpected EOF while looking for matching `''"],
    ['echo $(a)', 'command substitution is not simulated'],
  ])('%s', (text, problem) => {
    expect(() => parseShell(text)).toThrow(new ShellSyntaxError(problem))
  })

  it.each([
    ['a | b && c; d &', [';b', '&&', ';&']],
    ['a && b &', [';&', '&&&']],
    ['# nothing', []],
    ['a\n\nb # c', [';', ';']],
  ])('%s', (text, items) => {
    const seen = parseShell(text).map(
      ({ join, background, pipeline }) =>
        join + (pipeline.commands.length > 1 ? 'b' : '') + (background ? '&' : ''),
    )
    expect(seen).toEqual(items)
  })
})

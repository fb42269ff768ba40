import { describe, expect, it } from 'vitest'
import { runSteps } from '../../support/scenario.ts'

/** Type a line at the shell. @returns what the terminal shows, and the exit status */
function typed(line: string, ...more: string[]): { output: string; status: number | undefined } {
  const steps = [line, ...more].map(
    (text) => `  - shell: { process: shell, line: ${JSON.stringify(text)} }\n`,
  )
  const row = runSteps(steps.join('')).rows.at(-1)
  return { output: row?.output ?? '', status: row?.status }
}

describe('a line at the shell', () => {
  it.each([
    ['echo hello', 'hello\n', 0],
    ['echo a  b "c  d" \'$e\'', 'a b c  d $e\n', 0],
    ['false', '', 1],
    ['false; echo $?', '1\n', 0],
    ['true && echo yes || echo no', 'yes\n', 0],
    ['false && echo yes || echo no', 'no\n', 0],
    ['! true', '', 1],
    ['x=5; echo $x${x}', '55\n', 0],
    ['echo one | cat', 'one\n', 0],
    ['echo "b\na" | grep a | wc -l', '1\n', 0],
    ['(exit 3)', '', 3],
    ['nosuch', '-bash: nosuch: command not found\n', 127],
    ['./nosuch', '-bash: ./nosuch: No such file or directory\n', 127],
    ['/etc', '-bash: /etc: Permission denied\n', 126],
    [
      'echo hi > /tmp/f; cat < /tmp/f; cat /tmp/f >> /tmp/g; wc -c /tmp/g',
      'hi\nhi\n'.slice(3) + '3 /tmp/g\n',
      0,
    ],
    ['cat /nosuch 2>&1 | wc -l', '1\n', 0],
    ['cat /nosuch 2> /dev/null', '', 1],
    ['set -x; echo a b', '+ echo a b\na b\n', 0],
    ['kill extra | cat', '-bash: kill: extra: arguments must be process or job IDs\n', 0],
    ['kill -0 $$; (kill -USR1 999) 2>&1 | cat', '-bash: kill: (999) - No such process\n', 0],
    ['sleep 1 &', '[1] 502\n', 0],
    ['echo a |', "-bash: syntax error near unexpected token `newline'\n", 2],
    ['uname -sr', 'Linux 6.1.0-56-amd64\n', 0],
    ['id', 'uid=0(root) gid=0(root) groups=0(root)\n', 0],
    ['pwd; cd /; pwd', '/root\n/\n', 0],
  ])('%s', (line, output, status) => {
    expect(typed(line)).toEqual({ output, status })
  })
})

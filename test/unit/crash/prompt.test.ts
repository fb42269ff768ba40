import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CommandSet } from '../../../src/crash/command-set.ts'
import { TextOutput } from '../../../src/crash/output.ts'
import { Session } from '../../../src/crash/session.ts'
import { PagerOutput, PipeOutput } from '../../../src/crash/shell-output.ts'
import { runPrompt } from '../../../src/crash/shell-prompt.ts'
import { Shell } from '../../../src/crash/shell.ts'
import type { Target } from '../../../src/target/target.ts'

const target = {
  types: { findStruct: () => undefined, btf: { find: () => undefined, endId: 1 } },
} as unknown as Target

let home: string
let formerHome: string | undefined
let output: TextOutput

beforeEach(() => {
  formerHome = process.env['HOME']
  home = mkdtempSync(join(tmpdir(), 'coredrill-'))
  process.env['HOME'] = home
  output = new TextOutput()
})
afterEach(() => {
  process.env['HOME'] = formerHome
  rmSync(home, { recursive: true })
})

async function typed(keys: string): Promise<Shell> {
  const commands = new CommandSet(fileURLToPath(new URL('commands', import.meta.url)))
  const shell = new Shell({ session: new Session(target, commands), output })
  const input = new PassThrough()
  input.end(keys)
  await runPrompt(shell, input, new PassThrough())
  return shell
}

const history = (): string => readFileSync(join(home, '.coredrill_history'), 'utf8')

test('pasted lines run one after the other; q ends', async () => {
  await typed('struct a\rstruct b\rq\rstruct c\r')
  expect(output.text).toBe('struct:a\nstruct:b\n')
})

test('the end of input ends the prompt after the line that runs', async () => {
  await typed('struct a\r!sleep 0.2\rstruct b\r')
  expect(output.text).toBe('struct:a\nstruct:b\n')
})

test('Ctrl-C drops the line, not the prompt', async () => {
  await typed('struct a\x03struct b\rq\r')
  expect(output.text).toBe('struct:b\n')
})

test('lines are kept for the next session, which can reach them', async () => {
  writeFileSync(join(home, '.coredrill_history'), 'struct old\n')
  await typed('struct new\rq\r')
  expect(history()).toBe('struct old\nstruct new\nq\n')
  output.text = ''
  await typed('\x1b[A\x1b[A\rq\r')
  expect(output.text).toBe('struct:new\n')
})

function pager(file: string, rows: number): PagerOutput {
  return new PagerOutput(output, rows, () => new PipeOutput(`cat > ${file}`, output))
}

test('what fits the screen is printed', async () => {
  const paged = pager('/nonexistent', 4)
  paged.write('a\nb\n')
  paged.note('c')
  await paged.close()
  expect(output.text).toBe('a\nb\nc\n')
})

test('what does not fit goes to the pager, without control characters', async () => {
  const file = join(home, 'paged')
  const paged = pager(file, 3)
  for (const line of ['a\n', 'b\x1b\n', 'c\n', 'd\n']) paged.write(line)
  await paged.close()
  expect(output.text).toBe('')
  expect(readFileSync(file, 'utf8')).toBe('a\nb\\x1b\nc\nd\n')
})

test('nothing is printed for nothing', async () => {
  await pager('/nonexistent', 3).close()
  expect(output.text).toBe('')
})

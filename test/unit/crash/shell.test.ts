import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CommandSet } from '../../../src/crash/command-set.ts'
import { TextOutput } from '../../../src/crash/output.ts'
import { Session } from '../../../src/crash/session.ts'
import { completer } from '../../../src/crash/shell-complete.ts'
import { runStartFiles } from '../../../src/crash/shell-files.ts'
import { runScript } from '../../../src/crash/shell-prompt.ts'
import { Shell } from '../../../src/crash/shell.ts'
import type { Target } from '../../../src/target/target.ts'
import { Readable } from 'node:stream'

const structs = ['list_head', 'sock', 'task_struct']
const target = {
  types: {
    findStruct: (name: string) => (structs.includes(name) ? { kind: 'struct', name } : undefined),
    btf: {
      endId: structs.length + 1,
      kindOf: () => 'struct',
      type: (id: number) => ({ kind: 'struct', name: structs[id - 1] }),
      find: (name: string, kind: string) => (name === 'pid_type' && kind === 'enum' ? {} : undefined),
    },
    members: () => new Map([['pid', {}], ['prio', {}], ['comm', {}]]), // prettier-ignore
  },
  symbols: { all: () => [{ name: 'tcp_v4_rcv' }, { name: 'tcp_hashinfo' }] },
} as unknown as Target

let output: TextOutput
let shell: Shell
let folder: string

beforeEach(() => {
  output = new TextOutput()
  const commands = new CommandSet(fileURLToPath(new URL('commands', import.meta.url)))
  shell = new Shell({ session: new Session(target, commands), output })
  folder = mkdtempSync(join(tmpdir(), 'coredrill-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

async function said(...lines: string[]): Promise<string> {
  for (const line of lines) await shell.execute(line)
  return output.text
}

const USAGE =
  'Usage:\n  echo [-p] [-y policy] [-s text]... [-16] [word ...]\nEnter "help echo" for details.\n'

test.each([
  ['a command', 'echo -p 1 2', '{"flags":{"p":true},"words":["1","2"]}\n'],
  ['misuse: the synopsis', 'echo -b', USAGE],
  ['an error: one line', 'echo throw', 'echo: asked to throw\n'],
  ['a note falls before the text', 'echo note', 'echo: a remark\n{"flags":{},"words":["note"]}\n'],
  ['no such command', 'nosuch 1', 'crash: command not found: nosuch\n'],
  ['a command that is none for dumps', 'plain', 'crash: command not found: plain\n'],
  ['a type name', 'task_struct.pid,comm ffff', 'struct:task_struct.pid,comm\nstruct:ffff\n'],
  ['an asterisk', '* list_head', 'struct:list_head\n'],
  ['an asterisk without a blank', '*list_head 1', 'struct:list_head\nstruct:1\n'],
  ['an alias', 'size list_head', 'struct:list_head\n'],
  ['past an alias', '\\size list_head', 'crash: command not found: size\n'],
  ['a pipe', 'echo -p | tr a-z A-Z', '{"FLAGS":{"P":TRUE},"WORDS":[]}\n'],
  ['a misuse through a pipe', 'echo -b | grep -c .', '3\n'],
  ['a program', '!echo hello', 'hello\n'],
  ['a comment', '# echo', ''],
])('%s: %s', async (_title, line, text) => {
  expect(await said(line)).toBe(text)
})

test('a reader that leaves at once ends the command quietly', async () => {
  expect(await said('struct a b c | true', 'struct d')).toBe('struct:d\n')
})

test('failures are counted, successes are not', async () => {
  await said('echo', 'echo half', 'echo throw', 'echo -b', 'nosuch', 'help nosuch')
  expect(shell.failures).toBe(5)
})

test('redirection writes and appends', async () => {
  const file = join(folder, 'out')
  await said(`struct a > ${file}`, `struct b >> ${file}`)
  expect(readFileSync(file, 'utf8')).toBe('struct:a\nstruct:b\n')
})

test('r repeats: the last, the numbered, the one that begins so', async () => {
  await said('struct a', 'struct b', 'echo x')
  output.text = ''
  expect(await said('r1', 'r str', 'r')).toBe('struct a\nstruct:a\nstruct a\nstruct:a\nstruct a\nstruct:a\n')
})

test('r without such a line says so', async () => {
  expect(await said('r9')).toBe('crash: event not found: r9\n')
})

test('alias: define, use, show, remove', async () => {
  expect(await said('alias lh struct list_head', 'lh 1')).toBe('struct:list_head\nstruct:1\n')
  output.text = ''
  expect(await said('alias lh')).toBe('ORIGIN   ALIAS    COMMAND\ninput    lh       struct list_head \n')
  output.text = ''
  expect(await said('alias lh ""', 'lh')).toBe('crash: command not found: lh\n')
})

test('alias: a command keeps its name', async () => {
  expect(await said('alias echo struct')).toBe('alias: echo is the name of a command\n')
})

test('alias: the table begins as crash has it', async () => {
  expect(await said('alias')).toMatch(
    /^ORIGIN {3}ALIAS {4}COMMAND\nbuiltin {2}man {6}help \nbuiltin {2}\? {8}help \n/,
  )
})

test('a command file; one that reads itself ends', async () => {
  const file = join(folder, 'commands')
  writeFileSync(file, `# first\nstruct a\n< ${file}\n`)
  const text = await said(`< ${file}`)
  expect(text.match(/struct:a/g)?.length).toBeLessThan(20)
  expect(text).toMatch(/reads itself/)
})

test('a file of arguments', async () => {
  const file = join(folder, 'arguments')
  writeFileSync(file, 'a\nb\n')
  expect(await said(`struct < ${file}`)).toBe('struct:a\nstruct:b\n')
})

test('a file that is not there', async () => {
  expect(await said('< /nonexistent/file')).toMatch(/^crash: ENOENT.*\n$/)
})

test('a script: echoed lines, q ends it', async () => {
  await runScript(shell, Readable.from(['struct a\n', '\nq\n', 'struct b\n']), (line) =>
    output.write(`crash> ${line}\n`),
  )
  expect(output.text).toBe('crash> struct a\nstruct:a\ncrash> q\n')
})

test('start files: home before here, silent, origins kept', async () => {
  const home = mkdtempSync(join(folder, 'home-'))
  writeFileSync(join(home, '.coredrillrc'), 'alias aa struct home\nstruct a\n')
  writeFileSync(join(folder, '.coredrillrc'), 'alias bb struct here\nnosuch\n')
  await runStartFiles(shell, home, folder)
  expect(output.text).toBe('crash: command not found: nosuch\n')
  expect(shell.aliases.table('aa')).toContain('.rchome  aa       struct home')
  expect(shell.aliases.table('bb')).toContain('.rclocal bb       struct here')
  expect(shell.history).toEqual([])
})

test('help: the list names commands and builtins, not others', async () => {
  const text = await said('help')
  expect(text).toMatch(/^ {2}echo +say what was given$/m)
  expect(text).toMatch(/^ {2}alias +\S/m)
  expect(text).not.toMatch(/plain/)
})

test('help and -h give the same page', async () => {
  const page = await said('help echo')
  expect(page).toMatch(/^NAME\n {2}echo - say what was given\n/)
  expect(page).toContain('    crash> echo -p a\n')
  output.text = ''
  expect(await said('echo -h')).toBe(page)
})

test.each([
  ['ec', ['echo']],
  ['task_struct.p', ['task_struct.pid', 'task_struct.prio']],
  ['struct task_struct.pid,co', ['task_struct.pid,comm']],
  ['struct so', ['sock']],
  ['sym tcp_', ['tcp_hashinfo', 'tcp_v4_rcv']],
  ['help ali', ['alias']],
])('completion of "%s"', (line, found) => {
  expect(completer(shell)(line)[0]).toEqual(found)
})

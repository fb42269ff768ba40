/** `coredrill trim` on the command line, on the committed dump of a real kernel. */

import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import Trim from '../../../commands/trim.ts'
import type { TrimRow } from '../../../src/crash/trim.ts'
import { openTargetSync } from '../../../src/target/target.ts'
import { dumpPath, hasReal } from '../../real/dumps.ts'
import { fixtureDump } from '../../real/fixtures/fixture.ts'
import { crash } from '../../support/recorded.ts'

let folder: string
let printed = ''
let complained = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coredrill-trim-'))
  printed = complained = ''
  process.exitCode = 0
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed += String(text)), true))
  // oclif has warnings of its own outside of a package
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    if (String(text).startsWith('trim: ')) complained += String(text)
    return true
  })
})
afterEach(() => {
  vi.restoreAllMocks()
  process.exitCode = 0
  rmSync(folder, { recursive: true })
})
const inFolder = (name: string): string => join(folder, name)

async function answers(path: string, ...commands: string[]): Promise<string[]> {
  const target = openTargetSync(path)
  const texts: string[] = []
  for (const command of commands) texts.push(await crash(target, command))
  target.close()
  return texts
}

test('commands of --for and of a file', async () => {
  writeFileSync(inFolder('list'), '# a comment\n\nnet -s 133\n  bt 133\n')
  const out = inFolder('small')
  await Trim.run([fixtureDump, '-o', out, '--for', 'ps; files 133', '--for', 'mod', '-i', inFolder('list')])
  expect(complained).toBe('')
  expect(process.exitCode).toBe(0)
  const asked = ['ps', 'files 133', 'mod', 'net -s 133', 'bt 133'] as const
  for (const command of asked) expect(printed).toMatch(new RegExp(`^ +\\d+ {2}${command}$`, 'm'))
  expect(await answers(out, ...asked)).toEqual(await answers(fixtureDump, ...asked))
})

test('--json', async () => {
  await Trim.run([fixtureDump, '-o', inFolder('small'), '--for', 'ps', '--no-crash', '--json'])
  const row = JSON.parse(printed) as TrimRow
  expect(row.reasons.map(({ reason }) => reason)).toEqual(['opening', 'ps'])
  expect(Object.values(row.kept).reduce((a, b) => a + b)).toBe(row.pages)
})

test('a command without an answer is named, and the status is 1', async () => {
  await Trim.run([fixtureDump, '-o', inFolder('small'), '--for', 'nosuch', '--no-crash'])
  expect(complained).toBe('trim: nosuch: crash: command not found: nosuch\n')
  expect(process.exitCode).toBe(1)
  expect(existsSync(inFolder('small'))).toBe(true)
})

describe.each<[string, string[], number, RegExp]>([
  ['no dump', [], 2, /^trim: no dump/],
  ['no output', [fixtureDump, '--for', 'ps'], 2, /^trim: -o FILE is needed/],
  ['no command', [fixtureDump, '-o', 'OUT'], 2, /^trim: nothing to keep pages for/],
  [
    'the dump itself',
    [fixtureDump, '-o', fixtureDump, '--for', 'ps'],
    2,
    /^trim: the output is the dump itself/,
  ],
  ['too many words', [fixtureDump, 'b', '-o', 'OUT', '--for', 'ps'], 2, /^trim: unexpected argument/],
  [
    'another codec',
    [fixtureDump, '-o', 'OUT', '--for', 'ps', '--compress', 'lzo'],
    2,
    /^trim: expected --compress/,
  ],
  ['no such dump', ['OUT.not', '-o', 'OUT', '--for', 'ps'], 1, /^trim: .*no such file\n$/],
  [
    'nowhere',
    [fixtureDump, '-o', 'OUT/x/y', '--for', 'sys', '--no-crash'],
    1,
    /cannot write: no such directory/,
  ],
  ['not an address', [fixtureDump, '-o', 'OUT', '--also', 'zzz'], 2, /^trim: --also zzz: no address/],
  [
    'no snapshot',
    [fixtureDump, '-o', 'OUT', '--for', 'ps', '--at', 'x'],
    1,
    /no snapshot x: a vmcore has none/,
  ],
  // the pages that say whose a page is are not in it
  [
    'nobody knows whose',
    [fixtureDump, '-o', 'OUT', '--for', 'ps', '--no-user'],
    2,
    /does not say whose \d+ of the/,
  ],
])('refused: %s', (_, words, status, line) => {
  test('one clear line, and nothing is left behind', async () => {
    await Trim.run(words.map((word) => word.replace(/^OUT/, inFolder('small'))))
    expect(complained).toMatch(line)
    expect(complained).not.toMatch(/internal error|^ +at /m)
    expect(printed).toBe('')
    expect(process.exitCode).toBe(status)
    expect(readdirSync(folder)).toEqual([])
  })
})

test.skipIf(!hasReal)('--no-user leaves a process of a whole dump out', { timeout: 60_000 }, async () => {
  const words = ['set 178; rd -a 10000000; files', '--json']
  await Trim.run([dumpPath('dev'), '-o', inFolder('all'), '--for', ...words])
  const all = JSON.parse(printed) as TrimRow
  printed = ''
  await Trim.run([dumpPath('dev'), '-o', inFolder('without'), '--no-user', '--for', ...words])
  const without = JSON.parse(printed) as TrimRow
  expect(all.kept.user).toBeGreaterThan(0)
  expect(all.kept.unknown + without.kept.user + without.kept.cache).toBe(0)
  expect(without.left.user).toBe(all.kept.user + all.kept.cache)
  expect(without.left.unread).toBe(all.left.unread)
  const [, text] = await answers(inFolder('without'), 'set 178', 'rd -a 10000000')
  expect(text).not.toContain('pattern')
})

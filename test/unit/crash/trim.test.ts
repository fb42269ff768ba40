/** Trimmed dumps: the commands they were made for answer as before, everything else is absent and named. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { UsageError } from '../../../src/base/errors.ts'
import { trim, type TrimRow } from '../../../src/crash/trim.ts'
import { alsoRange } from '../../../src/crash/trim-also.ts'
import { trimText } from '../../../src/crash/trim-text.ts'
import { openTargetSync, type Target } from '../../../src/target/target.ts'
import { openContainer } from '../../../src/vmcore/open.ts'
import { crash } from '../../support/recorded.ts'
import { writeStory } from '../../support/story-dump.ts'

const root = mkdtempSync(join(tmpdir(), 'trim-'))
const source = join(root, 'story.cdump')
const COMMANDS = ['ps', 'log', 'rd linux_banner 10', 'p init_task.comm', 'struct list_head', 'sym -q init_']
let target: Target
let folder = ''
let folders = 0
beforeAll(() => {
  writeStory(source)
  target = openTargetSync(source)
})
afterAll(() => {
  target.close()
  rmSync(root, { recursive: true })
})
beforeEach(() => {
  folder = join(root, String(++folders))
  mkdirSync(folder)
})

const total = (row: TrimRow): number => row.reasons.reduce((sum, { pages }) => sum + pages, 0)

describe.each(['zlib', 'none'] as const)('the pages of commands, %s', (compress) => {
  test('give the same answers', async () => {
    const output = join(folder, 'small')
    const row = await trim(source, { output, commands: COMMANDS, compress })
    const small = openTargetSync(output)
    for (const command of COMMANDS) expect(await crash(small, command)).toBe(await crash(target, command))
    small.close()
    expect(row.pages).toBe(total(row))
    expect(row.reasons.map(({ reason }) => reason)).toEqual(['opening', ...COMMANDS, 'opening with crash'])
  })
})

test('what nothing read is excluded, not zero', async () => {
  const output = join(folder, 'small')
  const row = await trim(source, { output, commands: ['log'], crash: false })
  const [before, after] = [openContainer(source), openContainer(output)]
  const kept = { same: 0, excluded: 0 }
  for (const { startPfn, endPfn } of before.ranges)
    for (let pfn = startPfn; pfn < endPfn; pfn++) {
      const page = after.memory.page(pfn)
      if (page === 'excluded') kept.excluded++
      else {
        if (Buffer.compare(page as Uint8Array, before.memory.page(pfn) as Uint8Array) === 0) kept.same++
      }
    }
  expect(kept.same).toBe(row.pages)
  expect(kept.excluded).toBe(row.left.unread + row.left.user + row.left.absent)
  expect(kept.excluded).toBeGreaterThan(0)
  expect(after.ranges).toEqual(before.ranges)
  before.close()
  after.close()
})

test('a snapshot is what the file shows', async () => {
  const output = join(folder, 'boot')
  await trim(source, { output, commands: ['sys'], at: 'boot' })
  const small = openTargetSync(output)
  expect(await crash(small, 'ps')).toBe(await crash(target.at('boot'), 'ps'))
  expect(small.snapshots).toEqual([])
  small.close()
})

test('a trimmed dump can be trimmed again, and what it lacks is counted', async () => {
  const [output, again] = [join(folder, 'small'), join(folder, 'again')]
  await trim(source, { output, commands: ['ps'], crash: false })
  const row = await trim(output, { output: again, commands: ['ps', 'rd -p 0 1'], crash: false })
  const small = openTargetSync(again)
  expect(await crash(small, 'ps')).toBe(await crash(target, 'ps'))
  small.close()
  expect(row.left.absent).toBeGreaterThan(0)
  expect(row.reasons.find(({ reason }) => reason.startsWith('rd'))?.notes).toHaveLength(1)
})

test('--also keeps memory no command reads', async () => {
  const output = join(folder, 'small')
  await trim(source, { output, commands: ['sys'], also: ['tcp_hashinfo:0x2000'], crash: false })
  const small = openTargetSync(output)
  expect(await crash(small, 'rd tcp_hashinfo 512')).toBe(await crash(target, 'rd tcp_hashinfo 512'))
  small.close()
})

describe('--also', () => {
  test('takes symbols with their size, addresses, lengths', () => {
    const va = target.symVa('linux_banner')
    expect(alsoRange(target, 'linux_banner').va).toBe(va)
    const address = BigInt.asUintN(64, target.sym('linux_banner')).toString(16)
    expect(alsoRange(target, address)).toEqual({ va, size: 1 })
    expect(alsoRange(target, `0x${address}:4k`)).toEqual({ va, size: 4096 })
    expect(alsoRange(target, `${address}:0x20`)).toEqual({ va, size: 32 })
  })

  test.each([
    '',
    'no_such_symbol',
    'linux_banner:',
    'linux_banner:0',
    'linux_banner:-1',
    'linux_banner:9g',
    ':4k',
  ])('refuses %j', (word) => expect(() => alsoRange(target, word)).toThrow(UsageError))
})

test('the list says what was kept, and what a command said instead of an answer', async () => {
  const output = join(folder, 'small')
  const row = await trim(source, { output, commands: ['ps', 'files 99999'] })
  const text = trimText({ ...row, output: 'small.kdump' }, { noUser: false })
  expect(text).toMatch(/^small\.kdump: [\d.]+ [kM]B, \d+ pages\n/)
  expect(text).toMatch(/^ +\d+ {2}files 99999\n +\(.*\)$/m)
  expect(text).toMatch(/^ +\d+ {2}that nothing read$/m)
})

test('commands with controls in their text print escaped', async () => {
  const output = join(folder, 'small')
  const row = await trim(source, { output, commands: ['p \x1b[2J'], crash: false })
  expect(trimText(row, { noUser: false })).not.toContain('\x1b')
})

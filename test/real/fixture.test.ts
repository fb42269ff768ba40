/**
 * Real memory on every clone: the committed, trimmed dump of a real kernel answers what genuine crash printed about the
 * whole of it.
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTargetSync, type Target } from '../../src/target/target.ts'
import { log_records } from '../../src/helpers/printk.ts'
import { openContainer } from '../../src/vmcore/open.ts'
import { crash } from '../support/recorded.ts'
import { dumpPath, hasReal } from './dumps.ts'
import { answerOf, firstDifference } from './parity.ts'
import { fixtureDump, fixtureSession, sessionFromOracle, wanted } from './fixtures/fixture.ts'
import { parseSession, promptLine } from './fixtures/session.ts'

/** The lines of an answer that tell where the files were. */
const withoutPaths = (text: string): string => text.replaceAll(/^ +(KERNEL|DUMPFILE): .*\n/gm, '')

const recorded = parseSession(readFileSync(fixtureSession, 'utf8'))
let target: Target
const zone = process.env['TZ']
beforeAll(() => {
  // the recordings were made in this zone
  process.env['TZ'] = 'UTC'
  target = openTargetSync(fixtureDump)
})
afterAll(() => {
  target.close()
  if (zone === undefined) delete process.env['TZ']
  else process.env['TZ'] = zone
})

describe('a trimmed dump of a real kernel', () => {
  test.each(recorded.map((entry) => [promptLine(entry), entry] as const))('%s', async (_, entry) => {
    const found = withoutPaths(await answerOf(target, entry))
    const expected = withoutPaths(entry.answer)
    if (found !== expected) expect.fail(firstDifference({ expected, found }))
  })

  test.each([
    ['133 4', /192\.168\.56\.1:10000\b.*192\.168\.56\.101:33266\b/s],
    ['133 5', /192\.168\.56\.1:10000\b.*192\.168\.56\.102:40404\b/s],
    ['161 4', /fd00:56::1.*fd00:56::101/s],
    ['176 3', /192\.168\.56\.200:4999\b/],
  ])('explain %s names both ends', async (words, ends) => {
    expect(await crash(target, `explain ${words}`)).toMatch(ends)
  })

  test('net --all finds every socket', async () => {
    const text = await crash(target, 'net --all')
    expect(text).toMatch(/192\.168\.56\.1[: ].*10000/)
    expect(text).not.toMatch(/excluded|cannot read/)
  })

  test('what was left out is named, not zero', async () => {
    const text = await crash(target, 'rd -p 0 1')
    expect(text).toMatch(/excluded/)
  })

  test('is a few megabytes', () => {
    expect(statSync(fixtureDump).size).toBeLessThan(5e6)
  })
})

const tool = process.env['COREDRILL_MAKEDUMPFILE'] ?? 'makedumpfile'
const hasTool = !spawnSync(tool, ['-v']).error

test.skipIf(!hasTool)('makedumpfile finds the kernel log in it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fixture-'))
  try {
    const path = join(folder, 'log')
    const { status } = spawnSync(tool, ['--dump-dmesg', fixtureDump, path])
    expect(status).toBe(0)
    const lines = readFileSync(path, 'latin1').split('\n')
    const records = [...log_records(target)]
    expect(lines.length - 1).toBe(records.flatMap(({ text }) => text.split('\n')).length)
    expect(lines[0]).toContain(records[0]?.text)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

describe.skipIf(!hasReal)('the fixture is not stale', () => {
  const stale = 'npm run fixtures:trim'

  test('its session is what crash printed about the commands of the list', () => {
    expect(readFileSync(fixtureSession, 'utf8') === sessionFromOracle(), stale).toBe(true)
    expect(recorded.length, stale).toBe(wanted().filter(({ ours }) => !ours).length)
  })

  test('its pages are those of the whole dump', () => {
    const [whole, small] = [openContainer(dumpPath('dev')), openContainer(fixtureDump)]
    expect(small.ranges).toEqual(whole.ranges)
    expect(small.vmcoreinfo).toBe(whole.vmcoreinfo)
    let kept = 0
    for (const { startPfn, endPfn } of small.ranges)
      for (let pfn = startPfn; pfn < endPfn; pfn++) {
        const page = small.memory.page(pfn)
        if (typeof page === 'string') continue
        kept++
        if (Buffer.compare(page, whole.memory.page(pfn) as Uint8Array) !== 0) expect.fail(`page ${pfn}`)
      }
    expect(kept).toBeGreaterThan(1000)
    whole.close()
    small.close()
  })
})

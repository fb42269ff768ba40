/** `coredrill cache`: what was kept of kernels, listed and cleared. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest'
import Cache from '../../../commands/cache.ts'

/** Where oclif finds the package. */
const root = fileURLToPath(new URL('../../../', import.meta.url))
const home = mkdtempSync(join(tmpdir(), 'cache-command-'))
const folder = join(home, 'coredrill')
const NEW = '0123456789abcdef0123456789abcdef01234567'
const OLD = 'fedcba9876543210fedcba9876543210fedcba98'
let out = ''

beforeEach(() => {
  vi.stubEnv('XDG_CACHE_HOME', home)
  rmSync(folder, { recursive: true, force: true })
  out = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text)
    return true
  })
  vi.spyOn(console, 'log').mockImplementation((text: unknown) => void (out += `${String(text)}\n`))
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})
afterAll(() => rmSync(home, { recursive: true }))

/** Two indexes, the newer of a 64-bit kernel, and a file that is none. */
function fill(): void {
  mkdirSync(folder, { recursive: true })
  for (const [name, bytes, day] of [
    [`${OLD}.4.index`, 1024, '2026-01-02'],
    [`${NEW}.8.index`, 3 << 19, '2026-03-04'],
    ['notes.txt', 5, '2026-05-06'],
  ] as const) {
    writeFileSync(join(folder, name), new Uint8Array(bytes))
    utimesSync(join(folder, name), new Date(day), new Date(day))
  }
}

test('a folder that is not there: nothing kept, and none made', async () => {
  await Cache.run([], root)
  expect(out).toBe(`${folder}: 0 kernels\n`)
  expect(existsSync(folder)).toBe(false)
})

test.each([[[]], [['list']]])('%j: the latest used first, other files left out', async (words) => {
  fill()
  await Cache.run(words, root)
  expect(out).toBe(`${folder}: 2 kernels\n${NEW}    1.5 MiB  2026-03-04\n${OLD}    0.0 MiB  2026-01-02\n`)
})

test('--json', async () => {
  fill()
  await Cache.run(['--json'], root)
  expect(JSON.parse(out)).toEqual({
    folder,
    files: [
      { buildId: NEW, bytes: 3 << 19, used: '2026-03-04T00:00:00.000Z' },
      { buildId: OLD, bytes: 1024, used: '2026-01-02T00:00:00.000Z' },
    ],
    cleared: false,
  })
})

test('clear: indexes go, other files stay', async () => {
  fill()
  await Cache.run(['clear'], root)
  expect(out).toBe(`2 removed from ${folder}\n`)
  expect(readdirSync(folder)).toEqual(['notes.txt'])
})

test('clear --json: what was removed', async () => {
  fill()
  await Cache.run(['clear', '--json'], root)
  const rows = JSON.parse(out) as { cleared: boolean; files: { buildId: string }[] }
  expect(rows.cleared).toBe(true)
  expect(rows.files.map(({ buildId }) => buildId)).toEqual([NEW, OLD])
  expect(readdirSync(folder)).toEqual(['notes.txt'])
})

test('an action there is none of is refused', async () => {
  await expect(Cache.run(['burn'], root)).rejects.toThrow(/list, clear/)
})

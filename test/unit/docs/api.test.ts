/** docs/api.md: its program runs, and its names are those the package exports. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import * as api from '../../../src/index.ts'
import { dumpPath, hasReal } from '../../real/dumps.ts'
import { writeStory } from '../../support/story-dump.ts'

const page = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'api-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The page's pieces as one program that imports the sources. */
function program(): string {
  const index = pathToFileURL(fileURLToPath(new URL('../../../src/index.ts', import.meta.url))).href
  const pieces = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code)
  return pieces.join('\n').replaceAll("from 'coredrill'", `from '${index}'`)
}

let programs = 0
const argv = process.argv
afterEach(() => {
  process.argv = argv
  vi.restoreAllMocks()
})

/** What it prints about a dump. */
async function run(dump: string): Promise<string[]> {
  const lines: string[] = []
  vi.spyOn(console, 'log').mockImplementation((...words: unknown[]) => void lines.push(words.join(' ')))
  process.argv = ['node', 'program', dump]
  const path = join(folder, `program-${++programs}.ts`)
  writeFileSync(path, program())
  await import(/* @vite-ignore */ pathToFileURL(path).href)
  return lines
}

describe('the program', () => {
  test('on a simulated dump', async () => {
    const path = join(folder, 'story.cdump')
    writeStory(path)
    const lines = await run(path)
    expect(lines[0]).toBe('6.1.0-56-amd64 boot syn child')
    expect(lines[1]).toMatch(/^0 swapper\/0 ffffffff8[0-9a-f]{7}$/)
    expect(lines[2]).toMatch(/^ffffffff8[0-9a-f]{7} swapper\/0$/)
    expect(lines.at(-1)).toMatch(/^\d+ log messages$/)
  })

  test.skipIf(!hasReal)('on a vmcore of a real kernel', async () => {
    const lines = await run(dumpPath('dev'))
    expect(lines).toContain('133 ncat 4 192.168.56.1:10000 192.168.56.101:33266')
    expect(lines.at(-1)).toMatch(/^\d+ lines of reasons$/)
  })
})

describe('the names', () => {
  const [, section = ''] = /<!-- names -->(.*)<!-- \/names -->/s.exec(page) ?? []
  const listed = [...section.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)

  test('are listed once', () => {
    expect(listed.filter((name, i) => listed.indexOf(name) !== i)).toEqual([])
  })

  test('are exactly what the package exports', () => {
    expect([...listed].sort()).toEqual(Object.keys(api).sort())
  })
})

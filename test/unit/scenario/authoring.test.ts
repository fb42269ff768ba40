/** Writing scenarios: the templates of `coredrill new` run as they stand, and `coredrill validate` finds every problem. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import New from '../../../commands/new.ts'
import Validate from '../../../commands/validate.ts'
import { answerLine } from '../../../src/crash/answer-line.ts'
import { readScenario, recordFile } from '../../../src/scenario/record-file.ts'
import { SCHEMA_FILE, SCHEMA_LINE } from '../../../src/scenario/schema.ts'
import { scenarioFrom, templates } from '../../../src/scenario/templates.ts'

let folder: string
let printed = ''
let complained = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coredrill-author-'))
  printed = complained = ''
  process.exitCode = 0
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed += String(text)), true))
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((complained += String(text)), true))
})
afterEach(() => {
  vi.restoreAllMocks()
  process.exitCode = 0
  rmSync(folder, { recursive: true })
})

const inFolder = (name: string): string => join(folder, name)
const BROKEN = 'cpus: 65\nsteps:\n  - conect: { host: a }\n'

describe('coredrill new', () => {
  test.each(templates().map(({ name }) => name))(
    '%s runs as it stands, and comes out as it expects',
    async (name) => {
      await New.run([inFolder('mine'), '--template', name, '--title', 'a "title": with # signs'])
      const path = inFolder('mine.yaml')
      expect(readScenario(path).title).toBe('a "title": with # signs')
      expect(readFileSync(path, 'utf8').split('\n')[0]).toBe(SCHEMA_LINE)
      const output = inFolder('mine.cdump')
      const { failed, scenario } = await recordFile(path, {
        output,
        createdBy: 'test',
        runCommand: answerLine,
      })
      expect(failed.map(({ message }) => message)).toEqual([])
      expect(scenario.expect.length).toBeGreaterThan(0)
    },
  )

  test('puts the schema beside the first scenario of a folder', async () => {
    await New.run([inFolder('one')])
    expect(existsSync(inFolder(SCHEMA_FILE))).toBe(true)
    writeFileSync(inFolder(SCHEMA_FILE), '{}')
    await New.run([inFolder('two')])
    expect(readFileSync(inFolder(SCHEMA_FILE), 'utf8')).toBe('{}')
  })

  test('leaves a file alone that is there', async () => {
    writeFileSync(inFolder('mine.yaml'), 'mine')
    await New.run([inFolder('mine.yaml')])
    expect([process.exitCode, readFileSync(inFolder('mine.yaml'), 'utf8')]).toEqual([1, 'mine'])
    expect(complained.trim()).toMatch(/^new: .*: is there already$/m)
  })

  test('a template nobody has is a mistake on the command line; the likely one is named', async () => {
    await New.run([inFolder('mine'), '--template', 'modul'])
    expect([process.exitCode, existsSync(inFolder('mine.yaml'))]).toEqual([2, false])
    expect(complained).toContain('module?')
  })

  test('--list has each template and its title', async () => {
    await New.run(['--list'])
    expect(printed.trim().split('\n')).toHaveLength(templates().length)
    for (const { name, title } of templates()) expect(printed).toMatch(new RegExp(`^${name} +${title}$`, 'm'))
  })
})

describe('coredrill validate', () => {
  test('reports all problems of all files, those of a folder as well', async () => {
    writeFileSync(inFolder('a.yaml'), BROKEN)
    writeFileSync(inFolder('b.yaml'), scenarioFrom('connection'))
    await Validate.run([folder, inFolder('gone.yaml')])
    expect(process.exitCode).toBe(1)
    expect(complained).toMatch(/a\.yaml:1:7: [\s\S]*\^\^[\s\S]*a\.yaml:3:5: unknown step conect/)
    expect(complained).toContain('gone.yaml: cannot read: no such file')
    expect(printed).toBe(`${inFolder('b.yaml')}: ok\n`)
  })

  test('--json gives them as data', async () => {
    writeFileSync(inFolder('a.yaml'), BROKEN)
    await Validate.run([inFolder('a.yaml'), '--json'])
    expect(JSON.parse(printed)).toMatchObject([
      {
        problems: [
          { code: 'BAD_VALUE', line: 1, column: 7 },
          { code: 'UNKNOWN_NAME', line: 3, column: 5 },
        ],
      },
    ])
  })

  test('nothing to validate is a mistake on the command line', async () => {
    await Validate.run([])
    expect(process.exitCode).toBe(2)
  })
})

/** A scenario as a test: new, recorded, the same again, and told apart by story, object, member and writer. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerLine } from '../../../src/crash/answer-line.ts'
import { goldenBase, readGolden, writeGolden } from '../../../src/regress/golden.ts'
import { testScenario, type TestOptions, type TestResult } from '../../../src/regress/run-one.ts'
import { scenarioFrom } from '../../../src/scenario/templates.ts'

let folder: string
let file: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'coredrill-regress-'))
  file = join(folder, 'calls.yaml')
  writeFileSync(file, `${scenarioFrom('syscalls')}\ngolden:\n  - { at: bound, command: ps tester }\n`)
})
afterAll(() => rmSync(folder, { recursive: true }))

const run = (path: string, options: Partial<TestOptions> = {}): Promise<TestResult> =>
  testScenario(path, { update: false, ...options }, answerLine)

/** The scenario with one thing changed, compared with the record of the unchanged one. */
async function changed(name: string, from: string, to: string): Promise<TestResult> {
  const path = join(folder, `${name}.yaml`)
  const text = readFileSync(file, 'utf8')
  expect(text).toContain(from)
  writeFileSync(path, text.replace(from, to))
  const golden = readGolden(file)
  if (golden === undefined) throw new Error('no golden record')
  writeGolden(path, golden)
  return await run(path)
}

describe('a scenario', { concurrent: false }, () => {
  test('without a golden record: its expectations are what is tested', async () => {
    expect(await run(file)).toMatchObject({ outcome: 'new', expectations: 3, problems: '' })
    expect(existsSync(join(folder, 'golden'))).toBe(false)
  })

  test('--update writes the record; once more there is nothing to write; then it passes', async () => {
    expect(await run(file, { update: true })).toMatchObject({ outcome: 'updated' })
    expect(await run(file, { update: true })).toMatchObject({ outcome: 'passed' })
    expect(await run(file)).toMatchObject({ outcome: 'passed', problems: '' })
  })

  test('the record can be read: steps, programs, answers of commands, a digest of each snapshot', () => {
    const text = readFileSync(`${goldenBase(file)}.txt`, 'utf8')
    for (const heading of ['machine', 'steps', 'log', 'packets', 'program tester', 'ps tester @ bound'])
      expect(text).toContain(`\n== ${heading}\n`)
    expect(text).toMatch(/^ {2}listening \d+ pages changed, memory [0-9a-f]{16}$/m)
  })

  test('that binds another port: the member, the object, the function and the step are named', async () => {
    const { outcome, problems } = await changed('port', "'127.0.0.1:8080'", "'127.0.0.1:8081'")
    expect(outcome).toBe('failed')
    expect(problems).toMatch(/^PID \d+ "syscalls" fd 3 sock \(tcp_sock\) differs at bound$/m)
    expect(problems).toMatch(/\.skc_num +8080 -> 8081 +by inet_csk_get_port|skc_portpair .* by \w+, step \d+/)
    expect(problems).toMatch(/^step \d+ is syscall: /m)
    // and an expectation says so as well
    expect(problems).toContain('is 8081')
  })

  test('with an expectation that does not hold is not recorded as right', async () => {
    const path = join(folder, 'wrong.yaml')
    writeFileSync(path, readFileSync(file, 'utf8').replace('equals: 8080', 'equals: 1'))
    expect(await run(path, { update: true })).toMatchObject({ outcome: 'failed' })
    expect(existsSync(`${goldenBase(path)}.txt`)).toBe(false)
  })

  test('with another seed: expectations only', async () => {
    expect(await run(file, { seed: '7' })).toMatchObject({ outcome: 'passed' })
  })

  test('that failed leaves its dump where --keep says', async () => {
    const path = join(folder, 'wrong.yaml')
    const { dump } = await run(path, { keep: join(folder, 'kept') })
    expect(dump).toBe(join(folder, 'kept', 'wrong.cdump'))
    expect(existsSync(dump ?? '')).toBe(true)
  })

  test.each([
    ['no scenario', 'cpus: 65', /cpus: 65\n +\| +\^\^/],
    [
      'a step that cannot be done',
      `${'x'.repeat(0)}steps:\n  - type: { process: nobody, data: x }\n`,
      /nobody/,
    ],
  ])('%s is broken, with the position', async (_, text, problem) => {
    const path = join(folder, 'broken.yaml')
    writeFileSync(path, text)
    const result = await run(path)
    expect(result.outcome).toBe('broken')
    expect(result.problems).toMatch(problem)
  })

  test.each([
    ['cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['empty', () => Buffer.alloc(0)],
    ['of another kind', () => Buffer.from('not a record')],
  ])('whose record of objects is %s: one line says how to mend it', async (_, damage) => {
    const path = join(folder, 'damaged.yaml')
    mkdirSync(join(folder, 'golden'), { recursive: true })
    writeFileSync(path, readFileSync(file))
    const golden = readFileSync(`${goldenBase(file)}.objects`)
    writeFileSync(`${goldenBase(path)}.txt`, 'x')
    writeFileSync(`${goldenBase(path)}.objects`, damage(golden))
    const { outcome, problems } = await run(path)
    expect(outcome).toBe('broken')
    expect(problems).toMatch(/^[^\n]*damaged\.objects[^\n]*--update[^\n]*\n$/)
  })
})

/** Modules of a scenario's own: only when allowed, like any other module then, and with errors that say where. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toAddr } from '../../../src/base/addr.ts'
import { answerLine } from '../../../src/crash/answer-line.ts'
import { recordFile } from '../../../src/scenario/record-file.ts'
import { openTargetSync } from '../../../src/target/target.ts'
import { crash } from '../../support/recorded.ts'

const worked = fileURLToPath(new URL('../../../scenarios/modules/user-module.yaml', import.meta.url))
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'coredrill-modules-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const record = async (path: string, allowModules: boolean) =>
  recordFile(path, {
    output: join(folder, 'out.cdump'),
    createdBy: 'test',
    allowModules,
    runCommand: answerLine,
  })

test('without --allow-modules: refused, and the message says why', async () => {
  await expect(record(worked, false)).rejects.toMatchObject({ code: 'SCENARIO' })
  await expect(record(worked, false)).rejects.toThrow(
    /portwatch\.mjs.*all rights of this process; --allow-modules/,
  )
})

test('the worked example: its expectations hold, its function is in the journal, twice the same bytes', async () => {
  const { failed, output } = await record(worked, true)
  expect(failed).toEqual([])
  const target = openTargetSync(output)
  const seen = target.at('tried').symbols.va('seen')
  expect(target.at('tried').mem.u32(seen)).toBe(1)
  expect(await crash(target.at('tried'), `why ${toAddr(seen).toString(16)}`)).toContain('portwatch_hook')
  const first = target.at('loaded').read(target.at('loaded').sym('portwatch_hook'), 64)
  target.close()
  const again = openTargetSync((await record(worked, true)).output)
  expect(again.at('loaded').read(again.at('loaded').sym('portwatch_hook'), 64)).toEqual(first)
  again.close()
})

describe('errors are one line that names the file', () => {
  const cases: [string, string, RegExp][] = [
    ['no-function', 'export default 7', /no-function\.mjs: its default export is no function/],
    ['nothing', 'export default () => {}', /nothing\.mjs: it defines no module/],
    ['taken', "export default ({ defineModule }) => defineModule({ name: 'edu', license: 'GPL' })", /taken\.mjs: there is a module edu already/],
    ['throws', '\n\nexport default () => { null.x }', /throws\.mjs:3: TypeError/],
    ['init', [
      'export default ({ defineModule, kfunc }) => {',
      "  const init = kfunc('x.c', function user_init() {",
      '    return undefined.x',
      "  }, { module: 'user_init_throws' })",
      "  return defineModule({ name: 'user_init_throws', license: 'GPL', init })",
      '}',
    ].join('\n'), /init\.mjs:3: TypeError/],
  ] // prettier-ignore
  test.each(cases)('%s', async (name, source, expected) => {
    writeFileSync(join(folder, `${name}.mjs`), source)
    const path = join(folder, `${name}.yaml`)
    writeFileSync(
      path,
      `title: t\nmodule_files: [./${name}.mjs]\n${name === 'init' ? shell('user_init_throws') : ''}`,
    )
    const error: unknown = await record(path, true).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ code: 'SCENARIO' })
    expect((error as Error).message).toMatch(expected)
    expect((error as Error).message.split('\n')).toHaveLength(1)
  })

  test('a file that is not there', async () => {
    const path = join(folder, 'missing.yaml')
    writeFileSync(path, 'title: t\nmodule_files: [./missing.mjs]\n')
    await expect(record(path, true)).rejects.toThrow(/missing\.mjs: cannot be loaded: no such file/)
  })
})

/** A shell that loads a module. */
const shell = (name: string): string =>
  [
    'processes:',
    '  - { name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0 }',
    'steps:',
    `  - shell: { process: shell, line: insmod ./${name}.ko }`,
    '',
  ].join('\n')

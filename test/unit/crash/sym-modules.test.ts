/** The letters of modules' symbols: crash's in the text, nm's in `--json`. */

import { expect, test } from 'vitest'
import type { SymbolRow } from '../../../src/crash/data-sym.ts'
import { Session } from '../../../src/crash/session.ts'
import { dumpPath, hasReal } from '../../real/dumps.ts'
import { openTarget, type Target } from '../../../src/target/target.ts'
import { recordedTarget } from '../../support/recorded.ts'

interface Letters {
  /** by name, from the text */
  readonly shown: ReadonlyMap<string, string>
  readonly rows: readonly SymbolRow[]
}

async function letters(target: Target, ...words: string[]): Promise<Letters> {
  const report = await new Session(target).report('sym', words, () => undefined)
  const text = typeof report.text === 'string' ? report.text : [...report.text].join('')
  const shown = [...text.matchAll(/^[0-9a-f]+ \((.)\) (\S+)/gm)]
  return {
    shown: new Map(shown.map(([, letter = '', name = '']) => [name, letter])),
    rows: report.rows as unknown as SymbolRow[],
  }
}

/** Letters of text agree but for their case's reason; every symbol of a module has a letter in the rows. */
function agree({ shown, rows }: Letters): void {
  expect(rows.length).toBeGreaterThan(0)
  for (const { name, type, module } of rows) {
    expect(module).toBeDefined()
    expect(type, name).toMatch(/^[a-zA-Z]$/)
    expect(shown.get(name) === '?' ? !/t/i.test(type) : /t/i.test(type), name).toBe(true)
  }
}

test('a module: text, data, bss and constants', async () => {
  const found = await letters(recordedTarget('lsm-recvmsg'), '-m', 'recvmsg_block')
  agree(found)
  const of = (name: string): (string | undefined)[] => [
    found.shown.get(name),
    found.rows.find((row) => row.name === name)?.type,
  ]
  expect(of('find_hook_heads')).toEqual(['t', 't'])
  expect(of('cleanup_module')).toEqual(['T', 'T'])
  expect(of('__param_deny')).toEqual(['?', 'r'])
  expect(new Set(found.rows.map(({ module }) => module))).toEqual(new Set(['recvmsg_block']))
})

test('all modules', async () => {
  agree(await letters(recordedTarget('lsm-recvmsg'), '-M'))
})

test.skipIf(!hasReal)('modules of a real kernel: a capital is a global symbol', async () => {
  const { rows, shown } = await letters(await openTarget(dumpPath('dev')), '-M')
  const text = rows.filter(({ type }) => /t/i.test(type))
  // names that several modules have are shown by each
  const once = text.filter(({ name }) => text.filter((row) => row.name === name).length === 1)
  expect(once.filter(({ name, type }) => shown.get(name) !== type)).toEqual([])
  expect(new Set(rows.map(({ type }) => type.toLowerCase()))).toEqual(new Set(['t', 'd', 'b', 'r']))
})

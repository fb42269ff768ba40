/** The table of keys: no key twice, help for each, and the help is the table. */

import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { plainText } from '../../../src/tui/cell.ts'
import { helpLines } from '../../../src/tui/help-view.ts'
import { actionOf, keymap, keymapMarkdown } from '../../../src/tui/keymap.ts'

const bindings = keymap.flatMap((group) => group.bindings)

test('no key means two things', () => {
  const keys = bindings.flatMap((binding) => binding.keys)
  expect(keys.filter((key, i) => keys.indexOf(key) !== i)).toEqual([])
  for (const { action, keys: own } of bindings) for (const key of own) expect(actionOf(key)).toBe(action)
})

test('help and documentation have every key', () => {
  const help = helpLines().map(plainText).join('\n')
  for (const { shown, help: what } of bindings) {
    expect(help).toContain(`${shown.padEnd(16)} ${what}`)
    expect(keymapMarkdown()).toContain(`| ${what} |`)
  }
})

test('no command but browse knows the browser, and it loads the terminal only when it opens', () => {
  const folder = new URL('../../../commands/', import.meta.url)
  const importers = readdirSync(folder).filter((file) =>
    readFileSync(new URL(file, folder), 'utf8').includes('/tui/'),
  )
  expect(importers).toEqual(['browse.ts'])
  const text = readFileSync(new URL('browse.ts', folder), 'utf8')
  expect([...text.matchAll(/^import .*'(.*\/tui\/.*)'/gm)].map(([, from]) => from)).toEqual([
    '../src/tui/theme.ts',
  ])
})

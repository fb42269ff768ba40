/** docs/browse.md: its key table is the keymap's, its screens are the goldens. */

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { expect, test } from 'vitest'
import { keymapMarkdown } from '../../../src/tui/keymap.ts'

const path = fileURLToPath(new URL('../../../docs/browse.md', import.meta.url))
const screens = new URL('../../screens/', import.meta.url)

function replaced(text: string, name: string, body: string): string {
  const end = name.split(' ')[0] as string
  const pattern = new RegExp(`(<!-- ${name}\\b[^>]*-->)[\\s\\S]*?(<!-- /${end} -->)`)
  expect(text).toMatch(pattern)
  return text.replace(pattern, (_, open: string, close: string) => `${open}\n\n${body}\n\n${close}`)
}

function screen(name: string): string {
  const file = new URL(`${name}.txt`, screens)
  return `\`\`\`text\n${existsSync(file) ? readFileSync(file, 'utf8').trimEnd() : ''}\n\`\`\``
}

test('it is current (if not: npx vitest run test/unit/tui/docs.test.ts -u)', async () => {
  let made = replaced(readFileSync(path, 'utf8'), 'keys', keymapMarkdown())
  for (const name of ['sock-80x24', 'syn-received-120x40'])
    made = replaced(made, `screen ${name}`, screen(name))
  const config = await resolveConfig(path)
  await expect(await format(made, { ...config, parser: 'markdown' })).toMatchFileSnapshot(path)
})

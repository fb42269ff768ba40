/** README.md: its tables are those of the commands folder and the profiles, its session is what the commands print. */

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { describe, expect, test } from 'vitest'
import { CommandSet } from '../../../src/crash/command-set.ts'
import { profiles } from '../../../src/linux/profile.ts'
import { TextOutput } from '../../../src/crash/output.ts'
import { Session } from '../../../src/crash/session.ts'
import { Shell } from '../../../src/crash/shell.ts'
import { openTarget } from '../../../src/target/target.ts'
import { dumpPath, hasReal } from '../../real/dumps.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const path = join(root, 'README.md')
const readme = readFileSync(path, 'utf8')

const cell = (text: string): string => text.replaceAll('|', '\\|')

/** Every command with its summary: first what crash has not. */
async function commandTable(): Promise<string> {
  const set = new CommandSet(join(root, 'commands'))
  const rows = await Promise.all(
    set.names.map(async (name) => {
      const module = (await import(join(root, 'commands', `${name}.ts`))) as { default: { summary?: string } }
      const ours =
        /^(browse|cache|check|crash|demo|diff|explain|export|info|new|record|test|trim|validate|why)$/.test(
          name,
        )
      return { name, ours, summary: module.default.summary ?? '' }
    }),
  )
  const sorted = [...rows.filter((row) => row.ours), ...rows.filter((row) => !row.ours)]
  const lines = sorted.map(({ name, summary }) => `| \`${name}\` | ${cell(summary)} |`)
  return ['| command | what it does |', '| --- | --- |', ...lines].join('\n')
}

function profileTable(): string {
  const lines = profiles.map(({ name, release, machine, layout, borrowedLayout }) => {
    return `| \`${name}\` | ${release}, ${machine} | ${layout}${borrowedLayout ? ' (borrowed)' : ''} |`
  })
  return ['| profile | kernel | layout of structures |', '| --- | --- | --- |', ...lines].join('\n')
}

/** The text with what stands between `<!-- name … -->` and `<!-- /name -->` replaced. */
function withSection(text: string, name: string, body: string): string {
  const pattern = new RegExp(`(<!-- ${name}\\b[^>]*-->)[\\s\\S]*?(<!-- /${name} -->)`)
  expect(text).toMatch(pattern)
  return text.replace(pattern, (_, open: string, close: string) => `${open}\n\n${body}\n\n${close}`)
}

test('its tables are current (if not: npx vitest run test/unit/docs -u)', async () => {
  const made = withSection(withSection(readme, 'commands', await commandTable()), 'profiles', profileTable())
  const config = await resolveConfig(path)
  await expect(await format(made, { ...config, parser: 'markdown' })).toMatchFileSnapshot(path)
})

test('its links lead somewhere', () => {
  const links = [...readme.matchAll(/\]\(([\w./-]+)\)/g)].map(([, to = '']) => to)
  expect(links.filter((to) => !existsSync(join(root, to)))).toEqual([])
})

test('its commands exist', () => {
  const { names } = new CommandSet(join(root, 'commands'))
  const used = [...readme.matchAll(/(?:`|^\$ )coredrill ([a-z]+)\b/gm)].map(([, name = '']) => name)
  expect(used.filter((name) => name !== 'help' && !names.includes(name))).toEqual([])
})

/** `crash> ` lines of the page's sessions, each with the output shown for it. */
function shown(): { command: string; output: string }[] {
  const blocks = [...readme.matchAll(/```console\n([\s\S]*?)```/g)].map(([, block = '']) => block)
  return blocks.flatMap((block) =>
    block
      .split(/^crash> /m)
      .slice(1)
      .map((part) => {
        const end = part.indexOf('\n')
        return { command: part.slice(0, end), output: part.slice(end + 1) }
      }),
  )
}

/** Is every line there, in order, with nothing between lines that have no `…` between them? */
function matches(printed: string, output: string): boolean {
  const pieces = `\n${output}`.split(/\n…(?=\n)/).map((piece) => piece.replace(/\n$/, ''))
  let at = 0
  const text = `\n${printed}`
  for (const [i, piece] of pieces.entries()) {
    const found = text.indexOf(piece, at)
    if (found < 0 || (i === 0 && found !== 0)) return false
    at = found + piece.length
  }
  return pieces.length > 1 || text.trimEnd() === `\n${output}`.trimEnd()
}

describe.skipIf(!hasReal)('its session on the vmcore of a real kernel', () => {
  test.each(shown().map(({ command, output }) => [command, output]))('%s', async (command, output) => {
    const session = new Session(await openTarget(dumpPath('dev')), new CommandSet(join(root, 'commands')))
    const printed = new TextOutput()
    await new Shell({ session, output: printed }).execute(command)
    expect(matches(printed.text, output), printed.text).toBe(true)
  })
})

/** What every command keeps to, whoever wrote it: the folder is the list. */

import { readdirSync } from 'node:fs'
import { Command } from '@oclif/core'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { runOnCommandLine } from '../../src/crash/command-line.ts'
import { isDumpCommand, type DumpCommandClass } from '../../src/crash/command-set.ts'

const folder = new URL('../../commands/', import.meta.url)
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replace(/\.ts$/, ''))
  .sort()

async function load(name: string): Promise<typeof Command> {
  const module = (await import(new URL(`${name}.ts`, folder).href)) as { default: typeof Command }
  return module.default
}

describe.each(names)('%s', (name) => {
  test('exports a command by default', async () => {
    expect((await load(name)).prototype).toBeInstanceOf(Command)
  })

  test('has a summary of one line that is no sentence', async () => {
    const { summary } = await load(name)
    expect(summary).toMatch(/^[^\n]{3,90}[^.\n]$/)
  })

  test('has an example that gives the command', async () => {
    const examples = (await load(name)).examples as Command.Example[] | undefined
    const commands = (examples ?? []).map((example) =>
      typeof example === 'string' ? example : example.command,
    )
    expect(commands.length).toBeGreaterThan(0)
    const given = new RegExp(`^(.* \\| )?((\\$ )?(coredrill|<%= config.bin %>) )?${name}( |$)`)
    for (const command of commands) expect(command).toMatch(given)
  })

  test('reads no argument from standard input', async () => {
    const args = Object.values(
      ((await load(name)).args as Record<string, { ignoreStdin?: boolean }> | undefined) ?? {},
    )
    expect(args.filter((arg) => arg.ignoreStdin !== true)).toEqual([])
  })
})

const loaded = await Promise.all(names.map(async (name) => [name, await load(name)] as const))
const dumpCommands = loaded.filter((entry): entry is [string, DumpCommandClass] => isDumpCommand(entry[1]))

describe.each(dumpCommands)('%s on a dump', (name, Class) => {
  let printed = ''
  let complained = ''
  beforeEach(() => {
    printed = complained = ''
    Class.id = name
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed += String(text)), true))
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((complained += String(text)), true))
  })
  afterEach(() => {
    vi.restoreAllMocks()
    process.exitCode = undefined
  })

  test('the synopsis begins with its name', () => {
    expect(Class.synopsis).toMatch(new RegExp(`^${name.replaceAll('*', '\\*')}( |$)`))
  })

  test.each([['plain'], ['--json']])(
    'prints nothing but one line of error without a dump: %s',
    async (option) => {
      await runOnCommandLine(Class, [
        '--core',
        '/nonexistent/vmcore',
        ...(option === 'plain' ? [] : [option]),
      ])
      expect(printed).toBe('')
      expect(complained).toMatch(new RegExp(`^${name}: [^\\n]+\\n$`))
      expect(process.exitCode).toBe(1)
    },
  )

  test('--help shows summary, synopsis and an example', async () => {
    await runOnCommandLine(Class, ['--help'])
    expect(printed).toContain(Class.summary)
    expect(printed).toMatch(/\nSYNOPSIS\n/)
    expect(printed).toMatch(/\nEXAMPLES\n/)
    expect(complained).toBe('')
  })
})

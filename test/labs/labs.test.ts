/** docs/labs: the commands of every lab are run, and what it quotes of their output is what they print. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { takeOwnOptions } from '../../src/crash/command-line.ts'
import { splitWords } from '../../src/crash/line.ts'
import { TextOutput } from '../../src/crash/output.ts'
import { Session } from '../../src/crash/session.ts'
import { Shell } from '../../src/crash/shell.ts'
import { isQuoted, quotation, typedLines, withOutput, type TypedLine } from '../support/console-blocks.ts'
import { recordedTarget } from '../support/recorded.ts'

const folder = fileURLToPath(new URL('../../docs/labs/', import.meta.url))
const pages = readdirSync(folder).filter((name) => name.endsWith('.md'))
const labs = pages.filter((name) => name !== 'README.md')
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

/** A reader who types the lines of one page, one after the other. */
class Reader {
  readonly #recorded = new Set<string>()
  #prompt: { readonly shell: Shell; readonly output: TextOutput } | undefined

  /** @returns what the line prints, errors included */
  async type({ prompt, line }: TypedLine): Promise<string> {
    if (prompt === 'crash>') return this.#answer(line)
    const [program, command, ...argv] = splitWords(line)
    if (program !== 'coredrill') throw new Error(`no line of coredrill: ${line}`)
    if (command === 'record') return this.#record(argv)
    const { core, at, words } = takeOwnOptions(argv)
    if (command === 'crash') {
      const [silent, dump = ''] = words
      if (silent !== '-s') throw new Error(`crash without -s shows more than is quoted: ${line}`)
      this.#open(dump, at)
      return ''
    }
    this.#open(core ?? '', at)
    return this.#answer([command, ...words].join(' '))
  }

  /** The summary has the size of the file, which is the packer's: no page quotes it. */
  #record([path = '']: string[]): string {
    const [, name] = /^scenarios\/(.+)\.yaml$/.exec(path) ?? []
    if (name === undefined) throw new Error(`not a scenario that ships: ${path}`)
    recordedTarget(name)
    this.#recorded.add(`dumps/${name}.cdump`)
    return ''
  }

  #open(dump: string, at: string | undefined): void {
    if (!this.#recorded.has(dump)) throw new Error(`the page has not recorded ${dump}`)
    const name = dump.slice('dumps/'.length, -'.cdump'.length)
    const output = new TextOutput()
    this.#prompt = { shell: new Shell({ session: new Session(recordedTarget(name, at)), output }), output }
  }

  async #answer(line: string): Promise<string> {
    if (this.#prompt === undefined) throw new Error(`no dump is open: ${line}`)
    const { shell, output } = this.#prompt
    output.text = ''
    await shell.execute(line)
    if (/internal error/.test(output.text)) throw new Error(`${line}\n${output.text}`)
    return output.text
  }
}

/** What a page can show of it: blanks at the end of a line are not seen there, and formatters take them away. */
const linesOf = (printed: string): string[] =>
  printed === '' ? [] : printed.replace(/ +$/gm, '').replace(/\n$/, '').split('\n')

describe.each(labs)('%s', (name) => {
  const page = read(name)

  test(
    'shows what its commands print (if not: npx vitest run test/labs -u)',
    { timeout: 240_000 },
    async () => {
      const reader = new Reader()
      const outputs: (readonly string[])[] = []
      for (const typed of typedLines(page)) {
        const printed = await reader.type(typed)
        outputs.push(quotation(typed.quoted, linesOf(printed)))
      }
      await expect(withOutput(page, outputs)).toMatchFileSnapshot(join(folder, name))
    },
  )

  test('has the parts of a lab', () => {
    const parts = [...page.matchAll(/^## (.+)$/gm)].map(([, part]) => part)
    expect(parts).toEqual(['Predict', 'Look', 'Why', 'Where the document differs', 'Go on'])
  })

  test('is in the index', () => {
    expect(read('README.md')).toContain(`](${name})`)
  })
})

test.each(pages)('the links of %s lead somewhere', (name) => {
  const links = [...read(name).matchAll(/\]\(([\w./-]+)\)/g)].map(([, to = '']) => to)
  expect(links.filter((to) => !existsSync(join(dirname(join(folder, name)), to)))).toEqual([])
})

test.each([
  ['a\n…\nc', 'a\nb\nc', true],
  ['…\nc', 'a\nb\nc', true],
  ['a\n…\nb\n…', 'a\nx\nb\ny', true],
  ['a\n…\nb\n…\nd', 'a\nb\nc\nd', true],
  ['a\nb', 'a\nb\nc', false],
  ['a\n…\nd', 'a\nb\nc', false],
  ['a\n…\nc\nb\n…', 'a\nb\nc', false],
  ['a\n…\na', 'a', false],
])('%j quotes %j: %j', (quoted, printed, is) => {
  expect(isQuoted(quoted.split('\n'), printed.split('\n'))).toBe(is)
})

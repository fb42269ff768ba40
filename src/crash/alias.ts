/** Aliases: other names for a command and its first words. */

export type AliasOrigin = 'builtin' | '.rchome' | '.rclocal' | 'input'

export interface Alias {
  readonly origin: AliasOrigin
  readonly name: string
  readonly words: string
}

const BUILTIN: readonly (readonly [string, string])[] = [
  ['man', 'help'],
  ['?', 'help'],
  ['quit', 'q'],
  ['sf', 'set scroll off'],
  ['sn', 'set scroll on'],
  ['hex', 'set radix 16'],
  ['dec', 'set radix 10'],
  ['g', 'gdb'],
  ['px', 'p -x'],
  ['pd', 'p -d'],
  ['for', 'foreach'],
  ['size', '*'],
  ['dmesg', 'log'],
  ['lsmod', 'mod'],
  ['last', 'ps -l'],
]

export class Aliases {
  readonly #all = new Map<string, Alias>(
    BUILTIN.map(([name, words]) => [name, { origin: 'builtin', name, words }]),
  )

  get names(): string[] {
    return [...this.#all.keys()]
  }

  /** Replace the first word of a command by what it stands for; once, so that a name may stand for itself. */
  expand(text: string): string {
    const [first = ''] = text.split(/\s/, 1)
    const alias = this.#all.get(first)
    return alias === undefined ? text : `${alias.words}${text.slice(first.length)}`
  }

  /** Define or replace; empty words remove. False when there was nothing to remove. */
  set(name: string, words: string, origin: AliasOrigin): boolean {
    if (words.trim() === '') return this.#all.delete(name)
    this.#all.set(name, { origin, name, words: words.trim() })
    return true
  }

  /**
   * The table crash prints; of one alias when a name is given, empty when there is none.
   */
  table(name?: string): string {
    const shown = [...this.#all.values()].filter((alias) => name === undefined || alias.name === name)
    if (shown.length === 0) return ''
    const width = Math.max(7, ...shown.map((alias) => alias.name.length))
    const row = (origin: string, alias: string, words: string): string =>
      `${origin.padEnd(8)} ${alias.padEnd(width)}  ${words}`
    const rows = shown.map((alias) => row(alias.origin, alias.name, `${alias.words} `))
    return `${[row('ORIGIN', 'ALIAS', 'COMMAND'), ...rows].join('\n')}\n`
  }
}

/** Command lines: letters with and without values, and words, in any order. @see getopt(3) */

/** What a command line says. */
export interface Parsed {
  readonly flags: ReadonlySet<string>
  readonly values: ReadonlyMap<string, string>
  readonly words: readonly string[]
  /** What getopt(3) says of an option it does not know, without the program's name. */
  readonly error: string | undefined
}

/**
 * @param letters as getopt(3) has them: a colon behind those that take a value, a plus in front when the first word
 * ends the options
 * @param long long names to the letters they stand for
 */
export function parseOptions(
  argv: readonly string[],
  letters: string,
  long: Readonly<Record<string, string>> = {},
): Parsed {
  const flags = new Set<string>()
  const values = new Map<string, string>()
  const words: string[] = []
  const rest = argv.slice(1)
  const done = (error?: string): Parsed => ({ flags, values, words: [...words, ...rest], error })
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') return done()
    if (!word.startsWith('-') || word === '-') {
      words.push(word)
      if (letters.startsWith('+')) return done()
      continue
    }
    let cluster = word.slice(1)
    if (word.startsWith('--')) {
      const [name, value] = word.slice(2).split('=') as [string, string | undefined]
      const letter = long[name]
      if (letter === undefined) return done(`unrecognized option '${word}'`)
      cluster = letter + (value ?? '')
    }
    while (cluster !== '') {
      const letter = cluster[0] as string
      const at = letters.indexOf(letter)
      if (at < 0 || letter === ':' || letter === '+') return done(`invalid option -- '${letter}'`)
      cluster = cluster.slice(1)
      flags.add(letter)
      if (letters[at + 1] !== ':') continue
      const value = cluster !== '' ? cluster : rest.shift()
      if (value === undefined) return done(`option requires an argument -- '${letter}'`)
      values.set(letter, value)
      cluster = ''
    }
  }
  return done()
}

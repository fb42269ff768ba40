/** `grep [-EFivcnqwoh] PATTERN [FILE…]`: lines that match. @see grep(1) */

import { strerror } from '../../abi/errno.ts'
import { parseOptions, type Parsed } from '../options.ts'
import type { Program } from '../process.ts'
import { complain, linesOf, nameOf, readAll, readFile, STDIN, STDOUT, writeAll } from '../stdio.ts'

/** Exit statuses. */
const FOUND = 0
const NOT_FOUND = 1
const TROUBLE = 2

export const grep = (argv: readonly string[]): Program =>
  function* (p) {
    const name = nameOf(argv)
    const options = parseOptions(argv, 'EFGivcnqwohHse:')
    if (options.error !== undefined) {
      yield* complain(p, `${name}: ${options.error}`)
      return TROUBLE
    }
    const words = [...options.words]
    const pattern = options.values.get('e') ?? words.shift()
    if (pattern === undefined) {
      yield* complain(p, `Usage: ${name} [OPTION]... PATTERNS [FILE]...`)
      return TROUBLE
    }
    const matcher = matcherOf(pattern, options.flags)
    if (matcher === undefined) {
      yield* complain(p, `${name}: Invalid regular expression`)
      return TROUBLE
    }
    let found = 0
    let failed = false
    for (const file of words.length === 0 ? ['-'] : words) {
      const bytes = yield* file === '-' ? readAll(p, STDIN) : readFile(p, file)
      if (typeof bytes === 'number') {
        failed = true
        if (!options.flags.has('s')) yield* complain(p, `${name}: ${file}: ${strerror(-bytes)}`)
        continue
      }
      const title = (words.length > 1 && !options.flags.has('h')) || options.flags.has('H')
      const { count, text } = search(
        Buffer.from(bytes).toString('utf8'),
        matcher,
        options,
        title ? `${file}:` : '',
      )
      found += count
      if (text !== '') yield* writeAll(p, STDOUT, text)
      if (found > 0 && options.flags.has('q')) return FOUND
    }
    return failed ? TROUBLE : found > 0 ? FOUND : NOT_FOUND
  }

function search(
  text: string,
  matcher: RegExp,
  { flags }: Parsed,
  title: string,
): { count: number; text: string } {
  let count = 0
  const shown: string[] = []
  linesOf(text).forEach((line, i) => {
    const hits = line.match(matcher)
    if ((hits !== null) === flags.has('v')) return
    count++
    const prefix = title + (flags.has('n') ? `${i + 1}:` : '')
    if (flags.has('o')) for (const hit of hits ?? []) shown.push(`${prefix}${hit}\n`)
    else shown.push(`${prefix}${line}\n`)
  })
  if (flags.has('q')) return { count, text: '' }
  return { count, text: flags.has('c') ? `${title}${count}\n` : shown.join('') }
}

/** The pattern as a regular expression of ours; undefined when it is none. */
function matcherOf(pattern: string, flags: ReadonlySet<string>): RegExp | undefined {
  const source = pattern
    .split('\n')
    .map((line) => (flags.has('F') ? escape(line) : flags.has('E') ? line : fromBasic(line)))
    .join('|')
  try {
    return new RegExp(flags.has('w') ? `\\b(?:${source})\\b` : source, flags.has('i') ? 'gi' : 'g')
  } catch {
    return undefined
  }
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** A basic regular expression: what is special with a backslash there is so without one here, and the other way round. */
function fromBasic(pattern: string): string {
  let out = ''
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i] as string
    if (c === '[') {
      const end = pattern.indexOf(']', i + (pattern[i + 1] === '^' ? 3 : 2))
      if (end < 0) return '('
      out += pattern.slice(i, end + 1).replace(/\[:(\w+):\]/g, (_, name: string) => CLASSES[name] ?? '')
      i = end
    } else if (c === '\\') {
      const next = pattern[++i]
      if (next === undefined) return '('
      out += '(){}|+?'.includes(next)
        ? next
        : /[<>]/.test(next)
          ? '\\b'
          : /\w/.test(next)
            ? `\\${next}`
            : escape(next)
    } else if (c === '*') out += out === '' || out === '^' ? '\\*' : '*'
    else out += '(){}|+?'.includes(c) ? `\\${c}` : c
  }
  return out
}

const CLASSES: Readonly<Record<string, string>> = {
  digit: '0-9',
  alpha: 'A-Za-z',
  alnum: 'A-Za-z0-9',
  space: '\\s',
  upper: 'A-Z',
  lower: 'a-z',
  xdigit: '0-9A-Fa-f',
}

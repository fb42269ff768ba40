/** Crash's options: short letters, joined or not, wherever they stand; the same table serves both command lines. */

import { Misuse } from './misuse.ts'

/**
 * What an option takes.
 * - `boolean`: nothing; present or not
 * - `count`: nothing, and how often it was given matters (`bt -FF`)
 * - `value`: a value, in the same word or the next one
 * - `values`: a value each time, several times (`list -s a -s b`)
 * - `optional`: a value only when it is in the same word (`-S=0`, `--name=x`); else the empty string
 */
export type FlagKind = 'boolean' | 'count' | 'value' | 'values' | 'optional'

export interface FlagSpec {
  /** default: `boolean` */
  readonly kind?: FlagKind
  /** long name, without dashes; a key of several letters is its own long name */
  readonly name?: string
  /** one line for help */
  readonly summary?: string
}

/**
 * Options by letter. A key of digits may be longer (`'16'` is `rd -16`); a key of several letters is a long option
 * only (`all` is `--all`): what crash does not have is added that way.
 */
export type FlagTable = Readonly<Record<string, FlagKind | FlagSpec>>

type KindOf<S> = S extends FlagKind
  ? S
  : S extends { readonly kind: infer K extends FlagKind }
    ? K
    : 'boolean'
interface ValueOfKind {
  boolean: boolean
  count: number
  value: string
  values: readonly string[]
  optional: string
}
/** The parsed options of a table: absent means not given. */
export type FlagsOf<T extends FlagTable> = { readonly [K in keyof T]?: ValueOfKind[KindOf<T[K]>] }

/**
 * Where options may stand.
 * - `anywhere`: as GNU getopt does; `--` ends them
 * - `first`: only before the first other word (expressions and commands follow)
 * - `none`: every word is handed over as it is
 */
export type OptionStyle = 'anywhere' | 'first' | 'none'

export interface ParsedWords {
  readonly flags: Readonly<Record<string, boolean | number | string | readonly string[]>>
  readonly words: readonly string[]
}

/** The kind of an option of a table. */
export function kindOf(spec: FlagKind | FlagSpec): FlagKind {
  return typeof spec === 'string' ? spec : (spec.kind ?? 'boolean')
}

/** A word such as `-8` is a number when no option begins with that digit. */
const NEGATIVE_NUMBER = /^-(\d|0x[0-9a-f])[0-9a-f]*$/i

/**
 * Separate options from the other words.
 *
 * @throws Misuse  for an option the table does not have, or one without its value
 */
export function parseOptions(table: FlagTable, words: readonly string[], style: OptionStyle): ParsedWords {
  if (style === 'none') return { flags: {}, words }
  const parser = new OptionParser(table)
  const rest: string[] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string
    if (word === '--') {
      rest.push(...words.slice(i + 1))
      break
    }
    if (!parser.isOption(word)) {
      if (style === 'first') {
        rest.push(...words.slice(i))
        break
      }
      rest.push(word)
    } else if (parser.take(word, words[i + 1])) i++
  }
  return { flags: parser.flags, words: rest }
}

class OptionParser {
  readonly flags: Record<string, boolean | number | string | string[]> = {}
  readonly #table: FlagTable
  readonly #long = new Map<string, string>()

  constructor(table: FlagTable) {
    this.#table = table
    for (const [key, spec] of Object.entries(table)) {
      if (key.length > 1) this.#long.set(key, key)
      if (typeof spec !== 'string' && spec.name !== undefined) this.#long.set(spec.name, key)
    }
  }

  isOption(word: string): boolean {
    if (!word.startsWith('-') || word === '-') return false
    return !NEGATIVE_NUMBER.test(word) || this.#has(word.slice(1)) || this.#has(word.charAt(1))
  }

  /** Take one word's options; true when the next word was used as a value. */
  take(word: string, next: string | undefined): boolean {
    if (word.startsWith('--')) return this.#takeLong(word.slice(2), next)
    if (/^-\d\d+$/.test(word) && this.#has(word.slice(1))) return this.#set(word.slice(1), undefined, next)
    for (let i = 1; i < word.length; i++) {
      const key = word.charAt(i)
      if (!this.#has(key)) throw new Misuse(undefined, word)
      const kind = kindOf(this.#table[key] as FlagKind | FlagSpec)
      if (kind === 'boolean' || kind === 'count') this.#set(key, undefined, undefined)
      else return this.#set(key, word.slice(i + 1) || undefined, next)
    }
    return false
  }

  #takeLong(text: string, next: string | undefined): boolean {
    const equals = text.indexOf('=')
    const key = this.#long.get(equals < 0 ? text : text.slice(0, equals))
    if (key === undefined) throw new Misuse(undefined, `--${text}`)
    return this.#set(key, equals < 0 ? undefined : text.slice(equals + 1), next)
  }

  #set(key: string, attached: string | undefined, next: string | undefined): boolean {
    const kind = kindOf(this.#table[key] as FlagKind | FlagSpec)
    if (kind === 'boolean') this.flags[key] = true
    else if (kind === 'count') this.flags[key] = ((this.flags[key] as number | undefined) ?? 0) + 1
    else if (kind === 'optional') this.flags[key] = attached?.replace(/^=/, '') ?? ''
    else {
      const value = attached ?? next
      if (value === undefined) throw new Misuse(undefined, key)
      if (kind === 'value') this.flags[key] = value
      else this.flags[key] = [...((this.flags[key] as string[] | undefined) ?? []), value]
      return attached === undefined
    }
    return false
  }

  #has(key: string): boolean {
    return Object.hasOwn(this.#table, key)
  }
}

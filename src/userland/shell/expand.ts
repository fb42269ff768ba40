/** Words as commands see them: variables in place, unquoted ones split at blanks. @see bash(1), EXPANSION */

import type { Word } from './parse.ts'

/** A variable's value; undefined: it is not set. */
export type Lookup = (name: string) => string | undefined

/** One word, or none, or several. */
export function expandWord(word: Word, lookup: Lookup): string[] {
  const words: string[] = []
  let current: string | undefined
  const add = (text: string): void => {
    current = (current ?? '') + text
  }
  for (const part of word) {
    if (part.kind === 'text') add(part.text)
    else {
      const value = lookup(part.name) ?? ''
      if (part.quoted) add(value)
      else {
        const pieces = value.split(/[ \t\n]+/)
        pieces.forEach((piece, i) => {
          if (i > 0 && current !== undefined) {
            words.push(current)
            current = undefined
          }
          if (piece !== '') add(piece)
        })
      }
    }
  }
  if (current !== undefined) words.push(current)
  return words
}

export const expandWords = (words: readonly Word[], lookup: Lookup): string[] =>
  words.flatMap((word) => expandWord(word, lookup))

/** A value that stays one word whatever is in it: of an assignment, of a redirection. */
export const expandText = (word: Word, lookup: Lookup): string =>
  word.map((part) => (part.kind === 'text' ? part.text : (lookup(part.name) ?? ''))).join('')

/** A word as `set -x` shows it: quoted where the shell would otherwise read it differently. */
export function shownWord(word: string): string {
  if (word === '') return "''"
  return /[\s'"\\$&|;<>()`!*?[\]{}#~]/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : word
}

/** The words of a C expression. */

import { UsageError } from '../base/errors.ts'

export interface Token {
  readonly kind: 'name' | 'number' | 'operator' | 'end'
  readonly text: string
  /** position in the expression */
  readonly at: number
  /** of a number */
  readonly value?: bigint
  /** of a number: `u`, `l`, `ul` … as written, lower case */
  readonly suffix?: string
}

const PATTERN =
  /\s+|([A-Za-z_$][\w$]*)|(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)([uUlL]*)(?![\w.])|('(?:\\.[0-7]*|[^'\\])')|(->|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>()[\].?:,@{}])/y

const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, a: 7, b: 8, f: 12, v: 11 }
/** No expression that people write is longer. */
const MAX_TOKENS = 2000

/** @throws UsageError for a character that begins no word */
export function tokens(text: string): Token[] {
  const found: Token[] = []
  const pattern = new RegExp(PATTERN)
  for (let at = 0; at < text.length; at = pattern.lastIndex) {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null || found.length > MAX_TOKENS)
      throw new UsageError(text, `a syntax error in the expression, near \`${text.slice(at)}'`)
    const [, name, digits, suffix = '', char, operator] = match
    if (name !== undefined) found.push({ kind: 'name', text: name, at })
    else if (digits !== undefined)
      found.push({ kind: 'number', text: digits, at, value: numberOf(digits), suffix: suffix.toLowerCase() })
    else if (char !== undefined)
      found.push({ kind: 'number', text: char, at, value: BigInt(charOf(char)), suffix: 'c' })
    else if (operator !== undefined) found.push({ kind: 'operator', text: operator, at })
  }
  found.push({ kind: 'end', text: '', at: text.length })
  return found
}

function numberOf(digits: string): bigint {
  return /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits)
}

function charOf(quoted: string): number {
  const inside = quoted.slice(1, -1)
  if (!inside.startsWith('\\')) return inside.charCodeAt(0)
  const octal = /^\\([0-7]{1,3})$/.exec(inside)?.[1]
  return octal === undefined ? (ESCAPES[inside.charAt(1)] ?? inside.charCodeAt(1)) : parseInt(octal, 8)
}

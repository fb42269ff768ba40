/** Text as a terminal shows it: spans of one style, measured in columns, free of everything a terminal would obey. */

/** What a piece of text is; the theme says how that looks. */
export type Style =
  | 'plain'
  | 'title'
  | 'active'
  | 'selected'
  | 'cursor'
  | 'dim'
  | 'changed'
  | 'name'
  | 'address'
  | 'text'
  | 'error'
  | 'key'
  | 'marked'

export interface Span {
  readonly text: string
  readonly style: Style
}

/** One line of the screen, or of a pane. */
export type Line = readonly Span[]

export const span = (text: string, style: Style = 'plain'): Span => ({ text, style })
export const line = (text: string, style: Style = 'plain'): Line => [{ text, style }]
export const plainText = (spans: Line): string => spans.map(({ text }) => text).join('')

/** Blocks whose characters take two columns. @see Unicode's EastAsianWidth.txt, classes W and F */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
]

/** Columns of a character that {@link clean} let through. */
export function charWidth(char: string): 1 | 2 {
  const code = char.codePointAt(0) ?? 0
  return code >= 0x1100 && WIDE.some(([from, to]) => code >= from && code <= to) ? 2 : 1
}

/** Columns of a text. */
export function textWidth(text: string): number {
  // nearly all is ASCII
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let width = 0
  for (const char of text) width += charWidth(char)
  return width
}

const ASCII = /[^\x20-\x7e]/gu
/** Controls, combining marks, formats (direction!), lone surrogates, unassigned, private use, line separators. */
const UNPRINTABLE = /[^\p{L}\p{N}\p{P}\p{S} ]/gu

/**
 * A text of a dump as it may be shown: what is not printable (in `ascii` everything beyond ASCII) becomes `\x1b`.
 * Characters without a width of their own are escaped too, so that each cell holds one.
 */
export function clean(text: string, ascii = false): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text
  return text.replace(ascii ? ASCII : UNPRINTABLE, escaped)
}

function escaped(char: string): string {
  const code = char.codePointAt(0) ?? 0
  if (code === 9) return ' '
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
}

/** Bytes of the kernel, read as Latin-1, as the UTF-8 they may be. */
export function decoded(latin1: string): string {
  if (/^[\x20-\x7e]*$/.test(latin1)) return latin1
  const text = Buffer.from(latin1, 'latin1').toString('utf8')
  return text.includes('\ufffd') ? latin1 : text
}

/** The part of a text that fits; a wide character that does not fit is left out. */
export function cut(text: string, width: number): string {
  if (text.length <= width && textWidth(text) <= width) return text
  let used = 0
  let end = 0
  for (const char of text) {
    used += charWidth(char)
    if (used > width) break
    end += char.length
  }
  return text.slice(0, end)
}

/** Cut or fill to exactly `width` columns. */
export function fit(spans: Line, width: number, fill: Style = 'plain'): Line {
  const fitted: Span[] = []
  let left = width
  for (const { text, style } of spans) {
    if (left <= 0) break
    const part = cut(text, left)
    if (part !== '') fitted.push({ text: part, style })
    left -= textWidth(part)
    if (part !== text) break
  }
  if (left > 0) fitted.push({ text: ' '.repeat(left), style: fill })
  return fitted
}

/** The same text in one style: a selected row. */
export const restyle = (spans: Line, style: Style): Line => spans.map(({ text }) => ({ text, style }))

export const pad = (text: string, width: number): string =>
  text + ' '.repeat(Math.max(0, width - textWidth(text)))

/** Fold a text at `width` columns; words are kept whole where they fit, indentation is repeated. */
export function fold(text: string, width: number): string[] {
  if (textWidth(text) <= width) return [text]
  const indent = (/^ */.exec(text)?.[0] ?? '').slice(0, Math.max(0, width - 8))
  const lines: string[] = []
  let current = ''
  for (const word of text.slice(indent.length).split(' ')) {
    const joined = current === '' ? indent + word : `${current} ${word}`
    if (textWidth(joined) <= width) {
      current = joined
      continue
    }
    if (current !== '') lines.push(current)
    current = indent + word
    while (textWidth(current) > width) {
      const part = cut(current, width)
      lines.push(part)
      current = indent + current.slice(part.length)
    }
  }
  return [...lines, current]
}

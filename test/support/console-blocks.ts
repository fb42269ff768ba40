/** The ```console blocks of a page: the lines typed in them, and the output quoted under each. */

/** A line of a block: `$ …` or `crash> …`, and what is quoted under it. */
export interface TypedLine {
  readonly prompt: '$' | 'crash>'
  readonly line: string
  readonly quoted: readonly string[]
}

const BLOCK = /^```console\n([\s\S]*?)^```$/gm
const TYPED = /^(\$|crash>) (.+)$/

export function typedLines(page: string): TypedLine[] {
  return [...page.matchAll(BLOCK)].flatMap(([, block = '']) => linesOf(block))
}

/** The page with other output under its lines, as many as {@link typedLines} has. */
export function withOutput(page: string, outputs: readonly (readonly string[])[]): string {
  let next = 0
  return page.replace(BLOCK, (_, block: string) => {
    const lines = linesOf(block).flatMap(({ prompt, line }) => [
      `${prompt} ${line}`,
      ...(outputs[next++] ?? []),
    ])
    return ['```console', ...lines, '```'].join('\n')
  })
}

/** @throws Error when a block does not begin with a line that is typed */
function linesOf(block: string): TypedLine[] {
  const typed: { prompt: '$' | 'crash>'; line: string; quoted: string[] }[] = []
  for (const text of block.replace(/\n$/, '').split('\n')) {
    const [, prompt, line] = TYPED.exec(text) ?? []
    if (line !== undefined) typed.push({ prompt: prompt as '$' | 'crash>', line, quoted: [] })
    else if (typed.length > 0) typed.at(-1)?.quoted.push(text)
    else throw new Error(`output of no command: ${text}`)
  }
  return typed
}

/** Stands for lines left out. */
export const ELLIPSIS = '…'

/**
 * What should be quoted of an output: the quotation itself while it is right. When it is not, the lines that have the
 * form of those quoted, and otherwise all of it.
 */
export function quotation(quoted: readonly string[], printed: readonly string[]): readonly string[] {
  if (!quoted.includes(ELLIPSIS)) return printed
  if (isQuoted(quoted, printed)) return quoted
  return sameForm(quoted, printed) ?? printed
}

/** Is every quoted line there, in order, with nothing between two of them but where an ellipsis is? */
export function isQuoted(quoted: readonly string[], printed: readonly string[]): boolean {
  const pieces = quoted.reduce<string[][]>(
    (all, line) => (line === ELLIPSIS ? [...all, []] : (all.at(-1)?.push(line), all)),
    [[]],
  )
  const starts = (piece: string[], at: number): boolean => piece.every((line, i) => printed[at + i] === line)
  const [first = [], ...rest] = pieces
  if (!starts(first, 0)) return false
  if (rest.length === 0) return first.length === printed.length
  const last = rest.pop() ?? []
  const end = printed.length - last.length
  if (!starts(last, end)) return false
  let at = first.length
  for (const piece of rest) {
    while (at <= end - piece.length && !starts(piece, at)) at++
    at += piece.length
  }
  return at <= end
}

const form = (line: string): string => line.replace(/\b(0x)?[0-9a-f]*\d[0-9a-f]*\b/g, '#').replace(/ +/g, ' ')

function sameForm(quoted: readonly string[], printed: readonly string[]): string[] | undefined {
  const made: string[] = []
  let at = 0
  for (const line of quoted) {
    if (line === ELLIPSIS) continue
    const found = printed.findIndex((each, i) => i >= at && form(each) === form(line))
    if (found < 0) return undefined
    if (found > at) made.push(ELLIPSIS)
    made.push(printed[found] as string)
    at = found + 1
  }
  return at < printed.length ? [...made, ELLIPSIS] : made
}

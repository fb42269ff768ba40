/** A line typed at the prompt, taken apart: commands, words, and what is handed to the shell. */

/** One line: what crash does itself and what /bin/sh does with the output. */
export interface ParsedLine {
  readonly kind: 'empty' | 'shell' | 'command'
  /** the command without its redirection; for `shell` the text after `!` */
  readonly text: string
  /** a shell command that reads the output: `grep x` of `ps | grep x`, `cat > 'f'` of `ps > f` */
  readonly pipe?: string
  /** began with a backslash: aliases are not looked up */
  readonly verbatim: boolean
}

/**
 * Split off what belongs to the shell. Bars, angles and semicolons within quotes or parentheses are the command's own;
 * so are `->`, `||`, `>=` and `<<`.
 */
export function parseLine(line: string): ParsedLine {
  const trimmed = line.trim()
  if (trimmed === '' || trimmed.startsWith('#')) return { kind: 'empty', text: '', verbatim: false }
  if (trimmed.startsWith('!')) return { kind: 'shell', text: trimmed.slice(1).trim(), verbatim: true }
  const verbatim = trimmed.startsWith('\\')
  const text = verbatim ? trimmed.slice(1).trimStart() : trimmed
  for (const { at, char } of bareCharacters(text)) {
    if (char === '|' && text[at + 1] !== '|' && text[at - 1] !== '|') {
      return { kind: 'command', text: text.slice(0, at).trimEnd(), pipe: text.slice(at + 1).trim(), verbatim }
    }
    if (char === '>' && isRedirection(text, at)) {
      return { kind: 'command', text: text.slice(0, at).trimEnd(), pipe: `cat ${text.slice(at)}`, verbatim }
    }
  }
  return { kind: 'command', text, verbatim }
}

function isRedirection(text: string, at: number): boolean {
  return text[at - 1] !== '-' && text[at + 1] !== '='
}

/** The commands of one line, at its bare semicolons: `-e 'ps; files 1'`. The rest of a line after `!` is the shell's. */
export function splitCommands(line: string): string[] {
  const commands: string[] = []
  let start = 0
  for (const { at, char } of bareCharacters(line)) {
    if (char !== ';' || /^\s*[!#]/.test(line.slice(start))) continue
    commands.push(line.slice(start, at))
    start = at + 1
  }
  commands.push(line.slice(start))
  return commands.map((command) => command.trim()).filter((command) => command !== '')
}

/**
 * The words of a command. A word that begins with `(` goes on to the matching `)`, double quotes hold a word together
 * and vanish, single quotes hold it together and stay (crash marks a regular expression so).
 */
export function splitWords(text: string): string[] {
  const words: string[] = []
  let at = 0
  for (;;) {
    while (at < text.length && isBlank(text, at)) at++
    if (at >= text.length) return words
    const end = wordEnd(text, at)
    const word = text.slice(at, end)
    words.push(word.startsWith('"') ? word.replaceAll('"', '') : word)
    at = end
  }
}

function wordEnd(text: string, start: number): number {
  const first = text.charAt(start)
  if (first === '(') {
    const close = matchingParenthesis(text, start)
    if (close !== undefined) return blankAfter(text, close + 1)
  }
  if (first === '"' || first === "'") {
    const close = text.indexOf(first, start + 1)
    if (close >= 0) return blankAfter(text, close + 1)
  }
  return blankAfter(text, start)
}

function blankAfter(text: string, from: number): number {
  let at = from
  while (at < text.length && !isBlank(text, at)) at++
  return at
}

function isBlank(text: string, at: number): boolean {
  return /\s/.test(text.charAt(at))
}

function matchingParenthesis(text: string, open: number): number | undefined {
  let depth = 0
  for (let at = open; at < text.length; at++) {
    if (text[at] === '(') depth++
    if (text[at] === ')' && --depth === 0) return at
  }
  return undefined
}

/** The characters that stand outside quotes and parentheses. An unclosed quote or parenthesis does not count. */
function* bareCharacters(text: string): Generator<{ at: number; char: string }> {
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    let close: number | undefined
    if (char === '"' || char === "'") close = text.indexOf(char, at + 1)
    if (char === '(') close = matchingParenthesis(text, at)
    if (close !== undefined && close > at) at = close
    else yield { at, char }
  }
}

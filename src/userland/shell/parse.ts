/**
 * The shell's grammar: words with their quotes, redirections, pipelines, and lists of them.
 *
 * @see bash(1), SHELL GRAMMAR
 * @remarks no compound commands but `( … )`, no command substitution, no patterns: no line of a transcript has them.
 */

/** A stretch of a word. */
export type Part =
  | { readonly kind: 'text'; readonly text: string; readonly quoted: boolean }
  | { readonly kind: 'variable'; readonly name: string; readonly quoted: boolean }

export type Word = readonly Part[]

/** `N< word`, `N> word`, `N>> word`, `N>&M`; `&>` is two of them. */
export interface Redirection {
  readonly fd: number
  readonly op: '<' | '>' | '>>' | '>&'
  readonly target: Word
}

export interface Simple {
  readonly kind: 'simple'
  readonly assignments: readonly { readonly name: string; readonly value: Word }[]
  readonly words: readonly Word[]
  readonly redirections: readonly Redirection[]
}
export interface Subshell {
  readonly kind: 'subshell'
  readonly list: List
  readonly redirections: readonly Redirection[]
}
export type Command = Simple | Subshell

export interface Pipeline {
  readonly negated: boolean
  readonly commands: readonly Command[]
  /** As it was typed, for what is said of jobs. */
  readonly text: string
}

/** A pipeline and what stands in front of it: `;` and newline are the same. */
export interface Item {
  readonly join: ';' | '&&' | '||'
  readonly pipeline: Pipeline
  /** Followed by `&`: it, and what it is joined with by `&&` and `||`, is not waited for. */
  background: boolean
  /** Line of the script, from 1. */
  readonly line: number
}
export type List = readonly Item[]

/** A line that is not of this grammar. */
export class ShellSyntaxError extends Error {
  /** As bash words it, without its name in front. */
  readonly problem: string
  constructor(problem: string) {
    super(problem)
    this.problem = problem
  }
}

type Token =
  | {
      readonly kind: 'word'
      readonly word: Word
      readonly from: number
      readonly to: number
      readonly line: number
    }
  | {
      readonly kind: 'op'
      readonly op: string
      readonly from: number
      readonly to: number
      readonly line: number
    }

const OPERATORS = ['&&', '||', '&>', '>>', '>&', '<&', ';', '&', '|', '(', ')', '<', '>', '\n']
const NAME = /^[A-Za-z_]\w*/

/** @throws ShellSyntaxError */
export function parseShell(text: string): List {
  return new Parser(text, new Lexer(text).tokens()).parse()
}

class Lexer {
  private readonly text: string
  private at = 0
  private line = 1

  constructor(text: string) {
    this.text = text
  }

  tokens(): Token[] {
    const found: Token[] = []
    for (let token = this.next(); token !== undefined; token = this.next()) found.push(token)
    return found
  }

  private next(): Token | undefined {
    this.skipBlanks()
    const from = this.at
    const { line } = this
    if (from >= this.text.length) return undefined
    const op = OPERATORS.find((o) => this.text.startsWith(o, from))
    const numbered = /^\d+(?=[<>])/.exec(this.text.slice(from))?.[0]
    if (numbered !== undefined) {
      this.at += numbered.length
      return { kind: 'op', op: `fd${numbered}`, from, to: this.at, line }
    }
    if (op === undefined) return { kind: 'word', word: this.word(), from, to: this.at, line }
    this.at += op.length
    if (op === '\n') this.line++
    return { kind: 'op', op, from, to: this.at, line }
  }

  private skipBlanks(): void {
    for (;;) {
      if (this.text.startsWith('\\\n', this.at)) {
        this.at += 2
        this.line++
      } else if (/[ \t]/.test(this.text[this.at] ?? '')) this.at++
      else if (this.text[this.at] === '#')
        while (this.at < this.text.length && this.text[this.at] !== '\n') this.at++
      else return
    }
  }

  private word(): Word {
    const parts: Part[] = []
    while (this.at < this.text.length) {
      const c = this.text[this.at] as string
      if (/[\s;&|<>()]/.test(c)) break
      if (c === "'") parts.push(this.single())
      else if (c === '"') parts.push(...this.double())
      else if (c === '$') parts.push(this.dollar(false))
      else if (c === '`') throw new ShellSyntaxError('command substitution is not simulated')
      else if (c === '\\') {
        parts.push({ kind: 'text', text: this.text[this.at + 1] ?? '', quoted: true })
        this.at += 2
      } else {
        parts.push({ kind: 'text', text: c, quoted: false })
        this.at++
      }
    }
    return merge(parts)
  }

  private single(): Part {
    const end = this.text.indexOf("'", this.at + 1)
    if (end < 0) throw new ShellSyntaxError("unexpected EOF while looking for matching `''")
    const text = this.text.slice(this.at + 1, end)
    this.at = end + 1
    return { kind: 'text', text, quoted: true }
  }

  private double(): Part[] {
    const parts: Part[] = [{ kind: 'text', text: '', quoted: true }]
    for (this.at++; this.text[this.at] !== '"';) {
      const c = this.text[this.at]
      if (c === undefined) throw new ShellSyntaxError('unexpected EOF while looking for matching `"\'')
      if (c === '$') parts.push(this.dollar(true))
      else {
        const escaped = c === '\\' && '$`"\\'.includes(this.text[this.at + 1] ?? ' ')
        parts.push({ kind: 'text', text: escaped ? (this.text[this.at + 1] as string) : c, quoted: true })
        this.at += escaped ? 2 : 1
      }
    }
    this.at++
    return parts
  }

  private dollar(quoted: boolean): Part {
    const rest = this.text.slice(this.at + 1)
    if (rest.startsWith('(')) throw new ShellSyntaxError('command substitution is not simulated')
    const braced = /^\{([A-Za-z_]\w*|[?!$#@*0-9])\}/.exec(rest)
    const name = braced?.[1] ?? NAME.exec(rest)?.[0] ?? /^[?!$#@*0-9]/.exec(rest)?.[0]
    this.at += 1 + (braced?.[0].length ?? name?.length ?? 0)
    return name === undefined ? { kind: 'text', text: '$', quoted } : { kind: 'variable', name, quoted }
  }
}

/** Letters that follow each other as one text. */
function merge(parts: readonly Part[]): Word {
  const merged: Part[] = []
  for (const part of parts) {
    const last = merged.at(-1)
    if (part.kind === 'text' && last?.kind === 'text' && last.quoted === part.quoted) {
      merged[merged.length - 1] = { ...last, text: last.text + part.text }
    } else merged.push(part)
  }
  return merged
}

class Parser {
  private readonly text: string
  private readonly tokens: readonly Token[]
  private at = 0

  constructor(text: string, tokens: readonly Token[]) {
    this.text = text
    this.tokens = tokens
  }

  parse(): List {
    const list = this.list()
    if (this.at < this.tokens.length) this.unexpected()
    return list
  }

  private op(): string | undefined {
    const token = this.tokens[this.at]
    return token?.kind === 'op' ? token.op : undefined
  }

  private unexpected(): never {
    const token = this.tokens[this.at]
    const name = token === undefined || this.op() === '\n' ? 'newline' : this.text.slice(token.from, token.to)
    throw new ShellSyntaxError(`syntax error near unexpected token \`${name}'`)
  }

  private list(): Item[] {
    const items: Item[] = []
    let join: Item['join'] = ';'
    for (;;) {
      while (this.op() === '\n') this.at++
      if (this.at >= this.tokens.length || this.op() === ')') {
        if (join !== ';') this.unexpected()
        return items
      }
      const line = this.tokens[this.at]?.line ?? 1
      items.push({ join, pipeline: this.pipeline(), background: false, line })
      const op = this.op()
      if (op === undefined || op === ')') return items
      if (op !== '&&' && op !== '||' && op !== ';' && op !== '&' && op !== '\n') this.unexpected()
      this.at++
      join = op === '&&' || op === '||' ? op : ';'
      if (op === '&') markBackground(items)
    }
  }

  private pipeline(): Pipeline {
    const from = this.tokens[this.at]?.from ?? 0
    const first = this.tokens[this.at]
    const negated = first?.kind === 'word' && isText(first.word, '!')
    if (negated) this.at++
    const commands = [this.command()]
    while (this.op() === '|') {
      this.at++
      while (this.op() === '\n') this.at++
      commands.push(this.command())
    }
    return { negated, commands, text: this.text.slice(from, this.tokens[this.at - 1]?.to) }
  }

  private command(): Command {
    if (this.op() === '(') {
      this.at++
      const list = this.list()
      if (this.op() !== ')' || list.length === 0) this.unexpected()
      this.at++
      return { kind: 'subshell', list, redirections: this.redirections() }
    }
    const words: Word[] = []
    const assignments: { name: string; value: Word }[] = []
    const redirections: Redirection[] = []
    for (;;) {
      redirections.push(...this.redirections())
      const token = this.tokens[this.at]
      if (token?.kind !== 'word') break
      this.at++
      const assignment = words.length === 0 ? assignmentOf(token.word) : undefined
      if (assignment === undefined) words.push(token.word)
      else assignments.push(assignment)
    }
    if (words.length + assignments.length + redirections.length === 0) this.unexpected()
    return { kind: 'simple', assignments, words, redirections }
  }

  private redirections(): Redirection[] {
    const found: Redirection[] = []
    for (;;) {
      const numbered = /^fd(\d+)$/.exec(this.op() ?? '')?.[1]
      if (numbered !== undefined) this.at++
      const op = this.op()
      if (op !== '<' && op !== '>' && op !== '>>' && op !== '>&' && op !== '<&' && op !== '&>') return found
      this.at++
      const token = this.tokens[this.at]
      if (token?.kind !== 'word') this.unexpected()
      this.at++
      const fd = numbered === undefined ? (op.startsWith('<') ? 0 : 1) : Number(numbered)
      if (op === '&>') {
        found.push({ fd: 1, op: '>', target: token.word })
        found.push({ fd: 2, op: '>&', target: [{ kind: 'text', text: '1', quoted: true }] })
      } else found.push({ fd, op: op === '<&' ? '>&' : op, target: token.word })
    }
  }
}

const isText = (word: Word, text: string): boolean =>
  word.length === 1 && word[0]?.kind === 'text' && !word[0].quoted && word[0].text === text

/** `name=value`, with the name unquoted. */
function assignmentOf(word: Word): { name: string; value: Word } | undefined {
  const [first, ...rest] = word
  if (first?.kind !== 'text' || first.quoted) return undefined
  const found = /^([A-Za-z_]\w*)=(.*)$/s.exec(first.text)
  if (found === null) return undefined
  const [, name = '', text = ''] = found
  return { name, value: text === '' ? rest : [{ ...first, text }, ...rest] }
}

/** `a && b &` is one job. */
function markBackground(items: readonly Item[]): void {
  for (let i = items.length - 1; i >= 0; i--) {
    const item = items[i] as Item
    item.background = true
    if (item.join === ';') return
  }
}

/** The crash prompt without the terminal: one line in, its output out, the session goes on. */

import { readFileSync } from 'node:fs'
import { Aliases, type AliasOrigin } from './alias.ts'
import { failureOf } from './failure.ts'
import { builtins } from './shell-builtins.ts'
import { parseLine, splitWords, type ParsedLine } from './line.ts'
import type { Output } from './output.ts'
import { PipeOutput, runShell, type ChildTarget } from './shell-output.ts'
import type { Session } from './session.ts'

/** Command files that read command files that …: how deep. */
const FILE_DEPTH = 16
/** The longest command file taken, in bytes. */
const FILE_SIZE = 4 << 20

export interface ShellOptions {
  readonly session: Session
  readonly output: Output
  /** where programs started from the prompt print; default: into `output` */
  readonly children?: ChildTarget
  /** somebody sits there who can press Ctrl-C; default: nobody */
  readonly interactive?: boolean
  /** wraps the output of one command (the pager); default: none */
  readonly page?: (output: Output) => Output & { close(): Promise<number> }
}

export class Shell {
  readonly session: Session
  readonly aliases = new Aliases()
  /** Lines given so far, oldest first. */
  readonly history: string[] = []
  /** Where aliases defined now come from. */
  origin: AliasOrigin = 'input'
  /** Set by Ctrl-C: the command running now ends at its next piece of text. */
  interrupted = false
  /** Set by `q`. */
  quit = false
  /** Commands that could not show everything. */
  failures = 0
  /** Where commands print. */
  output: Output
  readonly #options: ShellOptions
  #depth = 0

  constructor(options: ShellOptions) {
    this.session = options.session
    this.output = options.output
    options.session.interrupted = () => this.interrupted
    this.#options = options
  }

  get interactive(): boolean {
    return this.#options.interactive === true
  }

  /** Execute a line as if typed; never throws for what a command does. */
  async execute(line: string): Promise<void> {
    this.interrupted = false
    const parsed = parseLine(line)
    if (parsed.kind === 'empty') return
    if (parsed.kind === 'shell') {
      this.history.push(line.trim())
      const command = parsed.text === '' ? (process.env['SHELL'] ?? '/bin/sh') : parsed.text
      await runShell(command, this.#children)
      return
    }
    const repeated = this.#repeated(parsed.text)
    if (repeated === undefined) {
      this.history.push(line.trim())
      await this.#executeInto(parsed)
    } else if (repeated === '') this.#fail(this.output, `crash: event not found: ${parsed.text}`)
    else {
      this.output.write(`${repeated}\n`)
      await this.execute(repeated)
    }
  }

  /**
   * Execute the lines of a file.
   *
   * @param echo  called before each line: what shows it
   * @throws the operating system's error when the file cannot be read
   */
  async executeFile(path: string, echo: (line: string) => void = () => undefined): Promise<void> {
    const text = readFileSync(path, 'utf8')
    if (text.length > FILE_SIZE || this.#depth >= FILE_DEPTH) {
      this.#fail(this.output, `crash: ${path}: command file is too long or reads itself`)
      return
    }
    this.#depth++
    try {
      for (const line of text.split('\n')) {
        if (this.quit || this.interrupted) break
        if (line.trim() !== '') echo(line)
        await this.execute(line)
      }
    } finally {
      this.#depth--
    }
  }

  /** Find and run one command; errors become lines of `output`. */
  async run(text: string, output: Output): Promise<void> {
    const [name = '', ...words] = splitWords(text)
    if (words[0] === '<' && words.length === 2) {
      await this.#withArgumentsOf(words[1] as string, name, output)
      return
    }
    const builtin = builtins.get(name)
    if (builtin !== undefined) {
      if (!(await builtin.run(this, words, output))) this.failures++
      return
    }
    const found = await this.#lookup(name, words).catch((error: unknown) => failureOf(name, '', error).text)
    if (typeof found === 'string') this.#fail(output, found.trimEnd())
    else if (found === undefined) this.#fail(output, `crash: command not found: ${name}`)
    else if (words.length === 1 && words[0] === '-h' && !('h' in found.Class.crashFlags)) {
      await this.run(`help ${found.name}`, output)
    } else if (!(await this.session.print(found.name, found.words, output))) this.failures++
  }

  get #children(): ChildTarget {
    return this.#options.children ?? this.output
  }

  async #executeInto(parsed: ParsedLine): Promise<void> {
    const text = parsed.verbatim ? parsed.text : this.aliases.expand(parsed.text)
    if (text.startsWith('<')) {
      await this.#included(text.slice(1).trim())
      return
    }
    const output =
      parsed.pipe === undefined
        ? this.#options.page?.(this.output)
        : new PipeOutput(parsed.pipe, this.#children)
    await this.run(text, output ?? this.output)
    await output?.close()
  }

  /** `< file`: the file's lines are commands. */
  async #included(path: string): Promise<void> {
    try {
      await this.executeFile(path)
    } catch (error) {
      this.#fail(this.output, `crash: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** `command < file`: the command once for each line of the file. */
  async #withArgumentsOf(path: string, name: string, output: Output): Promise<void> {
    try {
      for (const line of readFileSync(path, 'utf8').split('\n')) {
        if (line.trim() !== '' && !this.interrupted) await this.run(`${name} ${line}`, output)
      }
    } catch (error) {
      this.#fail(output, `${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** A command's name first; then `*name`, `enum name`, and the name of a type. */
  async #lookup(name: string, words: readonly string[]) {
    const as = async (command: string, itsWords: readonly string[]) => {
      const Class = await this.session.commands.find(command)
      return Class === undefined ? undefined : { name: command, Class, words: itsWords }
    }
    const command = await as(name, words)
    if (command !== undefined) return command
    if (name.startsWith('*')) return await as('struct', name === '*' ? words : [name.slice(1), ...words])
    if (name === 'enum') return await as('whatis', [name, ...words])
    const type = /^\w+/.exec(name)?.[0] ?? ''
    const { types } = this.session.target
    if (types.findStruct(type) !== undefined) return await as('struct', [name, ...words])
    return types.btf.find(type, 'enum') === undefined
      ? undefined
      : await as('whatis', ['enum', name, ...words])
  }

  /** What `r`, `r7` and `r text` repeat; undefined for other lines, empty when there is no such line. */
  #repeated(text: string): string | undefined {
    const [, number, start] = /^r(?:(\d+)|\s+(\S.*))?$/.exec(text) ?? ['']
    if (text !== 'r' && number === undefined && start === undefined) return undefined
    if (number !== undefined) return this.history[Number(number) - 1] ?? ''
    return this.history.findLast((line) => line.startsWith(start ?? '')) ?? ''
  }

  #fail(output: Output, line: string): void {
    output.note(line)
    this.failures++
  }
}

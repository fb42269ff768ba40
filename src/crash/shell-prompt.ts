/** The prompt at a terminal: line editing, history, completion, Ctrl-C and the pager; or a script on stdin. */

import { createInterface, type Interface } from 'node:readline'
import type { Shell } from './shell.ts'
import { completer } from './shell-complete.ts'
import { readHistory, writeHistory } from './shell-files.ts'
import { PagerOutput, PipeOutput } from './shell-output.ts'
import type { Output } from './output.ts'

export const PROMPT = 'crash> '

/** What the prompt reads from: a terminal, or a test's stand-in for one. */
export interface PromptInput extends NodeJS.ReadableStream {
  isTTY?: boolean
  setRawMode?(raw: boolean): unknown
}

/** Read and execute lines until `q` or the end of input. */
export async function runPrompt(
  shell: Shell,
  input: PromptInput = process.stdin,
  output: NodeJS.WritableStream = process.stdout,
): Promise<void> {
  const former = readHistory()
  const readline = createInterface({
    input,
    output,
    prompt: PROMPT,
    terminal: true,
    completer: completer(shell),
    history: former.toReversed(),
    historySize: 1000,
  })
  const onSignal = (): void => void (shell.interrupted = true)
  process.on('SIGINT', onSignal)
  readline.on('SIGINT', () => {
    output.write('^C\n')
    readline.write(null, { ctrl: true, name: 'e' })
    readline.write(null, { ctrl: true, name: 'u' })
    readline.prompt()
  })
  try {
    await new Promise<void>((resolve) => new LineQueue(shell, readline, input, resolve).start())
  } finally {
    process.off('SIGINT', onSignal)
    readline.close()
    writeHistory([...former, ...shell.history])
  }
}

/** Executes lines one after the other; lines pasted while one runs wait. */
class LineQueue {
  readonly #shell: Shell
  readonly #readline: Interface
  readonly #input: PromptInput
  readonly #finish: () => void
  readonly #lines: string[] = []
  #running = false
  #closed = false

  constructor(shell: Shell, readline: Interface, input: PromptInput, finish: () => void) {
    this.#shell = shell
    this.#readline = readline
    this.#input = input
    this.#finish = finish
  }

  start(): void {
    this.#readline.on('line', (line) => {
      this.#lines.push(line)
      if (!this.#running) void this.#drain()
    })
    this.#readline.on('close', () => {
      this.#closed = true
      if (!this.#running) this.#finish()
    })
    this.#readline.prompt()
  }

  async #drain(): Promise<void> {
    this.#running = true
    this.#readline.pause()
    this.#input.setRawMode?.(false)
    while (this.#lines.length > 0 && !this.#shell.quit)
      await this.#shell.execute(this.#lines.shift() as string)
    this.#running = false
    if (this.#shell.quit || this.#closed) {
      this.#finish()
      return
    }
    this.#input.setRawMode?.(true)
    this.#readline.prompt()
  }
}

/** Execute the lines of an input that is no terminal. @param echo  shows each line before its output */
export async function runScript(
  shell: Shell,
  input: NodeJS.ReadableStream,
  echo: (line: string) => void,
): Promise<void> {
  const readline = createInterface({ input, terminal: false })
  for await (const line of readline) {
    if (line.trim() !== '') echo(line)
    await shell.execute(line)
    if (shell.quit) break
  }
  readline.close()
}

/** The pager for one command's output: only while `set scroll` is on. */
export function pager(shell: () => Shell, plain: Output, rows: () => number): PagerOutput {
  const height = shell().session.context.scroll ? rows() : Infinity
  const program = process.env['CRASHPAGER'] ?? process.env['PAGER'] ?? 'less -E -X'
  return new PagerOutput(plain, height, () => new PipeOutput(program, 'inherit'))
}

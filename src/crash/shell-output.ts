/** Output of the prompt that other programs read: the rest of a line after `|` or `>`, and the pager. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { withoutControls, type Output } from './output.ts'

/** What a child prints: to the terminal itself, or into an output (when the shell's own output is no stream). */
export type ChildTarget = 'inherit' | Output

/** Run a shell command and wait for it. @returns its exit status; 127 when it could not be started */
export async function runShell(command: string, to: ChildTarget): Promise<number> {
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['inherit', stdio(to), stdio(to)] })
  return await finished(child, to)
}

/** Writes to a shell command's standard input. */
export class PipeOutput implements Output {
  readonly #child: ChildProcess
  readonly #done: Promise<number>
  ended = false

  constructor(command: string, to: ChildTarget) {
    this.#child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', stdio(to), stdio(to)] })
    // A reader that leaves early (head, less) is no error.
    this.#child.stdin?.on('error', () => (this.ended = true))
    this.#done = finished(this.#child, to).finally(() => (this.ended = true))
  }

  write(text: string): void {
    if (!this.ended) this.#child.stdin?.write(text)
  }

  note(line: string): void {
    this.write(`${line}\n`)
  }

  async ready(): Promise<void> {
    const stdin = this.#child.stdin
    if (stdin?.writableNeedDrain === true)
      await Promise.race([once(stdin, 'drain').catch(() => []), this.#done])
  }

  /** End the input and wait for the program. @returns its exit status */
  async close(): Promise<number> {
    if (!this.ended) this.#child.stdin?.end()
    return await this.#done
  }
}

/** Keeps the first screenful back; more than that goes to the pager. */
export class PagerOutput implements Output {
  readonly #plain: Output
  readonly #start: () => PipeOutput
  readonly #rows: number
  #held = ''
  #pager: PipeOutput | undefined

  /**
   * @param plain  where text goes that fits the screen
   * @param rows   the screen's height in lines
   * @param start  starts the pager
   */
  constructor(plain: Output, rows: number, start: () => PipeOutput) {
    this.#plain = plain
    this.#rows = rows
    this.#start = start
  }

  get ended(): boolean {
    return this.#pager?.ended ?? false
  }

  write(raw: string): void {
    const text = withoutControls(raw)
    if (this.#pager !== undefined) {
      this.#pager.write(text)
      return
    }
    this.#held += text
    if (lineCount(this.#held) < this.#rows) return
    this.#pager = this.#start()
    this.#pager.write(this.#held)
  }

  note(line: string): void {
    this.write(`${line}\n`)
  }

  async ready(): Promise<void> {
    await this.#pager?.ready()
  }

  async close(): Promise<number> {
    if (this.#pager !== undefined) return await this.#pager.close()
    if (this.#held !== '') this.#plain.write(this.#held)
    return 0
  }
}

function lineCount(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++
  return count
}

function stdio(to: ChildTarget): 'inherit' | 'pipe' {
  return to === 'inherit' ? 'inherit' : 'pipe'
}

async function finished(child: ChildProcess, to: ChildTarget): Promise<number> {
  if (to !== 'inherit') {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        to.write(text)
      })
    }
  }
  return await new Promise((resolve) => {
    child.once('error', () => resolve(127))
    child.once('close', (status) => resolve(status ?? 1))
  })
}

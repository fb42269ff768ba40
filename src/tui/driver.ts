/** The browser without a terminal: keys in, lines out. The terminal drives it, and so do tests. */

import { completer } from '../crash/shell-complete.ts'
import { Session } from '../crash/session.ts'
import { Shell } from '../crash/shell.ts'
import { parseLine } from '../crash/line.ts'
import type { Output } from '../crash/output.ts'
import type { Line } from './cell.ts'
import type { Dump } from './dump.ts'
import type { Size } from './layout.ts'
import { reduce, type Happening } from './reducer.ts'
import { screenLines } from './screen.ts'
import { Selection } from './selection.ts'
import { initialState, type State } from './state.ts'

/** What the browser asks of whoever shows it. */
export interface Host {
  quit(): void
  suspend(): void
  redraw(): void
  copy(text: string): void
}

/** Lines of one command's output kept. */
const OUTPUT_LINES = 100_000
const LINE_LENGTH = 4096

export class Browser {
  readonly dump: Dump
  readonly #host: Host
  /** Told whenever something besides a key changed what is to be seen. */
  changed: () => void = () => undefined
  #state: State
  #shell: Shell | undefined
  #shellPosition = -1

  constructor(dump: Dump, size: Size, host: Host) {
    this.dump = dump
    this.#host = host
    this.#state = reduce(initialState(size, dump.start), { type: 'resize', size }, dump).state
  }

  get state(): State {
    return this.#state
  }

  /** Something seen is not complete yet: there is work for idle time. */
  get pending(): boolean {
    return this.dump.world(this.#state.position).pending
  }

  lines(): Line[] {
    return screenLines(this.#state, this.dump)
  }

  handle(happening: Happening): void {
    const { state, effects } = reduce(this.#state, happening, this.dump)
    this.#state = state
    for (const effect of effects) {
      switch (effect.type) {
        case 'quit':
          return this.#host.quit()
        case 'suspend':
          return this.#host.suspend()
        case 'redraw':
          return this.#host.redraw()
        case 'copy':
          return this.#host.copy(effect.text)
        case 'interrupt':
          if (this.#shell !== undefined) this.#shell.interrupted = true
          return
        case 'complete':
          return this.#complete(effect.text)
        case 'run':
          this.running = this.#run(effect.text)
      }
    }
  }

  /** The command that runs; resolved while none does. */
  running: Promise<void> = Promise.resolve()

  /** One slice of what is left to do. */
  work(): void {
    this.handle({ type: 'tick' })
  }

  /** Do all that is left: what tests wait for. */
  async settle(): Promise<void> {
    await this.running
    while (this.pending) this.work()
  }

  /** The shell of the snapshot looked at; the task selected is its context. */
  #shellOfNow(): Shell {
    const { target } = this.dump.world(this.#state.position)
    if (this.#shell === undefined || this.#shellPosition !== this.#state.position) {
      const session = new Session(target)
      session.context.silent = true
      this.#shell = new Shell({ session, output: { write: () => undefined, note: () => undefined } })
      this.#shellPosition = this.#state.position
    }
    const subject = new Selection(this.#state, this.dump).row('tasks')?.subject
    if (subject !== undefined) this.#shell.session.context.task = subject.va
    return this.#shell
  }

  async #run(line: string): Promise<void> {
    const lines: string[] = []
    const tell = (running: boolean): void => {
      this.handle({ type: 'output', command: line, lines: [...lines], running })
      this.changed()
    }
    if (parseLine(line).kind === 'shell') {
      lines.push('Commands of the system are not run from here: Ctrl-Z leads to the shell, fg back.')
      return tell(false)
    }
    tell(true)
    const shell = this.#shellOfNow()
    shell.output = collector(lines, () => (shell.interrupted = true))
    try {
      await shell.execute(line)
      if (shell.interrupted) lines.push('(ended before its end)')
    } catch (error) {
      lines.push(error instanceof Error ? error.message : String(error))
    }
    tell(false)
  }

  #complete(text: string): void {
    const [choices, fragment] = completer(this.#shellOfNow())(text)
    const shared = sharedStart(choices)
    const grown =
      shared.length > fragment.length ? text.slice(0, text.length - fragment.length) + shared : text
    this.handle({ type: 'completed', text: choices.length === 1 ? `${grown} ` : grown, choices })
  }
}

/** Takes text apart into lines. @param full  called once there are too many */
function collector(lines: string[], full: () => void): Output {
  let open = ''
  const add = (text: string): void => {
    const parts = (open + text).split('\n')
    open = parts.pop() ?? ''
    if (lines.length >= OUTPUT_LINES) return full()
    for (const part of parts) lines.push(part.slice(0, LINE_LENGTH))
  }
  return {
    write: add,
    note: (text) => add(`${text}\n`),
    remark: (text) => add(`${text}\n`),
  }
}

function sharedStart(words: readonly string[]): string {
  const [first = '', ...rest] = words
  let length = first.length
  for (const word of rest) {
    while (!word.startsWith(first.slice(0, length))) length--
  }
  return first.slice(0, length)
}

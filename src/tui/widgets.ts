/**
 * The terminal, by blessed: the only file that knows it. Lines of styled spans in, keys and clicks out; whatever
 * ends the program, the terminal is left as it was found.
 */

import blessed from 'blessed'
import { charWidth, type Line } from './cell.ts'
import type { Size } from './layout.ts'
import type { MouseAction } from './mouse.ts'
import type { Look, Theme } from './theme.ts'

export interface TerminalEvents {
  /** @param ch  what was typed, of keys that are text */
  key(name: string, ch: string | undefined): void
  mouse(action: MouseAction, x: number, y: number): void
  /** the size changed, or the terminal came back from the shell: everything must be drawn */
  redraw(size: Size): void
  /** a signal, or an error nobody caught; the terminal is given back already */
  ended(status: number, error: unknown): void
}

export interface TerminalOptions {
  readonly theme: Theme
  readonly ascii: boolean
  readonly mouse: boolean
  readonly events: TerminalEvents
}

/** What blessed's types leave out. */
interface Inner {
  readonly lines: ([number, string][] & { dirty: boolean })[]
  readonly tput: { brokenACS: boolean; colors: number }
  readonly dattr: number
  alloc(): void
  draw(start: number, end: number): void
  destroy(): void
}
interface InnerProgram {
  readonly put: Record<'keypad_local' | 'keypad_xmit', () => void>
  readonly cols: number
  readonly rows: number
  on(
    event: 'keypress',
    listener: (ch: string | undefined, key: { name?: string; full: string }) => void,
  ): void
  on(
    event: 'mouse',
    listener: (event: { action: string; x: number; y: number; button?: string }) => void,
  ): void
  setMouse(modes: Record<string, boolean>, enable: boolean): void
  disableMouse(): void
  showCursor(): void
  hideCursor(): void
  normalBuffer(): void
  alternateBuffer(): void
  flush(): void
  write(text: string): void
}

/** @see signal(7) */
const FATAL = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const
/** Clicks and the wheel, no movements: they are many, and slow over ssh. */
const MOUSE = { vt200Mouse: true, sgrMouse: true }
const ACTIONS: Readonly<Record<string, MouseAction>> = {
  mousedown: 'click',
  wheelup: 'wheelUp',
  wheeldown: 'wheelDown',
}
const NO_COLOR = 0x1ff

export class Terminal {
  readonly #screen: Inner
  readonly #program: InnerProgram
  readonly #options: TerminalOptions
  readonly #attributes = new Map<Look, number>()
  readonly #listeners: [string, (error: unknown) => void][] = []
  #closed = false

  /** Take the terminal over. */
  constructor(options: TerminalOptions) {
    this.#options = options
    const screen = blessed.screen({
      // every terminal of today does what this entry says; others' entries trip blessed's parser
      terminal: 'xterm-256color',
      forceUnicode: !options.ascii,
      fullUnicode: false,
    })
    this.#screen = screen as unknown as Inner
    this.#program = screen.program as unknown as InnerProgram
    // lines are drawn as UTF-8 or ASCII, never by switching character sets
    this.#screen.tput.brokenACS = true
    this.#listen()
    this.#enableMouse()
  }

  get size(): Size {
    return { columns: this.#program.cols, rows: this.#program.rows }
  }

  /** Show these lines, each as wide as the screen; only cells that differ are sent. */
  draw(lines: readonly Line[]): void {
    if (this.#closed) return
    const { lines: rows } = this.#screen
    rows.forEach((row, y) => this.#drawRow(row, lines[y] ?? []))
    this.#screen.draw(0, rows.length - 1)
  }

  /** Draw everything anew at the next {@link draw}: something else wrote on the terminal. */
  forget(): void {
    this.#screen.alloc()
  }

  /** Put a text into the clipboard of the terminal, also over ssh (OSC 52). */
  copy(text: string): void {
    this.#program.write(`\x1b]52;c;${Buffer.from(text, 'utf8').toString('base64')}\x07`)
  }

  /** Give the terminal to the shell until `fg`. */
  suspend(): void {
    this.#leave()
    // the whole job, as Ctrl-Z does it: whoever started us must stop too
    process.kill(0, 'SIGSTOP')
  }

  /** Give the terminal back. */
  close(): void {
    if (this.#closed) return
    this.#leave()
    this.#closed = true
    for (const [event, listener] of this.#listeners) process.off(event, listener)
    this.#screen.destroy()
  }

  #drawRow(row: Inner['lines'][number], spans: Line): void {
    let x = 0
    const put = (attribute: number, char: string): void => {
      const cell = row[x++]
      if (cell === undefined || (cell[0] === attribute && cell[1] === char)) return
      cell[0] = attribute
      cell[1] = char
      row.dirty = true
    }
    for (const { text, style } of spans) {
      const attribute = this.#attribute(this.#options.theme[style])
      for (const char of text) {
        put(attribute, char)
        // the second column of a wide character holds nothing
        if (charWidth(char) === 2) put(attribute, '')
      }
    }
    while (x < row.length) put(this.#screen.dattr, ' ')
  }

  #attribute(look: Look): number {
    let found = this.#attributes.get(look)
    if (found === undefined) {
      const flags =
        (look.bold === true ? 1 : 0) | (look.underline === true ? 2 : 0) | (look.inverse === true ? 8 : 0)
      found = (flags << 18) | ((look.fg ?? NO_COLOR) << 9) | (look.bg ?? NO_COLOR)
      this.#attributes.set(look, found)
    }
    return found
  }

  #listen(): void {
    const { events } = this.#options
    this.#program.on('keypress', (ch, key) => {
      // blessed tells of Enter twice, as `return` and as `enter`
      if (this.#closed || key.full === 'return') return
      events.key(key.full === 'linefeed' ? 'enter' : key.full, ch)
    })
    if (this.#options.mouse) {
      this.#program.on('mouse', ({ action, x, y }) => {
        const known = ACTIONS[action]
        if (known !== undefined && !this.#closed) events.mouse(known, x, y)
      })
    }
    const resized = (): void => {
      setImmediate(() => {
        if (!this.#closed) events.redraw(this.size)
      })
    }
    process.stdout.on('resize', resized)
    this.#on('SIGCONT', () => this.#resume())
    this.#on('SIGTSTP', () => this.suspend())
    for (const [signal, number] of Object.entries(FATAL)) {
      this.#on(signal, () => this.#end(128 + number, undefined))
    }
    this.#on('uncaughtException', (error: unknown) => this.#end(1, error))
    this.#on('exit', () => this.close())
  }

  #on(event: string, listener: (error: unknown) => void): void {
    this.#listeners.push([event, listener])
    process.on(event, listener)
  }

  #end(status: number, error: unknown): void {
    this.close()
    this.#options.events.ended(status, error)
  }

  #enableMouse(): void {
    if (this.#options.mouse) this.#program.setMouse(MOUSE, true)
  }

  #leave(): void {
    if (this.#closed) return
    const program = this.#program
    program.put.keypad_local()
    program.disableMouse()
    program.showCursor()
    program.normalBuffer()
    program.flush()
    rawMode(false)
  }

  #resume(): void {
    if (this.#closed) return
    // who stopped us from outside left node believing that the mode is still raw
    rawMode(false)
    rawMode(true)
    process.stdin.resume()
    const program = this.#program
    program.alternateBuffer()
    program.put.keypad_xmit()
    program.hideCursor()
    this.#enableMouse()
    this.#screen.alloc()
    program.flush()
    this.#options.events.redraw(this.size)
  }
}

function rawMode(raw: boolean): void {
  if (process.stdin.isTTY) process.stdin.setRawMode(raw)
}

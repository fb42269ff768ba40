/** Where a session's text goes: the terminal, a pager, a pipe or a string; errors beside or between it. */

/** Somewhere to print. `note` takes a finished line without its newline. */
export interface Output {
  write(text: string): void
  note(line: string): void
  /** A line for the person beside, never among the text: stderr. */
  remark?(line: string): void
  /** Nobody reads any more (the pager was left): stop producing. */
  readonly ended?: boolean
  /** Resolves when more can be written without piling up. */
  ready?(): Promise<void>
}

/** Collects everything in order: what crash prints to one stream. */
export class TextOutput implements Output {
  text = ''
  write(text: string): void {
    this.text += text
  }
  note(line: string): void {
    this.text += `${line}\n`
  }
}

/** Text and notes to streams of their own; what a terminal would obey is escaped on its way to one. */
export class StreamOutput implements Output {
  readonly #out: NodeJS.WritableStream & { isTTY?: boolean }
  readonly #errors: NodeJS.WritableStream & { isTTY?: boolean }
  constructor(out: NodeJS.WritableStream, errors: NodeJS.WritableStream = out) {
    this.#out = out
    this.#errors = errors
  }
  write(text: string): void {
    this.#out.write(this.#out.isTTY === true ? withoutControls(text) : text)
  }
  note(line: string): void {
    this.#errors.write(this.#errors.isTTY === true ? `${withoutControls(line)}\n` : `${line}\n`)
  }
  remark(line: string): void {
    if (this.#errors !== this.#out) this.note(line)
  }
}

/* eslint-disable-next-line no-control-regex -- control characters are exactly what is looked for */
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f]/g

/** Show control characters (but newline and tab) as `\x1b`: text of a dump must not drive the terminal. */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** A real terminal: tmux with a shell in it, typed at and read back. */

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const hasTmux = spawnSync('tmux', ['-V']).status === 0

/** How long a screen may take to show what is waited for. */
const PATIENCE_MS = 30_000

export class Tmux {
  readonly folder = mkdtempSync(join(tmpdir(), 'coredrill-tmux-'))
  readonly #socket = join(this.folder, 'socket')

  /** @param env  of the shell in it, `NAME=value` each */
  constructor(columns: number, rows: number, env: readonly string[] = []) {
    const shell = [
      'env',
      '-u',
      'TMUX',
      '-u',
      'NO_COLOR',
      'PS1=$ ',
      'LC_ALL=C.UTF-8',
      ...env,
      'bash',
      '--norc',
      '--noprofile',
    ]
    this.#run(
      '-f',
      '/dev/null',
      'new-session',
      '-d',
      '-x',
      String(columns),
      '-y',
      String(rows),
      '-s',
      'test',
      ...shell,
    )
    this.#run('set', '-g', 'status', 'off')
  }

  /** Type a line at the shell. */
  line(text: string): void {
    this.#run('send-keys', '-t', 'test', '-l', text)
    this.keys('Enter')
  }

  /** Press keys by tmux's names; what begins with a quote is typed as text: `"ncat`. */
  keys(...keys: string[]): void {
    for (const key of keys) {
      if (key.startsWith('"')) this.#run('send-keys', '-t', 'test', '-l', key.slice(1))
      else this.#run('send-keys', '-t', 'test', key)
    }
  }

  resize(columns: number, rows: number): void {
    this.#run('resize-window', '-t', 'test', '-x', String(columns), '-y', String(rows))
  }

  /** The screen; with `styles` its escape sequences too. */
  screen(styles = false): string {
    const text = this.#run('capture-pane', '-t', 'test', '-p', ...(styles ? ['-e'] : []))
    return text
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n')
      .trimEnd()
  }

  /** Wait until the screen shows it, and then until it is still. */
  async until(shows: RegExp | string): Promise<string> {
    const end = Date.now() + PATIENCE_MS
    let last = ''
    for (;;) {
      const now = this.screen()
      const found = typeof shows === 'string' ? now.includes(shows) : shows.test(now)
      if (found && now === last) return now
      if (Date.now() > end) throw new Error(`the screen never showed ${String(shows)}:\n${now}`)
      last = now
      await new Promise((resolve) => setTimeout(resolve, 150))
    }
  }

  /** The terminal's modes, as `stty -g` tells them. */
  async modes(): Promise<string> {
    const name = `modes-${(this.#asked += 1)}`
    this.line(`stty -g > ${join(this.folder, name)}; echo told ${this.#asked}`)
    await this.until(new RegExp(`^told ${this.#asked}$`, 'm'))
    return readFileSync(join(this.folder, name), 'utf8')
  }
  #asked = 0

  close(): void {
    try {
      this.#run('kill-server')
    } finally {
      rmSync(this.folder, { recursive: true, force: true })
    }
  }

  #run(...args: string[]): string {
    return execFileSync('tmux', ['-S', this.#socket, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  }
}

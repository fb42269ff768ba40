/** The prompt's files: start files and the history. */

import { readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Output } from './output.ts'
import type { Shell } from './shell.ts'

const RC = '.coredrillrc'
const HISTORY = '.coredrill_history'
const HISTORY_LINES = 1000

/**
 * Take `~/.coredrillrc`, then `./.coredrillrc` as commands; only their errors are shown.
 *
 * @remarks crash takes any `./.crashrc`; a file someone else put into the folder of a dump could run programs, so ours
 * must belong to the user.
 */
export async function runStartFiles(shell: Shell, home = homedir(), here = process.cwd()): Promise<void> {
  const { output } = shell
  shell.output = errorsOnly(output)
  const ours = fileAt(join(home, RC))
  const local = fileAt(join(here, RC))
  if (ours !== undefined) await runStartFile(shell, ours, '.rchome')
  if (local !== undefined && local !== ours) {
    if (isOwn(local)) await runStartFile(shell, local, '.rclocal')
    else output.note(`crash: ${resolve(local)} belongs to someone else: not taken`)
  }
  shell.output = output
  shell.origin = 'input'
  shell.history.length = 0
}

async function runStartFile(shell: Shell, path: string, origin: '.rchome' | '.rclocal'): Promise<void> {
  shell.origin = origin
  try {
    await shell.executeFile(path)
  } catch (error) {
    shell.output.note(`crash: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function fileAt(path: string): string | undefined {
  try {
    return statSync(path).isFile() ? realpathSync(path) : undefined
  } catch {
    return undefined
  }
}

function isOwn(path: string): boolean {
  const { uid, mode } = statSync(path)
  const othersMayWrite = (mode & 0o002) !== 0
  return uid === (process.getuid?.() ?? uid) && !othersMayWrite
}

function errorsOnly(output: Output): Output {
  return { write: () => undefined, note: (line) => output.note(line) }
}

/** The lines of former sessions, oldest first; none when there is no such file. */
export function readHistory(path = join(homedir(), HISTORY)): string[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n')
    return lines.filter((line) => line !== '').slice(-HISTORY_LINES)
  } catch {
    return []
  }
}

/** Keep the last lines for the next session; a home that cannot be written is no reason to complain. */
export function writeHistory(lines: readonly string[], path = join(homedir(), HISTORY)): void {
  const text = lines.slice(-HISTORY_LINES).map((line) => `${line}\n`)
  try {
    const temporary = `${path}.${process.pid}.tmp`
    writeFileSync(temporary, text.join(''), { mode: 0o600 })
    renameSync(temporary, path)
  } catch {
    // The session was fine without.
  }
}

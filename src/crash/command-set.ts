/** The commands there are: the files of the commands folder, each imported only when it is used. */

import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { dirname, join } from 'node:path'
import { InvariantError } from '../base/errors.ts'
import type { DumpCommand } from './dump-command.ts'

/** A class that extends {@link DumpCommand}. */
export type DumpCommandClass = typeof DumpCommand

export class CommandSet {
  readonly #folder: string
  readonly #files = new Map<string, string>()
  readonly #classes = new Map<string, DumpCommandClass | undefined>()

  /** @param folder  the folder to look in; default: the one beside this program (sources or compiled) */
  constructor(folder = commandFolder()) {
    this.#folder = folder
    for (const file of readdirSync(folder)) {
      const name = /^([\w-]+)\.[jt]s$/.exec(file)?.[1]
      if (name !== undefined) this.#files.set(name, file)
    }
  }

  /** Names of all files, also of commands that do not inspect a dump (`record`). Sorted. */
  get names(): string[] {
    return [...this.#files.keys()].sort()
  }

  /** The crash command of that name; undefined when there is none or it does not inspect a dump. */
  async find(name: string): Promise<DumpCommandClass | undefined> {
    const file = this.#files.get(name)
    if (file === undefined) return undefined
    if (!this.#classes.has(name)) {
      const module = (await import(pathToFileURL(join(this.#folder, file)).href)) as { default?: unknown }
      this.#classes.set(name, isDumpCommand(module.default) ? module.default : undefined)
    }
    return this.#classes.get(name)
  }

  /** Every crash command with its name: imports them all. */
  async all(): Promise<[string, DumpCommandClass][]> {
    const found: [string, DumpCommandClass][] = []
    for (const name of this.names) {
      const Class = await this.find(name)
      if (Class !== undefined) found.push([name, Class])
    }
    return found
  }
}

/** Is it a class made for the crash prompt? Told by its static `answer`, so that nothing else need be imported. */
export function isDumpCommand(value: unknown): value is DumpCommandClass {
  return typeof value === 'function' && 'answer' in value && 'crashFlags' in value
}

/** The nearest `commands/` above this file: that of the sources, of what was compiled, or of the bundles. */
function commandFolder(): string {
  const here = fileURLToPath(import.meta.url)
  for (let folder = dirname(here); folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'commands'))) return join(folder, 'commands')
  }
  throw new InvariantError(`no commands folder above ${here}`)
}

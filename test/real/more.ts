/**
 * More dumps of real kernels: each folder below the one that COREDRILL_REAL_MORE names which has a `qemu-elf` and, in
 * `oracle/INDEX.tsv`, what genuine crash printed about it. `npm run fixtures:real -- --crash CRASH` makes such folders.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

export const moreFolder = process.env['COREDRILL_REAL_MORE']

/** A dump with its recordings. */
export interface MoreDump {
  readonly name: string
  readonly path: string
  readonly folder: string
}

export interface MoreEntry {
  readonly file: string
  readonly pid: number | undefined
  readonly command: string
  expected(): string
}

export function moreDumps(): MoreDump[] {
  if (moreFolder === undefined || !existsSync(moreFolder)) return []
  return readdirSync(moreFolder)
    .map((name) => join(moreFolder, name))
    .filter((folder) => ['qemu-elf', 'oracle/INDEX.tsv'].every((file) => existsSync(join(folder, file))))
    .map((folder) => ({ name: folder.slice(moreFolder.length + 1), path: join(folder, 'qemu-elf'), folder }))
}

/** What was recorded about a dump, in the order it was asked. */
export function moreEntries({ folder }: MoreDump): MoreEntry[] {
  const lines = readFileSync(join(folder, 'oracle/INDEX.tsv'), 'utf8').trimEnd().split('\n').slice(1)
  return lines.map((line) => {
    const [file = '', context = '-', command = ''] = line.split('\t')
    const path = join(folder, 'oracle', `${file}.txt`)
    const expected = (): string => {
      const bytes = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`))
      const text = bytes.toString('utf8')
      return text.slice(text.indexOf('\n') + 1)
    }
    return { file, pid: context === '-' ? undefined : Number(context), command, expected }
  })
}

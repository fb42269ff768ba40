/**
 * The user's folder of kernel indexes, one file per build id: `$XDG_CACHE_HOME/coredrill`, else `~/.cache/coredrill`.
 * Nothing depends on it: what cannot be read is ignored, what cannot be written is not.
 */

import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { basename, isAbsolute, join } from 'node:path'
import { decodeIndex, encodeIndex, MAX_INDEX, type KernelIndex } from './index-file.ts'

/** All files together; the least recently used go first. */
const MAX_BYTES = 128 << 20
const MAX_FILES = 32
const NAME = /^[0-9a-f]{8,64}\.(4|8)\.index$/
const DAY_MS = 86_400_000

/** One file of the folder. */
export interface CachedFile {
  readonly name: string
  readonly bytes: number
  readonly usedMs: number
}

/** Where indexes are kept; undefined when this user has no place for them. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const given = env['XDG_CACHE_HOME']
  // The specification says that a relative path is to be ignored.
  if (given !== undefined && isAbsolute(given)) return join(given, 'coredrill')
  const home = env['HOME'] ?? homedir()
  return isAbsolute(home) ? join(home, '.cache', 'coredrill') : undefined
}

export class IndexCache {
  readonly folder: string
  readonly #note: (line: string) => void

  /** @param note told what was used, written or refused */
  constructor(folder: string, note: (line: string) => void = () => undefined) {
    this.folder = folder
    this.#note = note
  }

  /** The index of that kernel; undefined when there is none that can be used. */
  load(buildId: string, pointerSize: 4 | 8): KernelIndex | undefined {
    const name = fileName(buildId, pointerSize)
    if (name === undefined) return undefined
    const path = join(this.folder, name)
    try {
      const bytes = readOwn(path)
      const index = typeof bytes === 'string' ? bytes : decodeIndex(bytes, buildId, pointerSize)
      this.#note(typeof index === 'string' ? `${path}: not used: ${index}` : `${path}: used`)
      return typeof index === 'string' ? undefined : index
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') this.#note(`${path}: not used: ${codeOf(error)}`)
      return undefined
    }
  }

  /** Keep an index; older ones may have to go. */
  store(index: KernelIndex): void {
    const name = fileName(index.buildId, index.pointerSize)
    if (name === undefined) return
    const path = join(this.folder, name)
    const fresh = `${path}.${process.pid}.new`
    try {
      const bytes = encodeIndex(index)
      if (bytes.length > MAX_INDEX) return
      mkdirSync(this.folder, { recursive: true, mode: 0o700 })
      writeFileSync(fresh, bytes, { flag: 'wx', mode: 0o600 })
      renameSync(fresh, path)
      this.#note(`${path}: written, ${bytes.length} bytes`)
      this.#evict(name)
    } catch (error) {
      this.#note(`${path}: cannot be written: ${codeOf(error)}`)
      this.#remove(basename(fresh))
    }
  }

  /** Remove what is there for a kernel: it is not true of it. */
  forget(buildId: string, pointerSize: 4 | 8): void {
    const name = fileName(buildId, pointerSize)
    if (name === undefined) return
    this.#note(`${join(this.folder, name)}: not used: the dump says otherwise`)
    this.#remove(name)
  }

  /** All indexes, most recently used first. */
  files(): CachedFile[] {
    let names: string[] = []
    try {
      names = readdirSync(this.folder)
    } catch {
      return []
    }
    const files = names.flatMap((name) => {
      const stat = NAME.test(name) ? statSync(join(this.folder, name), { throwIfNoEntry: false }) : undefined
      return stat?.isFile() === true ? [{ name, bytes: stat.size, usedMs: stat.mtimeMs }] : []
    })
    return files.sort((a, b) => b.usedMs - a.usedMs || (a.name < b.name ? -1 : 1))
  }

  /** Remove all indexes. @returns how many there were */
  clear(): number {
    const files = this.files()
    for (const { name } of files) this.#remove(name)
    return files.length
  }

  #evict(kept: string): void {
    let bytes = 0
    let count = 0
    const files = this.files()
    for (const file of [...files.filter((f) => f.name === kept), ...files.filter((f) => f.name !== kept)]) {
      bytes += file.bytes
      if (++count > MAX_FILES || bytes > MAX_BYTES) this.#remove(file.name)
    }
  }

  #remove(name: string): void {
    try {
      rmSync(join(this.folder, name), { force: true })
    } catch (error) {
      if (codeOf(error) !== 'ENOTDIR')
        this.#note(`${join(this.folder, name)}: cannot be removed: ${codeOf(error)}`)
    }
  }
}

/** Undefined for what is no build id: it comes from the dump. */
function fileName(buildId: string, pointerSize: 4 | 8): string | undefined {
  const name = `${buildId}.${pointerSize}.index`
  return NAME.test(name) ? name : undefined
}

/** The bytes of a regular file that is the user's own; else why not. */
function readOwn(path: string): Uint8Array | string {
  const fd = openSync(path, 'r')
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) return 'no regular file'
    if (process.getuid !== undefined && stat.uid !== process.getuid()) return "another user's"
    if (stat.size > MAX_INDEX) return 'too large'
    const bytes = new Uint8Array(stat.size)
    for (let done = 0; done < bytes.length;) {
      const count = readSync(fd, bytes, done, bytes.length - done, done)
      if (count === 0) return 'cut short'
      done += count
    }
    const now = Date.now()
    if (now - stat.mtimeMs > DAY_MS) utimesSync(path, now / 1000, now / 1000)
    return bytes
  } finally {
    closeSync(fd)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

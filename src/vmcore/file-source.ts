/** A dump file read by position: nothing is read before it is asked for. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { DumpError } from '../base/errors.ts'
import type { ByteSource } from './container.ts'

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  const words: Record<string, string> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EISDIR: 'is a directory',
    EIO: 'input/output error',
    EMFILE: 'too many open files',
  }
  return words[code] ?? code
}

/** Open `path` for reading. @throws DumpError UNREADABLE */
export function openFile(path: string): ByteSource {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    throw new DumpError('UNREADABLE', path, -1, reason(error))
  }
  const stat = fstatSync(fd)
  if (!stat.isFile()) {
    closeSync(fd)
    throw new DumpError(
      'UNREADABLE',
      path,
      -1,
      stat.isDirectory() ? 'is a directory' : 'is not a regular file',
    )
  }
  return new FileSource(path, fd, stat.size)
}

class FileSource implements ByteSource {
  readonly path: string
  readonly size: number
  readonly #fd: number
  #open = true

  constructor(path: string, fd: number, size: number) {
    this.path = path
    this.size = size
    this.#fd = fd
  }

  read(offset: number, length: number): Uint8Array {
    if (offset < 0 || length < 0 || offset + length > this.size) {
      throw new DumpError(
        'TRUNCATED',
        this.path,
        offset,
        `needs ${length} bytes here, but the file ends at ${this.size}`,
      )
    }
    const bytes = new Uint8Array(length)
    let done = 0
    while (done < length) {
      let n: number
      try {
        n = readSync(this.#fd, bytes, done, length - done, offset + done)
      } catch (error) {
        throw new DumpError('UNREADABLE', this.path, offset + done, reason(error))
      }
      if (n === 0) throw new DumpError('TRUNCATED', this.path, offset + done, 'the file became shorter')
      done += n
    }
    return bytes
  }

  close(): void {
    if (this.#open) closeSync(this.#fd)
    this.#open = false
  }
}

/** Writes a file to a temporary name first, so that it is whole or absent. */

import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { DumpError } from '../base/errors.ts'

/**
 * @param write  writes everything; its result is given back
 * @throws DumpError UNWRITABLE naming the path; nothing is left behind then, nor after what `write` throws
 */
export function writeWhole<T>(path: string, write: (out: FileWriter) => T): T {
  const temporary = `${path}.${process.pid}.tmp`
  let fd: number | undefined
  let created = false
  try {
    refuseSpecial(path)
    fd = openSync(temporary, 'wx')
    created = true
    const result = write(new FileWriter(fd))
    closeSync(fd)
    fd = undefined
    renameSync(temporary, path)
    return result
  } catch (error) {
    if (fd !== undefined) closeSync(fd)
    if (created) rmSync(temporary, { force: true })
    if (!(error instanceof Error && 'code' in error && 'syscall' in error)) throw error
    throw new DumpError('UNWRITABLE', path, -1, `cannot write: ${describe(String(error.code))}`)
  }
}

/** A rename would put a file in the place of a device, pipe or directory. */
function refuseSpecial(path: string): void {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there === undefined || there.isFile()) return
  const what = there.isDirectory() ? 'is a directory' : 'is no regular file'
  throw new DumpError('UNWRITABLE', path, -1, `cannot write: ${what}`)
}

function describe(code: string): string {
  const words: Record<string, string> = {
    ENOSPC: 'no space left on the device',
    EACCES: 'permission denied',
    ENOENT: 'no such directory',
    EROFS: 'read-only file system',
    EISDIR: 'is a directory',
    EDQUOT: 'disk quota exceeded',
    EFBIG: 'file too large',
    EEXIST: 'its temporary file is there already',
    ENAMETOOLONG: 'the name is too long',
  }
  return words[code] ?? code
}

/** Appends to a file, whatever the system takes at a time. */
export class FileWriter {
  readonly #fd: number
  position = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  write(bytes: Uint8Array): void {
    this.writeAt(this.position, bytes)
    this.position += bytes.length
  }

  writeAt(position: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;)
      done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done)
  }
}

/** What programs do with open files: whole lines in, whole texts out, and complaints as the C library words them. */

import { EINTR, strerror } from '../abi/errno.ts'
import type { Process } from './process.ts'

export const STDIN = 0
export const STDOUT = 1
export const STDERR = 2

/** Bytes a program asks for at once. */
const CHUNK = 16_384
/** Longer files are cut off: no text of a scenario is. */
const FILE_MAX = 64 << 20

type Call = Generator<unknown, number>

/** Write all of it. @returns 0 or -errno */
export function* writeAll(p: Process, fd: number, data: Uint8Array | string): Call {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data
  for (let done = 0; done < bytes.length;) {
    const n = yield* p.write(fd, bytes.subarray(done, done + CHUNK))
    if (n === -EINTR) continue
    if (n <= 0) return n
    done += n
  }
  return 0
}

/** Text to standard output. */
export const print = (p: Process, text: string): Call => writeAll(p, STDOUT, text)

/** A line to standard error. @returns 1, the exit status that goes with it */
export function* complain(p: Process, text: string): Call {
  yield* writeAll(p, STDERR, `${text}\n`)
  return 1
}

/** @param errno positive or negative @returns 1, the exit status that goes with it @see perror(3) */
export const perror = (p: Process, what: string, errno: number): Call =>
  complain(p, `${what}: ${strerror(Math.abs(errno))}`)

/** Everything up to the end of a file, or -errno. */
export function* readAll(p: Process, fd: number): Generator<unknown, Uint8Array | number> {
  const parts: Uint8Array[] = []
  for (let size = 0; size < FILE_MAX;) {
    const bytes = yield* p.read(fd, CHUNK)
    if (bytes === -EINTR) continue
    if (typeof bytes === 'number') return bytes
    if (bytes.length === 0) break
    parts.push(bytes)
    size += bytes.length
  }
  return Buffer.concat(parts)
}

/** A whole file by name, or -errno. */
export function* readFile(p: Process, path: string): Generator<unknown, Uint8Array | number> {
  const fd = yield* p.open(path, 0)
  if (fd < 0) return fd
  const bytes = yield* readAll(p, fd)
  yield* p.close(fd)
  return bytes
}

/** A whole file as text; undefined when it cannot be read. */
export function* readText(p: Process, path: string): Generator<unknown, string | undefined> {
  const bytes = yield* readFile(p, path)
  return typeof bytes === 'number' ? undefined : Buffer.from(bytes).toString('utf8')
}

/** The lines of a text; what follows the last newline is one when there is anything. */
export function linesOf(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** A program's own name, as its complaints begin. */
export const nameOf = (argv: readonly string[]): string => argv[0]?.split('/').at(-1) ?? ''

/**
 * Programs of the documents that make one system call by its number: `syscall` of the added call, and testers of fork
 * and open, each both as the bare call and as today's C library makes it.
 */

import { strerror } from '../abi/errno.ts'
import { O_CREAT, O_RDWR } from '../abi/fcntl.ts'
import { parseOptions } from './options.ts'
import type { Process, Program } from './process.ts'
import { complain, nameOf, print } from './stdio.ts'

/** The number of the added call: one of the gaps in the table of i386. */
const NR_OWN = 223
const EPERM = 1

/** What syscall(2) of the C library gives: -1 where the kernel returned an error. */
const librarySyscall = (result: number): number => (result < 0 && result > -4096 ? -1 : result)

/**
 * `syscall [STRING…]`: system call 223 with each string, the last one first.
 *
 * @remarks what it prints of an error is the text of the number that syscall(3) returned, -1, not of errno: "Operation
 * not permitted" whatever the kernel said.
 */
export const syscallTester = (argv: readonly string[]): Program =>
  function* (p) {
    const strings = argv.length === 1 ? ['DEFAULT STRING'] : argv.slice(1).reverse()
    for (const text of strings) {
      const mark = p.mark()
      const result = librarySyscall(yield* p.syscall(NR_OWN, p.string(text), Buffer.byteLength(text)))
      p.release(mark)
      if (result !== 0) {
        yield* complain(p, `syscall error ${result} : ${strerror(result === -1 ? EPERM : -result)}`)
        return result & 0xff
      }
      yield* print(p, `syscall return ${result}\n`)
    }
    return 0
  }

/**
 * `forktest [-l] [-n COUNT]`: fork with the system call of that name (SYS_fork); with `-l` as fork(3) of the C library
 * does it, which is clone(2).
 */
export const forkTester = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, values, error } = parseOptions(argv, 'ln:')
    if (error !== undefined) return yield* complain(p, `${nameOf(argv)}: ${error}`)
    const call = flags.has('l') ? 'clone' : 'fork'
    for (let i = 0; i < Number(values.get('n') ?? 1); i++) {
      const pid = yield* p.fork(child, { call })
      if (pid < 0) return yield* complain(p, `fork: ${strerror(-pid)}`)
      yield* p.wait(pid)
      yield* print(p, `parent: child ${pid}\n`)
    }
    return 0
  }

function* child(p: Process): Generator<unknown, number> {
  yield* print(p, `child: pid ${yield* p.syscall('getpid')}\n`)
  return 0
}

/**
 * `opentest [-l] [-c] FILE…`: open with the system call of that name (SYS_open); with `-l` as open(3) of the C library
 * does it, which is openat(2); `-c` creates the file.
 */
export const openTester = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, words, error } = parseOptions(argv, 'lc')
    if (error !== undefined) return yield* complain(p, `${nameOf(argv)}: ${error}`)
    if (words.length === 0) return yield* complain(p, `usage: ${nameOf(argv)} [-l] [-c] file...`)
    let status = 0
    for (const name of words) {
      const mode = flags.has('c') ? O_RDWR | O_CREAT : 0
      const mark = p.mark()
      const path = p.string(name)
      const fd = yield* flags.has('l')
        ? p.syscall('openat', -100, path, mode, 0o644)
        : p.syscall('open', path, mode, 0o644)
      p.release(mark)
      if (fd < 0) {
        status = yield* complain(p, `open ${name}: ${strerror(-fd)}`)
        continue
      }
      yield* print(p, `open ${name}: ${fd}\n`)
      yield* p.close(fd)
    }
    return status
  }

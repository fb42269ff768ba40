/** insmod and rmmod: the system calls behind modules, and what the tools say when they fail. @see kmod tools/insmod.c, tools/rmmod.c */

import { ENOENT, EWOULDBLOCK } from '../abi/errno.ts'
import { insmodError, insmodNoFile, rmmodError } from './kmod-text.ts'
import type { Program } from './process.ts'

const STDERR = 2

/** `insmod FILE.ko [param=value …]` @param argv with the program's name */
export const insmod = (argv: readonly string[]): Program =>
  function* (p) {
    const [, path, ...params] = argv
    if (path === undefined) {
      yield* p.write(STDERR, 'insmod: ERROR: missing filename.\n')
      return 1
    }
    const fd = yield* p.open(path, 0)
    if (fd < 0) {
      yield* p.write(STDERR, `${insmodNoFile(path, -fd)}\n`)
      return 1
    }
    const result = yield* p.syscall('finit_module', fd, p.string(params.join(' ')), 0)
    yield* p.close(fd)
    if (result === 0) return 0
    yield* p.write(STDERR, `${insmodError(path, -result)}\n`)
    return 1
  }

/** `rmmod NAME` */
export const rmmod = (argv: readonly string[]): Program =>
  function* (p) {
    const name = argv[1] ?? ''
    const result = yield* p.syscall('delete_module', p.string(name), 0x800)
    if (result === 0) return 0
    const problem = -result === ENOENT ? 'absent' : -result === EWOULDBLOCK ? 'in use' : -result
    yield* p.write(STDERR, `${rmmodError(name, problem)}\n`)
    return 1
  }

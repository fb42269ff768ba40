/** `sudo COMMAND [ARGUMENT…]`: as the superuser, without asking. @see sudo(8) */

import { EACCES, ENOENT, strerror } from '../abi/errno.ts'
import { execvpe } from './execve.ts'
import type { Program } from './process.ts'
import { complain } from './stdio.ts'

export const sudo = (argv: readonly string[]): Program =>
  function* (p) {
    const words = argv.slice(1)
    while (words[0]?.startsWith('-') === true && words[0].length > 1) words.shift()
    if (words.length === 0) return yield* complain(p, 'usage: sudo command [arg ...]')
    const result = yield* p.syscall('setuid', 0)
    if (result < 0) {
      return yield* complain(p, 'sudo: effective uid is not 0, is sudo installed setuid root?')
    }
    yield* p.syscall('setgid', 0)
    const error = -(yield* execvpe(p, words, p.envp))
    const [name = ''] = words
    if (error === ENOENT) return yield* complain(p, `sudo: ${name}: command not found`)
    return yield* complain(p, `sudo: unable to execute ${name}: ${strerror(error === 0 ? EACCES : error)}`)
  }

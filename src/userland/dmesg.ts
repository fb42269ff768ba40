/**
 * `dmesg [-cCrt]`: the kernel's log, as syslog(2) gives it.
 *
 * @see util-linux sys-utils/dmesg.c
 * @remarks as with `--syslog`: /dev/kmsg is not read
 */

import { strerror } from '../abi/errno.ts'
import { parseOptions } from './options.ts'
import type { Program } from './process.ts'
import { complain, linesOf, print } from './stdio.ts'

const SYSLOG_ACTION_READ_ALL = 3
const SYSLOG_ACTION_READ_CLEAR = 4
const SYSLOG_ACTION_CLEAR = 5
/** As much of the log as is asked for; older messages are left out. */
const BUFFER_BYTES = 96 << 10

export const dmesg = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, error } = parseOptions(argv, 'cCrtS', {
      'read-clear': 'c', clear: 'C', raw: 'r', notime: 't', syslog: 'S',
    }) // prettier-ignore
    if (error !== undefined) return yield* complain(p, `dmesg: ${error}`)
    if (flags.has('C')) {
      const cleared = yield* p.syscall('syslog', SYSLOG_ACTION_CLEAR, 0, 0)
      return cleared < 0 ? yield* complain(p, `dmesg: clear kernel buffer failed: ${strerror(-cleared)}`) : 0
    }
    const mark = p.mark()
    const at = p.alloc(BUFFER_BYTES)
    const action = flags.has('c') ? SYSLOG_ACTION_READ_CLEAR : SYSLOG_ACTION_READ_ALL
    const size = yield* p.syscall('syslog', action, at, BUFFER_BYTES)
    if (size < 0) return yield* complain(p, `dmesg: read kernel buffer failed: ${strerror(-size)}`)
    const text = Buffer.from(p.readUser(at, size)).toString('utf8')
    p.release(mark)
    const lines = linesOf(text).map((line) => {
      const plain = flags.has('r') ? line : line.replace(/^<\d+>/, '')
      return flags.has('t') ? plain.replace(/^(<\d+>)?\[ *\d+\.\d+\] /, '$1') : plain
    })
    if (lines.length > 0) yield* print(p, `${lines.join('\n')}\n`)
    return 0
  }

/**
 * ncat 7.9x: connects standard input and output to a TCP connection, or listens for one.
 *
 * @see ncat/ncat_main.c
 */

import { SIG_IGN, SIGPIPE } from '../abi/signal.ts'
import { NcatMemory } from './ncat/calls.ts'
import { ncatConnect } from './ncat/connect.ts'
import { ncatListen } from './ncat/listen.ts'
import { parseNcat } from './ncat/options.ts'
import type { Program } from './process.ts'

/** Exit status: 0, 1 after an error of the network, 2 when it could not begin. */
export const ncat = (argv: readonly string[]): Program =>
  function* (p) {
    const m = new NcatMemory(p)
    const options = parseNcat(argv)
    if (typeof options === 'string') {
      yield* m.print(2, options)
      return 2
    }
    yield* p.signal(SIGPIPE, SIG_IGN)
    if (options.verbose) yield* m.complain('Version 7.93 ( https://nmap.org/ncat )\n')
    return yield* options.listen ? ncatListen(m, options) : ncatConnect(m, options)
  }

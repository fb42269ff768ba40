/**
 * `tcpserv` and `tcpcli`: the server that sends back what it gets, and its client, with which connections through a
 * filter are tried.
 *
 * @remarks The server passes accept(2) the very structure it gave to bind(2): when the call is made, the address that is
 * to be filled in still holds the server's own port.
 */

import { EINTR } from '../../abi/errno.ts'
import { AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET } from '../../abi/socket.ts'
import { sockaddrIn } from '../ncat/calls.ts'
import { parseOptions } from '../options.ts'
import type { Process, Program } from '../process.ts'
import { complain, nameOf, perror, print, writeAll } from '../stdio.ts'
import { resolve } from './resolve.ts'
import { BUFFER_BYTES, peerAt, relay, setOption, withAddress } from './sockets.ts'

const DEFAULT_PORT = 51_000
const BACKLOG = 5
const SOCKADDR_BYTES = 16

function portOf(text: string | undefined): number | undefined {
  const port = text === undefined ? DEFAULT_PORT : Number(text)
  return Number.isInteger(port) && port > 0 && port < 65536 ? port : undefined
}

/** `tcpserv [-v] [-p PORT]` */
export const tcpserv = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, values, words, error } = parseOptions(argv, 'vp:')
    const port = portOf(values.get('p'))
    if (error !== undefined || words.length > 0 || port === undefined) {
      if (error !== undefined) yield* complain(p, `${nameOf(argv)}: ${error}`)
      return yield* complain(p, `usage: ${nameOf(argv)} [-v] [-p port]`)
    }
    const fd = yield* p.syscall('socket', AF_INET, SOCK_STREAM, 0)
    if (fd < 0) return yield* perror(p, "server: can't open stream socket", fd)
    yield* setOption(p, fd, SOL_SOCKET, SO_REUSEADDR, 1)
    const address = p.data(sockaddrIn(undefined, port))
    const bound = yield* p.syscall('bind', fd, address, SOCKADDR_BYTES)
    if (bound < 0) return yield* perror(p, "server: can't bind local address", bound)
    const listening = yield* p.syscall('listen', fd, BACKLOG)
    if (listening < 0) return yield* perror(p, "server: can't listen", listening)
    if (flags.has('v')) yield* print(p, `listening on the TCP port ${port}\n`)
    return yield* serve(p, fd, address, flags.has('v'))
  }

/** One client after the other. @returns exit status */
function* serve(p: Process, listener: number, address: number, verbose: boolean): Generator<unknown, number> {
  const length = p.data(Uint8Array.of(SOCKADDR_BYTES, 0, 0, 0))
  for (;;) {
    const fd = yield* p.syscall('accept', listener, address, length)
    if (fd === -EINTR) continue
    if (fd < 0) return yield* perror(p, 'denied TCP port', fd)
    const { ip, port } = peerAt(p, address)
    if (verbose) yield* print(p, `connection from ${ip}:${port}\n`)
    for (;;) {
      const bytes = yield* p.read(fd, BUFFER_BYTES)
      if (bytes === -EINTR) continue
      if (typeof bytes === 'number' || bytes.length === 0) break
      if ((yield* writeAll(p, fd, bytes)) < 0) break
    }
    yield* p.close(fd)
  }
}

/** `tcpcli [-v] [-h HOST] [-p PORT]`: lines of standard input to the server, its answers to standard output. */
export const tcpcli = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, values, words, error } = parseOptions(argv, 'vh:p:')
    const port = portOf(values.get('p'))
    if (error !== undefined || words.length > 0 || port === undefined) {
      if (error !== undefined) yield* complain(p, `${nameOf(argv)}: ${error}`)
      return yield* complain(p, `usage: ${nameOf(argv)} [-v] [-h host] [-p port]`)
    }
    const host = values.get('h') ?? '127.0.0.1'
    const ip = yield* resolve(p, host)
    if (ip === undefined) return yield* complain(p, `client: unknown host ${host}`)
    const fd = yield* p.syscall('socket', AF_INET, SOCK_STREAM, 0)
    if (fd < 0) return yield* perror(p, "client: can't open stream socket", fd)
    const result = yield* withAddress(p, 'connect', fd, ip, port)
    if (result < 0) return yield* perror(p, "client: can't connect to server", result)
    if (flags.has('v')) yield* print(p, `connected to ${ip}:${port}\n`)
    const ended = yield* relay(p, fd, { shutdown: true })
    return ended < 0 ? yield* perror(p, 'client: read error', ended) : 0
  }

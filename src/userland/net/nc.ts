/**
 * `nc`: netcat of OpenBSD, as Debian has it: TCP and UDP, as client and as listener.
 *
 * @see netcat-openbsd netcat.c
 * @remarks IPv4 alone; no proxies, no TLS, no UNIX sockets, no commands to run.
 */

import { EINTR, strerror } from '../../abi/errno.ts'
import { AF_INET, MSG_PEEK, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET } from '../../abi/socket.ts'
import { parseOptions } from '../options.ts'
import type { Process, Program } from '../process.ts'
import { complain } from '../stdio.ts'
import { resolve } from './resolve.ts'
import { accept, peerAt, relay, setOption, withAddress, type Peer, type RelayOptions } from './sockets.ts'

type Call = Generator<unknown, number>

const USAGE = [
  'usage: nc [-46hklNnuvz] [-p source_port] [-q seconds] [-s sourceaddr]',
  '\t  [-w timeout] [destination] [port]',
].join('\n')
const SOCKADDR_BYTES = 16
const PEEK_BYTES = 2048

interface Options {
  readonly udp: boolean
  readonly verbose: boolean
  readonly keep: boolean
  readonly scan: boolean
  readonly relay: RelayOptions
  readonly sourceHost: string | undefined
  readonly sourcePort: number | undefined
}

export const nc = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, values, words, error } = parseOptions(argv, '46dhklNnruvzp:q:s:w:')
    if (error !== undefined) {
      yield* complain(p, `nc: ${error}`)
      return yield* complain(p, USAGE)
    }
    if (flags.has('h')) {
      yield* complain(p, 'OpenBSD netcat (Debian patchlevel 1.219-1)')
      return yield* complain(p, USAGE)
    }
    const number = (letter: string): number | undefined => {
      const text = values.get(letter)
      return text === undefined ? undefined : Number(text)
    }
    const wait = number('w')
    const quit = number('q')
    const options: Options = {
      udp: flags.has('u'),
      verbose: flags.has('v'),
      keep: flags.has('k'),
      scan: flags.has('z'),
      relay: {
        noStdin: flags.has('d'),
        shutdown: flags.has('N'),
        datagrams: flags.has('u'),
        ...(wait !== undefined && { timeoutMs: wait * 1000 }),
        ...(quit !== undefined && quit >= 0 && { quitAfterMs: quit * 1000 }),
      },
      sourceHost: values.get('s'),
      sourcePort: number('p'),
    }
    if (options.keep && !flags.has('l')) return yield* complain(p, 'nc: must use -l with -k')
    return yield* flags.has('l') ? listener(p, options, words) : client(p, options, words)
  }

const isPort = (port: number | undefined): port is number =>
  port !== undefined && Number.isInteger(port) && port > 0 && port < 65536

/** `-l [-p PORT] [HOST] [PORT]` */
function* listener(p: Process, options: Options, words: readonly string[]): Call {
  const alone = words.length === 1 && options.sourcePort === undefined
  const host = alone ? undefined : words[0]
  const portText = alone ? words[0] : words[1]
  const port = portText === undefined ? options.sourcePort : Number(portText)
  if (port === undefined) return yield* complain(p, USAGE)
  if (!isPort(port)) return yield* complain(p, `nc: port number invalid: ${portText ?? port}`)
  const local = host ?? options.sourceHost
  const fd = yield* bound(p, options, local, port)
  if (fd < 0) return yield* complain(p, `nc: ${strerror(-fd)}`)
  if (options.verbose) {
    yield* complain(p, `${options.udp ? 'Bound' : 'Listening'} on ${local ?? '0.0.0.0'} ${port}`)
  }
  return yield* options.udp ? listenUdp(p, fd, options) : listenTcp(p, fd, options)
}

/** A socket with its own address. */
function* bound(p: Process, options: Options, host: string | undefined, port: number): Call {
  const fd = yield* p.syscall('socket', AF_INET, options.udp ? SOCK_DGRAM : SOCK_STREAM, 0)
  if (fd < 0) return fd
  yield* setOption(p, fd, SOL_SOCKET, SO_REUSEADDR, 1)
  const result = yield* withAddress(p, 'bind', fd, host, port)
  if (result >= 0) return fd
  yield* p.close(fd)
  return result
}

function* listenTcp(p: Process, fd: number, options: Options): Call {
  const listening = yield* p.syscall('listen', fd, 1)
  if (listening < 0) return yield* complain(p, `nc: listen: ${strerror(-listening)}`)
  for (;;) {
    const { fd: connection, peer } = yield* accept(p, fd)
    if (connection === -EINTR) continue
    if (connection < 0) return yield* complain(p, `nc: accept: ${strerror(-connection)}`)
    if (options.verbose) yield* received(p, peer)
    if (!options.keep) yield* p.close(fd)
    const result = yield* relay(p, connection, options.relay)
    yield* p.close(connection)
    if (!options.keep) return result < 0 ? 1 : 0
  }
}

const received = (p: Process, { ip, port }: Peer): Call => complain(p, `Connection received on ${ip} ${port}`)

/** The first datagram says who the other end is: from then on the socket is connected to it. */
function* listenUdp(p: Process, fd: number, options: Options): Call {
  if (options.keep) return (yield* relay(p, fd, options.relay)) < 0 ? 1 : 0
  const mark = p.mark()
  const at = p.alloc(SOCKADDR_BYTES)
  const length = p.data(Uint8Array.of(SOCKADDR_BYTES, 0, 0, 0))
  const buffer = p.alloc(PEEK_BYTES)
  let size = -EINTR
  while (size === -EINTR) size = yield* p.syscall('recvfrom', fd, buffer, PEEK_BYTES, MSG_PEEK, at, length)
  if (size < 0) return yield* complain(p, `nc: recvfrom: ${strerror(-size)}`)
  const connected = yield* p.syscall('connect', fd, at, SOCKADDR_BYTES)
  const peer = peerAt(p, at)
  p.release(mark)
  if (connected < 0) return yield* complain(p, `nc: connect: ${strerror(-connected)}`)
  if (options.verbose) yield* received(p, peer)
  return (yield* relay(p, fd, options.relay)) < 0 ? 1 : 0
}

/** `[-s HOST] [-p PORT] HOST PORT` */
function* client(p: Process, options: Options, words: readonly string[]): Call {
  const [host, portText] = words
  if (host === undefined || portText === undefined || words.length > 2) return yield* complain(p, USAGE)
  const port = Number(portText)
  if (!isPort(port)) return yield* complain(p, `nc: port number invalid: ${portText}`)
  const ip = yield* resolve(p, host)
  if (ip === undefined)
    return yield* complain(p, `nc: getaddrinfo for host "${host}" port ${port}: Name or service not known`)
  const { udp, sourceHost, sourcePort } = options
  const own = sourceHost !== undefined || sourcePort !== undefined
  const fd = yield* own
    ? bound(p, options, sourceHost, sourcePort ?? 0)
    : p.syscall('socket', AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0)
  if (fd < 0) return yield* complain(p, `nc: bind failed: ${strerror(-fd)}`)
  const result = yield* withAddress(p, 'connect', fd, ip, port)
  const kind = udp ? 'udp' : 'tcp'
  if (result < 0) {
    if (options.verbose)
      yield* complain(p, `nc: connect to ${host} port ${port} (${kind}) failed: ${strerror(-result)}`)
    return 1
  }
  if (options.verbose) yield* complain(p, `Connection to ${host} ${port} port [${kind}/*] succeeded!`)
  if (options.scan) return 0
  return (yield* relay(p, fd, options.relay)) < 0 ? 1 : 0
}

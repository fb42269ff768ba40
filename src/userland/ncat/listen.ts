/**
 * `ncat -l`: a listener for each family, then one loop over select(2): new connections, bytes from the peers to
 * standard output, bytes of standard input to every peer.
 *
 * @see ncat/ncat_listen.c:ncat_listen_stream
 * @remarks The order of calls is that of ncat 7.93 under strace.
 */

import { EADDRINUSE, EAGAIN, EINTR, strerror } from '../../abi/errno.ts'
import { IPPROTO_TCP, IPV6_V6ONLY } from '../../abi/in.ts'
import {
  AF_INET,
  AF_INET6,
  SHUT_WR,
  SO_REUSEADDR,
  SOCK_STREAM,
  SOL_IPV6,
  SOL_SOCKET,
} from '../../abi/socket.ts'
import { BUFFER_BYTES, NcatMemory, sockaddrIn, sockaddrIn6, type Call } from './calls.ts'
import type { NcatOptions } from './options.ts'

const BACKLOG = 10
const STDIN = 0
const STDOUT = 1
/** What ncat exits with when it quits by itself. */
const QUIT = 2

/** @returns exit status */
export function* ncatListen(m: NcatMemory, options: NcatOptions): Call {
  const listeners = yield* openListeners(m, options)
  if (typeof listeners === 'number') return listeners
  const loop = new Loop(m, options, listeners)
  return yield* loop.run()
}

/** IPv6 first, then IPv4, as ncat has its list. @returns an exit status when neither can be had */
function* openListeners(m: NcatMemory, options: NcatOptions): Generator<unknown, number[] | number> {
  const families = options.host !== undefined ? [4] : options.family !== undefined ? [options.family] : [6, 4]
  const listeners: number[] = []
  let failure = 0
  for (const family of families) {
    const fd = yield* openListener(m, options, family === 6 ? AF_INET6 : AF_INET)
    if (fd >= 0) listeners.push(fd)
    else failure = -fd
  }
  if (listeners.length > 0) return listeners
  const place = `${options.host ?? (families.at(-1) === 6 ? '::' : '0.0.0.0')}:${options.port}`
  yield* m.complain(`bind to ${place}: ${strerror(failure || EADDRINUSE)}.`)
  yield* m.print(2, ' QUITTING.\n')
  return QUIT
}

function* openListener(m: NcatMemory, { host, port, verbose }: NcatOptions, family: number): Call {
  const fd = yield* m.call('socket', family, SOCK_STREAM, IPPROTO_TCP)
  if (fd < 0) return fd
  yield* m.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1)
  if (family === AF_INET6) yield* m.setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, 1)
  const bound = yield* m.bind(fd, family === AF_INET6 ? sockaddrIn6(port) : sockaddrIn(host, port))
  if (bound < 0) return bound
  const listening = yield* m.call('listen', fd, BACKLOG)
  if (listening < 0) return listening
  if (verbose) {
    const shown = host ?? (family === AF_INET6 ? '::' : '0.0.0.0')
    yield* m.complain(`Listening on ${shown}:${port}\n`)
  }
  yield* m.setNonblock(fd, true)
  return fd
}

class Loop {
  private readonly m: NcatMemory
  private readonly options: NcatOptions
  private readonly listeners: number[]
  private readonly peers: number[] = []
  private stdinOpen = true

  constructor(m: NcatMemory, options: NcatOptions, listeners: number[]) {
    this.m = m
    this.options = options
    this.listeners = listeners
  }

  *run(): Call {
    for (;;) {
      const ready = new Set(this.watched())
      const count = yield* this.m.select(ready)
      if (count === -EINTR) continue
      if (count < 0) return QUIT
      for (const fd of [...ready].sort((a, b) => a - b)) {
        const status = yield* this.handle(fd)
        if (status !== undefined) return status
      }
    }
  }

  /** Standard input is watched once somebody is there to hear it. */
  private watched(): number[] {
    const stdin = this.peers.length > 0 && this.stdinOpen && !this.options.recvOnly ? [STDIN] : []
    return [...stdin, ...this.listeners, ...this.peers]
  }

  private *handle(fd: number): Generator<unknown, number | undefined> {
    if (this.listeners.includes(fd)) return yield* this.accept(fd)
    if (fd === STDIN && !this.peers.includes(fd)) return yield* this.broadcast()
    if (this.peers.includes(fd)) return yield* this.receive(fd)
    return undefined
  }

  private *accept(listener: number): Generator<unknown, number | undefined> {
    const fd = yield* this.m.accept(listener)
    if (fd < 0) return undefined
    if (!this.options.keepOpen) {
      // one connection was all we wanted: nobody else gets in
      for (const other of this.listeners.splice(0)) yield* this.m.call('close', other)
    }
    yield* this.m.setNonblock(fd, true)
    this.peers.push(fd)
    return undefined
  }

  /** Bytes of a peer to standard output. What goes wrong, end of file included, ends the peer. */
  private *receive(fd: number): Generator<unknown, number | undefined> {
    const { m } = this
    const count = yield* m.call('recvfrom', fd, m.buffer, BUFFER_BYTES, 0, 0, 0)
    if (count === -EAGAIN) return undefined
    if (count > 0) {
      yield* writeAll(m, STDOUT, count)
      return undefined
    }
    yield* m.call('close', fd)
    this.peers.splice(this.peers.indexOf(fd), 1)
    if (this.options.keepOpen) return undefined
    return count < 0 ? 1 : 0
  }

  /** Standard input to every peer; its end is passed on by shutting down our side. */
  private *broadcast(): Generator<unknown, number | undefined> {
    const { m } = this
    const count = yield* m.call('read', STDIN, m.buffer, BUFFER_BYTES)
    if (count > 0) {
      for (const fd of [...this.peers]) yield* this.sendTo(fd, count)
      return undefined
    }
    this.stdinOpen = false
    for (const fd of this.peers) yield* m.call('shutdown', fd, SHUT_WR)
    return undefined
  }

  /** ncat sends blocking, whatever it did to the socket before. */
  private *sendTo(fd: number, count: number): Generator<unknown, void> {
    const { m } = this
    yield* m.setNonblock(fd, false)
    for (let done = 0; done < count;) {
      const sent = yield* m.call('sendto', fd, m.buffer + done, count - done, 0, 0, 0)
      if (sent < 0) break
      done += sent
    }
    yield* m.setNonblock(fd, true)
  }
}

/** Write the first `count` bytes of the buffer. */
export function* writeAll(m: NcatMemory, fd: number, count: number): Generator<unknown, void> {
  for (let done = 0; done < count;) {
    const written = yield* m.call('write', fd, m.buffer + done, count - done)
    if (written < 0) return
    done += written
  }
}

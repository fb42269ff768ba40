/**
 * `ncat HOST PORT`: a connection without blocking, then bytes both ways until the peer closes.
 *
 * @see ncat/ncat_connect.c, nsock/src/nsock_core.c
 * @remarks The order of calls is that of ncat 7.93 under strace, without nsock's calls on what is no socket.
 */

import { EAGAIN, EINPROGRESS, EINTR, ETIMEDOUT, strerror } from '../../abi/errno.ts'
import { IPPROTO_TCP } from '../../abi/in.ts'
import { AF_INET, SHUT_WR, SO_ERROR, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET } from '../../abi/socket.ts'
import { BUFFER_BYTES, NcatMemory, sockaddrIn, type Call } from './calls.ts'
import { writeAll } from './listen.ts'
import type { NcatOptions } from './options.ts'

const STDIN = 0
const STDOUT = 1
const CONNECT_TIMEOUT_NS = 10_000_000_000

/** @returns exit status */
export function* ncatConnect(m: NcatMemory, options: NcatOptions): Call {
  const fd = yield* m.call('socket', AF_INET, SOCK_STREAM, IPPROTO_TCP)
  if (fd < 0) return 1
  yield* m.setNonblock(fd, true)
  if (options.sourcePort !== undefined) {
    yield* m.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    yield* m.bind(fd, sockaddrIn(undefined, options.sourcePort))
  }
  const error = yield* connected(m, fd, options)
  if (error !== 0) {
    yield* m.complain(error === ETIMEDOUT ? 'TIMEOUT.\n' : `${strerror(error)}.\n`)
    return 1
  }
  return yield* exchange(m, fd, options)
}

/** @returns 0, or the error of the connection attempt */
function* connected(m: NcatMemory, fd: number, { host, port }: NcatOptions): Call {
  const begun = yield* m.connect(fd, sockaddrIn(host, port))
  if (begun === 0) return 0
  if (begun !== -EINPROGRESS) return -begun
  const one = new Set([fd])
  const count = yield* m.select(one, new Set(one), new Set(one), CONNECT_TIMEOUT_NS)
  if (count === 0) return ETIMEDOUT
  return count < 0 ? -count : yield* m.getsockopt(fd, SOL_SOCKET, SO_ERROR)
}

/** Standard input to the peer, the peer to standard output, until the peer has no more. */
function* exchange(m: NcatMemory, fd: number, options: NcatOptions): Call {
  let stdinOpen = !options.recvOnly
  for (;;) {
    const read = new Set(stdinOpen ? [STDIN, fd] : [fd])
    const count = yield* m.select(read, new Set(), new Set(stdinOpen ? [STDIN, fd] : [fd]))
    if (count === -EINTR) continue
    if (count < 0) return 1
    if (read.has(fd)) {
      const status = yield* receive(m, fd)
      if (status !== undefined) return status
    }
    if (stdinOpen && read.has(STDIN)) {
      stdinOpen = yield* forward(m, fd)
      if (!stdinOpen && options.sendOnly) return 0
    }
  }
}

/** @returns an exit status when the connection is over */
function* receive(m: NcatMemory, fd: number): Generator<unknown, number | undefined> {
  const count = yield* m.call('recvfrom', fd, m.buffer, BUFFER_BYTES, 0, 0, 0)
  if (count === -EAGAIN) return undefined
  if (count > 0) {
    yield* writeAll(m, STDOUT, count)
    return undefined
  }
  if (count < 0) yield* m.complain(`${strerror(-count)}.\n`)
  else yield* m.call('close', STDOUT)
  yield* m.call('close', fd)
  return count < 0 ? 1 : 0
}

/** @returns whether standard input may have more */
function* forward(m: NcatMemory, fd: number): Generator<unknown, boolean> {
  const count = yield* m.call('read', STDIN, m.buffer, BUFFER_BYTES)
  if (count === -EAGAIN) return true
  if (count <= 0) {
    yield* m.call('shutdown', fd, SHUT_WR)
    return false
  }
  for (let done = 0; done < count;) {
    yield* m.select(new Set([fd]), new Set([fd]), new Set([fd]))
    const sent = yield* m.call('sendto', fd, m.buffer + done, count - done, 0, 0, 0)
    if (sent < 0 && sent !== -EAGAIN) break
    done += Math.max(sent, 0)
  }
  return true
}

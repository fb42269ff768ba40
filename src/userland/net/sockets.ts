/** Sockets from a program: addresses in its own memory, and the two-way copying that clients and servers do. */

import { EAGAIN, EINTR } from '../../abi/errno.ts'
import { EPOLLERR, EPOLLHUP, EPOLLIN } from '../../abi/poll.ts'
import { SHUT_WR } from '../../abi/socket.ts'
import { sockaddrIn } from '../ncat/calls.ts'
import type { Process } from '../process.ts'
import { writeAll } from '../stdio.ts'

type Call = Generator<unknown, number>

export const BUFFER_BYTES = 16_384
const SOCKADDR_BYTES = 16

/** bind(2) or connect(2) to an address of IPv4. @param host dotted quad; all addresses when left out */
export function* withAddress(
  p: Process,
  call: 'bind' | 'connect',
  fd: number,
  host: string | undefined,
  port: number,
): Call {
  const mark = p.mark()
  const result = yield* p.syscall(call, fd, p.data(sockaddrIn(host, port)), SOCKADDR_BYTES)
  p.release(mark)
  return result
}

/** setsockopt(2) of an `int`. */
export function* setOption(p: Process, fd: number, level: number, option: number, value: number): Call {
  const mark = p.mark()
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  const result = yield* p.syscall('setsockopt', fd, level, option, p.data(bytes), 4)
  p.release(mark)
  return result
}

export interface Peer {
  readonly ip: string
  readonly port: number
}

/** A `struct sockaddr_in` of the program's memory. */
export function peerAt(p: Process, at: number): Peer {
  const bytes = Buffer.from(p.readUser(at, 8))
  return { ip: [...bytes.subarray(4)].join('.'), port: bytes.readUInt16BE(2) }
}

/** accept(2). @returns the descriptor and the other end, or -errno */
export function* accept(p: Process, fd: number): Generator<unknown, { fd: number; peer: Peer }> {
  const mark = p.mark()
  const at = p.alloc(SOCKADDR_BYTES)
  p.writeUser(at, new Uint8Array(SOCKADDR_BYTES))
  const length = p.data(Uint8Array.of(SOCKADDR_BYTES, 0, 0, 0))
  const result = yield* p.syscall('accept', fd, at, length)
  const found = { fd: result, peer: peerAt(p, at) }
  p.release(mark)
  return found
}

/** poll(2) for input. @returns the descriptors that have some, or an end of it */
export function* pollIn(
  p: Process,
  fds: readonly number[],
  timeoutMs: number,
): Generator<unknown, number[] | number> {
  const mark = p.mark()
  const bytes = Buffer.alloc(8 * fds.length)
  fds.forEach((fd, i) => {
    bytes.writeInt32LE(fd, i * 8)
    bytes.writeInt16LE(EPOLLIN, i * 8 + 4)
  })
  const at = p.data(bytes)
  const count = yield* p.syscall('poll', at, fds.length, timeoutMs)
  const ready = Buffer.from(p.readUser(at, bytes.length))
  p.release(mark)
  if (count < 0) return count
  return fds.filter((_, i) => (ready.readInt16LE(i * 8 + 6) & (EPOLLIN | EPOLLHUP | EPOLLERR)) !== 0)
}

export interface RelayOptions {
  /** do not read standard input */
  readonly noStdin?: boolean
  /** shut our side down at the end of input (`nc -N`) */
  readonly shutdown?: boolean
  /** a datagram of no bytes is no end */
  readonly datagrams?: boolean
  /** end this long after the end of input; for ever when left out */
  readonly quitAfterMs?: number
  /** idle time after which it ends */
  readonly timeoutMs?: number
}

/**
 * Standard input to the network, the network to standard output, until the other end closes.
 * @returns 0, or -errno of the network
 */
export function* relay(p: Process, net: number, options: RelayOptions = {}): Call {
  let stdin = options.noStdin !== true
  let timeout = options.timeoutMs ?? -1
  for (;;) {
    const ready = yield* pollIn(p, stdin ? [0, net] : [net], timeout)
    if (ready === -EINTR) continue
    if (typeof ready === 'number') return ready
    if (ready.length === 0) return 0
    if (ready.includes(net)) {
      const bytes = yield* p.read(net, BUFFER_BYTES)
      if (typeof bytes === 'number') {
        if (bytes !== -EAGAIN && bytes !== -EINTR) return bytes
      } else if (bytes.length > 0) yield* writeAll(p, 1, bytes)
      else if (options.datagrams !== true) return 0
    }
    if (!stdin || !ready.includes(0)) continue
    const typed = yield* p.read(0, BUFFER_BYTES)
    if (typeof typed !== 'number' && typed.length > 0) {
      const sent = yield* writeAll(p, net, typed)
      if (sent < 0) return sent
      continue
    }
    stdin = false
    if (options.shutdown === true) yield* p.syscall('shutdown', net, SHUT_WR)
    if (options.quitAfterMs !== undefined) timeout = options.quitAfterMs
  }
}

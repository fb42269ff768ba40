/**
 * Names to addresses, as the C library asks: /etc/hosts, then the name server of /etc/resolv.conf, over UDP.
 *
 * @see getaddrinfo(3), resolver(5)
 * @remarks one server, one question for an A record, one attempt
 */

import { AF_INET, SOCK_DGRAM } from '../../abi/socket.ts'
import type { Process } from '../process.ts'
import { linesOf, readText } from '../stdio.ts'
import { pollIn, withAddress } from './sockets.ts'

const DNS_PORT = 53
const TIMEOUT_MS = 5000
const NAME_SERVER = '127.0.0.1'
const QUAD = /^\d{1,3}(\.\d{1,3}){3}$/

/** @returns a dotted quad; undefined: nobody knows the name */
export function* resolve(p: Process, name: string): Generator<unknown, string | undefined> {
  if (QUAD.test(name)) return name
  const hosts = linesOf((yield* readText(p, '/etc/hosts')) ?? '')
  const words = hosts.map((line) => line.replace(/#.*/, '').trim().split(/\s+/))
  const known = words.find(([address, ...names]) => QUAD.test(address ?? '') && names.includes(name))?.[0]
  if (known !== undefined) return known
  if (name === 'localhost') return '127.0.0.1'
  return yield* askServer(p, name)
}

function* askServer(p: Process, name: string): Generator<unknown, string | undefined> {
  const conf = (yield* readText(p, '/etc/resolv.conf')) ?? ''
  const server = /^nameserver\s+(\d+(?:\.\d+){3})/m.exec(conf)?.[1] ?? NAME_SERVER
  const fd = yield* p.syscall('socket', AF_INET, SOCK_DGRAM, 0)
  if (fd < 0) return undefined
  let answer: string | undefined
  if ((yield* withAddress(p, 'connect', fd, server, DNS_PORT)) === 0) {
    yield* p.write(fd, question(name))
    const ready = yield* pollIn(p, [fd], TIMEOUT_MS)
    const bytes = typeof ready === 'number' || ready.length === 0 ? -1 : yield* p.read(fd, 1024)
    if (typeof bytes !== 'number') answer = firstAddress(Buffer.from(bytes))
  }
  yield* p.close(fd)
  return answer
}

/** A query for the A record. @see RFC 1035 4.1 */
function question(name: string): Uint8Array {
  const labels = name.split('.').flatMap((label) => [Uint8Array.of(label.length), Buffer.from(label)])
  const header = Uint8Array.of(0x1d, 0x0b, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0)
  return Buffer.concat([header, ...labels, Uint8Array.of(0, 0, 1, 0, 1)])
}

/** The address in the first A record of an answer. */
function firstAddress(bytes: Buffer): string | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(6) === 0) return undefined
  let at = 12
  while (at < bytes.length && bytes[at] !== 0) at += (bytes[at] as number) + 1
  at += 5
  for (let left = bytes.readUInt16BE(6); left > 0 && at + 12 <= bytes.length; left--) {
    while (at < bytes.length && bytes[at] !== 0 && (bytes[at] as number) < 0xc0)
      at += (bytes[at] as number) + 1
    at += bytes[at] === 0 ? 1 : 2
    const type = bytes.readUInt16BE(at)
    const length = bytes.readUInt16BE(at + 8)
    if (type === 1 && length === 4) return [...bytes.subarray(at + 10, at + 14)].join('.')
    at += 10 + length
  }
  return undefined
}

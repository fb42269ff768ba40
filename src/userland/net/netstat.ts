/**
 * `netstat [-tualnp]`: the sockets of IPv4 and IPv6, from /proc/net. Addresses are always numbers.
 *
 * @see net-tools netstat.c
 */

import { parseOptions } from '../options.ts'
import type { Process, Program } from '../process.ts'
import { complain, linesOf, print, readText } from '../stdio.ts'

/** By the number in /proc/net/tcp. */
const STATES = ['', 'ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'FIN_WAIT1', 'FIN_WAIT2', 'TIME_WAIT', 'CLOSE', 'CLOSE_WAIT', 'LAST_ACK', 'LISTEN', 'CLOSING', 'SYN_RECV'] // prettier-ignore
const ESTABLISHED = 1
const LISTEN = 10
const CLOSE = 7
const ADDRESS_WIDTH = 23

interface Row {
  readonly local: string
  readonly remote: string
  readonly state: number
  readonly received: number
  readonly sent: number
}

export const netstat = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, error } = parseOptions(argv, 'tualn46', {
      tcp: 't',
      udp: 'u',
      all: 'a',
      listening: 'l',
      numeric: 'n',
    })
    if (error !== undefined) return yield* complain(p, `netstat: ${error}`)
    const both = !flags.has('t') && !flags.has('u')
    const servers = flags.has('a')
      ? 'servers and established'
      : flags.has('l')
        ? 'only servers'
        : 'w/o servers'
    yield* print(p, `Active Internet connections (${servers})\n`)
    yield* print(p, 'Proto Recv-Q Send-Q Local Address           Foreign Address         State      \n')
    const files = [
      ...(both || flags.has('t') ? ['tcp', 'tcp6'] : []),
      ...(both || flags.has('u') ? ['udp', 'udp6'] : []),
    ]
    for (const name of files) {
      for (const row of yield* rows(p, name)) {
        const server = name.startsWith('tcp') ? row.state === LISTEN : row.state === CLOSE
        if (!flags.has('a') && server !== flags.has('l')) continue
        yield* print(p, `${line(name, row)}\n`)
      }
    }
    return 0
  }

function line(name: string, row: Row): string {
  const unconnected = name.startsWith('udp') && row.state !== ESTABLISHED
  const state = unconnected ? '' : (STATES[row.state] ?? 'UNKNOWN')
  const numbers = `${String(row.received).padStart(6)} ${String(row.sent).padStart(6)}`
  const addresses = [row.local, row.remote].map((a) => a.padEnd(ADDRESS_WIDTH)).join(' ')
  return `${name.padEnd(4)}  ${numbers} ${addresses} ${state.padEnd(11)}`
}

/** The lines of /proc/net/NAME. @see net/ipv4/tcp_ipv4.c:get_tcp4_sock */
function* rows(p: Process, name: string): Generator<unknown, Row[]> {
  const text = (yield* readText(p, `/proc/net/${name}`)) ?? ''
  return linesOf(text)
    .slice(1)
    .map((l) => l.trim().split(/\s+/))
    .filter((fields) => fields.length >= 5)
    .map(([, local = '', remote = '', state = '', queues = '']) => ({
      local: endpoint(local),
      remote: endpoint(remote),
      state: Number.parseInt(state, 16),
      sent: Number.parseInt(queues.split(':')[0] ?? '0', 16),
      received: Number.parseInt(queues.split(':')[1] ?? '0', 16),
    }))
}

/** `0100007F:EA60` → `127.0.0.1:60000`: words as the processor has them; port 0 is any. */
function endpoint(text: string): string {
  const [address = '', port = ''] = text.split(':')
  const words = address.match(/.{8}/g) ?? []
  const bytes = words.flatMap((word) =>
    (word.match(/../g) ?? []).reverse().map((b) => Number.parseInt(b, 16)),
  )
  const number = Number.parseInt(port, 16)
  return `${bytes.length === 4 ? bytes.join('.') : inet6(bytes)}:${number === 0 ? '*' : number}`
}

/** @see inet_ntop(3) */
function inet6(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  )
  if (bytes.slice(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff)
    return `::ffff:${bytes.slice(12).join('.')}`
  const text = groups.join(':')
  const runs = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length)
  const [longest] = runs
  if (longest === undefined) return text
  const head = text.slice(0, longest.index)
  const rest = text.slice(longest.index + longest[0].length).replace(/^:/, '')
  return `${head}::${rest}`
}

/** ncat: its command line, and the system calls strace shows of the real one (7.93), in order. */

import { describe, expect, test } from 'vitest'
import type { Run } from '../../../src/scenario/run.ts'
import { parseNcat } from '../../../src/userland/ncat/options.ts'
import { runSteps, SystemCalls } from '../../support/scenario.ts'

const NAMES = [
  'socket', 'setsockopt', 'getsockopt', 'bind', 'listen', 'connect', 'fcntl', 'pselect6', 'accept',
  'close', 'recvfrom', 'sendto', 'read', 'write', 'shutdown',
] // prettier-ignore

/** Run steps and give the calls of programs named ncat. */
function calls(steps: string): { run: Run; calls: readonly string[] } {
  let seen: SystemCalls | undefined
  const run = runSteps(steps, (r) => (seen = new SystemCalls(r, 'ncat', NAMES)))
  return { run, calls: seen?.list ?? [] }
}

const OPEN_LISTENER = ['setsockopt = 0', 'bind = 0', 'listen = 0', 'fcntl = 2', 'fcntl = 0']
const ACCEPTED = ['fcntl = 2', 'fcntl = 0']

describe('ncat -l', () => {
  test('IPv6 is descriptor 3, IPv4 4; the connection 5; then both listeners are closed', () => {
    const { calls: list } = calls(`
  - run: { name: server, parent: shell, argv: [ncat, -l, '31337'] }
  - connect: { host: a, to: 10.0.0.1:31337 }
  - send: { connection: a, data: "hi\\n" }
  - close: a
`)
    expect(list).toEqual([
      'socket = 3', 'setsockopt = 0', ...OPEN_LISTENER,
      'socket = 4', ...OPEN_LISTENER,
      'pselect6 = 1', 'accept = 5', 'close = 0', 'close = 0', ...ACCEPTED,
      'pselect6 = 1', 'recvfrom = 3', 'write = 3',
      'pselect6 = 1', 'recvfrom = 0', 'close = 0',
    ]) // prettier-ignore
  })

  test('at an address: one listener; end of file of the peer ends it with status 0', () => {
    const { run, calls: list } = calls(`
  - run: { name: server, parent: shell, argv: [ncat, -l, 10.0.0.1, '31337'] }
  - connect: { host: a, to: 10.0.0.1:31337 }
  - close: a
`)
    expect(list).toEqual([
      'socket = 3', ...OPEN_LISTENER,
      'pselect6 = 1', 'accept = 4', 'close = 0', ...ACCEPTED,
      'pselect6 = 1', 'recvfrom = 0', 'close = 0',
    ]) // prettier-ignore
    expect(run.programs.exitOf('server')).toEqual({ status: 0, signal: 0 })
  })

  test('-k: goes on listening, standard input goes to every peer', () => {
    const { run, calls: list } = calls(`
  - run: { name: server, parent: shell, argv: [ncat, -l, -k, 10.0.0.1, '31337'] }
  - connect: { host: a, to: 10.0.0.1:31337 }
  - connect: { host: b, to: 10.0.0.1:31337 }
  - type: { process: server, data: "from-server\\n" }
  - expect: { connection: a, received: "from-server\\n" }
  - expect: { connection: b, received: "from-server\\n" }
  - close: a
`)
    const sent = ['fcntl = 2050', 'fcntl = 0', 'sendto = 12', 'fcntl = 2', 'fcntl = 0']
    expect(list).toEqual([
      'socket = 3', ...OPEN_LISTENER,
      'pselect6 = 1', 'accept = 4', ...ACCEPTED,
      'pselect6 = 1', 'accept = 5', ...ACCEPTED,
      'pselect6 = 1', 'read = 12', ...sent, ...sent,
      'pselect6 = 1', 'recvfrom = 0', 'close = 0',
    ]) // prettier-ignore
    expect(run.programs.exitOf('server')).toBeUndefined()
  })

  test('refused recv: closes with data unread, which resets the peer; exit status 1', () => {
    const { run, calls: list } = calls(`
  - insmod: { module: recvmsg_block, params: { deny: 10.0.0.2 }, parent: shell2 }
  - run: { name: server, parent: shell, argv: [ncat, -l, 10.0.0.1, '31337'] }
  - connect: { host: a, to: 10.0.0.1:31337 }
  - send: { connection: a, data: "hi\\n" }
  - expect: { connection: a, state: reset }
`)
    expect(list.slice(-3)).toEqual(['pselect6 = 1', 'recvfrom = -1', 'close = 0'])
    expect(run.programs.exitOf('server')).toEqual({ status: 1, signal: 0 })
  })

  test('an address in use: says so and exits with 2', () => {
    const { run } = calls(`
  - run: { name: one, parent: shell, argv: [ncat, -l, 10.0.0.1, '31337'] }
  - run: { name: two, parent: shell2, argv: [ncat, -l, 10.0.0.1, '31337'] }
`)
    expect(run.programs.errors('two')).toBe(
      'Ncat: bind to 10.0.0.1:31337: Address already in use. QUITTING.\n',
    )
    expect(run.programs.exitOf('two')).toEqual({ status: 2, signal: 0 })
  })
})

describe('ncat HOST PORT', () => {
  test('connects without blocking, sends what is typed, ends when the peer does', () => {
    const { run, calls: list } = calls(`
  - listen: { host: a, port: 80 }
  - run: { name: client, parent: shell, argv: [ncat, 10.0.0.2, '80'] }
  - type: { process: client, data: "one\\n" }
  - close_stdin: client
`)
    expect(list).toEqual([
      'socket = 3', 'fcntl = 2', 'fcntl = 0', 'connect = -115', 'pselect6 = 1', 'getsockopt = 0',
      'pselect6 = 1', 'read = 4', 'pselect6 = 1', 'sendto = 4',
      'pselect6 = 1', 'read = 0', 'shutdown = 0',
    ]) // prettier-ignore
    expect(run.programs.exitOf('client')).toBeUndefined()
  })

  test('nobody listening: Connection refused, exit status 1', () => {
    const { run } = calls(`
  - run: { name: client, parent: shell, argv: [ncat, 10.0.0.2, '81'] }
`)
    expect(run.programs.errors('client')).toBe('Ncat: Connection refused.\n')
    expect(run.programs.exitOf('client')).toEqual({ status: 1, signal: 0 })
  })

  test('a reset: Connection reset by peer, exit status 1', () => {
    const { run } = calls(`
  - listen: { host: a, port: 80 }
  - run: { name: client, parent: shell, argv: [ncat, 10.0.0.2, '80'] }
  - segment: { host: a, from_port: 80, to: 10.0.0.1:9, flags: [RST] }
`)
    const [connection] = run.host('a').connections
    connection?.reset()
    run.runFor(50_000_000)
    expect(run.programs.errors('client')).toBe('Ncat: Connection reset by peer.\n')
    expect(run.programs.exitOf('client')).toEqual({ status: 1, signal: 0 })
  })
})

describe('its command line', () => {
  test.each([
    ['-l', { listen: true, keepOpen: false, host: undefined, port: 31337 }],
    ['-lk 31338', { listen: true, keepOpen: true, host: undefined, port: 31338 }],
    ['-l -4 10.0.0.1 80', { listen: true, family: 4, host: '10.0.0.1', port: 80 }],
    ['10.0.0.1 80', { listen: false, host: '10.0.0.1', port: 80 }],
    ['-p 5000 10.0.0.1 80', { listen: false, sourcePort: 5000, port: 80 }],
  ])('%s', (line, options) => {
    expect(parseNcat(['ncat', ...line.split(' ')])).toMatchObject(options)
  })

  test.each([
    ['', 'You must specify a host'],
    ['-x', 'invalid option'],
    ['--nonsense', 'unrecognized option'],
    ['10.0.0.1 70000', 'Invalid port number'],
    ['somewhere 80', 'Could not resolve'],
  ])('%s: refused', (line, message) => {
    expect(parseNcat(['ncat', ...line.split(' ').filter((word) => word !== '')])).toContain(message)
  })
})

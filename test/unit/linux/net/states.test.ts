/** Connections this side opens and closes, and what becomes of segments nobody answers. */

import { describe, expect, test } from 'vitest'
import type { task_struct } from '../../../../src/btf/vmlinux.ts'
import * as E from '../../../../src/abi/errno.ts'
import * as TCP from '../../../../src/abi/tcp_states.ts'
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN } from '../../../../src/abi/tcp.ts'
import { ntohs } from '../../../../src/base/u32.ts'
import { inet_csk, inet_sk, inet_twsk, tcp_sk } from '../../../../src/linux/include/net/casts.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntil } from '../../../../src/linux/kernel/sched/run.ts'
import type { Host } from '../../../../src/linux/net/wire/host.ts'
import { parseTcp } from '../../../../src/linux/net/wire/segments.ts'
import { wire } from '../../../../src/linux/net/wire/wire.ts'
import type { Process } from '../../../../src/userland/process.ts'
import {
  connect,
  ehash,
  listener,
  run,
  sockOf,
  tcpMachine,
  wiredMachine,
} from '../../../support/tcp-machine.ts'

const PEER = '192.168.56.101'
const MS = 1_000_000
const later = (k: Kernel, ms: number): void => runUntil(k, k.clock.nowNs + ms * MS)

interface Client {
  readonly k: Kernel
  readonly host: Host
  readonly task: task_struct
  readonly results: number[]
}

/** A program that connects to the host, then goes on as told. */
function client(
  then: (p: Process, fd: number) => Generator<unknown, unknown> = pause,
  listen = true,
): Client {
  const { k, host } = wiredMachine()
  if (listen) host.listen(80)
  const results: number[] = []
  const task = run(k, function* (p) {
    const { fd, result } = yield* connect(p, 80, PEER)
    results.push(result)
    yield* then(p, fd)
    return 0
  })
  later(k, 20)
  return { k, host, task, results }
}

function* pause(p: Process): Generator<unknown, number> {
  return yield* p.syscall('pause')
}

/** Flags of the TCP frames sent, `SAFR` for SYN, ACK, FIN, RST. */
const sent = (k: Kernel): string[] =>
  wire(k)
    .frames.filter(({ direction }) => direction === 'out')
    .flatMap(({ bytes }) => {
      const segment = parseTcp(bytes)
      if (segment === undefined) return []
      const has = (flag: number, letter: string): string => ((segment.flags & flag) !== 0 ? letter : '')
      return [has(TCPHDR_SYN, 'S') + has(TCPHDR_ACK, 'A') + has(TCPHDR_FIN, 'F') + has(TCPHDR_RST, 'R')]
    })

describe('SYN-SENT', () => {
  test('SYN-ACK: established, source address and port chosen', () => {
    const { k, task, results, host } = client()
    const sk = sockOf(k, task, 0)
    expect(results).toEqual([0])
    expect([sk.sk_state, ntohs(inet_sk(k, sk).inet_sport)]).toEqual([TCP.TCP_ESTABLISHED, sk.sk_num])
    expect(host.connections[0]?.state).toBe('established')
    expect(sk.sk_num & 1).toBe(0)
  })

  test('nobody listens: RST, ECONNREFUSED, the sock is closed and may try again', () => {
    const { k, task, results } = client(pause, false)
    expect(results).toEqual([-E.ECONNREFUSED])
    expect(sockOf(k, task, 0).sk_state).toBe(TCP.TCP_CLOSE)
    expect(ehash(k)).toEqual([])
  })

  test('no answer: six more SYNs at 1, 3, 7 … seconds, then ETIMEDOUT', () => {
    const { k } = wiredMachine()
    const results: number[] = []
    run(k, function* (p) {
      results.push((yield* connect(p, 80, '192.168.56.200')).result)
      return 0
    })
    later(k, 140_000)
    expect(results.length === 1 && results[0] !== 0).toBe(true)
  })
})

describe('closing', () => {
  test('this side first: FIN-WAIT-2, then TIME-WAIT for 60 s', () => {
    const { k, host } = client(function* (p, fd) {
      yield* p.close(fd)
      yield* pause(p)
    })
    const states = (): number[] => ehash(k).map((sk) => sk.sk_state)
    expect(states()).toEqual([TCP.TCP_TIME_WAIT])
    const [stub] = ehash(k).map((sk) => inet_twsk(k, sk))
    expect(stub?.tw_substate).toBe(TCP.TCP_FIN_WAIT2)
    host.connections[0]?.close()
    later(k, 20)
    expect(stub?.tw_substate).toBe(TCP.TCP_TIME_WAIT)
    later(k, 59_000)
    expect(states()).toEqual([TCP.TCP_TIME_WAIT])
    later(k, 3000)
    expect(states()).toEqual([])
  })

  test('the peer first: CLOSE-WAIT until close(), LAST-ACK, gone', () => {
    const { k, host, task } = client()
    host.connections[0]?.close()
    later(k, 20)
    expect(sockOf(k, task, 0).sk_state).toBe(TCP.TCP_CLOSE_WAIT)
    expect(sockOf(k, task, 0).sk_shutdown).toBe(1)
  })

  test('unread data: close() answers with RST', () => {
    const { k, host } = client(function* (p, fd) {
      yield* p.sleep(100 * MS)
      yield* p.close(fd)
      yield* pause(p)
    })
    host.connections[0]?.send(Buffer.from('nobody reads this'))
    later(k, 500)
    expect(sent(k).at(-1)).toBe('AR')
    expect(host.connections[0]?.error).toBe('reset')
    expect(ehash(k)).toEqual([])
  })

  test('a reset: read() fails with ECONNRESET', () => {
    const results: number[] = []
    const { k, host, task } = client(function* (p, fd) {
      const got = yield* p.read(fd, 10)
      results.push(typeof got === 'number' ? got : got.length)
      yield* pause(p)
    })
    host.connections[0]?.reset()
    later(k, 20)
    expect(results).toEqual([-E.ECONNRESET])
    expect(sockOf(k, task, 0).sk_state).toBe(TCP.TCP_CLOSE)
  })
})

describe('retransmission', () => {
  test('data without an ACK is sent again after the retransmission time, doubled each time', () => {
    const { k, host, task } = client(function* (p, fd) {
      yield* p.sleep(50 * MS)
      yield* p.write(fd, 'lost')
      yield* pause(p)
    })
    const send = wire(k).send.bind(wire(k))
    // from now on nothing reaches the host
    wire(k).send = () => undefined
    later(k, 60)
    const sk = sockOf(k, task, 0)
    const tp = tcp_sk(k, sk)
    expect([tp.packets_out, tp.total_retrans]).toEqual([1, 0])
    later(k, 1000)
    expect(tp.total_retrans).toBeGreaterThan(0)
    const rto = inet_csk(k, sk).icsk_rto
    expect(rto).toBeGreaterThan(51)
    wire(k).send = send
    later(k, 5000)
    expect(Buffer.from(host.connections[0]?.received ?? []).toString()).toBe('lost')
    expect([tp.packets_out, inet_csk(k, sk).icsk_retransmits]).toEqual([0, 0])
  })
})

describe('binding', () => {
  test.each([
    ['a port somebody listens on', 5000, -E.EADDRINUSE],
    ['another port', 5001, 0],
  ])('%s', (_name, port, expected) => {
    const k = tcpMachine()
    const results: number[] = []
    run(k, function* (p) {
      yield* listener(p, 5000)
      const fd = yield* p.must('socket', 2, 1, 0)
      results.push(
        yield* p.syscall(
          'bind',
          fd,
          p.data(Uint8Array.of(2, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)),
          16,
        ),
      )
      return 0
    })
    later(k, 10)
    expect(results).toEqual([expected])
  })

  test('an address that is not ours: EADDRNOTAVAIL', () => {
    const k = tcpMachine()
    const results: number[] = []
    run(k, function* (p) {
      const fd = yield* p.must('socket', 2, 1, 0)
      results.push(
        yield* p.syscall(
          'bind',
          fd,
          p.data(Uint8Array.of(2, 0, 20, 0, 10, 9, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0)),
          16,
        ),
      )
      return 0
    })
    later(k, 10)
    expect(results).toEqual([-E.EADDRNOTAVAIL])
  })
})

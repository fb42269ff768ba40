/**
 * A connection as the function tracer of a real Debian 6.1 saw it: each call with its whole stack, over the loopback;
 * and the way of a SYN, an ACK and a byte from a card up to TCP.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { AF_INET, SOCK_NONBLOCK, SOCK_STREAM } from '../../../../src/abi/socket.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntil, runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { entryStack } from '../../../../src/linux/kernel/trace/stack.ts'
import { hasReal, realFolder } from '../../../real/dumps.ts'
import { sockaddrIn } from '../../../../src/userland/ncat/calls.ts'
import { listener, run, tcpMachine, wiredMachine } from '../../../support/tcp-machine.ts'

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')
const local = (file: string): string[] => lines(readFileSync(new URL(file, import.meta.url), 'utf8'))

const file = local('./trace-stacks.txt')
/** What called each softirq, by number. */
const callers = file.filter((line) => line.startsWith('#@')).map((line) => line.replace(/^#@\d+ /, ''))
const recorded = file.filter((line) => !line.startsWith('#'))
const names = (stacks: readonly string[]): string[] => stacks.map((stack) => stack.split(' ')[0] ?? '')

/** A stack with what `@N` stands for. */
const expanded = (stack: string): string =>
  stack.replace(/@(\d)$/, (_, n: string) => callers[Number(n)] ?? '')

/** The softirq that takes the ACK had been left to ksoftirqd; here it is handled at once. */
const KSOFTIRQD = ' @1'
/** The link of that machine had to ask for a hardware address, so its SYN left from inside __neigh_event_send. */
const comparable = (stack: string): string =>
  stack.endsWith(KSOFTIRQD)
    ? stack.slice(0, -KSOFTIRQD.length)
    : expanded(stack).replace(' __neigh_event_send neigh_resolve_output ', ' __dev_queue_xmit ')

/** Watch functions and write down each call with its stack. */
function traceCalls(k: Kernel, functions: Iterable<string>): { readonly calls: string[]; on: boolean } {
  const trace = { calls: [] as string[], on: false }
  for (const name of new Set(functions)) {
    k.watch(name, {
      entered: () => {
        if (trace.on) trace.calls.push(entryStack(k, k.thread.frames).join(' '))
      },
      returned: () => undefined,
    })
  }
  return trace
}

/** connect, accept, ten bytes, shutdown, close over the loopback. */
function conversation(): string[] {
  const k = tcpMachine()
  const trace = traceCalls(k, names(recorded))
  const server = 1
  run(
    k,
    function* (p) {
      const fd = yield* listener(p, 10020)
      const at = p.alloc(100)
      yield* p.sleep(5e6)
      const conn = yield* p.syscall('accept', fd, 0, 0)
      yield* p.close(fd)
      yield* p.sleep(5e6)
      yield* p.syscall('recvfrom', conn, at, 100, 0, 0, 0)
      yield* p.sleep(10e6)
      yield* p.syscall('recvfrom', conn, at, 100, 0, 0, 0)
      yield* p.close(conn)
      return 0
    },
    server,
  )
  runUntilIdle(k, 1e6)
  run(k, function* (p) {
    trace.on = true
    // as ncat does: not waiting, so that the SYN-ACK is taken from the backlog as connect() lets go of the sock
    const fd = yield* p.must('socket', AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)
    yield* p.syscall('connect', fd, p.data(sockaddrIn('127.0.0.1', 10020)), 16)
    const at = p.alloc(100)
    yield* p.sleep(7e6)
    yield* p.syscall('sendto', fd, at, 10, 0, 0, 0)
    yield* p.sleep(7e6)
    yield* p.syscall('shutdown', fd, 1)
    yield* p.sleep(50e6)
    return 0
  })
  runUntil(k, k.clock.nowNs + 45e6)
  return trace.calls
}

const simulated = conversation()

describe('loopback', () => {
  test('the calls come in the order of the real trace', () => {
    expect(names(simulated)).toEqual(names(recorded))
  })

  test('each call has the stack it had there', () => {
    const different = recorded.flatMap((stack, i) => {
      const expected = comparable(stack)
      const found = simulated[i] ?? ''
      const same = stack.endsWith(KSOFTIRQD) ? found.startsWith(`${expected} `) : found === expected
      return same ? [] : [{ call: i, found, expected }]
    })
    expect(different).toEqual([])
  })

  test('the SYN is answered in tcp_conn_request: tcp_v4_conn_request left by a jump', () => {
    const synack = simulated.find((stack) => stack.startsWith('tcp_v4_send_synack '))?.split(' ')
    expect(synack?.slice(0, 3)).toEqual(['tcp_v4_send_synack', 'tcp_conn_request', 'tcp_rcv_state_process'])
    expect(synack).not.toContain('tcp_v4_conn_request')
    expect(names(simulated)).toContain('tcp_v4_conn_request')
  })
})

describe('a card', () => {
  test('a segment climbs from the interrupted idle loop to TCP', () => {
    const { k, host } = wiredMachine()
    run(k, function* (p) {
      const fd = yield* listener(p, 10020, 10, '192.168.56.1')
      yield* p.syscall('accept', fd, 0, 0)
      yield* p.syscall('pause')
      return 0
    })
    runUntilIdle(k)
    const receive = ['tcp_conn_request', 'tcp_v4_send_synack', 'tcp_check_req', 'inet_csk_complete_hashdance', 'tcp_child_process', 'sock_def_readable', 'inet_csk_accept', 'tcp_data_queue'] // prettier-ignore
    const trace = traceCalls(k, [...receive, 'tcp_v4_rcv', 'tcp_rcv_established'])
    trace.on = true
    const connection = host.connect('192.168.56.1', 10020)
    runUntil(k, k.clock.nowNs + 5e6)
    connection.send(Buffer.from('0123456789'))
    runUntil(k, k.clock.nowNs + 5e6)
    expect(names(trace.calls)).toEqual([
      ...['tcp_v4_rcv', 'tcp_conn_request', 'tcp_v4_send_synack'],
      ...[
        'tcp_v4_rcv',
        'tcp_check_req',
        'inet_csk_complete_hashdance',
        'tcp_child_process',
        'tcp_data_queue',
      ],
      ...['sock_def_readable', 'tcp_v4_rcv', 'tcp_rcv_established', 'tcp_data_queue', 'sock_def_readable'],
    ])
    const [first = ''] = trace.calls
    // up to the interrupt; what the processor was doing then is the profile's affair
    expect(first.split(' ').slice(0, 16)).toEqual([
      'tcp_v4_rcv', 'ip_protocol_deliver_rcu', 'ip_local_deliver_finish', 'ip_sublist_rcv_finish', 'ip_sublist_rcv',
      'ip_list_rcv', '__netif_receive_skb_list_core', 'netif_receive_skb_list_internal', 'napi_complete_done',
      'e1000_clean', '__napi_poll', 'net_rx_action', 'handle_softirqs', '__irq_exit_rcu', 'common_interrupt',
      'asm_common_interrupt',
    ]) // prettier-ignore
  })
})

describe.skipIf(!hasReal)('the lists kept here are the trace’s (COREDRILL_REAL)', () => {
  const trace = hasReal ? lines(readFileSync(join(realFolder ?? '', 'handshake-trace.txt'), 'utf8')) : []
  /** Lines between one `##` and the next. */
  const sectionOf = (number: number): string[] => {
    const start = trace.findIndex((line) => line.startsWith(`## ${number}.`))
    const length = trace.slice(start + 1).findIndex((line) => line.startsWith('## '))
    return trace.slice(start + 1, length < 0 ? undefined : start + 1 + length)
  }
  const callsOf = (number: number): string[] =>
    sectionOf(number).flatMap((line) => / \[\d+\] .{5} +[\d.]+: (\w+ <-\S+)$/.exec(line)?.[1] ?? [])

  test('call-order.txt: the section over the loopback', () => {
    expect(callsOf(3)).toEqual(local('./call-order.txt'))
  })

  test('trace-stacks.txt: the section with stacks', () => {
    const stacks: string[] = []
    for (const line of sectionOf(1)) {
      if (line.endsWith('<stack trace>')) stacks.push('')
      else if (line.startsWith(' => ') && !line.startsWith(' => 0x')) {
        const stack = stacks.pop() ?? ''
        stacks.push(stack === '' ? line.slice(4) : `${stack} ${line.slice(4)}`)
      }
    }
    expect(recorded.map(expanded)).toEqual(stacks)
  })

  test('the order is the same over veth and the loopback', () => {
    expect(names(callsOf(1))).toEqual(names(callsOf(3)))
  })
})

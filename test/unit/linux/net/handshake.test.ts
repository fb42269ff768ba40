/** The passive open, state by state: what memory holds between SYN, ACK and accept(). */

import { describe, expect, test } from 'vitest'
import type {
  inet_request_sock,
  request_sock,
  sock,
  task_struct,
  tcp_request_sock,
} from '../../../../src/btf/vmlinux.ts'
import { TCPHDR_ACK, TCPHDR_RST, TCPHDR_SYN } from '../../../../src/abi/tcp.ts'
import { TCP_ESTABLISHED, TCP_NEW_SYN_RECV } from '../../../../src/abi/tcp_states.ts'
import { SourceKind } from '../../../../src/memory/memory.ts'
import { htonl, ntohs } from '../../../../src/base/u32.ts'
import { deref } from '../../../../src/linux/deref.ts'
import {
  inet_csk,
  inet_reqsk,
  inet_rsk,
  inet_sk,
  tcp_rsk,
  tcp_sk,
} from '../../../../src/linux/include/net/casts.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntil, runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { in_aton } from '../../../../src/linux/net/ipv4/devinet.ts'
import type { Host } from '../../../../src/linux/net/wire/host.ts'
import { ipNumber, parseTcp } from '../../../../src/linux/net/wire/segments.ts'
import { wire } from '../../../../src/linux/net/wire/wire.ts'
import type { HostConnection } from '../../../../src/linux/net/wire/host-tcp.ts'
import { ehash, listener, run, sockOf, wiredMachine } from '../../../support/tcp-machine.ts'

const PORT = 10000
const LOCAL = '192.168.56.1'
const MS = 1_000_000

interface Listening {
  readonly k: Kernel
  readonly host: Host
  readonly server: task_struct
  /** the listener */
  readonly sk: sock
}

/** A server that listens and does not accept until its standard time comes. */
function listening(options: { backlog?: number; accept?: boolean } = {}): Listening {
  const { k, host } = wiredMachine()
  const server = run(k, function* (p) {
    const fd = yield* listener(p, PORT, options.backlog ?? 10, LOCAL)
    if (options.accept === true) yield* p.syscall('accept', fd, 0, 0)
    yield* p.syscall('pause')
    return 0
  })
  runUntilIdle(k)
  return { k, host, server, sk: sockOf(k, server, 0) }
}

interface HalfOpen extends Listening {
  readonly peer: HostConnection
  readonly req: request_sock
  readonly ireq: inet_request_sock
  readonly treq: tcp_request_sock
}

/** A SYN has come and was answered; the host keeps its ACK back. */
function halfOpen(options: { backlog?: number } = {}): HalfOpen {
  const machine = listening(options)
  const { k, host } = machine
  const peer = host.connect(LOCAL, PORT, { hold: true, localPort: 51000 })
  runUntil(k, k.clock.nowNs + 5 * MS)
  const found = ehash(k).find((sk) => sk.sk_state === TCP_NEW_SYN_RECV)
  const req = inet_reqsk(k, deref(found))
  return { ...machine, peer, req, ireq: inet_rsk(k, req), treq: tcp_rsk(k, req) }
}

/** The handshake is complete; nobody has accepted. */
function ready(): HalfOpen & { child: sock } {
  const machine = halfOpen()
  machine.peer.complete()
  runUntil(machine.k, machine.k.clock.nowNs + 5 * MS)
  return { ...machine, child: deref(machine.req.sk) }
}

/** A segment of the held connection, numbers as given. */
function inject(m: HalfOpen, flags: number, seq: number, ack: number): void {
  m.host.sendSegment(ipNumber(LOCAL), {
    sourcePort: 51000,
    targetPort: PORT,
    seq: seq >>> 0,
    ack: ack >>> 0,
    flags,
    window: 502,
    options: {},
    payload: new Uint8Array(0),
  })
  runUntil(m.k, m.k.clock.nowNs + 5 * MS)
}

describe('SYN', () => {
  test('makes a request in the established table; the accept queue stays empty', () => {
    const { k, sk, req, ireq } = halfOpen()
    const queue = inet_csk(k, sk).icsk_accept_queue
    expect(ireq.ireq_state).toBe(TCP_NEW_SYN_RECV)
    expect(deref(req.rsk_listener).$va).toBe(sk.$va)
    expect([queue.qlen.counter, queue.young.counter]).toEqual([1, 1])
    expect(queue.rskq_accept_head).toBeNull()
    expect(queue.rskq_accept_tail).toBeNull()
    expect(sk.sk_ack_backlog).toBe(0)
  })

  test('the request has the packet’s addresses: network order as they came, the local port in host order', () => {
    const { ireq } = halfOpen()
    expect(ireq.ir_rmt_addr).toBe(in_aton('192.168.56.101'))
    expect(ireq.ir_loc_addr).toBe(in_aton(LOCAL))
    expect(ntohs(ireq.ir_rmt_port)).toBe(51000)
    expect(ireq.ir_num).toBe(PORT)
  })

  test('the request is held by its table and its timer, the listener by the request', () => {
    const { sk, req } = halfOpen()
    expect(req.rsk_refcnt.refs.counter).toBe(2)
    expect(sk.sk_refcnt.refs.counter).toBe(2)
  })

  test('unanswered SYN-ACK: sent again after 1, 2, 4 … seconds, five times, then the request is gone', () => {
    const { k, sk } = halfOpen()
    const queue = inet_csk(k, sk).icsk_accept_queue
    runUntil(k, k.clock.nowNs + 1100 * MS)
    const [req] = ehash(k).map((each) => inet_reqsk(k, each))
    expect([req?.num_retrans, req?.num_timeout, queue.young.counter]).toEqual([1, 1, 0])
    runUntil(k, k.clock.nowNs + 70_000 * MS)
    expect(ehash(k)).toEqual([])
    expect([queue.qlen.counter, sk.sk_refcnt.refs.counter]).toEqual([0, 1])
  })
})

describe('SYN-RECEIVED', () => {
  test('ACK too low gets RST', () => {
    const m = halfOpen()
    inject(m, TCPHDR_ACK, m.treq.rcv_nxt, m.treq.snt_isn)
    const last = parseTcp(deref(wire(m.k).frames.at(-1)).bytes)
    expect([last?.flags, last?.seq]).toEqual([TCPHDR_RST, m.treq.snt_isn])
    expect(m.ireq.ireq_state).toBe(TCP_NEW_SYN_RECV)
    expect(ehash(m.k)).toHaveLength(1)
  })

  test('RST with exactly the next number drops the request', () => {
    const m = halfOpen()
    inject(m, TCPHDR_RST, m.treq.rcv_nxt, 0)
    expect(ehash(m.k)).toEqual([])
    expect(inet_csk(m.k, m.sk).icsk_accept_queue.qlen.counter).toBe(0)
  })

  test('RST elsewhere in the window is only challenged', () => {
    const m = halfOpen()
    inject(m, TCPHDR_RST, m.treq.rcv_nxt + 10, 0)
    expect(ehash(m.k)).toHaveLength(1)
  })

  test('the SYN again gets the SYN-ACK again', () => {
    const m = halfOpen()
    inject(m, TCPHDR_SYN, m.treq.rcv_isn, 0)
    expect(m.req.num_retrans).toBe(1)
    expect(ehash(m.k)).toHaveLength(1)
  })
})

describe('ACK', () => {
  test('the child takes the request’s place in the table; the request waits on the accept queue', () => {
    const { k, sk, req, child } = ready()
    const queue = inet_csk(k, sk).icsk_accept_queue
    expect(ehash(k).map((each) => [each.$va, each.sk_state])).toEqual([[child.$va, TCP_ESTABLISHED]])
    expect(deref(queue.rskq_accept_head).$va).toBe(req.$va)
    expect(deref(queue.rskq_accept_tail).$va).toBe(req.$va)
    expect(k.mem.pointer(req.$va + k.types.offsetof('sock', 'sk_node') + 8)).toBe(0)
    expect([queue.qlen.counter, queue.young.counter, sk.sk_ack_backlog]).toEqual([0, 0, 1])
    expect(req.rsk_refcnt.refs.counter).toBe(1)
  })

  test('the child belongs to no process yet', () => {
    const { child } = ready()
    expect(child.sk_socket).toBeNull()
    expect(child.sk_wq).toBeNull()
    expect(child.sk_refcnt.refs.counter).toBe(1)
  })

  test('the child’s addresses are the request’s', () => {
    const { k, child, ireq } = ready()
    const inet = inet_sk(k, child)
    expect([inet.inet_daddr, inet.inet_dport]).toEqual([ireq.ir_rmt_addr, ireq.ir_rmt_port])
    expect([inet.inet_rcv_saddr, inet.inet_saddr]).toEqual([ireq.ir_loc_addr, ireq.ir_loc_addr])
    expect([inet.inet_num, ntohs(inet.inet_sport)]).toEqual([PORT, PORT])
  })

  test('the child is bound with its listener', () => {
    const { k, sk, child } = ready()
    expect(deref(inet_csk(k, child).icsk_bind_hash).$va).toBe(deref(inet_csk(k, sk).icsk_bind_hash).$va)
  })

  test('the stores say where they copied from: peer address of child, of request, of the packet', () => {
    const { k, child, req } = ready()
    const write = deref(k.mem.journal.lastWrite(child.$va))
    expect(write.from).toBe(req.$va)
    const first = deref(k.mem.journal.lastWrite(req.$va, write.row))
    expect(first.kind).toBe(SourceKind.Memory)
    // …and that is in a frame's buffer: byte 26 of the SYN
    expect(k.mem.journal.lastWrite(first.from, first.row)?.kind).toBe(SourceKind.Packet)
  })
})

describe('accept queue', () => {
  test('more connections than backlog + 1: the ACK is ignored, the client believes it is connected', () => {
    const { k, host, sk } = listening({ backlog: 0 })
    const first = host.connect(LOCAL, PORT)
    runUntil(k, k.clock.nowNs + 5 * MS)
    expect([first.state, sk.sk_ack_backlog]).toEqual(['established', 1])
    const second = host.connect(LOCAL, PORT)
    runUntil(k, k.clock.nowNs + 5 * MS)
    expect(second.state).toBe('syn-sent')
    expect(sk.sk_ack_backlog).toBe(1)
  })

  test('accept() frees the request and grafts the child to the new socket', () => {
    const { k, host, server, sk } = listening({ accept: true })
    host.connect(LOCAL, PORT)
    runUntil(k, k.clock.nowNs + 5 * MS)
    const child = sockOf(k, server, 1)
    expect(child.sk_state).toBe(TCP_ESTABLISHED)
    expect(deref(child.sk_wq).$va).toBe(deref(child.sk_socket).wq.$va)
    expect(inet_csk(k, sk).icsk_accept_queue.rskq_accept_head).toBeNull()
    expect([sk.sk_ack_backlog, sk.sk_refcnt.refs.counter]).toEqual([0, 1])
  })
})

describe('data', () => {
  test('arrives on the receive queue and is acknowledged; nobody read it', () => {
    const { k, peer, child } = ready()
    const tp = tcp_sk(k, child)
    const before = tp.rcv_nxt
    peer.send(Buffer.from('hello'))
    runUntil(k, k.clock.nowNs + 5 * MS)
    expect((tp.rcv_nxt - before) >>> 0).toBe(5)
    expect(tp.copied_seq).toBe(before)
    expect(child.sk_receive_queue.qlen).toBe(1)
    expect(htonl(peer.sndUna)).toBe(htonl(tp.rcv_nxt))
  })
})

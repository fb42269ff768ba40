/**
 * The passive open from inside: what memory holds at the instant a kernel function is entered or returns, where it is
 * gone again by the end of the softirq. What stays is in invariants.test.ts.
 */

import { describe, expect, test } from 'vitest'
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN } from '../../../../src/abi/tcp.ts'
import { TCP_ESTABLISHED, TCP_NEW_SYN_RECV, TCP_SYN_RECV } from '../../../../src/abi/tcp_states.ts'
import type { request_sock, sk_buff, sock, task_struct } from '../../../../src/btf/vmlinux.ts'
import { deref } from '../../../../src/linux/deref.ts'
import { inet_csk, inet_reqsk, inet_sk, tcp_rsk, tcp_sk, TCP_SKB_CB } from '../../../../src/linux/include/net/casts.ts' // prettier-ignore
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntil, runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import type { Host } from '../../../../src/linux/net/wire/host.ts'
import { buildTcp, flagNames, ipNumber, parseTcp } from '../../../../src/linux/net/wire/segments.ts'
import { wire } from '../../../../src/linux/net/wire/wire.ts'
import { ehash, listener, run, sockOf, wiredMachine } from '../../../support/tcp-machine.ts'

const PORT = 10000
const LOCAL = '192.168.56.1'
const MS = 1_000_000

interface Machine {
  readonly k: Kernel
  readonly host: Host
  readonly server: task_struct
  /** the listener */
  readonly sk: sock
  /** what was seen, in order */
  readonly seen: unknown[]
}

function listening(): Machine {
  const { k, host } = wiredMachine()
  const server = run(k, function* (p) {
    yield* listener(p, PORT, 10, LOCAL)
    yield* p.syscall('pause')
    return 0
  })
  runUntilIdle(k)
  return { k, host, server, sk: sockOf(k, server, 0), seen: [] }
}

/** Look at memory whenever a function is entered. */
function entering<A extends unknown[]>(m: Machine, name: string, look: (...args: A) => unknown): void {
  m.k.watch(name, {
    entered: (_info, args) => void m.seen.push(look(...(args as A))),
    returned: () => undefined,
  })
}

/** …or has returned. */
function leaving(m: Machine, name: string, look: (result: unknown) => unknown): void {
  m.k.watch(name, { entered: () => undefined, returned: (_info, result) => void m.seen.push(look(result)) })
}

/** A whole handshake with the watches set. */
function handshake(watch: (m: Machine) => void): Machine {
  const m = listening()
  watch(m)
  m.host.connect(LOCAL, PORT, { localPort: 51000 })
  runUntil(m.k, m.k.clock.nowNs + 5 * MS)
  return m
}

const only = (k: Kernel): sock => {
  const [first, ...more] = ehash(k)
  expect(more).toEqual([])
  return deref(first)
}

describe('step 1: tcp_v4_rcv has filled the control block', () => {
  test('SYN: numbers in host order, one more for SYN, the device forgotten, the listener not locked', () => {
    const m = handshake((machine) =>
      entering(machine, 'tcp_v4_do_rcv', (sk: sock, skb: sk_buff) => {
        const cb = TCP_SKB_CB(machine.k, skb)
        return [
          cb.seq,
          cb.end_seq,
          cb.ack_seq,
          cb.tcp_flags,
          cb.sacked,
          cb.tcp_tw_isn,
          skb.dev,
          sk.sk_lock.owned,
        ]
      }),
    )
    const { iss } = deref(m.host.connections[0])
    expect(m.seen).toEqual([[iss, (iss + 1) >>> 0, 0, TCPHDR_SYN, 0, 0, null, 0]])
  })
})

describe('step 2: what a listener answers', () => {
  test.each([
    ['ACK', TCPHDR_ACK, ['RST']],
    ['RST', TCPHDR_RST, []],
    ['SYN|RST', TCPHDR_SYN | TCPHDR_RST, []],
    ['SYN|FIN', TCPHDR_SYN | TCPHDR_FIN, []],
    ['SYN|ACK', TCPHDR_SYN | TCPHDR_ACK, ['RST']],
    ['SYN', TCPHDR_SYN, ['SYN|ACK']],
  ])('%s', (_title, flags, expected) => {
    const m = listening()
    const segment = {
      sourcePort: 51000,
      targetPort: PORT,
      seq: 1000,
      ack: 77,
      flags,
      window: 502,
      options: {},
    }
    m.host.sendSegment(ipNumber(LOCAL), { ...segment, payload: new Uint8Array(0) })
    runUntil(m.k, m.k.clock.nowNs + 5 * MS)
    const sent = wire(m.k)
      .frames.filter(({ direction }) => direction === 'out')
      .flatMap(({ bytes }) => parseTcp(bytes) ?? [])
    expect(sent.map((tcp) => flagNames(tcp.flags).join('|'))).toEqual(expected)
    // a reset in answer to an ACK has its number
    if (expected[0] === 'RST') expect(sent[0]?.seq).toBe(77)
    // and only a SYN leaves something behind
    if (flags !== TCPHDR_SYN) expect(ehash(m.k)).toEqual([])
  })
})

test('step 3: tcp_v4_conn_request goes on in tcp_conn_request, which is called for this listener and packet', () => {
  const m = handshake((machine) => {
    entering(machine, 'tcp_v4_conn_request', (sk: sock, skb: sk_buff) => [sk.$va, skb.$va])
    entering(machine, 'tcp_conn_request', (_ops: unknown, _afOps: unknown, sk: sock, skb: sk_buff) => [
      sk.$va,
      skb.$va,
    ])
  })
  expect(m.seen).toHaveLength(2)
  expect(m.seen[0]).toEqual(m.seen[1])
  expect((m.seen[0] as number[])[0]).toBe(m.sk.$va)
})

test('step 3: a SYN to the broadcast address is dropped in tcp_v4_conn_request', () => {
  const { k, host } = wiredMachine()
  run(k, function* (p) {
    yield* listener(p, PORT, 10, '0.0.0.0')
    yield* p.syscall('pause')
    return 0
  })
  runUntilIdle(k)
  const seen: string[] = []
  for (const name of ['tcp_v4_conn_request', 'tcp_conn_request'])
    k.watch(name, { entered: () => void seen.push(name), returned: () => undefined })
  const send = (target: string): void => {
    const ends = { sourceMac: host.mac, targetMac: Uint8Array.of(2, 0, 0, 0, 0, 1), source: host.ip }
    const rest = { ack: 0, flags: TCPHDR_SYN, window: 502, options: {}, payload: new Uint8Array(0) }
    const syn = { sourcePort: 51000, targetPort: PORT, seq: 1000, ...rest }
    wire(k).deliver('eth0', buildTcp({ ...ends, target: ipNumber(target) }, syn, 0))
    runUntil(k, k.clock.nowNs + 5 * MS)
  }
  send('192.168.56.255')
  expect(seen).toEqual(['tcp_v4_conn_request'])
  send(LOCAL)
  expect(seen).toEqual(['tcp_v4_conn_request', 'tcp_v4_conn_request', 'tcp_conn_request'])
})

describe('step 4: the request before it is hashed and while it is answered', () => {
  test('at security_inet_conn_request the addresses are in, the ISN is not chosen, nothing is counted', () => {
    const m = handshake((machine) =>
      entering(machine, 'security_inet_conn_request', (sk: sock, _skb: sk_buff, req: request_sock) => {
        const { k } = machine
        const { __req_common: skc } = req
        const queue = inet_csk(k, sk).icsk_accept_queue
        return [
          skc.skc_state,
          skc.skc_daddr !== 0,
          skc.skc_rcv_saddr !== 0,
          tcp_rsk(k, req).snt_isn,
          skc.skc_refcnt.refs.counter,
          queue.qlen.counter,
          ehash(k).length,
          sk.__sk_common.skc_refcnt.refs.counter,
        ]
      }),
    )
    expect(m.seen).toEqual([[TCP_NEW_SYN_RECV, true, true, 0, 0, 0, 0, 2]])
  })

  test('at tcp_v4_send_synack it is hashed, counted, timed, and held three times: timer, table, caller', () => {
    const m = handshake((machine) =>
      entering(machine, 'tcp_v4_send_synack', () => {
        const { k, sk } = machine
        const req = inet_reqsk(k, only(k))
        const { qlen, young } = inet_csk(k, sk).icsk_accept_queue
        return [req.__req_common.skc_refcnt.refs.counter, qlen.counter, young.counter, sk.sk_ack_backlog]
      }),
    )
    expect(m.seen).toEqual([[3, 1, 1, 0]])
  })
})

test('step 5: at tcp_check_req the lookup holds the request (3) and tcp_v4_rcv the listener (3)', () => {
  const m = handshake((machine) =>
    entering(machine, 'tcp_check_req', (sk: sock, skb: sk_buff, req: request_sock) => [
      req.__req_common.skc_refcnt.refs.counter,
      sk.__sk_common.skc_refcnt.refs.counter,
      TCP_SKB_CB(machine.k, skb).tcp_flags,
      only(machine.k).$va === req.$va,
    ]),
  )
  expect(m.seen).toEqual([[3, 3, TCPHDR_ACK, true]])
})

describe('step 6: only a fitting ACK makes a child', () => {
  test.each([
    ['the right acknowledgment', 1, 1],
    ['one too low', 0, 0],
    ['one too high', 2, 0],
  ])('%s', (_title, ackOffset, children) => {
    const m = listening()
    entering(m, 'tcp_v4_syn_recv_sock', () => 'child')
    m.host.connect(LOCAL, PORT, { localPort: 51000, hold: true })
    runUntil(m.k, m.k.clock.nowNs + 5 * MS)
    const req = tcp_rsk(m.k, only(m.k))
    m.host.sendSegment(ipNumber(LOCAL), {
      sourcePort: 51000,
      targetPort: PORT,
      seq: req.rcv_nxt,
      ack: (req.snt_isn + ackOffset) >>> 0,
      flags: TCPHDR_ACK,
      window: 502,
      options: { timestamps: { value: req.req.req.ts_recent, echo: 0 } },
      payload: new Uint8Array(0),
    })
    runUntil(m.k, m.k.clock.nowNs + 5 * MS)
    expect(m.seen).toHaveLength(children)
  })
})

describe('step 7: the child on its way', () => {
  test('as sk_clone_lock returns it: held twice, without socket and wait queue, buffers sized like the listener’s', () => {
    const m = handshake((machine) =>
      leaving(machine, 'sk_clone_lock', (result) => {
        const child = result as sock
        return [
          child.__sk_common.skc_refcnt.refs.counter,
          child.sk_socket,
          child.sk_wq,
          child.sk_rcvbuf === machine.sk.sk_rcvbuf,
          child.sk_sndbuf === machine.sk.sk_sndbuf,
        ]
      }),
    )
    expect(m.seen).toEqual([[2, null, null, true, true]])
  })

  test('at inet_ehash_nolisten it has the request’s ends already, and is in SYN_RECV', () => {
    const m = handshake((machine) =>
      entering(machine, 'inet_ehash_nolisten', (child: sock, old: sock) => {
        const req = inet_reqsk(machine.k, old).__req_common
        const skc = child.__sk_common
        const same = (['skc_daddr', 'skc_rcv_saddr', 'skc_dport', 'skc_num'] as const).filter(
          (member) => skc[member] === req[member],
        )
        return [same.length, skc.skc_state, inet_sk(machine.k, child).inet_saddr === skc.skc_rcv_saddr]
      }),
    )
    expect(m.seen).toEqual([[4, TCP_SYN_RECV, true]])
  })

  test('at inet_csk_complete_hashdance it has taken the request’s place, still in SYN_RECV', () => {
    const m = handshake((machine) =>
      entering(machine, 'inet_csk_complete_hashdance', (sk: sock, child: sock, req: request_sock) => {
        const { k } = machine
        const queue = inet_csk(k, sk).icsk_accept_queue
        const [tp, treq] = [tcp_sk(k, child), tcp_rsk(k, req)]
        return {
          table: only(k).$va === child.$va,
          state: child.__sk_common.skc_state,
          request: req.__req_common.skc_refcnt.refs.counter,
          unhashed: req.__req_common.$int('skc_nulls_node.pprev'),
          counted: [queue.qlen.counter, queue.young.counter, sk.sk_ack_backlog],
          window: tp.window_clamp === req.__req_common.skc_window_clamp,
          segs: tp.segs_in,
          wl1: tp.snd_wl1 === treq.rcv_isn,
        }
      }),
    )
    expect(m.seen).toEqual([
      {
        table: true,
        state: TCP_SYN_RECV,
        request: 2,
        unhashed: 0n,
        counted: [1, 1, 0],
        window: true,
        segs: 1,
        wl1: true,
      },
    ])
  })
})

test('step 8: inet_csk_complete_hashdance returns the child, the request with one reference on the queue', () => {
  const m = handshake((machine) =>
    leaving(machine, 'inet_csk_complete_hashdance', (result) => {
      const { k, sk } = machine
      const queue = inet_csk(k, sk).icsk_accept_queue
      const req = deref(queue.rskq_accept_head)
      const counters = [queue.qlen.counter, queue.young.counter, sk.sk_ack_backlog]
      const child = (result as sock).$va
      return [deref(req.sk).$va === child, req.__req_common.skc_refcnt.refs.counter, ...counters]
    }),
  )
  expect(m.seen).toEqual([[true, 1, 0, 0, 1]])
})

test('step 9: the parent’s sk_data_ready comes after ESTABLISHED, with the child still held twice', () => {
  const m = handshake((machine) => {
    const { k, sk } = machine
    entering(machine, 'tcp_child_process', (_parent: sock, child: sock) => child.__sk_common.skc_state)
    entering(machine, 'sock_def_readable', (which: sock) => {
      const child = only(k)
      return [which.$va === sk.$va, child.__sk_common.skc_state, child.__sk_common.skc_refcnt.refs.counter]
    })
  })
  expect(m.seen).toEqual([TCP_SYN_RECV, [true, TCP_ESTABLISHED, 2]])
  expect(only(m.k).__sk_common.skc_refcnt.refs.counter).toBe(1)
})

describe('accept()', () => {
  test('asleep in it: the descriptor reserved, socket, file and inode made, no child yet', () => {
    const { k, host } = wiredMachine()
    const seen: unknown[] = []
    const server = run(k, function* (p) {
      const fd = yield* listener(p, PORT, 10, LOCAL)
      yield* p.syscall('accept', fd, 0, 0)
      yield* p.syscall('pause')
      return 0
    })
    runUntilIdle(k)
    const table = deref(deref(server.files).fdt)
    const bits = (): bigint => k.mem.word(k.mem.pointer(table.$vaOf('open_fds')))
    const slot = (fd: number): number => k.mem.pointer(k.mem.pointer(table.$vaOf('fd')) + 8 * fd)
    seen.push(bits(), slot(1))
    expect(seen).toEqual([3n, 0])
    expect(server.__state).toBe(1)
    host.connect(LOCAL, PORT)
    runUntil(k, k.clock.nowNs + 5 * MS)
    expect([bits(), slot(1) === 0]).toEqual([3n, false])
  })

  test('security_sock_graft sees the child with its socket already set', () => {
    const { k, host } = wiredMachine()
    const seen: unknown[] = []
    k.watch('security_sock_graft', {
      entered: (_info, args) => {
        const [sk, parent] = args as [sock, { $va: number }]
        seen.push([
          deref(sk.sk_socket).$va === parent.$va,
          deref(sk.sk_wq).$va === deref(sk.sk_socket).wq.$va,
        ])
      },
      returned: () => undefined,
    })
    run(k, function* (p) {
      const fd = yield* listener(p, PORT, 10, LOCAL)
      yield* p.syscall('accept', fd, 0, 0)
      return 0
    })
    runUntilIdle(k)
    host.connect(LOCAL, PORT)
    runUntil(k, k.clock.nowNs + 5 * MS)
    expect(seen).toEqual([[true, true]])
  })
})

import { expect, test } from 'vitest'
import { EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENETUNREACH } from '../../../../src/abi/errno.ts'
import { IPV6_V6ONLY, LOOPBACK4_IPV6 } from '../../../../src/abi/in6.ts'
import {
  AF_INET6,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
  SOL_IPV6,
  SOL_SOCKET,
  SO_REUSEADDR,
} from '../../../../src/abi/socket.ts'
import { TCP_ESTABLISHED, TCP_LISTEN } from '../../../../src/abi/tcp_states.ts'
import type { sock, task_struct } from '../../../../src/btf/vmlinux.ts'
import { taskSockets } from '../../../../src/crash/net-sockets.ts'
import { file_row, for_each_file } from '../../../../src/helpers/fs.ts'
import { find_task } from '../../../../src/helpers/pid.ts'
import { task_table } from '../../../../src/helpers/tasks.ts'
import { deref } from '../../../../src/linux/deref.ts'
import { inet_csk, inet_sk, tcp_sk } from '../../../../src/linux/include/net/casts.ts'
import { pinfo } from '../../../../src/linux/include/net/ipv6.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntil, runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { sockOfNode, tables } from '../../../../src/linux/net/ipv4/inet_hashtables.ts'
import { hlist_nulls_for_each } from '../../../../src/structures/hlist_nulls.ts'
import { jhash2, jhash_1word } from '../../../../src/structures/jhash.ts'
import { sockaddrIn6 } from '../../../../src/userland/ncat/calls.ts'
import type { Process } from '../../../../src/userland/process.ts'
import { liveTarget } from '../../../support/live-target.ts'
import { connect, listener, run, sockOf, tcpMachine } from '../../../support/tcp-machine.ts'

const PORT = 10006
const ANY = new Uint8Array(16)
const LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
const GLOBAL = Uint8Array.of(0xfd, 0, 0, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
const mapped = (...ip: number[]): Uint8Array => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...ip)
const int = (value: number): Uint8Array => Uint8Array.of(value, 0, 0, 0)

function address(ip: Uint8Array, port = PORT): Uint8Array {
  const bytes = sockaddrIn6(port)
  bytes.set(ip, 8)
  return bytes
}

interface Wanted {
  readonly ip?: Uint8Array
  readonly v6only?: boolean
  readonly port?: number
}

/** As ncat makes its listener. @returns the descriptor, or what bind() or listen() refused with */
function* listener6(p: Process, { ip = ANY, v6only = true, port = PORT }: Wanted = {}) {
  const fd = yield* p.must('socket', AF_INET6, SOCK_STREAM, 6)
  yield* p.must('setsockopt', fd, SOL_SOCKET, SO_REUSEADDR, p.data(int(1)), 4)
  if (v6only) yield* p.must('setsockopt', fd, SOL_IPV6, IPV6_V6ONLY, p.data(int(1)), 4)
  const bound = yield* p.syscall('bind', fd, p.data(address(ip, port)), 28)
  if (bound < 0) return bound
  const listening = yield* p.syscall('listen', fd, 10)
  return listening < 0 ? listening : fd
}

/** Run a program that answers something, on a fresh machine. */
function ask(program: (p: Process) => Generator<unknown, number>): number {
  const k = tcpMachine()
  let answer = NaN
  run(k, function* (p) {
    answer = yield* program(p)
    return 0
  })
  runUntilIdle(k)
  return answer
}

/** A machine on which a process listens and waits in accept(). */
function listening(wanted: Wanted = {}): { k: Kernel; task: task_struct; sk: sock } {
  const k = tcpMachine()
  const task = run(k, function* (p) {
    const fd = yield* listener6(p, wanted)
    yield* p.syscall('accept', fd, 0, 0)
    yield* p.sleep(60e9)
    return 0
  })
  runUntilIdle(k)
  return { k, task, sk: sockOf(k, task, 0) }
}

/** The listeners on a chain of the listening table. */
function chainOf(k: Kernel, hash: number): number[] {
  const t = tables(k)
  const head = t.lhash2 + (hash & t.lhash2Mask) * t.listenBucketSize + t.nullsOffset
  return [...hlist_nulls_for_each(k.mem, head)].map((node) => sockOfNode(k, node).$va)
}

test('a listener of [::] has the members a real one has', () => {
  const { k, sk } = listening()
  expect(sk).toMatchObject({
    sk_family: AF_INET6,
    sk_state: TCP_LISTEN,
    sk_num: PORT,
    sk_reuse: 1,
    sk_ipv6only: 1,
    sk_net_refcnt: 1,
    sk_rcv_saddr: 0,
    sk_daddr: 0,
    sk_rcvbuf: 131072,
    sk_sndbuf: 16384,
    sk_protocol: 6,
    sk_type: SOCK_STREAM,
    sk_max_ack_backlog: 10,
    sk_flags: 8389376n,
    sk_txrehash: 1,
    sk_backlog_rcv: k.sym('tcp_v6_do_rcv'),
    sk_destruct: k.sym('inet6_sock_destruct'),
    sk_write_space: k.sym('sk_stream_write_space'),
  })
  expect(deref(sk.sk_prot).$addr).toBe(k.sym('tcpv6_prot'))
  expect(deref(sk.sk_socket).flags).toBe(32n)
  expect(k.mem.word(deref(sk.sk_socket).$vaOf('ops'))).toBe(k.sym('inet6_stream_ops'))
  expect(inet_sk(k, sk)).toMatchObject({
    inet_saddr: 0,
    uc_ttl: -1,
    inet_sport: 5671,
    mc_ttl: 1,
    pmtudisc: 1,
    is_icsk: 1,
    mc_loop: 1,
    mc_all: 0,
  })
  expect(k.mem.word(inet_csk(k, sk).$vaOf('icsk_af_ops'))).toBe(k.sym('ipv6_specific'))
  expect(k.mem.word(tcp_sk(k, sk).$vaOf('af_specific'))).toBe(k.sym('tcp_sock_ipv6_specific'))
})

test('the IPv6 part lies behind the TCP part and has its defaults', () => {
  const { k, sk } = listening()
  const np = pinfo(k, sk)
  expect(np.$va - sk.$va).toBe(k.types.sizeof('tcp_sock'))
  expect(np.$va - sk.$va).toBe(k.types.offsetof('tcp6_sock', 'inet6'))
  expect(np).toMatchObject({ hop_limit: -1, mc_loop: 1, mcast_hops: 1, pmtudisc: 1, mc_all: 1, repflow: 0 })
  expect(np.saddr.$bytes()).toEqual(ANY)
})

test.each([
  ['[::]', ANY, (mix: number) => jhash_1word(0, mix)],
  ['[::1]', LOOPBACK, (mix: number) => jhash2([0, 0, 0, 0x0100_0000], mix)],
])('%s: the hash of address and port gives the slots in lhash2 and bhash2', (_, ip, hashOf) => {
  const { k, sk } = listening({ ip })
  const hash = (hashOf(k.global('init_net', 'net').hash_mix) ^ PORT) >>> 0
  expect(chainOf(k, hash)).toEqual([sk.$va])
  const tb2 = deref(inet_csk(k, sk).icsk_bind2_hash)
  expect(tb2).toMatchObject({ port: PORT, family: AF_INET6 })
  expect(tb2.v6_rcv_saddr.$bytes()).toEqual(ip)
  const t = tables(k)
  const slot = t.bhash2 + (hash & (t.bhashSize - 1)) * t.bucketSize + t.chainOffset
  expect(k.mem.pointer(slot)).toBe(tb2.node.$va)
  expect(k.mem.pointer(tb2.owners.$va)).toBe(sk.sk_bind2_node.$va)
})

test('the hash of a real listener: [fd00:56::1]:10006 on its machine', () => {
  const hash = jhash2([0x5600_00fd, 0, 0, 0x0100_0000], 1592309777) ^ PORT
  expect(hash & 255).toBe(0x69)
})

test('bound to [::1]: IPv6 only from now on, with the IPv4 address no peer has', () => {
  const { k, sk } = listening({ ip: LOOPBACK, v6only: false })
  expect(sk).toMatchObject({ sk_ipv6only: 1, sk_rcv_saddr: LOOPBACK4_IPV6, sk_userlocks: 12 })
  expect(inet_sk(k, sk).inet_saddr).toBe(LOOPBACK4_IPV6)
  expect(sk.sk_v6_rcv_saddr.$bytes()).toEqual(LOOPBACK)
  expect(pinfo(k, sk).saddr.$bytes()).toEqual(LOOPBACK)
})

test.each<[string, number, (p: Process) => Generator<unknown, number>]>([
  ['an address of another machine', -EADDRNOTAVAIL, (p) => listener6(p, { ip: GLOBAL })],
  ['a mapped address, V6ONLY', -EINVAL, (p) => listener6(p, { ip: mapped(127, 0, 0, 1) })],
  [
    'a mapped address not ours',
    -EADDRNOTAVAIL,
    (p) => listener6(p, { ip: mapped(9, 9, 9, 9), v6only: false }),
  ],
  ['a multicast address', -EINVAL, (p) => listener6(p, { ip: Uint8Array.of(0xff, 2, ...ANY.slice(2)) })],
  [
    'a link-local address without a device',
    -EINVAL,
    (p) => listener6(p, { ip: Uint8Array.of(0xfe, 0x80, ...ANY.slice(2)) }),
  ],
  [
    'a sockaddr_in',
    -EAFNOSUPPORT,
    function* (p) {
      const fd = yield* p.must('socket', AF_INET6, SOCK_STREAM, 0)
      return yield* p.syscall('bind', fd, p.data(Uint8Array.of(2, ...new Uint8Array(27))), 28)
    },
  ],
  [
    'an address too short',
    -EINVAL,
    function* (p) {
      const fd = yield* p.must('socket', AF_INET6, SOCK_STREAM, 0)
      return yield* p.syscall('bind', fd, p.data(address(ANY)), 16)
    },
  ],
])('bind() to %s: errno %i', (_, errno, program) => {
  expect(ask(program)).toBe(errno)
})

test('V6ONLY and an IPv4 listener share the port; without V6ONLY the second bind() or listen() fails', () => {
  const both = (v6only: boolean) =>
    ask(function* (p) {
      const fd = yield* listener6(p, { v6only })
      if (fd < 0) return fd
      const fd4 = yield* p.must('socket', 2, SOCK_STREAM, 0)
      yield* p.must('setsockopt', fd4, SOL_SOCKET, SO_REUSEADDR, p.data(int(1)), 4)
      const any = Uint8Array.of(2, 0, PORT >> 8, PORT & 255, ...new Uint8Array(12))
      const bound = yield* p.syscall('bind', fd4, p.data(any), 16)
      return bound < 0 ? bound : yield* p.syscall('listen', fd4, 10)
    })
  expect(both(true)).toBe(0)
  expect(both(false)).toBe(-EADDRINUSE)
})

test('[::1] and [::] with the same port: the second listener is refused', () => {
  const answer = ask(function* (p) {
    yield* listener6(p, { ip: LOOPBACK })
    return yield* listener6(p)
  })
  expect(answer).toBe(-EADDRINUSE)
})

test('V6ONLY after bind(): EINVAL; socket types that are not there', () => {
  expect(
    ask(function* (p) {
      const fd = yield* listener6(p)
      return yield* p.syscall('setsockopt', fd, SOL_IPV6, IPV6_V6ONLY, p.data(int(0)), 4)
    }),
  ).toBe(-EINVAL)
  expect(ask((p) => p.syscall('socket', AF_INET6, SOCK_DGRAM, 6))).toBe(-93)
  expect(ask((p) => p.syscall('socket', AF_INET6, SOCK_RAW, 1))).toBe(-94)
  expect(ask((p) => p.syscall('socket', AF_INET6, SOCK_STREAM, 17))).toBe(-93)
})

test('getsockname() gives address and port', () => {
  let name: Uint8Array = new Uint8Array(0)
  ask(function* (p) {
    const fd = yield* listener6(p, { ip: LOOPBACK })
    const [at, len] = [p.data(new Uint8Array(28)), p.data(int(28))]
    yield* p.must('getsockname', fd, at, len)
    name = p.readUser(at, p.readInt(len))
    return 0
  })
  expect(Buffer.from(name)).toEqual(Buffer.from(address(LOOPBACK)))
})

test('poll(): nothing to accept, then a connection', () => {
  const k = tcpMachine()
  const ready: number[] = []
  run(k, function* (p) {
    const fd = yield* listener6(p, { v6only: false })
    const set = p.data(Uint8Array.of(fd, 0, 0, 0, 1, 0, 0, 0))
    ready.push(yield* p.syscall('poll', set, 1, 0))
    ready.push(yield* p.syscall('poll', set, 1, -1))
    return 0
  })
  runUntilIdle(k)
  expect(ready).toEqual([0])
  run(k, function* (p) {
    yield* connect(p, PORT)
    yield* p.sleep(60e9)
    return 0
  })
  runUntil(k, k.clock.nowNs + 1e9)
  expect(ready).toEqual([0, 1])
})

test('connect() to an IPv6 host: no route', () => {
  const answer = ask(function* (p) {
    const fd = yield* p.must('socket', AF_INET6, SOCK_STREAM, 0)
    return yield* p.syscall('connect', fd, p.data(address(GLOBAL)), 28)
  })
  expect(answer).toBe(-ENETUNREACH)
})

test('close() leaves the tables, and the next socket gets the memory', () => {
  const k = tcpMachine()
  const socks: number[] = []
  const task = run(k, function* (p) {
    for (let i = 0; i < 2; i++) {
      const fd = yield* listener6(p)
      socks.push(sockOf(k, task, fd).$va)
      yield* p.close(fd)
    }
    return 0
  })
  runUntilIdle(k)
  expect(socks[1]).toBe(socks[0])
  expect(chainOf(k, jhash_1word(0, k.global('init_net', 'net').hash_mix) ^ PORT)).toEqual([])
  const counter = deref(k.global('tcpv6_prot', 'proto').sockets_allocated)
  expect(counter.count).toBe(0n)
})

test('files and net -s show it as crash does', () => {
  const { k, task, sk } = listening({ ip: LOOPBACK })
  const target = liveTarget(k)
  const tc = deref(task_table(target).byPid(task.pid)[0])
  const { text } = taskSockets(target, tc, { whole: false, print: { radix: 10 } })
  expect(text).toMatch(
    new RegExp(
      `^ 0 [0-9a-f]{16} ${sk.$addr.toString(16)} INET6:STREAM +0:0:0:0:0:0:0:1-10006 +0:0:0:0:0:0:0:0-0 *$`,
      'm',
    ),
  )
  const open = [...for_each_file(deref(find_task(target, task.pid)))].map((file) => file_row(target, file))
  expect(open.map(({ type, path }) => [type, path])).toContainEqual(['SOCK', 'TCPv6'])
})

test('an IPv4 peer of [::] without V6ONLY: the child shows mapped addresses', () => {
  const { k, task } = listening({ v6only: false })
  run(k, function* (p) {
    const { result } = yield* connect(p, PORT)
    expect(result).toBe(0)
    yield* p.sleep(60e9)
    return 0
  })
  runUntil(k, k.clock.nowNs + 1e9)
  const child = sockOf(k, task, 1)
  expect(child).toMatchObject({ sk_family: AF_INET6, sk_state: TCP_ESTABLISHED })
  expect(child.sk_v6_rcv_saddr.$bytes()).toEqual(mapped(127, 0, 0, 1))
  expect(child.sk_backlog_rcv).toBe(k.sym('tcp_v4_do_rcv'))
  const np = pinfo(k, child)
  expect(np.$va - child.$va).toBe(k.types.sizeof('tcp_sock'))
  expect(np.saddr.$bytes()).toEqual(mapped(127, 0, 0, 1))
  expect(k.mem.word(inet_csk(k, child).$vaOf('icsk_af_ops'))).toBe(k.sym('ipv6_mapped'))
})

test('an IPv6 socket connects to a mapped IPv4 address', () => {
  const k = tcpMachine()
  const task = run(k, function* (p) {
    const fd = yield* listener(p, PORT)
    const conn = yield* p.must('socket', AF_INET6, SOCK_STREAM, 0)
    expect(yield* p.syscall('connect', conn, p.data(address(mapped(127, 0, 0, 1))), 28)).toBe(0)
    yield* p.sleep(60e9)
    return fd
  })
  runUntil(k, k.clock.nowNs + 1e9)
  const sk = sockOf(k, task, 1)
  expect(sk.sk_state).toBe(TCP_ESTABLISHED)
  expect(sk.sk_v6_daddr.$bytes()).toEqual(mapped(127, 0, 0, 1))
  expect(pinfo(k, sk).saddr.$bytes()).toEqual(mapped(127, 0, 0, 1))
})

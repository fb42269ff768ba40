import { expect, test } from 'vitest'
import { ECONNREFUSED, EADDRINUSE, EDESTADDRREQ, EMSGSIZE, EAGAIN } from '../../../../src/abi/errno.ts'
import { AF_INET, AF_INET6, MSG_DONTWAIT, MSG_TRUNC, SOCK_DGRAM } from '../../../../src/abi/socket.ts'
import { TCP_CLOSE, TCP_ESTABLISHED } from '../../../../src/abi/tcp_states.ts'
import { ntohs } from '../../../../src/base/u32.ts'
import type { task_struct } from '../../../../src/btf/vmlinux.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { ipv4_portaddr_hash } from '../../../../src/linux/net/ipv4/inet_hashtables.ts'
import { udp_hashslot, udp_hashslot2, udp_for_each } from '../../../../src/linux/net/ipv4/udp/table.ts'
import { sockaddrIn } from '../../../../src/userland/ncat/calls.ts'
import type { Process } from '../../../../src/userland/process.ts'
import { run, sockOf, tcpMachine } from '../../../support/tcp-machine.ts'

function* bound(p: Process, port: number, host = '127.0.0.1'): Generator<unknown, number> {
  const fd = yield* p.must('socket', AF_INET, SOCK_DGRAM, 0)
  yield* p.must('bind', fd, p.data(sockaddrIn(host, port)), 16)
  return fd
}

const sendto = (p: Process, fd: number, text: string, port: number, host = '127.0.0.1') =>
  p.syscall('sendto', fd, p.data(Buffer.from(text)), text.length, 0, p.data(sockaddrIn(host, port)), 16)

function* pause(p: Process): Generator<unknown, number> {
  return yield* p.syscall('pause')
}

/** Runs a program to where it pauses. */
function paused(k: Kernel, body: (p: Process) => Generator<unknown, void>): task_struct {
  const task = run(k, function* (p) {
    yield* body(p)
    return yield* pause(p)
  })
  runUntilIdle(k)
  return task
}

test('bind: the sock is in both tables, by port and by address and port', () => {
  const k = tcpMachine()
  const task = paused(k, function* (p) {
    yield* bound(p, 7701)
  })
  const sk = sockOf(k, task, 0)
  const slot = udp_hashslot(k, 7701)
  const slot2 = udp_hashslot2(k, ipv4_portaddr_hash(k, sk.sk_rcv_saddr, 7701))
  expect([...udp_for_each(k, slot, 'node')].map((each) => each.$va)).toEqual([sk.$va])
  expect([...udp_for_each(k, slot2, 'portaddr')].map((each) => each.$va)).toEqual([sk.$va])
  expect([slot.count, slot2.count, sk.sk_refcnt.refs.counter, sk.sk_state]).toEqual([1, 1, 2, TCP_CLOSE])
})

test('bind: a port in use is refused, another address of it is not', () => {
  const k = tcpMachine()
  const results: number[] = []
  paused(k, function* (p) {
    yield* bound(p, 7701)
    for (const host of ['127.0.0.1', '0.0.0.0', '127.0.0.2']) {
      const fd = yield* p.must('socket', AF_INET, SOCK_DGRAM, 0)
      results.push(yield* p.syscall('bind', fd, p.data(sockaddrIn(host, 7701)), 16))
    }
  })
  expect(results).toEqual([-EADDRINUSE, -EADDRINUSE, 0])
})

test('sendto: a datagram is queued with its sender, the unconnected sock keeps no peer', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  const receiver = paused(k, function* (p) {
    yield* bound(p, 7701)
  })
  const sender = paused(k, function* (p) {
    const fd = yield* bound(p, 60000)
    log.push(yield* sendto(p, fd, 'one', 7701), yield* sendto(p, fd, 'three', 7701))
  })
  const sk = sockOf(k, receiver, 0)
  expect(log).toEqual([3, 5])
  expect([sk.sk_receive_queue.qlen, sk.sk_backlog.rmem_alloc.counter, sk.sk_forward_alloc]).toEqual([
    2, 1536, 2560,
  ])
  expect([sockOf(k, sender, 0).sk_daddr, sockOf(k, sender, 0).sk_dport]).toEqual([0, 0])
})

test('recvfrom: one datagram a call, cut to the buffer, with the address it came from', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  const task = paused(k, function* (p) {
    const from = yield* bound(p, 60000)
    const fd = yield* bound(p, 7701)
    yield* sendto(p, from, 'first', 7701)
    yield* sendto(p, from, 'second', 7701)
    const [buffer, address] = [p.alloc(32), p.alloc(16)]
    const room = p.data(Uint8Array.of(16, 0, 0, 0))
    log.push(yield* p.syscall('recvfrom', fd, buffer, 3, 0, address, room))
    log.push(Buffer.from(p.readUser(buffer, 3)).toString(), ntohs(p.readInt(address + 2, 2)), p.readInt(room))
    log.push(yield* p.syscall('recvfrom', fd, buffer, 3, MSG_TRUNC, 0, 0))
    log.push(yield* p.syscall('recvfrom', fd, buffer, 3, MSG_DONTWAIT, 0, 0))
  })
  expect(log).toEqual([3, 'fir', 60000, 16, 6, -EAGAIN])
  const sk = sockOf(k, task, 1)
  expect([sk.sk_backlog.rmem_alloc.counter, sk.sk_receive_queue.qlen]).toEqual([0, 0])
})

test('recvfrom: a reader sleeps until a datagram comes', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  paused(k, function* (p) {
    const fd = yield* bound(p, 7701)
    log.push(Buffer.from((yield* p.read(fd, 100)) as Uint8Array).toString())
  })
  expect(log).toEqual([])
  paused(k, function* (p) {
    const fd = yield* p.must('socket', AF_INET, SOCK_DGRAM, 0)
    yield* sendto(p, fd, 'late', 7701)
  })
  expect(log).toEqual(['late'])
})

test('connect: the peer is kept, and a refusal of the first datagram fails the next call', () => {
  const k = tcpMachine()
  const log: number[] = []
  const task = paused(k, function* (p) {
    const fd = yield* p.must('socket', AF_INET, SOCK_DGRAM, 0)
    log.push(yield* p.syscall('write', fd, p.data(Buffer.from('x')), 1))
    log.push(yield* p.syscall('connect', fd, p.data(sockaddrIn('127.0.0.1', 9)), 16))
    log.push(yield* p.write(fd, 'first'), yield* p.write(fd, 'second'), yield* p.write(fd, 'third'))
  })
  expect(log).toEqual([-EDESTADDRREQ, 0, 5, -ECONNREFUSED, 5])
  const sk = sockOf(k, task, 0)
  expect([sk.sk_state, ntohs(sk.sk_dport), sk.sk_err]).toEqual([TCP_ESTABLISHED, 9, ECONNREFUSED])
})

test('an unconnected sock hears nothing of refusals', () => {
  const k = tcpMachine()
  const log: number[] = []
  paused(k, function* (p) {
    const fd = yield* bound(p, 60000)
    log.push(yield* sendto(p, fd, 'a', 9), yield* sendto(p, fd, 'b', 9))
  })
  expect(log).toEqual([1, 1])
})

test('a full receive buffer: what comes is dropped, and counted', () => {
  const k = tcpMachine()
  const task = paused(k, function* (p) {
    const fd = yield* bound(p, 7701)
    yield* p.must('setsockopt', fd, 1, 8, p.data(Uint8Array.of(0, 0, 0, 0)), 4)
  })
  paused(k, function* (p) {
    const fd = yield* p.must('socket', AF_INET, SOCK_DGRAM, 0)
    for (let i = 0; i < 10; i++) yield* sendto(p, fd, 'datagram', 7701)
  })
  const sk = sockOf(k, task, 0)
  const { qlen } = sk.sk_receive_queue
  expect(qlen).toBeGreaterThan(0)
  expect(sk.sk_drops.counter).toBe(10 - qlen)
})

test('close: both tables forget the sock, its memory is charged to nobody', () => {
  const k = tcpMachine()
  const log: number[] = []
  paused(k, function* (p) {
    const fd = yield* bound(p, 7701)
    yield* sendto(p, fd, 'to myself', 7701)
    yield* p.close(fd)
    log.push(udp_hashslot(k, 7701).count)
    log.push(yield* sendto(p, yield* bound(p, 7701), 'x'.repeat(70_000), 7701))
  })
  expect(log).toEqual([0, -EMSGSIZE])
})

test('sendmsg and recvmsg: an address and two buffers each', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  paused(k, function* (p) {
    const [from, to] = [yield* bound(p, 60000), yield* bound(p, 7701)]
    const [a, b] = [p.data(Buffer.from('two ')), p.data(Buffer.from('parts'))]
    const name = p.data(sockaddrIn('127.0.0.1', 7701))
    const header = (msgName: number, ...vector: number[]): number =>
      p.words([msgName, 16, p.words(vector), vector.length / 2, 0, 0, 0])
    log.push(yield* p.syscall('sendmsg', from, header(name, a, 4, b, 5), 0))
    const [x, y, sender] = [p.alloc(16), p.alloc(16), p.alloc(16)]
    log.push(yield* p.syscall('recvmsg', to, header(sender, x, 3, y, 16), 0))
    log.push(Buffer.from(p.readUser(x, 3)).toString(), Buffer.from(p.readUser(y, 6)).toString())
    log.push(ntohs(p.readInt(sender + 2, 2)))
  })
  expect(log).toEqual([9, 9, 'two', ' parts', 60000])
})

test('a socket of AF_INET6 bound to :: hears IPv4, and names the sender as a mapped address', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  const task = paused(k, function* (p) {
    const fd = yield* p.must('socket', AF_INET6, SOCK_DGRAM, 0)
    const any = Uint8Array.of(AF_INET6, 0, 7702 >> 8, 7702 & 0xff, ...new Uint8Array(24))
    yield* p.must('bind', fd, p.data(any), 28)
    const from = yield* bound(p, 60000)
    log.push(yield* sendto(p, from, 'four', 7702))
    const [buffer, address, room] = [p.alloc(16), p.alloc(28), p.data(Uint8Array.of(28, 0, 0, 0))]
    log.push(yield* p.syscall('recvfrom', fd, buffer, 16, 0, address, room))
    log.push([...p.readUser(address + 18, 6)], ntohs(p.readInt(address + 2, 2)))
    log.push(yield* p.syscall('sendto', fd, buffer, 4, 0, address, 28))
    log.push(yield* p.syscall('recvfrom', from, buffer, 16, MSG_DONTWAIT, 0, 0))
  })
  expect(log).toEqual([4, 4, [0xff, 0xff, 127, 0, 0, 1], 60000, 4, 4])
  expect(sockOf(k, task, 0).sk_prot?.name.$string()).toBe('UDPv6')
})

import { expect, test } from 'vitest'
import * as E from '../../../../src/abi/errno.ts'
import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_DGRAM, SOCK_STREAM } from '../../../../src/abi/socket.ts'
import { S_IFMT, S_IFSOCK } from '../../../../src/abi/stat.ts'
import { TCP_ESTABLISHED, TCP_LISTEN } from '../../../../src/abi/tcp_states.ts'
import type { task_struct } from '../../../../src/btf/vmlinux.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { unix_sk } from '../../../../src/linux/net/unix/names.ts'
import type { Process } from '../../../../src/userland/process.ts'
import { run, sockOf, tcpMachine } from '../../../support/tcp-machine.ts'

const PATH = '/run/server.sock'
/** `struct sockaddr_un`: a name that begins with @ is abstract. */
const sun = (name: string): Uint8Array => {
  const path = name.startsWith('@') ? `\0${name.slice(1)}` : `${name}\0`
  return Uint8Array.of(AF_UNIX, 0, ...Buffer.from(path))
}

function* bound(p: Process, type: number, name: string): Generator<unknown, number> {
  const fd = yield* p.must('socket', AF_UNIX, type, 0)
  yield* p.must('bind', fd, p.data(sun(name)), sun(name).length)
  return fd
}

function* connected(
  p: Process,
  type: number,
  name: string,
): Generator<unknown, { fd: number; result: number }> {
  const fd = yield* p.must('socket', AF_UNIX, type, 0)
  return { fd, result: yield* p.syscall('connect', fd, p.data(sun(name)), sun(name).length) }
}

const text = (bytes: Uint8Array | number): string | number =>
  typeof bytes === 'number' ? bytes : Buffer.from(bytes).toString()

/** Runs a program to where it sleeps for good. */
function paused(k: Kernel, body: (p: Process) => Generator<unknown, void>): task_struct {
  const task = run(k, function* (p) {
    yield* body(p)
    return yield* p.syscall('pause')
  })
  runUntilIdle(k)
  return task
}

test('socketpair: each is the other’s peer, three references, credentials of the process', () => {
  const k = tcpMachine()
  const task = paused(k, function* (p) {
    yield* p.must('socketpair', AF_UNIX, SOCK_STREAM, 0, p.alloc(8))
    yield* p.write(0, 'bytes waiting')
  })
  const [a, b] = [sockOf(k, task, 0), sockOf(k, task, 1)]
  expect([unix_sk(k, a).peer?.$va, unix_sk(k, b).peer?.$va]).toEqual([b.$va, a.$va])
  expect([a.sk_state, a.sk_refcnt.refs.counter]).toEqual([TCP_ESTABLISHED, 3])
  expect(a.sk_peer_pid?.$va).toBe(task.thread_pid?.$va)
  expect([b.sk_receive_queue.qlen, a.sk_wmem_alloc.refs.counter, b.sk_wmem_alloc.refs.counter]).toEqual([
    1, 769, 1,
  ])
})

test('stream: bytes run together, a reader sleeps, the end is an end', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  run(k, function* (p) {
    const fds = p.alloc(8)
    yield* p.must('socketpair', AF_UNIX, SOCK_STREAM, 0, fds)
    yield* p.fork(function* (child) {
      yield* child.close(0)
      log.push(
        text(yield* child.read(1, 3)),
        text(yield* child.read(1, 100)),
        text(yield* child.read(1, 100)),
      )
      return 0
    })
    yield* p.close(1)
    yield* p.sleep(1e6)
    yield* p.write(0, 'ab')
    yield* p.write(0, 'cdef')
    yield* p.sleep(1e6)
    yield* p.close(0)
    return 0
  })
  runUntilIdle(k)
  expect(log.join('|')).toBe('abc|def|')
})

test('stream: writing to nobody is EPIPE, with a signal unless MSG_NOSIGNAL', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  run(k, function* (p) {
    yield* p.must('socketpair', AF_UNIX, SOCK_STREAM, 0, p.alloc(8))
    yield* p.write(1, 'unread')
    yield* p.close(0)
    log.push(yield* p.syscall('sendto', 1, p.data(Buffer.from('x')), 1, MSG_NOSIGNAL, 0, 0))
    log.push(text(yield* p.read(1, 10)))
    yield* p.write(1, 'x')
    log.push('not reached')
    return 0
  })
  runUntilIdle(k)
  expect(log).toEqual([-E.EPIPE, -E.ECONNRESET])
})

test.each([PATH, '@abstract'])('stream: listen, connect, accept at %s', (name) => {
  const k = tcpMachine()
  const log: unknown[] = []
  const server = paused(k, function* (p) {
    const fd = yield* bound(p, SOCK_STREAM, name)
    yield* p.must('listen', fd, 5)
    const conn = yield* p.must('accept', fd, 0, 0)
    log.push(text(yield* p.read(conn, 100)))
    yield* p.write(conn, 'pong')
  })
  expect(sockOf(k, server, 0).sk_state).toBe(TCP_LISTEN)
  const client = paused(k, function* (p) {
    const { fd, result } = yield* connected(p, SOCK_STREAM, name)
    log.push(result)
    yield* p.write(fd, 'ping')
    log.push(text(yield* p.read(fd, 100)))
  })
  expect(log).toEqual([0, 'ping', 'pong'])
  const [child, sk] = [sockOf(k, server, 1), sockOf(k, client, 0)]
  expect([unix_sk(k, child).peer?.$va, unix_sk(k, sk).peer?.$va]).toEqual([sk.$va, child.$va])
  expect(unix_sk(k, child).addr?.$va).toBe(unix_sk(k, sockOf(k, server, 0)).addr?.$va)
})

test('a path is an inode of kind socket, taken once, and refused when nobody listens', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  const task = paused(k, function* (p) {
    yield* bound(p, SOCK_DGRAM, PATH)
    const fd = yield* p.must('socket', AF_UNIX, SOCK_DGRAM, 0)
    log.push(yield* p.syscall('bind', fd, p.data(sun(PATH)), sun(PATH).length))
    for (const name of ['/run/none', '@none']) log.push((yield* connected(p, SOCK_STREAM, name)).result)
    log.push((yield* connected(p, SOCK_STREAM, PATH)).result)
  })
  expect(log).toEqual([-E.EADDRINUSE, -E.ENOENT, -E.ECONNREFUSED, -E.EPROTOTYPE])
  const { dentry } = unix_sk(k, sockOf(k, task, 0)).path
  expect([dentry?.d_name.len, (dentry?.d_inode?.i_mode ?? 0) & S_IFMT]).toEqual([11, S_IFSOCK])
  const { addr } = unix_sk(k, sockOf(k, task, 0))
  expect([addr?.len, addr?.refcnt.refs.counter]).toEqual([2 + PATH.length + 1, 1])
})

test('messages keep their bounds and their sender’s name; a full queue makes the sender wait', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  paused(k, function* (p) {
    const to = yield* bound(p, SOCK_DGRAM, '@to')
    const from = yield* bound(p, SOCK_DGRAM, '@from')
    const send = (body: string) =>
      p.syscall('sendto', from, p.data(Buffer.from(body)), body.length, MSG_DONTWAIT, p.data(sun('@to')), 5)
    log.push(yield* send('one'), yield* send('three'))
    const [buffer, address, room] = [p.alloc(16), p.alloc(110), p.data(Uint8Array.of(110, 0, 0, 0))]
    log.push(yield* p.syscall('recvfrom', to, buffer, 16, 0, address, room), p.readInt(room))
    log.push(text(p.readUser(address + 3, 4)))
    let result = 0
    for (let i = 0; result >= 0 && i < 30; i++) result = yield* send('more')
    log.push(result)
  })
  expect(log).toEqual([3, 5, 3, 7, 'from', -E.EAGAIN])
})

test('the last close takes a socket out of the table, and a connection nobody accepted is reset', () => {
  const k = tcpMachine()
  const log: unknown[] = []
  paused(k, function* (p) {
    const fd = yield* bound(p, SOCK_STREAM, '@server')
    yield* p.must('listen', fd, 5)
    const client = yield* connected(p, SOCK_STREAM, '@server')
    yield* p.close(fd)
    log.push(text(yield* p.read(client.fd, 10)))
    log.push((yield* connected(p, SOCK_STREAM, '@server')).result)
    log.push(yield* bound(p, SOCK_STREAM, '@server'))
  })
  expect(log).toEqual([-E.ECONNRESET, -E.ECONNREFUSED, 2])
})

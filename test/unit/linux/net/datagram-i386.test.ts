/** The same code on a 32-bit kernel: words of 32 bits, calls through socketcall(2). */

import { expect, test } from 'vitest'
import { ECONNREFUSED } from '../../../../src/abi/errno.ts'
import { AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_STREAM } from '../../../../src/abi/socket.ts'
import { runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { findProfile } from '../../../../src/linux/profile.ts'
import { sockaddrIn } from '../../../../src/userland/ncat/calls.ts'
import { run, tcpMachine } from '../../../support/tcp-machine.ts'

const text = (bytes: Uint8Array | number): string | number =>
  typeof bytes === 'number' ? bytes : Buffer.from(bytes).toString()

test('datagrams, refusals and a socketpair', () => {
  const profile = findProfile('linux-3.13-i386')
  if (profile === undefined) throw new Error('no such profile')
  const k = tcpMachine({ profile })
  const log: unknown[] = []
  run(k, function* (p) {
    const to = yield* p.must('socket', AF_INET, SOCK_DGRAM, 0)
    yield* p.must('bind', to, p.data(sockaddrIn('127.0.0.1', 7701)), 16)
    const from = yield* p.must('socket', AF_INET, SOCK_DGRAM, 0)
    yield* p.must('connect', from, p.data(sockaddrIn('127.0.0.1', 7701)), 16)
    log.push(yield* p.write(from, 'one'), yield* p.write(from, 'three'))
    log.push(text(yield* p.read(to, 16)), text(yield* p.read(to, 16)))
    yield* p.close(to)
    log.push(yield* p.write(from, 'x'), yield* p.write(from, 'y'))
    const fds = p.alloc(8)
    yield* p.must('socketpair', AF_UNIX, SOCK_STREAM, 0, fds)
    const [a, b] = [p.readInt(fds), p.readInt(fds + 4)]
    yield* p.write(a, 'through')
    log.push(text(yield* p.read(b, 16)))
    yield* p.close(a)
    log.push(text(yield* p.read(b, 16)))
    return 0
  })
  runUntilIdle(k)
  expect(log).toEqual([3, 5, 'one', 'three', 1, -ECONNREFUSED, 'through', ''])
})

import { expect, test } from 'vitest'
import { runUntil, runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { tcp_sk } from '../../../../src/linux/include/net/casts.ts'
import { listener, run, sockOf, wiredMachine } from '../../../support/tcp-machine.ts'
import { REAL_CHILD } from './real-child.ts'

test('an accepted connection that received 28 bytes is, member by member, the real kernel’s', () => {
  const { k, host } = wiredMachine({ memoryBytes: 144 << 20 })
  const server = run(k, function* (p) {
    const fd = yield* listener(p, 10000, 10, '192.168.56.1')
    const conn = yield* p.syscall('accept', fd, 0, 0)
    yield* p.read(conn, 100)
    yield* p.syscall('pause')
    return 0
  })
  runUntilIdle(k)
  const peer = host.connect('192.168.56.1', 10000)
  runUntil(k, k.clock.nowNs + 20e6)
  peer.send(new Uint8Array(28))
  runUntil(k, k.clock.nowNs + 100e6)
  const tp = tcp_sk(k, sockOf(k, server, 1))
  const found = REAL_CHILD.map(([path]) => [path, Number(tp.$int(path))])
  expect(found).toEqual(REAL_CHILD.map(([path, value]) => [path, value]))
  expect(REAL_CHILD.length).toBeGreaterThan(150)
})

/** One connection over the loopback: the kernel functions called, in order, each with its caller, as ftrace saw them. */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { runUntil, runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { connect, listener, run, tcpMachine } from '../../../support/tcp-machine.ts'

/** `function <-caller`, recorded on Debian 12, Linux 6.1.192. */
const real = readFileSync(new URL('./call-order.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n')

test('connect, accept, send, receive, close: the calls of a real kernel in their order', () => {
  const k = tcpMachine()
  const calls: string[] = []
  let on = false
  for (const name of new Set(real.map((line) => line.split(' ')[0] ?? ''))) {
    k.watch(name, {
      entered: (info) => {
        // what has no symbol was inlined
        const callers = k.thread.frames.slice(0, -1)
        const caller = callers.findLast((f) => !f.sibling && k.textIfAny(f) !== undefined)
        if (on) calls.push(`${info.name} <-${caller?.name ?? ''}`)
      },
      returned: () => undefined,
    })
  }
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
    1,
  )
  runUntilIdle(k, 1e6)
  run(k, function* (p) {
    on = true
    const { fd } = yield* connect(p, 10020)
    const at = p.alloc(100)
    yield* p.sleep(7e6)
    yield* p.syscall('sendto', fd, at, 10, 0, 0, 0)
    yield* p.sleep(7e6)
    yield* p.syscall('shutdown', fd, 1)
    yield* p.sleep(50e6)
    return 0
  })
  runUntil(k, k.clock.nowNs + 45e6)
  expect(calls).toEqual(real)
})

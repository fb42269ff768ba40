import { expect, test } from 'vitest'
import { TCP_TIME_WAIT } from '../../../../src/abi/tcp_states.ts'
import { runUntil, runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { connect, ehash, listener, run, tcpMachine } from '../../../support/tcp-machine.ts'

test('a listener and a client: accept, data both ways, close', () => {
  const k = tcpMachine()
  const log: string[] = []
  run(k, function* (p) {
    const fd = yield* listener(p, 10000)
    const conn = yield* p.syscall('accept', fd, 0, 0)
    const got = yield* p.read(conn, 100)
    log.push(`server read ${typeof got === 'number' ? got : Buffer.from(got).toString()}`)
    yield* p.write(conn, 'pong')
    const end = yield* p.read(conn, 100)
    log.push(`server end ${typeof end === 'number' ? end : end.length}`)
    yield* p.close(conn)
    return 0
  })
  runUntilIdle(k)
  run(k, function* (p) {
    const { fd, result } = yield* connect(p, 10000)
    log.push(`connect ${result}`)
    yield* p.write(fd, 'ping')
    const got = yield* p.read(fd, 100)
    log.push(`client read ${typeof got === 'number' ? got : Buffer.from(got).toString()}`)
    yield* p.close(fd)
    return 0
  })
  runUntil(k, k.clock.nowNs + 3e9)
  expect(log).toEqual(['connect 0', 'server read ping', 'client read pong', 'server end 0'])
  expect(ehash(k).map((sk) => sk.sk_state)).toEqual([TCP_TIME_WAIT])
})

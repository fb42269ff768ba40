import { beforeEach, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { sigAnswer } from '../../../src/crash/sig-text.ts'
import { signal_name, signals_of } from '../../../src/helpers/signal.ts'
import type { TaskContext } from '../../../src/helpers/tasks.ts'
import { FlatTarget } from '../../support/flat-target.ts'

const SIGINT = 2
const SIGUSR1 = 10
let t: FlatTarget
let context: TaskContext
let signal: StructRef
let sighand: StructRef

beforeEach(() => {
  t = new FlatTarget()
  context = t.context
  signal = t.make('signal_struct')
  sighand = t.make('sighand_struct')
  t.task.$set('signal', signal)
  t.task.$set('sighand', sighand)
  signal.$set('nr_threads', 1)
  t.emptyList(signal.$vaOf('shared_pending.list'))
  t.emptyList(t.task.$vaOf('pending.list'))
})

const mask = (sig: number): bigint => 1n << BigInt(sig - 1)

test('handlers, masks and flags', () => {
  const action = sighand.$array('action').ref(SIGINT - 1)
  action?.$set('sa.sa_handler', 0x55c63c1924a0n)
  action?.$set('sa.sa_flags', 0x14000000n)
  t.mem.setU64(action?.$vaOf('sa.sa_mask') ?? 0, mask(SIGUSR1))
  const { rows, text, failed } = sigAnswer(context)
  const lines = text.split('\n')
  expect(lines[2]).toBe(' SIG    SIGACTION        HANDLER       MASK       FLAGS           ')
  expect(lines[3]).toMatch(/^ \[1\] ffff[0-9a-f]{12} {4}SIG_DFL 0000000000000000 0 $/)
  expect(lines[4]).toMatch(
    /^ \[2\] ffff[0-9a-f]{12} 55c63c1924a0 0000000000000200 14000000 \(SA_RESTORER\|SA_RESTART\)$/,
  )
  expect(rows.actions).toHaveLength(64)
  expect(failed).toBe(false)
})

test('what is blocked and what waits, the thread apart from its process', () => {
  t.mem.setU64(t.task.$vaOf('blocked'), mask(SIGUSR1))
  t.mem.setU64(signal.$vaOf('shared_pending.signal'), mask(SIGUSR1))
  const queued: StructRef = t.make('sigqueue')
  queued.$set('info.si_signo', SIGUSR1)
  t.append(signal.$vaOf('shared_pending.list'), queued.$vaOf('list'))
  const { rows, text } = sigAnswer(context)
  expect(text).toContain('SIGPENDING: no\n   BLOCKED: 0000000000000200\nPRIVATE_PENDING\n')
  expect(text).toMatch(
    /SHARED_PENDING\n {4}SIGNAL: 0000000000000200\n {2}SIGQUEUE: {2}SIG {6}SIGINFO {5}\n {14}10 {2}ffff[0-9a-f]{12}\n\n$/,
  )
  expect(rows.shared?.queue).toMatchObject([{ sig: SIGUSR1 }])
  const group = sigAnswer(context, [context]).text
  expect(group).toContain('\n\n  PID: 42')
  expect(group).toMatch(/\n {2}SIGPENDING: no\n[\s\S]* {4}SIGQUEUE: \(empty\)\n\n$/)
})

test('a task that has neither any more', () => {
  t.task.$set('signal', null)
  t.task.$set('sighand', null)
  const { rows, text } = sigAnswer(context)
  expect(text).toContain('SIGNAL_STRUCT: 0  NR_THREADS: 0\n')
  expect(rows).toMatchObject({ nr_threads: null, actions: [], shared: null })
})

test('a queue that leads nowhere: the rest, and where', () => {
  t.mem.setU64(t.task.$vaOf('pending.list'), 0xdead000000000100n)
  const { text, failed } = sigAnswer(context)
  expect(failed).toBe(true)
  expect(text).toMatch(/<damaged 0x[0-9a-f]+>\nSHARED_PENDING\n/)
})

test('names', () => {
  expect([1, 31, 32, 33, 64].map(signal_name)).toEqual([
    'SIGHUP',
    'SIGSYS',
    'SIGRTMIN',
    'SIGRTMIN+1',
    'SIGRTMAX',
  ])
  expect(signals_of(0x800a000000000201n).map(signal_name)).toEqual([
    ...['SIGHUP', 'SIGUSR1', 'SIGRTMAX-14', 'SIGRTMAX-12', 'SIGRTMAX'],
  ])
})

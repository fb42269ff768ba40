import { beforeEach, expect, test } from 'vitest'
import { toAddr, type Va } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { groupsReport, lagReport, queuesReport, runningReport } from '../../../src/crash/runq.ts'
import type { Report } from '../../../src/crash/dump-command.ts'
import { queued_below, cfs_queued } from '../../../src/helpers/runqueue.ts'
import { rb_add } from '../../../src/structures/rbtree.ts'
import { FlatTarget } from '../../support/flat-target.ts'

const PRIORITIES = 100
let t: FlatTarget
let rq: StructRef

beforeEach(() => {
  t = new FlatTarget()
  rq = t.make('rq')
  t.symbol('runqueues', rq.$va)
  t.symbol('root_task_group', t.room(64))
  for (let prio = 0; prio < PRIORITIES; prio++) t.emptyList(rq.$vaOf('rt.active.queue') + prio * 16)
  rq.$set('curr', task('spin', 192))
  rq.$set('clock', 31_129_331_239n)
})

function task(comm: string, pid: number): StructRef {
  const made: StructRef = t.make('task_struct')
  made.$array('comm').$setString(comm)
  made.$set('pid', pid)
  made.$set('prio', 120)
  return made
}

function enqueue(queue: StructRef, entity: Va): void {
  rb_add(
    t.mem,
    entity + t.types.offsetof('sched_entity', 'run_node'),
    queue.$vaOf('tasks_timeline'),
    () => false,
  )
}

const textOf = (report: Report): string =>
  typeof report.text === 'string' ? report.text : [...report.text].join('')

test('nothing waits', () => {
  expect(textOf(queuesReport(t.target, [0]))).toBe(
    `CPU 0 RUNQUEUE: ${toAddr(rq.$va).toString(16)}\n` +
      `  CURRENT: PID: 192    TASK: ${rq.$int('curr').toString(16)}  COMMAND: "spin"\n` +
      `  RT PRIO_ARRAY: ${toAddr(rq.$vaOf('rt.active')).toString(16)}\n     [no tasks queued]\n` +
      `  CFS RB_ROOT: ${toAddr(rq.$vaOf('cfs.tasks_timeline')).toString(16)}\n     [no tasks queued]\n`,
  )
})

test('real-time tasks by priority, fair ones by the tree; the running one is shown by -g only', () => {
  const cfs = rq.$ref('cfs') as StructRef
  const fair = task('sh', 14738)
  enqueue(cfs, fair.$vaOf('se'))
  cfs.$set('curr', rq.$ref('curr')?.$ref('se') ?? null)
  const fifo = task('watchdog', 12)
  t.append(rq.$vaOf('rt.active.queue') + 98 * 16, fifo.$vaOf('rt.run_list'))
  const text = textOf(queuesReport(t.target, [0]))
  expect(text).toContain('     [ 98] PID: 12     TASK: ')
  expect(text).toContain('     [120] PID: 14738  TASK: ')
  expect(text).not.toContain('[120] PID: 192')
  expect(textOf(groupsReport(t.target, [0]))).toMatch(
    /\[120\] PID: 192 .* \[CURRENT\]\n {5}\[120\] PID: 14738/,
  )
})

test('a group that contains itself is walked once', () => {
  const cfs = rq.$ref('cfs') as StructRef
  const entity: StructRef = t.make('sched_entity')
  if (!entity.$has('my_q')) return
  entity.$set('my_q', cfs)
  enqueue(cfs, entity.$va)
  expect([...queued_below(cfs, cfs_queued)]).toHaveLength(1)
})

test('clocks', () => {
  expect(textOf(runningReport(t.target, [0]))).toMatch(/^ CPU 0: \[0 00:00:31\.129\] {2}PID: 192 /)
  expect(textOf(lagReport(t.target, [0]))).toBe('  CPU 0: 0.00 secs\n')
})

test('a runqueue that is not in the dump', () => {
  t.symbol('runqueues', -0x1000_0000)
  const report = queuesReport(t.target, [0])
  expect(textOf(report)).toMatch(/^CPU 0: <unmapped 0x[0-9a-f]+>\n$/)
  expect(report.failed).toBe(true)
})

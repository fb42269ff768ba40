/** `runq`: the tasks on each CPU's runqueue, its groups, and how far its clock is. */

import { hex, toAddr } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { findSymbolVa, readStringAt } from '../helpers/kernel.ts'
import {
  cfs_queued,
  cfs_tree,
  cpu_cfs_rq,
  cpu_rt_rq,
  queued_below,
  rt_queued,
  type Queued,
  type QueuedAt,
} from '../helpers/runqueue.ts'
import { cpu_rq, rq_clock } from '../helpers/sched.ts'
import { task_comm, task_last_run, task_pid } from '../helpers/task.ts'
import { nanoseconds } from '../helpers/time.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'
import type { RunqLagRow } from './rows.ts'

/** A task in `runq --json`. */
export interface RunqTask {
  readonly pid: number
  readonly task: bigint
  readonly comm: string
}

/** A queued task or group. */
export interface RunqEntry {
  readonly prio: number
  /** groups around it */
  readonly depth: number
  readonly queue?: bigint
  readonly pid?: number
  readonly task?: bigint
  readonly comm?: string
  readonly current?: boolean
}

/** A CPU in `runq --json` and `runq -g --json`. */
export interface RunqRow {
  readonly cpu: number
  readonly runqueue: bigint
  readonly current: RunqTask
  readonly rt: readonly RunqEntry[]
  readonly cfs: readonly RunqEntry[]
}

/** A CPU in `runq -t` and `runq -m`. */
export interface RunqClockRow {
  readonly cpu: number
  readonly clock_ns: bigint
  readonly last_run_ns: bigint
  readonly current: RunqTask
}

const NAME_MAX = 256

interface Answer<R> {
  readonly row: R
  readonly text: string
}

/** One part for each CPU; a CPU that cannot be read says so in its place. */
function eachCpu<R>(cpus: readonly number[], between: string, answer: (cpu: number) => Answer<R>): Report {
  const rows: R[] = []
  let failed = false
  const text = function* (): Generator<string> {
    for (const [i, cpu] of cpus.entries()) {
      if (i > 0 && between !== '') yield between
      try {
        const { row, text } = answer(cpu)
        rows.push(row)
        yield text
      } catch (error) {
        if (!isDamage(error)) throw error
        failed = true
        yield `CPU ${cpu}: ${faultMark(error)}\n`
      }
    }
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}

/** `runq` */
export function queuesReport(target: Target, cpus: readonly number[]): Report {
  return eachCpu<RunqRow>(cpus, '\n', (cpu) => {
    const rq = cpu_rq(target, cpu)
    const rt = cpu_rt_rq(target, cpu)
    const cfs = cpu_cfs_rq(target, cpu)
    const current = currentOf(rq)
    const rtTasks = [...queued_below(rt, rt_queued)]
    const cfsTasks = [...queued_below(cfs, cfs_queued)]
    // the tree has not the task that runs
    const waiting = cfsTasks.filter((q) => q.kind === 'task' && !q.current)
    const text =
      `CPU ${cpu} RUNQUEUE: ${hex(rq.$addr)}\n  CURRENT: ${taskText(current)}\n` +
      `  RT PRIO_ARRAY: ${hex(toAddr(rt.$vaOf('active')))}\n${entriesText(rtTasks.filter((q) => q.kind === 'task'))}` +
      `  CFS RB_ROOT: ${hex(toAddr(cfs_tree(cfs)))}\n${entriesText(waiting)}`
    return { text, row: queueRow(cpu, rq, current, rtTasks, cfsTasks) }
  })
}

/** `runq -g` */
export function groupsReport(target: Target, cpus: readonly number[]): Report {
  const root = findSymbolVa(target, 'root_task_group') ?? findSymbolVa(target, 'init_task_group') ?? 0
  return eachCpu<RunqRow>(cpus, '\n', (cpu) => {
    const rq = cpu_rq(target, cpu)
    const current = currentOf(rq)
    const rt = cpu_rt_rq(target, cpu)
    const cfs = cpu_cfs_rq(target, cpu)
    const rtTasks = [...queued_below(rt, rt_queued)]
    const cfsTasks = [...queued_below(cfs, cfs_queued)]
    const part = (name: string, queue: StructRef, entries: readonly QueuedAt[]): string =>
      `  ROOT_TASK_GROUP: ${hex(toAddr(root))}  ${name}: ${hex(queue.$addr)}\n${treeText(name, entries)}`
    const rtPart = target.types.has('sched_rt_entity', 'my_q') ? part('RT_RQ', rt, rtTasks) : ''
    const text = `CPU ${cpu}\n  CURRENT: ${taskText(current)}\n${rtPart}${part('CFS_RQ', cfs, cfsTasks)}`
    return { text, row: queueRow(cpu, rq, current, rtTasks, cfsTasks) }
  })
}

/** `runq -t`: each runqueue's clock, and when its task got the CPU */
export function clocksReport(target: Target, cpus: readonly number[]): Report {
  return eachCpu<RunqClockRow>(cpus, '', (cpu) => {
    const row = clockRow(target, cpu)
    const head = ` CPU ${cpu}: `
    const clock = row.clock_ns.toString()
    const since = row.last_run_ns.toString().padStart(clock.length, '0')
    return { row, text: `${head}${clock}\n${' '.repeat(head.length)}${since}  ${taskText(row.current)}\n` }
  })
}

/** `runq -m`: how long each task has had its CPU */
export function runningReport(target: Target, cpus: readonly number[]): Report {
  return eachCpu<RunqClockRow>(cpus, '', (cpu) => {
    const row = clockRow(target, cpu)
    const since = row.clock_ns > row.last_run_ns ? row.clock_ns - row.last_run_ns : 0n
    return { row, text: ` CPU ${cpu}: [${nanoseconds(since)}]  ${taskText(row.current)}\n` }
  })
}

/** `runq -T`: how far each clock is behind the newest, that first */
export function lagReport(target: Target, cpus: readonly number[]): Report {
  const rows = cpus.map((cpu): RunqLagRow => ({ cpu, clock_ns: rq_clock(target, cpu) }))
  rows.sort((a, b) => (a.clock_ns < b.clock_ns ? 1 : a.clock_ns > b.clock_ns ? -1 : a.cpu - b.cpu))
  const newest = rows[0]?.clock_ns ?? 0n
  const lag = (clock: bigint): string => (Number(newest - clock) / 1e9).toFixed(2)
  const text = rows.map(({ cpu, clock_ns }) => `  CPU ${cpu}: ${lag(clock_ns)} secs\n`).join('')
  return { rows: rows, text }
}

const taskRow = (task: StructRef): RunqTask => ({
  pid: task_pid(task),
  task: task.$addr,
  comm: task_comm(task),
})

function currentOf(rq: StructRef): RunqTask {
  const task = rq.$ref('curr')
  return task === null ? { pid: 0, task: 0n, comm: '' } : taskRow(task)
}

function clockRow(target: Target, cpu: number): RunqClockRow {
  const rq = cpu_rq(target, cpu)
  const task = rq.$ref('curr')
  const last_run_ns = task === null ? 0n : task_last_run(task)
  return { cpu, clock_ns: rq_clock(target, cpu), last_run_ns, current: currentOf(rq) }
}

function queueRow(
  cpu: number,
  rq: StructRef,
  current: RunqTask,
  rt: readonly QueuedAt[],
  cfs: readonly QueuedAt[],
): RunqRow {
  return { cpu, runqueue: rq.$addr, current, rt: rt.map(entryRow), cfs: cfs.map(entryRow) }
}

function entryRow(entry: QueuedAt): RunqEntry {
  const { prio, depth } = entry
  if (entry.kind === 'group') return { prio, depth, queue: entry.queue.$addr }
  return { prio, depth, ...taskRow(entry.task), current: entry.current }
}

const taskText = ({ pid, task, comm }: RunqTask): string =>
  `PID: ${String(pid).padEnd(5)}  TASK: ${hex(task)}  COMMAND: "${comm}"`

const NONE = '     [no tasks queued]\n'
const label = ({ prio }: Queued, depth: number): string =>
  `${' '.repeat(5 + 6 * depth)}[${String(prio).padStart(3)}] `

function entriesText(entries: readonly QueuedAt[]): string {
  if (entries.length === 0) return NONE
  return entries
    .map((q) => (q.kind === 'task' ? `${label(q, 0)}${taskText(taskRow(q.task))}\n` : ''))
    .join('')
}

function treeText(queueName: string, entries: readonly QueuedAt[]): string {
  if (entries.length === 0) return NONE
  const line = (q: QueuedAt): string => {
    if (q.kind === 'task') return `${taskText(taskRow(q.task))}${q.current ? ' [CURRENT]' : ''}`
    const group = q.queue.$ref('tg')
    const member = queueName === 'RT_RQ' ? 'rt_throttled' : 'throttled'
    const throttled = q.queue.$has(member) && q.queue.$int(member) !== 0n ? ' (THROTTLED)' : ''
    const where = `TASK_GROUP: ${hex(group?.$addr ?? 0n)}  ${queueName}: ${hex(q.queue.$addr)}`
    return `${where}${groupName(group)}${throttled}`
  }
  return entries.map((q) => `${label(q, q.depth)}${line(q)}\n`).join('')
}

/** The control group's directory. */
function groupName(group: StructRef | null): string {
  const node = group?.$ref('css.cgroup')?.$ref('kn') ?? null
  const name = node === null ? undefined : readStringAt(node, 'name', NAME_MAX)
  return name === undefined || name === '' ? '' : `  <${name}>`
}

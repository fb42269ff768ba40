import { beforeEach, describe, expect, test } from 'vitest'
import { toAddr, type Va } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { find_task, for_each_task } from '../../../src/helpers/pid.ts'
import {
  is_kernel_thread,
  task_state,
  task_state_names,
  task_state_string,
  task_state_to_char,
  task_states,
} from '../../../src/helpers/task.ts'
import { task_memory } from '../../../src/helpers/task-memory.ts'
import { TaskTable } from '../../../src/helpers/tasks.ts'
import { duration, hz, load_averages, nanoseconds, uptime } from '../../../src/helpers/time.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel
let init: StructRef
let ns: StructRef
let xaNode: Va

beforeEach(() => {
  k = new FlatKernel()
  init = newTask('swapper/0', 0)
  k.symbol('init_task', init.$va)
  k.emptyList(init.$vaOf('tasks'))
  ns = k.make('pid_namespace')
  k.symbol('init_pid_ns', ns.$va)
  const runqueues: StructRef = k.make('rq')
  k.symbol('runqueues', runqueues.$va)
  runqueues.$set('idle', init)
  runqueues.$set('curr', init)
  xaNode = k.make('xa_node').$va
  k.mem.setU64(ns.$vaOf('idr.idr_rt.xa_head'), toAddr(xaNode) | 2n)
})

function newTask(comm: string, pid: number, at?: Va): StructRef {
  const task: StructRef = at === undefined ? k.make('task_struct') : k.types.ref('task_struct', k.mem, at)
  task.$array('comm').$setString(comm)
  task.$set('pid', pid)
  task.$set('tgid', pid)
  task.$set('parent', task)
  return task
}

/** Enter a task into the namespace. */
function hash(task: StructRef, nr: number): void {
  const pid: StructRef = k.make('pid')
  k.mem.setPointer(pid.$vaOf('tasks[0]'), task.$vaOf('pid_links[0]'))
  k.mem.setPointer(xaNode + k.types.offsetof('xa_node', 'slots') + nr * 8, pid.$va)
}

describe('states', () => {
  test.each([
    [0x0, 'RU', 'R', 'TASK_RUNNING'],
    [0x1, 'IN', 'S', 'TASK_INTERRUPTIBLE'],
    [0x2001, 'IN', 'S', 'TASK_INTERRUPTIBLE'],
    [0x2, 'UN', 'D', 'TASK_UNINTERRUPTIBLE'],
    [0x402, 'ID', 'I', 'TASK_UNINTERRUPTIBLE|TASK_NOLOAD'],
    [0x104, 'ST', 'T', 'TASK_STOPPED|TASK_WAKEKILL'],
    [0x108, 'TR', 't', 'TASK_TRACED|TASK_WAKEKILL'],
    [0x20 | 0x80, 'ZO', 'Z', 'EXIT_DEAD|EXIT_ZOMBIE'],
    [0x80, 'DE', 'R', 'EXIT_DEAD'],
    [0x90, 'DE', 'X', 'EXIT_DEAD|TASK_DEAD'],
    [0x40, 'PA', 'P', 'TASK_PARKED'],
    [0x200, 'WA', 'R', 'TASK_WAKING'],
    [0x800, 'NE', 'R', 'TASK_NEW'],
    [0x10000, '??', 'R', ''],
  ])('%# 0x%o: %s', (state, short, letter, names) => {
    const states = task_states(k)
    expect(task_state_string(states, state)).toBe(short)
    expect(task_state_to_char(states, state)).toBe(letter)
    expect(task_state_names(states, state)).toBe(names)
  })

  test('state and exit_state together', () => {
    init.$set('__state', 0x80)
    init.$set('exit_state', 0x20)
    expect(task_state(init)).toBe(0xa0)
  })

  test('kernel threads are born as such', () => {
    expect(is_kernel_thread(init)).toBe(false)
    init.$set('flags', 0x200000)
    expect(is_kernel_thread(init)).toBe(true)
  })
})

describe('the table of tasks', () => {
  test('idle tasks, then pids ascending; names, parents, the running task', () => {
    const b = newTask('b', 7)
    const a = newTask('a', 3)
    b.$set('parent', a)
    hash(b, 7)
    hash(a, 3)
    const table = new TaskTable(k)
    expect(table.tasks.map((t) => [t.pid, t.comm])).toEqual([
      [0, 'swapper/0'],
      [3, 'a'],
      [7, 'b'],
    ])
    expect(table.byAddress(b.$va)?.parent).toBe(a.$va)
    expect(table.byPid(7).map((t) => t.comm)).toEqual(['b'])
    expect(table.tasks.filter((t) => table.isActive(t)).map((t) => t.pid)).toEqual([0])
    expect(table.holding(b.$va + 100)?.pid).toBe(7)
    expect(find_task(k, 7)?.$va).toBe(b.$va)
    expect(find_task(k, 8)).toBeNull()
  })

  test('threads of a process share its tgid', () => {
    const leader = newTask('p', 3)
    const thread = newTask('t', 4)
    thread.$set('tgid', 3)
    hash(leader, 3)
    hash(thread, 4)
    expect(new TaskTable(k).byTgid(3).map((t) => t.pid)).toEqual([3, 4])
  })

  test('a task on a missing page is told and left out', () => {
    const lost = k.lonely(k.types.sizeof('task_struct'))
    hash(newTask('lost', 3, lost), 3)
    hash(newTask('kept', 4), 4)
    for (let at = lost; at < lost + k.types.sizeof('task_struct'); at += 4096) k.mem.unmap(at)
    const table = new TaskTable(k)
    expect(table.tasks.map((t) => t.comm)).toEqual(['swapper/0', 'kept'])
    expect(table.problems).toHaveLength(1)
    expect(table.problems[0]?.error).toMatchObject({ code: 'FAULT' })
  })

  test('a damaged pid table: the ring of processes is taken', () => {
    const a = newTask('a', 3)
    k.append(init.$vaOf('tasks'), a.$vaOf('tasks'))
    k.mem.setU64(ns.$vaOf('idr.idr_rt.xa_head'), 0xffff800000000002n)
    const problems: string[] = []
    const found = [...for_each_task(k, (p) => problems.push(p.where))]
    expect(found.map((t) => t.$va)).toEqual([init.$va, a.$va])
    expect(problems).toEqual(['init_pid_ns'])
  })

  test('a running task that has no pid is in the table', () => {
    const ghost = newTask('ghost', 9)
    const rq = k.types.ref('rq', k.mem, Number(BigInt.asIntN(64, k.sym('runqueues')))) as StructRef
    rq.$set('curr', ghost)
    expect(new TaskTable(k).tasks.map((t) => t.comm)).toEqual(['swapper/0', 'ghost'])
  })
})

describe('memory of a task', () => {
  test('the counters of its mm and what its threads have not added yet; negative ones are nothing', () => {
    const task = newTask('a', 3)
    const mm: StructRef = k.make('mm_struct')
    task.$set('mm', mm)
    mm.$set('total_vm', 500n)
    const counters = mm.$vaOf('rss_stat.count')
    k.mem.setU64(counters, 100n)
    k.mem.setU64(counters + 8, 20n)
    k.mem.setU64(counters + 24, BigInt.asUintN(64, -5n))
    k.mem.setU32(task.$vaOf('rss_stat.count'), 3)
    k.mem.setU32(task.$vaOf('rss_stat.count') + 4, -2 >>> 0)
    hash(task, 3)
    const table = new TaskTable(k)
    const context = table.byPid(3)[0]
    if (context === undefined) throw new Error('no task 3')
    expect(task_memory(table, context)).toMatchObject({ rss: 123n, total_vm: 500n, mm: mm.$va })
    task.$set('exit_state', 0x20)
    expect(task_memory(table, context)).toMatchObject({ rss: 0n, total_vm: 0n })
  })
})

describe('time', () => {
  test('ticks, uptime, load', () => {
    const at = k.room(64)
    k.symbol('tick_nsec', at)
    k.symbol('jiffies_64', at + 8)
    k.symbol('avenrun', at + 16)
    k.mem.setU64(at, 4_000_000n)
    k.mem.setU64(at + 8, BigInt.asUintN(32, BigInt(-300 * 250)) + 250n * 90n)
    k.mem.setU64(at + 16, 2048n + 204n)
    expect(hz(k)).toBe(250)
    expect(uptime(k)).toBe(90n)
    expect(load_averages(k)).toEqual(['1.10', '0.00', '0.00'])
  })

  test('uptime goes on when the low half of jiffies wraps', () => {
    const at = k.room(8)
    k.symbol('jiffies_64', at)
    k.mem.setU64(at, 0x1_0000_0000n + 250n)
    expect(uptime(k)).toBe(301n)
  })

  test('durations', () => {
    expect(duration(30n)).toBe('00:00:30')
    expect(duration(90061n)).toBe('1 days, 01:01:01')
    expect(nanoseconds(95_000_000n)).toBe('0 00:00:00.095')
    expect(nanoseconds(90_061_007_000_000n)).toBe('1 01:01:01.007')
  })
})

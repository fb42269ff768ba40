import { beforeEach, describe, expect, test } from 'vitest'
import { hex, toAddr } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { cpuList } from '../../../src/crash/cpu-list.ts'
import { foreachWords } from '../../../src/crash/foreach-words.ts'
import { selectors } from '../../../src/crash/ps-select.ts'
import { tasksOfWord } from '../../../src/crash/task-words.ts'
import { TaskTable } from '../../../src/helpers/tasks.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel
let table: TaskTable
let notes: string[]
const note = (line: string): unknown => notes.push(line)

beforeEach(() => {
  k = new FlatKernel()
  notes = []
  const rq: StructRef = k.make('rq')
  k.symbol('runqueues', rq.$va)
  const ns: StructRef = k.make('pid_namespace')
  k.symbol('init_pid_ns', ns.$va)
  const node = k.make('xa_node').$va
  k.mem.setU64(ns.$vaOf('idr.idr_rt.xa_head'), toAddr(node) | 2n)
  const add = (nr: number, pidNumber: number, comm: string, flags: number, state: number): StructRef => {
    const task: StructRef = k.make('task_struct')
    task.$array('comm').$setString(comm)
    task.$set('pid', pidNumber)
    task.$set('tgid', pidNumber)
    task.$set('flags', flags)
    task.$set('__state', state)
    const pid: StructRef = k.make('pid')
    k.mem.setPointer(pid.$vaOf('tasks[0]'), task.$vaOf('pid_links[0]'))
    k.mem.setPointer(node + k.types.offsetof('xa_node', 'slots') + nr * 8, pid.$va)
    return task
  }
  const idle = add(0, 0, 'swapper/0', 0x200000, 0)
  rq.$set('idle', idle)
  rq.$set('curr', idle)
  add(1, 10, 'ncat', 0, 1)
  add(2, 16, 'kthreadd', 0x200000, 0x402)
  add(3, 20, 'ncat', 0, 2)
  table = new TaskTable(k)
})

const pids = (words: readonly string[]): number[] => foreachWords(table, words, note).tasks.map((t) => t.pid)

describe('a number', () => {
  test('a decimal pid, a hexadecimal pid, both: the decimal one, the address of a task', () => {
    expect(tasksOfWord(table, '20')?.tasks.map((t) => t.pid)).toEqual([20])
    expect(tasksOfWord(table, '0x14')?.tasks.map((t) => t.pid)).toEqual([20])
    expect(tasksOfWord(table, '10')).toMatchObject({ kind: 'pid', pid: 10 })
    const task = table.byPid(20)[0]
    expect(tasksOfWord(table, hex(task?.task.$addr ?? 0n))?.tasks).toEqual([task])
  })

  test('nothing of that number, or no number', () => {
    expect(tasksOfWord(table, '4711')).toBeUndefined()
    expect(tasksOfWord(table, 'ncat')).toBeUndefined()
    expect(tasksOfWord(table, '99999999999999999999')).toBeUndefined()
  })
})

describe('ps', () => {
  const chosen = (...words: string[]): number[] => {
    const given = selectors(table, words, note)
    return table.tasks.filter((t) => given.some((s) => s.selects(t))).map((t) => t.pid)
  }

  test('by name, number and expression', () => {
    expect(chosen('ncat')).toEqual([10, 20])
    expect(chosen('\\ncat', '16')).toEqual([10, 16, 20])
    expect(chosen("'^k.*d$'")).toEqual([16])
    expect(notes).toEqual([])
  })

  test('what names nothing is told', () => {
    expect(chosen('4711', "'('")).toEqual([])
    expect(notes).toEqual(['invalid task or pid value: 4711\n', 'invalid regular expression: ('])
  })
})

describe('foreach', () => {
  test('kinds and states narrow, names widen', () => {
    expect(pids(['bt'])).toEqual([0, 10, 16, 20])
    expect(pids(['kernel', 'bt'])).toEqual([0, 16])
    expect(pids(['user', 'bt'])).toEqual([10, 20])
    expect(pids(['UN', 'bt'])).toEqual([20])
    expect(pids(['ID', 'bt'])).toEqual([16])
    expect(pids(['active', 'bt'])).toEqual([0])
    expect(pids(['ncat', 'kthreadd', 'bt'])).toEqual([10, 16, 20])
    expect(pids(['user', 'ncat', '16', 'bt'])).toEqual([10, 20])
  })

  test('options and words of the command', () => {
    const asked = foreachWords(table, ['ncat', 'files', '-cR', '/dev/null'], note)
    expect(asked).toMatchObject({
      keyword: 'files',
      options: ['-c', '-R', '/dev/null'],
      reference: '/dev/null',
    })
    expect(foreachWords(table, ['user', 'vtop', '-u', '400000'], note)).toMatchObject({
      keyword: 'vtop',
      options: ['-u'],
      words: ['400000'],
    })
  })

  test('a name nobody has is told, and nobody is meant', () => {
    expect(pids(['nobody', 'ps'])).toEqual([])
    expect(notes).toEqual(['unknown argument: "nobody"'])
  })

  test.each([
    [['kernel', 'user', 'bt'], 'user and kernel are mutually exclusive!'],
    [['RU', 'IN', 'bt'], 'only one task state allowed'],
    [["'('", 'bt'], 'invalid regular expression: ('],
  ])('%j', (words, message) => {
    expect(() => pids(words)).toThrow(message)
  })

  test('no words, an option there is not', () => {
    expect(() => pids([])).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }) as Error)
    expect(() => pids(['bt', '-Z'])).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }) as Error)
  })
})

test('CPUs by number, range and all', () => {
  const mask = k.room(k.types.sizeof('cpumask'))
  k.symbol('__cpu_present_mask', mask)
  k.mem.setU8(mask, 0b1111)
  expect(cpuList(k, 'a')).toEqual([0, 1, 2, 3])
  expect(cpuList(k, '0,2-3')).toEqual([0, 2, 3])
  expect(() => cpuList(k, '4')).toThrow('invalid cpu 4: maximum cpu is 3')
  expect(() => cpuList(k, 'x')).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }) as Error)
})

import { beforeEach, describe, expect, test } from 'vitest'
import Struct from '../../../../commands/struct.ts'
import Union from '../../../../commands/union.ts'
import Whatis from '../../../../commands/whatis.ts'
import type { StructRef } from '../../../../src/btf/ref.ts'
import { DataTarget } from '../../../support/data-target.ts'

let t: DataTarget
let task: StructRef

beforeEach(() => {
  t = new DataTarget()
  task = t.make('task_struct')
  task.$set('pid', 42)
  t.mem.write(task.$vaOf('comm'), Buffer.from('ncat'))
  t.global('init_task', task.$va)
  t.global('init_cred', t.room(256))
})

const struct = (...words: string[]): Promise<string> => t.run(Struct, 'struct', ...words)

test('a declaration ends in its size; with -o each member has its offset', async () => {
  expect(await struct('list_head')).toBe(
    'struct list_head {\n    struct list_head *next;\n    struct list_head *prev;\n}\nSIZE: 16\n',
  )
  expect(await struct('-o', 'list_head')).toBe(
    'struct list_head {\n   [0] struct list_head *next;\n   [8] struct list_head *prev;\n}\nSIZE: 16\n',
  )
  expect(await struct('-ox', 'list_head')).toContain('[0x8] struct list_head *prev;')
  expect(await struct('list_head.prev')).toBe('struct list_head {\n   [8] struct list_head *prev;\n}\n')
})

test('with an address: contents, members, members by path', async () => {
  expect(await struct('list_head', 'init_task', '-l', '0')).toMatch(/^struct list_head \{\n {2}next = 0x/)
  expect(await struct('task_struct.pid,comm', 'init_task')).toBe(
    '  pid = 42,\n  comm = "ncat\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000",\n',
  )
  expect(await struct('task_struct.pid', 'init_task', '-x')).toBe('  pid = 0x2a,\n')
  expect(await struct('task_struct.tasks.prev', 'init_task')).toBe('  tasks.prev = 0x0\n')
  const offset = String(t.types.offsetof('task_struct', 'tasks'))
  const inside = `0x${BigInt.asUintN(64, BigInt(task.$vaOf('tasks'))).toString(16)}`
  expect(await struct('task_struct.pid', inside, '-l', offset)).toBe('  pid = 42,\n')
  expect(await struct('task_struct.pid', inside, '-l', 'task_struct.tasks')).toBe('  pid = 42,\n')
})

test('-o with an address: addresses instead of offsets', async () => {
  const text = await struct('-o', 'list_head', 'init_task')
  const at = BigInt.asUintN(64, BigInt(task.$va))
  expect(text).toContain(`  [${at.toString(16)}] struct list_head *next;`)
  expect(text).toContain(`  [${(at + 8n).toString(16)}] struct list_head *prev;`)
})

test('-r: the bytes', async () => {
  expect(await struct('-r', 'list_head', 'init_task')).toMatch(
    /^[0-9a-f]{16}: {2}[0-9a-f]{16} [0-9a-f]{16} {3}/,
  )
})

test('-p: what a pointer points to', async () => {
  task.$set('parent', task)
  const text = await struct('-p', 'task_struct.parent', 'init_task')
  expect(text).toMatch(
    /^ {2}struct task_struct \*parent = 0x[0-9a-f]+\n {2}-> <init_task> \{\n {7}thread_info = \{/,
  )
  expect(text).toMatch(/\n {5}\}\n$/)
  expect(await struct('-p', 'task_struct.real_parent', 'init_task')).toMatch(/ = 0x0\n {2}-> \(null\)\n$/)
})

test('a count: one after the other, backwards when negative', async () => {
  const base = task.$va
  t.mem.setU64(base + 16, 5n)
  const text = await struct('list_head.next', 'init_task', '2')
  expect(text).toBe('  next = 0x0,\n\n  next = 0x5,\n')
  expect(await struct('list_head.next', 'init_task', '-c', '2')).toBe(text)
})

describe('what is wrong is said in a line', () => {
  test.each([
    [['nosuch'], 'struct: invalid data structure reference: nosuch\n'],
    [['pid_type'], 'struct: data type mismatch: pid_type is not a struct\n'],
    [['task_struct.nosuch', 'init_task'], 'struct: invalid data structure reference: task_struct.nosuch\n'],
    [['task_struct.a.b'], 'struct: invalid data structure reference: task_struct.a.b\n'],
    [
      ['list_head', 'nosuchsymbol'],
      'symbol not found: nosuchsymbol\npossible alternatives:\n  (none found)\n',
    ],
    [['list_head', 'init_task', 'zzz'], 'struct: invalid count: zzz\n'],
    [['list_head', 'init_task', '99999999999'], 'struct: invalid count: 99999999999\n'],
    [['list_head.'], 'struct: invalid format: list_head.\n'],
  ])('%j', async (words, text) => {
    expect(await struct(...words)).toBe(text)
  })

  test('alternatives are named', async () => {
    expect(await struct('list_head', 'init_')).toMatch(
      /possible alternatives:\n {2}ffff[0-9a-f]{12} \(D\) init_task\n/,
    )
  })

  test('without words: the usage', async () => {
    expect(await struct()).toMatch(/^Usage:\n {2}struct struct_name/)
    expect(await struct('-c', 'list_head')).toMatch(/^Usage:/)
  })

  test('a struct is no union', async () => {
    expect(await t.run(Union, 'union', 'list_head')).toBe(
      'union: data type mismatch: list_head is not a union\n',
    )
  })
})

test('members that cannot be read are named, the command fails, the rest is shown', async () => {
  const at = t.lonely(8192)
  const size = t.types.sizeof('task_struct')
  const start = at + 4096 - t.types.offsetof('task_struct', 'pid') - 4
  t.mem.unmap(at + 4096)
  const address = BigInt.asUintN(64, BigInt(start)).toString(16)
  expect(size).toBeGreaterThan(4096)
  const { text, failed } = await t.report(Struct, 'struct', 'task_struct.pid,comm', address)
  expect(text).toMatch(/^ {2}pid = 0,\n {2}comm = \{<unmapped 0x[0-9a-f]+>/)
  expect(failed).toBe(true)
  const whole = await t.report(Struct, 'struct', 'task_struct', address)
  expect(whole.text).toContain('pid = 0,')
  expect(whole.text).toContain('<unmapped 0x')
  expect(whole.failed).toBe(true)
})

test('rows: a layout, or values', async () => {
  const layout = await t.report(Struct, 'struct', 'list_head')
  expect(layout.rows).toEqual([
    { type: 'list_head', size: 16, layout: [
      { name: 'next', type: 'struct list_head *', offset: 0 },
      { name: 'prev', type: 'struct list_head *', offset: 8 }] },
  ]) // prettier-ignore
  const { rows } = await t.report(Struct, 'struct', 'task_struct.pid,comm', 'init_task')
  expect(rows).toMatchObject([{ type: 'task_struct', value: { pid: 42, comm: 'ncat' } }])
})

test('whatis: structs, enums, typedefs, variables, functions, expressions', async () => {
  const whatis = (...words: string[]): Promise<string> => t.run(Whatis, 'whatis', ...words)
  expect(await whatis('struct', 'list_head')).toContain('SIZE: 16')
  expect(await whatis('pid_type')).toMatch(/^enum pid_type \{\n {2}PIDTYPE_PID = 0\n/)
  expect(await whatis('pid_t')).toBe('typedef int pid_t;\nSIZE: 4\n')
  expect(await whatis('init_task')).toBe('struct task_struct init_task;\n')
  expect(await whatis('init_task.parent')).toBe('struct task_struct *;\n')
  expect(await whatis('nosuch')).toMatch(/^whatis: cannot resolve: nosuch\nUsage:\n/)
  expect(await whatis('-r', '16')).toMatch(/^SIZE {2}TYPE\n(?: {2}16 {2}\w+\n)+$/)
  expect(await whatis('-r', 'x')).toBe('whatis: invalid size or range: x\n')
  expect(await whatis('-m', 'task_struct', '-r', '1-100000')).toContain('  task_struct\n')
})

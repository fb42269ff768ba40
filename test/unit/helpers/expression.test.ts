import { beforeEach, describe, expect, test } from 'vitest'
import { toAddr } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { evaluate, parseTypeName } from '../../../src/helpers/expression.ts'
import { typeName } from '../../../src/btf/declare.ts'
import type { CValue } from '../../../src/btf/value.ts'
import { resultText } from '../../../src/render/c-value.ts'
import { DataTarget } from '../../support/data-target.ts'

let t: DataTarget
let task: StructRef

beforeEach(() => {
  t = new DataTarget()
  task = t.make('task_struct')
  const next: StructRef = t.make('task_struct')
  task.$set('pid', 7)
  next.$set('pid', -2)
  next.$set('parent', task)
  t.append(prepare(task.$vaOf('tasks')), next.$vaOf('tasks'))
  t.global('init_task', task.$va)
  const unknown = t.room(8)
  t.mem.setU64(unknown, 0x1122334455667788n)
  t.global('nobody_knows', unknown)
  t.global('tcp_v4_rcv', t.room(16), 'T')
  t.global('nr_threads', t.room(8))
})

function prepare(head: number): number {
  t.emptyList(head)
  return head
}

const show = (text: string): string => resultText(evaluate(t, text), {})

describe('arithmetic is C’s', () => {
  test.each([
    ['1 + 2 * 3', '7'],
    ['(1 + 2) * 3', '9'],
    ['10 / 3', '3'],
    ['-7 / 2', '-3'],
    ['-7 % 4', '-3'],
    ['7 - 2 - 1', '4'],
    ['1 << 4 | 3', '19'],
    ['0x10', '16'],
    ['010', '8'],
    ["'a'", "97 'a'"],
    ["'\\n' + 0", '10'],
    ['~0', '-1'],
    ['~0u', '4294967295'],
    ['!5', '0'],
    ['-1 > 0u', '1'],
    ['1 < 2 && 2 < 1 || 1', '1'],
    ['1 ? 2 : 3', '2'],
    ['0 ? 2 : 0 ? 4 : 5', '5'],
    ['0xffffffff', '4294967295'],
    ['4294967296', '4294967296'],
    ['0xffffffffffffffff + 1', '0'],
    ['2147483647 + 1', '-2147483648'],
    ['(unsigned char)300', "44 ','"],
    ['(long)-1', '-1'],
    ['(unsigned long)-1', '18446744073709551615'],
    ['(_Bool)7', 'true'],
    ['sizeof(int)', '4'],
    ['sizeof(struct list_head)', '16'],
    ['sizeof(struct list_head *)', '8'],
    ['sizeof(int[3])', '12'],
    ['sizeof init_task.pid', '4'],
    ['TCP_LISTEN + 0', '10'],
  ])('%s', (text, shown) => {
    expect(show(text)).toBe(shown)
  })
})

test('members, casts, addresses and back', () => {
  expect(show('init_task.pid')).toBe('7')
  expect(show('(&init_task)->pid')).toBe('7')
  expect(show('*&init_task.pid')).toBe('7')
  expect(show('&init_task')).toBe(`(struct task_struct *) 0x${toAddr(task.$va).toString(16)}`)
  const offset = t.types.offsetof('task_struct', 'tasks')
  const container = `((struct task_struct *)((char *)init_task.tasks.next - ${offset}))`
  expect(show(`${container}->pid`)).toBe('-2')
  expect(show(`${container}->parent->pid`)).toBe('7')
  // gdb follows pointers with a dot, too
  expect(show(`${container}.parent.pid`)).toBe('7')
  expect(show(`{int}&init_task.pid`)).toBe('7')
})

test('pointers: arithmetic counts elements', () => {
  expect(show('(long)(&init_task + 1) - (long)&init_task')).toBe(String(t.types.sizeof('task_struct')))
  expect(show('&init_task + 2 - &init_task')).toBe('2')
  expect(show('&init_task == &init_task')).toBe('1')
  expect(show('init_task.comm[1]')).toBe("0 '\\000'")
  expect(show('*init_task.comm@2')).toBe('"\\000"')
})

test('a symbol of unknown type: has an address, and can be cast', () => {
  expect(show('(int)nobody_knows')).toBe(String(0x55667788))
  expect(show('*(unsigned long *)&nobody_knows == 0x1122334455667788')).toBe('1')
  expect(() => evaluate(t, 'nobody_knows')).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }))
})

test('names of a caller stand before the kernel’s', () => {
  const answer = evaluate(t, '41')
  const names = (name: string): CValue | undefined => (name === '$1' ? answer : undefined)
  expect(evaluate(t, '$1 + 1', { names }).integer()).toBe(42n)
})

test.each([
  ['nosuch', 'NO_SYMBOL'],
  ['init_task.nosuch', 'NO_MEMBER'],
  ['init_task.pid.x', 'BAD_ARGUMENT'],
  ['1 +', 'BAD_ARGUMENT'],
  ['(1', 'BAD_ARGUMENT'],
  ['1 2', 'BAD_ARGUMENT'],
  ['', 'BAD_ARGUMENT'],
  ['1 / 0', 'BAD_ARGUMENT'],
  ['&1', 'BAD_ARGUMENT'],
  ['*(void *)0', 'BAD_ARGUMENT'],
  ['(struct nosuch *)0', 'BAD_ARGUMENT'],
  ['init_task.pid @ 99999999999', 'BAD_ARGUMENT'],
  ['1 # 2', 'BAD_ARGUMENT'],
  ['(int)init_task', 'BAD_ARGUMENT'],
  [`${'('.repeat(5000)}1`, 'BAD_ARGUMENT'],
  [`${'-'.repeat(1500)}1`, 'BAD_ARGUMENT'],
  ['((struct task_struct *)0)->pid + 0', 'FAULT'],
])('%s is refused', (text, code) => {
  expect(() => evaluate(t, text)).toThrow(expect.objectContaining({ code }))
})

test.each([
  ['struct list_head *', 'struct list_head *'],
  ['unsigned long', 'unsigned long'],
  ['const char **', 'char **'],
  ['pid_t[4]', 'pid_t [4]'],
  ['long long unsigned int', 'unsigned long long'],
])('the type name %s', (text, shown) => {
  const type = parseTypeName(t, text)
  expect(type && typeName(type)).toBe(shown)
})

test('what is no type name', () => {
  expect(parseTypeName(t, 'struct nosuch')).toBeUndefined()
  expect(parseTypeName(t, '1 + 1')).toBeUndefined()
  expect(parseTypeName(t, 'int x')).toBeUndefined()
})

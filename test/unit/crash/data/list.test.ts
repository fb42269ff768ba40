import { beforeEach, expect, test } from 'vitest'
import List from '../../../../commands/list.ts'
import { toAddr, type Va } from '../../../../src/base/addr.ts'
import type { StructRef } from '../../../../src/btf/ref.ts'
import { DataTarget } from '../../../support/data-target.ts'

let t: DataTarget
let head: Va
let modules: StructRef[]

beforeEach(() => {
  t = new DataTarget()
  head = t.room(16)
  t.emptyList(head)
  t.global('modules', head)
  modules = ['a', 'b', 'c'].map((name) => {
    const mod: StructRef = t.make('module')
    t.mem.write(mod.$vaOf('name'), Buffer.from(name))
    t.append(head, mod.$vaOf('list'))
    return mod
  })
})

const list = (...words: string[]): Promise<string> => t.run(List, 'list', ...words)
const hex = (va: Va): string => toAddr(va).toString(16)
const links = (): string[] => modules.map((mod) => hex(mod.$vaOf('list')))
const lines = (text: string): string[] => text.trimEnd().split('\n')

test('links, or the structs they lie in', async () => {
  expect(lines(await list('-H', 'modules'))).toEqual(links())
  expect(lines(await list('-rH', 'modules'))).toEqual(links().reverse())
  expect(lines(await list('modules'))).toEqual([hex(head), ...links()])
  expect(lines(await list('-H', 'modules', '-o', 'module.list'))).toEqual(modules.map((mod) => hex(mod.$va)))
})

test('-h: from one entry around', async () => {
  t.mem.setPointer(modules[2]?.$vaOf('list') ?? 0, modules[0]?.$vaOf('list') ?? 0)
  const [first = ''] = modules.map((mod) => hex(mod.$va))
  expect(lines(await list('-h', first, 'module.list')).length).toBe(3)
})

test('members below each; unknown ones are left out', async () => {
  const text = await list('-H', 'modules', 'module.list', '-s', 'module.nosuch,state')
  expect(lines(text)[1]).toBe('  state = MODULE_STATE_LIVE,')
  const { rows } = await t.report(List, 'list', '-H', 'modules', 'module.list', '-s', 'module.state')
  expect(rows).toEqual(
    modules.map((mod) => ({ address: toAddr(mod.$va), members: { state: 'MODULE_STATE_LIVE' } })),
  )
  expect(lines(await list('-H', 'modules', 'module.list', '-S', 'module.init_layout.size'))[1]).toBe(
    '  init_layout.size = 0',
  )
})

test('an end', async () => {
  expect(lines(await list('modules', '-e', links()[1] ?? ''))).toEqual([hex(head), links()[0]])
})

test('an empty list', async () => {
  t.emptyList(head)
  expect(await list('-H', 'modules')).toBe('(empty)\n')
})

test('a loop that misses the head ends, and is named', async () => {
  t.mem.setPointer(modules[2]?.$vaOf('list') ?? 0, modules[1]?.$vaOf('list') ?? 0)
  const text = await list('-H', 'modules')
  expect(text).toMatch(new RegExp(`\\n\\nlist: duplicate list entry: ${links()[1] ?? ''}\\n$`))
  expect(lines(text).length).toBe(6)
})

test('a link to nowhere: what comes before, and where', async () => {
  t.mem.setU64(modules[1]?.$vaOf('list') ?? 0, 0xdead000000000100n)
  const text = await list('-H', 'modules')
  expect(lines(text)).toEqual([
    ...links().slice(0, 2),
    'dead000000000100',
    'list: invalid kernel virtual address: dead000000000100  type: "list entry"',
  ])
  t.mem.setU64(modules[1]?.$vaOf('list') ?? 0, 0xffffffffff000000n)
  expect(lines(await list('-H', 'modules')).at(-1)).toBe(
    'list: invalid kernel virtual address: ffffffffff000000  type: "list entry"',
  )
})

test.each([
  [['0'], 'list: invalid kernel virtual address: 0\n'],
  [['nosuch'], 'list: invalid argument: nosuch\n'],
  [['-H', 'modules', 'module.list', '-o', 'module.name'], /already entered\n$/],
  [['modules', 'modules'], 'list: list start already entered\n'],
  [['-H', 'modules', '-s', 'nosuch.x'], /list: invalid data structure reference: nosuch\n$/],
  [['-o', 'module.nosuch', 'modules'], 'list: invalid data structure reference: module.nosuch\n'],
  [[], /^Usage:/],
])('%j is refused', async (words, text) => {
  const found = await list(...words)
  if (typeof text === 'string') expect(found).toBe(text)
  else expect(found).toMatch(text)
})

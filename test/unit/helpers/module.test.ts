import { beforeEach, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import {
  find_module,
  for_each_module,
  module_base,
  module_name,
  module_of_address,
  module_refcount,
  module_regions,
  module_size,
  module_state,
  module_taints,
  module_users,
} from '../../../src/helpers/module.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const AREA = -0x4000_0000
let k: FlatKernel
let head: number

beforeEach(() => {
  k = new FlatKernel()
  head = k.room(16)
  k.emptyList(head)
  k.symbol('modules', head)
})

function module(name: string, base: number, size: number): StructRef {
  const mod: StructRef = k.make('module')
  k.mem.write(mod.$vaOf('name'), Buffer.from(name))
  mod.$set('core_layout.base', BigInt.asUintN(64, BigInt(base)))
  mod.$set('core_layout.size', size)
  mod.$set('core_layout.text_size', 0x1000)
  k.emptyList(mod.$vaOf('source_list'))
  k.append(head, mod.$vaOf('list'))
  return mod
}

test('for_each_module: none, then all in the list’s order', () => {
  expect([...for_each_module(k)]).toEqual([])
  module('veth', AREA, 0x9000)
  module('dummy', AREA + 0x10000, 0x4000)
  expect(Array.from(for_each_module(k), module_name)).toEqual(['veth', 'dummy'])
  expect(find_module(k, 'dummy')).toBeDefined()
  expect(find_module(k, 'fwnet')).toBeUndefined()
})

test('regions: the init one only while it has a size', () => {
  const mod = module('veth', AREA, 0x9000)
  expect(module_regions(mod)).toEqual([{ name: 'core', base: AREA, size: 0x9000, textSize: 0x1000 }])
  expect([module_base(mod), module_size(mod)]).toEqual([AREA, 0x9000])
  mod.$set('init_layout.base', BigInt.asUintN(64, BigInt(AREA + 0x40000)))
  mod.$set('init_layout.size', 0x2000)
  expect(module_regions(mod).map(({ name }) => name)).toEqual(['core', 'init'])
  expect(module_size(mod)).toBe(0x9000)
})

test('module_of_address: the first byte and the last, not the one after', () => {
  module('veth', AREA, 0x9000)
  const names = [AREA, AREA + 0x8fff, AREA + 0x9000].map((va) => {
    const mod = module_of_address(k, va)
    return mod && module_name(mod)
  })
  expect(names).toEqual(['veth', 'veth', undefined])
})

test.each([
  [0, 'Live'],
  [1, 'Loading'],
  [2, 'Unloading'],
])('state %i is %s', (state, name) => {
  const mod = module('x', AREA, 0x1000)
  mod.$set('state', state)
  expect(module_state(mod)).toBe(name)
})

test('reference count without the module’s own, never negative', () => {
  const mod = module('x', AREA, 0x1000)
  expect(module_refcount(mod)).toBe(0)
  mod.$set('refcnt.counter', 3)
  expect(module_refcount(mod)).toBe(2)
})

test('users by name', () => {
  const used = module('virtio', AREA, 0x1000)
  const user = module('virtio_net', AREA + 0x10000, 0x1000)
  expect(module_users(used)).toEqual([])
  const use: StructRef = k.make('module_use')
  use.$set('source', user)
  k.append(used.$vaOf('source_list'), use.$vaOf('source_list'))
  expect(module_users(used)).toEqual(['virtio_net'])
})

test('taints: the letters of bits that modules can have', () => {
  const size = k.types.sizeof('taint_flag')
  const mod = module('fwnet', AREA, 0x1000)
  expect(module_taints(k, mod)).toBe('')
  const table = k.room(20 * size)
  k.symbol('taint_flags', table)
  Array.from('PFSRMBUDAWCIOELKXTN').forEach((letter, bit) => {
    const flag = k.types.ref('taint_flag', k.mem, table + bit * size) as StructRef
    flag.$set('c_true', letter.charCodeAt(0))
    flag.$set('module', 'PFCOEKX'.includes(letter) ? 1 : 0)
  })
  mod.$set('taints', (1n << 12n) | (1n << 13n) | (1n << 7n))
  expect(module_taints(k, mod)).toBe('OE')
})

test('a damaged list: the modules before the damage, then CORRUPT', () => {
  module('veth', AREA, 0x9000)
  const bad = module('bad', AREA + 0x10000, 0x1000)
  k.mem.setU64(bad.$vaOf('list'), 0xdead000000000100n)
  const seen: string[] = []
  expect(() => {
    for (const mod of for_each_module(k)) seen.push(module_name(mod))
  }).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  expect(seen).toEqual(['veth', 'bad'])
})

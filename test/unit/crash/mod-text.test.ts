import { beforeEach, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { modulesReport, taintsReport } from '../../../src/crash/mod-text.ts'
import { FlatTarget } from '../../support/flat-target.ts'

const AREA = -0x4000_0000
let t: FlatTarget
let head: number

beforeEach(() => {
  t = new FlatTarget()
  head = t.room(16)
  t.emptyList(head)
  t.symbol('modules', head)
})

function module(name: string, base: number, size: number): StructRef {
  const mod: StructRef = t.make('module')
  t.mem.write(mod.$vaOf('name'), Buffer.from(name))
  mod.$set('core_layout.base', BigInt.asUintN(64, BigInt(base)))
  mod.$set('core_layout.size', size)
  t.append(head, mod.$vaOf('list'))
  return mod
}

test('no modules', () => {
  expect(modulesReport(t.target)).toEqual({ rows: [], text: 'no modules installed\n', failed: false })
  expect(taintsReport(t.target).text).toBe('no tainted modules\n')
})

test('sorted by address, columns as wide as they must be', () => {
  module('a_long_module_name', AREA + 0x10000, 0x4000)
  module('veth', AREA, 983040)
  const lines = (modulesReport(t.target).text as string).split('\n')
  expect(lines[0]).toBe('     MODULE       NAME                      BASE          SIZE  OBJECT FILE')
  expect(lines[1]).toMatch(/^ffff[0-9a-f]{12} {2}veth {16}ffffffffc0000000 {2}983040 {2}\(not loaded\)/)
  expect(lines[2]).toMatch(/a_long_module_name {2}ffffffffc0010000 {3}16384 {2}/)
})

test('a list that breaks: the modules before, and where', () => {
  const mod = module('veth', AREA, 0x9000)
  t.mem.setU64(mod.$vaOf('list'), 0xdead000000000100n)
  const { text, failed, rows } = modulesReport(t.target)
  expect(failed).toBe(true)
  expect(rows).toMatchObject([{ name: 'veth' }])
  expect(text).toMatch(/<damaged 0x[0-9a-f]+>\n$/)
})

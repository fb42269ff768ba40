import { beforeEach, expect, test } from 'vitest'
import { toAddr } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { logReport, type LogOptions } from '../../../src/crash/log-text.ts'
import { FlatTarget } from '../../support/flat-target.ts'

let t: FlatTarget
let info: StructRef
let data: number

beforeEach(() => {
  t = new FlatTarget()
  const prb: StructRef = t.make('printk_ringbuffer')
  t.symbol('prb', t.room(8))
  t.mem.setPointer(Number(BigInt.asIntN(64, t.sym('prb'))), prb.$va)
  const desc: StructRef = t.make('prb_desc')
  info = t.make('printk_info')
  data = t.room(256)
  prb.$set('desc_ring.descs', desc.$addr)
  prb.$set('desc_ring.infos', info.$addr)
  prb.$set('text_data_ring.size_bits', 8)
  prb.$set('text_data_ring.data', toAddr(data))
  desc.$set('state_var.counter', BigInt.asIntN(64, 2n << 62n))
  desc.$set('text_blk_lpos.next', 128n)
  info.$set('ts_nsec', 20_301_175_999n)
  info.$set('level', 4)
  info.$set('caller_id', 178)
})

function message(text: string): void {
  t.mem.write(data + 8, Buffer.from(text, 'latin1'))
  info.$set('text_len', text.length)
}

function printed(options: Partial<LogOptions> = {}): string {
  const all = {
    textOnly: false,
    wallClock: false,
    level: false,
    caller: false,
    properties: false,
    ...options,
  }
  const { text } = logReport(t.target, all)
  return typeof text === 'string' ? text : [...text].join('')
}

test('time, then level; microseconds are cut, not rounded', () => {
  message('a warning')
  expect(printed()).toBe('[   20.301175] a warning\n')
  expect(printed({ level: true })).toBe('[   20.301175] <4>a warning\n')
  expect(printed({ textOnly: true })).toBe('a warning\n')
})

test('who printed it, in room for the largest pid', () => {
  message('x')
  expect(printed({ caller: true })).toBe('[   20.301175] [    T178] x\n')
  t.symbol('pid_max', t.room(8))
  t.mem.setU32(Number(BigInt.asIntN(64, t.sym('pid_max'))), 32768)
  expect(printed({ caller: true })).toBe('[   20.301175] [  T178] x\n')
})

test('lines of one message stand under its first', () => {
  message('one\ntwo')
  expect(printed()).toBe('[   20.301175] one\n               two\n')
})

test('properties of a device message', () => {
  message('x')
  t.mem.write(info.$vaOf('dev_info.subsystem'), Buffer.from('pci'))
  t.mem.write(info.$vaOf('dev_info.device'), Buffer.from('+pci:0000:00:1f.0'))
  expect(printed({ textOnly: true, properties: true })).toBe('x\nSUBSYSTEM=pci\nDEVICE=+pci:0000:00:1f.0\n')
})

test('escape sequences and foreign bytes become dots', () => {
  message('\x1b[31mred\x07 \xe9')
  expect(printed({ textOnly: true })).toBe('.[31mred. .\n')
})

test('a ring that is not in the dump', () => {
  t.mem.setU64(Number(BigInt.asIntN(64, t.sym('prb'))), 0xffffffff00000000n)
  expect(printed()).toMatch(/^<unmapped 0x/)
})

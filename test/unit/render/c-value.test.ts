import { expect, test } from 'vitest'
import { toAddr } from '../../../src/base/addr.ts'
import { encodeBtf, type BtfRecord } from '../../../src/btf/encode.ts'
import { Btf } from '../../../src/btf/parse.ts'
import { Types } from '../../../src/btf/types.ts'
import { CValue } from '../../../src/btf/value.ts'
import { plainValue } from '../../../src/render/c-plain.ts'
import { resultText, valueText, type PrintOptions } from '../../../src/render/c-value.ts'
import { FlatMemory } from '../../support/flat-kernel.ts'

const member = (name: string, type: number, bitOffset: number, bitSize = 0) => ({
  name,
  type,
  bitOffset,
  bitSize,
})
const records: BtfRecord[] = [
  { kind: 'int', name: 'int', size: 4, signed: true }, // 1
  { kind: 'int', name: 'char', size: 1 }, // 2
  { kind: 'int', name: '_Bool', size: 1, bool: true }, // 3
  { kind: 'ptr', type: 2 }, // 4 char *
  { kind: 'array', element: 2, index: 1, length: 4 }, // 5 char[4]
  { kind: 'enum', name: 'color', size: 4, signed: false, values: [{ name: 'RED', value: 1n }, { name: 'BLUE', value: 4n }] }, // 6
  { kind: 'enum', name: 'kind', size: 4, signed: true, values: [{ name: 'NONE', value: -1n }, { name: 'SOME', value: 5n }] }, // 7
  { kind: 'struct', name: 'empty', size: 0, members: [] }, // 8
  { kind: 'union', name: '', size: 4, members: [member('whole', 1, 0), member('text', 5, 0)] }, // 9
  { kind: 'array', element: 1, index: 1, length: 0 }, // 10 int[]
  { kind: 'struct', name: 'thing', size: 24, members: [
    member('number', 1, 0), member('', 9, 32), member('low', 1, 64, 3), member('high', 1, 67, 5), member('yes', 3, 72),
    member('hue', 6, 96), member('name', 4, 128), member('none', 8, 192), member('rest', 10, 192)] }, // 11
  { kind: 'func_proto', returns: 1, params: [{ name: 'x', type: 4 }] }, // 12
  { kind: 'ptr', type: 12 }, // 13
  { kind: 'array', element: 11, index: 1, length: 2 }, // 14
  { kind: 'ptr', type: 11 }, // 15
  { kind: 'struct', name: 'list', size: 8, members: [member('next', 15, 0)] }, // 16
  { kind: 'array', element: 1, index: 1, length: 300 }, // 17
] // prettier-ignore
const types = new Types(Btf.parse(encodeBtf(records), { pointerSize: 8 }))
const AT = -0x7780_0000_0000

function value(id: number, bytes: number[]): CValue {
  const mem = new FlatMemory()
  mem.map(AT, 8192)
  mem.write(AT, Uint8Array.from(bytes))
  return CValue.at(types, mem, types.btf.type(id), toAddr(AT))
}

const thing = [
  ...[0xff, 0xff, 0xff, 0xff, 0x61, 0x62, 0, 0, 0b10110101, 1, 0, 0, 5, 0, 0, 0],
  ...[0x18, 0, 0, 0, 0x80, 0x88, 0xff, 0xff],
]
const symbolize = (address: bigint): string | undefined => (address === toAddr(AT + 24) ? 'names' : undefined)
const options: PrintOptions = { symbolize }

test('a struct: anonymous members, bit-fields, flags, the string behind a pointer, what is empty', () => {
  expect(valueText(value(11, [...thing, 0x68, 0x69, 0]), options)).toBe(`{
  number = -1,
  {
    whole = 25185,
    text = "ab\\000"
  },
  low = -3,
  high = -10,
  yes = true,
  hue = (RED | BLUE),
  name = 0xffff888000000018 <names> "hi",
  none = {<No data fields>},
  rest = 0xffff888000000018 <names>
}`)
})

test('in hex only integers and booleans change', () => {
  const text = valueText(value(11, [...thing, 0]), { ...options, radix: 16 })
  expect(text).toContain('number = 0xffffffff,')
  expect(text).toContain('yes = 0x1,')
  expect(text).toContain('hue = (RED | BLUE),')
  expect(text).toContain('text = "ab\\000"')
})

test.each([
  [6, [8, 0, 0, 0], '(unknown: 0x8)'],
  [6, [9, 0, 0, 0], '(RED | unknown: 0x8)'],
  [6, [0, 0, 0, 0], '0'],
  [7, [5, 0, 0, 0], 'SOME'],
  [7, [0xff, 0xff, 0xff, 0xff], 'NONE'],
  [7, [6, 0, 0, 0], '6'],
  [2, [0xf0], "-16 '\\360'"],
  [3, [2], '2'],
])('type %i of bytes %j', (id, bytes, text) => {
  expect(valueText(value(id, bytes))).toBe(text)
})

test('structs in an array stand two levels in', () => {
  expect(
    valueText(value(14, [...thing, ...thing]))
      .split('\n')
      .slice(0, 3),
  ).toEqual(['{{', '    number = -1,', '    {'])
})

test('long arrays end in dots', () => {
  expect(valueText(value(17, []), { printMax: 3 })).toBe('{0, 0, 0...}')
})

test('results say the type of a pointer, but not of text', () => {
  expect(resultText(value(15, [0]))).toBe('(struct thing *) 0x0')
  expect(resultText(value(4, [0]))).toBe('0x0')
  expect(resultText(value(13, [...thing.slice(16)]), options)).toBe(
    '(int (*)(char *)) 0xffff888000000018 <names>',
  )
  expect(resultText(value(12, []))).toBe('{int (char *)} 0xffff888000000000')
})

test('a page that is missing: its members are named, the others shown', () => {
  const mem = new FlatMemory()
  mem.map(AT, 4096)
  const at = toAddr(AT + 4096 - 8)
  const split = CValue.at(types, mem, types.btf.type(11), at)
  const text = valueText(split)
  expect(text).toContain('number = 0,')
  expect(text).toContain('low = <unmapped 0xffff888000001000>')
  expect(plainValue(split)).toMatchObject({ number: 0, hue: { unreadable: '<unmapped 0xffff888000001004>' } })
})

test('a string that ends in unmapped memory shows what there is', () => {
  const mem = new FlatMemory()
  mem.map(AT, 4096)
  mem.write(AT + 4094, Buffer.from('ab'))
  mem.setU64(AT, BigInt.asUintN(64, BigInt(AT + 4094)))
  const text = valueText(CValue.at(types, mem, types.btf.type(4), toAddr(AT)))
  expect(text).toBe('0xffff888000000ffe "ab"<error: Cannot access memory at address 0xffff888000001000>')
})

test('as plain data', () => {
  expect(plainValue(value(11, [...thing, 0]))).toEqual({
    number: -1, whole: 25185, text: 'ab', low: -3, high: -10, yes: true, hue: 5,
    name: 0xffff888000000018n, none: {}, rest: [],
  }) // prettier-ignore
})

import { expect, test } from 'vitest'
import { declare, enumText, structLines, typeName } from '../../../src/btf/declare.ts'
import { encodeBtf, type BtfRecord } from '../../../src/btf/encode.ts'
import { Btf } from '../../../src/btf/parse.ts'
import type { EnumType, StructType } from '../../../src/btf/type.ts'

const member = (name: string, type: number, bitSize = 0) => ({ name, type, bitOffset: 0, bitSize })
const records: BtfRecord[] = [
  { kind: 'int', name: 'long unsigned int', size: 8 }, // 1
  { kind: 'int', name: 'char', size: 1 }, // 2
  { kind: 'const', type: 2 }, // 3
  { kind: 'ptr', type: 3 }, // 4 const char *
  { kind: 'const', type: 4 }, // 5 const char * const
  { kind: 'func_proto', returns: 4, params: [{ name: 'a', type: 1 }], variadic: true }, // 6
  { kind: 'ptr', type: 6 }, // 7
  { kind: 'array', element: 7, index: 1, length: 3 }, // 8
  { kind: 'array', element: 1, index: 1, length: 4 }, // 9
  { kind: 'ptr', type: 9 }, // 10
  { kind: 'func_proto', returns: 0, params: [] }, // 11
  { kind: 'array', element: 2, index: 1, length: 0 }, // 12
  { kind: 'struct', name: '', size: 8, members: [member('deep', 1)] }, // 13
  { kind: 'union', name: '', size: 8, members: [member('', 13), member('named', 13)] }, // 14
  { kind: 'volatile', type: 3 }, // 15
  { kind: 'enum', name: 'e', size: 4, signed: false, values: [{ name: 'A', value: 0n }, { name: 'B', value: 1n }, { name: 'C', value: 9n }] }, // 16
  { kind: 'struct', name: 's', size: 8, members: [member('zero', 12), member('', 14), member('inner', 14), member('bit', 1, 3), member('tail', 12)] }, // 17
  { kind: 'func_proto', returns: 7, params: [] }, // 18
  { kind: 'fwd', name: 'later', union: false }, // 19
  { kind: 'ptr', type: 19 }, // 20
] // prettier-ignore
const btf = Btf.parse(encodeBtf(records), { pointerSize: 8 })

test.each([
  [1, 'x', 'unsigned long x'],
  [4, 'x', 'const char *x'],
  [5, 'x', 'const char * const x'],
  [5, '', 'const char * const'],
  [15, 'x', 'const volatile char x'],
  [7, 'f', 'const char *(*f)(unsigned long, ...)'],
  [7, '', 'const char *(*)(unsigned long, ...)'],
  [8, 'fs', 'const char *(*fs[3])(unsigned long, ...)'],
  [10, 'rows', 'unsigned long (*rows)[4]'],
  [11, 'run', 'void run(void)'],
  [18, 'get', 'const char *(*get(void))(unsigned long, ...)'],
  [12, 'flexible', 'char flexible[]'],
  [20, 'p', 'struct later *p'],
  [0, '', 'void'],
])('type %i named %j', (id, name, text) => {
  expect(declare(btf.type(id), name)).toBe(text)
})

test('a type name is a declaration without a name', () => {
  expect(typeName(btf.type(10))).toBe('unsigned long (*)[4]')
})

test('anonymous structs unfold; inside a named member, named ones do not', () => {
  expect(structLines(btf.type(17) as StructType).map((line) => line.text)).toEqual([
    'struct s {',
    '    char zero[0];',
    '    union {',
    '        struct {',
    '            unsigned long deep;',
    '        };',
    '        struct {',
    '            unsigned long deep;',
    '        } named;',
    '    };',
    '    union {',
    '        struct {',
    '            unsigned long deep;',
    '        };',
    '        struct {...} named;',
    '    } inner;',
    '    unsigned long bit : 3;',
    '    char tail[];',
    '}',
  ])
})

test('lines know their members', () => {
  const lines = structLines(btf.type(17) as StructType)
  expect(lines.map((line) => line.member)).toEqual([
    ...[undefined, 'zero', undefined, undefined, 'deep', undefined, undefined, 'deep', 'named', undefined],
    ...[undefined, undefined, 'deep', undefined, 'named', 'inner', 'bit', 'tail', undefined],
  ])
})

test('enumerators: only values that do not follow are written', () => {
  expect(enumText(btf.type(16) as EnumType)).toBe('enum e {A, B, C = 9}')
})

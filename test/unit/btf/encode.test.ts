import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeBtf, type BtfRecord } from '../../../src/btf/encode.ts'
import { Btf } from '../../../src/btf/parse.ts'
import type { Type } from '../../../src/btf/type.ts'

const MAX_ID = 12
const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/)
const type = fc.integer({ min: 0, max: MAX_ID })
const size = fc.integer({ min: 0, max: 0xffff })
const bool = fc.boolean()

const record: fc.Arbitrary<BtfRecord> = fc.oneof(
  fc.record({ kind: fc.constant('int'), name, size: fc.constantFrom(1, 2, 4, 8), signed: bool, bool }),
  fc.record({ kind: fc.constantFrom('ptr', 'const', 'volatile', 'restrict'), type }),
  fc.record({ kind: fc.constantFrom('typedef', 'type_tag'), name, type }),
  fc.record({ kind: fc.constant('array'), element: type, index: type, length: size }),
  fc.record({
    kind: fc.constantFrom('struct', 'union'),
    name,
    size,
    members: fc.array(fc.record({ name, type, bitOffset: size, bitSize: fc.constantFrom(0, 0, 3, 64) })),
  }),
  fc.record({
    kind: fc.constant('enum'),
    name,
    size: fc.constantFrom(4, 8),
    signed: fc.constant(true),
    values: fc.array(fc.record({ name, value: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }) })),
  }),
  fc.record({ kind: fc.constant('fwd'), name, union: bool }),
  fc.record({ kind: fc.constant('func'), name, type }),
  fc.record({
    kind: fc.constant('func_proto'),
    returns: type,
    params: fc.array(fc.record({ name, type })),
    variadic: bool,
  }),
  fc.record({ kind: fc.constant('var'), name, type, linkage: fc.constantFrom(0, 1) }),
  fc.record({
    kind: fc.constant('datasec'),
    name,
    size,
    vars: fc.array(fc.record({ type, offset: size, size })),
  }),
)

/** A parsed type as the record it came from. */
function recordOf(t: Type, given: BtfRecord): unknown {
  switch (t.kind) {
    case 'int': {
      const { kind, name, size, signed, bool } = t
      return { kind, name, size, signed, bool }
    }
    case 'ptr':
    case 'const':
    case 'volatile':
    case 'restrict':
      return { kind: t.kind, type: t.target.id }
    case 'typedef':
    case 'type_tag':
      return { kind: t.kind, name: t.name, type: t.target.id }
    case 'array':
      return {
        kind: t.kind,
        element: t.element.id,
        index: 'index' in given ? given.index : 0,
        length: t.length,
      }
    case 'struct':
    case 'union': {
      const members = t.members.map(({ name, type, bitOffset, bitSize }) => ({ name, type: type.id, bitOffset, bitSize })) // prettier-ignore
      return { kind: t.kind, name: t.name, size: t.size, members }
    }
    case 'func':
      return { kind: t.kind, name: t.name, type: t.proto.id }
    case 'func_proto': {
      const params = t.params.map(({ name, type }) => ({ name, type: type.id }))
      return { kind: t.kind, returns: t.returns.id, params, variadic: t.variadic }
    }
    case 'var':
      return { kind: t.kind, name: t.name, type: t.type.id, linkage: t.linkage }
    case 'datasec': {
      const vars = t.vars.map(({ type, offset, size }) => ({ type: type.id, offset, size }))
      return { kind: t.kind, name: t.name, size: t.size, vars }
    }
    default: {
      return { ...t, id: undefined }
    }
  }
}

describe('encodeBtf', () => {
  test('what is encoded parses back to the same records', () => {
    const records = fc.array(record, { minLength: MAX_ID, maxLength: MAX_ID })
    fc.assert(
      fc.property(records, (given) => {
        const btf = Btf.parse(encodeBtf(given), { pointerSize: 8 })
        expect(btf.endId).toBe(given.length + 1)
        // toEqual takes an undefined id for none
        expect(given.map((r, i) => recordOf(btf.type(i + 1), r))).toEqual(given)
      }),
    )
  })

  test('nothing encodes to a blob of no types', () => {
    expect(Btf.parse(encodeBtf([]), { pointerSize: 8 }).endId).toBe(1)
  })

  test('a string used twice is stored once', () => {
    const one = encodeBtf([{ kind: 'fwd', name: 'socket', union: false }])
    const two = encodeBtf([1, 2].map(() => ({ kind: 'fwd', name: 'socket', union: false }) as const))
    expect(two.length - one.length).toBe(12)
  })

  test('a record that refers beyond the last one is refused', () => {
    expect(() => encodeBtf([{ kind: 'ptr', type: 2 }])).toThrow(
      expect.objectContaining({ code: 'IMPOSSIBLE' }),
    )
  })

  test('split BTF continues ids and strings of its base', () => {
    const base = Btf.parse(encodeBtf([{ kind: 'int', name: 'int', size: 4, signed: true }]), {
      pointerSize: 8,
    })
    const startString = new DataView(base.bytes.buffer).getUint32(20, true)
    const bytes = encodeBtf([{ kind: 'typedef', name: 'mine', type: 1 }], {
      startId: base.endId,
      startString,
    })
    const split = Btf.parse(bytes, { pointerSize: 8, base })
    expect(split.find('mine')).toMatchObject({ id: 2, name: 'mine', target: { name: 'int' } })
  })
})

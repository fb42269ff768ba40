import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { closeOver, type ClosureRoots } from '../../../src/btf/closure.ts'
import { encodeBtf, type BtfRecord, type MemberRecord } from '../../../src/btf/encode.ts'
import { Btf } from '../../../src/btf/parse.ts'
import type { StructType, Type } from '../../../src/btf/type.ts'
import { LAYOUTS, loadLayout, type LayoutName } from '../../../src/layouts/layout.ts'
import { BTF_BUDGET, loadRoots } from '../../../src/layouts/roots.ts'

const member = (name: string, type: number, byte = 0): MemberRecord => ({
  name,
  type,
  bitOffset: byte * 8,
  bitSize: 0,
})
const struct = (name: string, ...members: MemberRecord[]): BtfRecord => ({
  kind: 'struct',
  name,
  size: 16,
  members,
})

// 1 int · 2 struct far · 3 far * · 4 struct near {far *} · 5 near * · 6 typedef near_t · 7 near_t *
// 8 struct root {near_t *, …} · 9 struct inner · 10 struct holder {near_t *, near_t} · 11 var · 12 datasec · 13 other var
const source = Btf.parse(
  encodeBtf([
    { kind: 'int', name: 'int', size: 4, signed: true },
    struct('far', member('x', 1)),
    { kind: 'ptr', type: 2 },
    struct('near', member('far', 3)),
    { kind: 'ptr', type: 4 },
    { kind: 'typedef', name: 'near_t', type: 4 },
    { kind: 'ptr', type: 6 },
    struct('root', member('near', 7), member('inner', 9, 8)),
    struct('inner', member('x', 1), member('self', 14, 8)),
    struct('holder', member('p', 7), member('by_value', 6, 8)),
    { kind: 'var', name: 'mine', type: 2, linkage: 1 },
    { kind: 'datasec', name: '.data..percpu', size: 64, vars: [{ type: 11, offset: 0, size: 16 }, { type: 13, offset: 32, size: 4 }] }, // prettier-ignore
    { kind: 'var', name: 'other', type: 1, linkage: 1 },
    { kind: 'ptr', type: 9 },
  ]),
  { pointerSize: 8 },
)
const close = (budget: number, ...names: string[]) => {
  const roots: ClosureRoots = { named: names.map((name) => ({ kind: 'struct', name })) }
  const result = closeOver(source, roots, budget)
  return { ...result, btf: Btf.parse(result.bytes, { pointerSize: 8 }) }
}

describe('closeOver', () => {
  test('without budget: the root and what it holds by value; pointees are forwards', () => {
    const { btf, forwards } = close(0, 'root')
    expect(btf.find('root')).toMatchObject({ kind: 'struct', size: 16 })
    expect(btf.find('inner')).toMatchObject({ kind: 'struct' })
    expect(btf.find('near')).toMatchObject({ kind: 'fwd' })
    expect(btf.find('far')).toBeUndefined()
    expect(forwards).toBe(1)
  })

  test('with budget: pointees of pointees too', () => {
    const { btf, forwards } = close(10_000, 'root')
    expect(btf.find('far')).toMatchObject({ kind: 'struct', members: [{ name: 'x' }] })
    expect(forwards).toBe(0)
  })

  test('a typedef met behind a pointer first, then by value, has its body', () => {
    expect(close(0, 'holder').btf.find('near')).toMatchObject({ kind: 'struct' })
  })

  test('a name the kernel has not is reported', () => {
    expect(close(0, 'root', 'nonesuch').missing).toEqual(['struct nonesuch'])
  })

  test('a section keeps the variables asked for, at their offsets', () => {
    const { bytes } = closeOver(source, { named: [{ kind: 'var', name: 'mine' }] }, 0)
    const section = Btf.parse(bytes, { pointerSize: 8 }).find('.data..percpu', 'datasec')
    expect(section).toMatchObject({ size: 64, vars: [{ offset: 0, size: 16, type: { name: 'mine' } }] })
  })
})

/** A struct's layout in words, types spelled by kind and name, to the depth that offsets depend on. */
function layoutOf(type: StructType): string {
  const spell = (t: Type): string => {
    switch (t.kind) {
      case 'struct':
      case 'union':
        return t.name === '' ? `{${layoutOf(t)}}` : `${t.kind} ${t.name}:${t.size}`
      case 'array':
        return `${spell(t.element)}[${t.length}]`
      case 'ptr':
        return '*'
      case 'typedef':
        return `${t.name}=${spell(t.target)}`
      default:
        return 'target' in t ? spell(t.target) : `${t.kind} ${'name' in t ? t.name : ''}`
    }
  }
  const members = type.members.map((m) => `${m.name}@${m.bitOffset}/${m.bitSize}:${spell(m.type)}`)
  return `${type.size};${members.join(';')}`
}

const folder = process.env['COREDRILL_LAYOUTS'] ?? ''

describe.skipIf(!existsSync(folder))('shipped layouts against the full BTF (COREDRILL_LAYOUTS)', () => {
  test.each(Object.keys(LAYOUTS) as LayoutName[])('%s: every struct is laid out as in the kernel', (name) => {
    const { btf: bytes, wordSize } = loadLayout(name)
    const full = Btf.parse(gunzipSync(readFileSync(join(folder, `${name}.btf.gz`))), {
      pointerSize: wordSize,
    })
    const ours = Btf.parse(bytes, { pointerSize: wordSize })
    const wrong: string[] = []
    for (let id = 1; id < ours.endId; id++) {
      const type = ours.type(id)
      if ((type.kind !== 'struct' && type.kind !== 'union') || type.name === '') continue
      const real = full.findAll(type.name, type.kind) as StructType[]
      const here = layoutOf(type)
      if (!real.some((other) => layoutOf(other) === here)) wrong.push(type.name)
      // a name means the same struct as in the full BTF
      const first = ours.find(type.name, type.kind) as StructType
      if (layoutOf(first) !== layoutOf(real[0] as StructType))
        wrong.push(`${type.name} (another of that name)`)
    }
    expect(wrong).toEqual([])
  })

  test.each(Object.keys(LAYOUTS) as LayoutName[])('%s: per-CPU variables lie where they did', (name) => {
    const { btf: bytes, wordSize } = loadLayout(name)
    const sections = [gunzipSync(readFileSync(join(folder, `${name}.btf.gz`))), bytes].map((raw) => {
      const section = Btf.parse(raw, { pointerSize: wordSize }).find('.data..percpu', 'datasec')
      if (section?.kind !== 'datasec') throw new Error('no per-CPU section')
      return new Map(section.vars.map((v) => ['name' in v.type ? v.type.name : '', `${v.offset}+${v.size}`]))
    })
    const [full, ours] = sections
    expect([...(ours ?? [])].filter(([variable, place]) => full?.get(variable) !== place)).toEqual([])
  })

  test.each(Object.keys(LAYOUTS) as LayoutName[])('%s: the closure is reproducible', (name) => {
    const { btf: bytes, wordSize } = loadLayout(name)
    const full = Btf.parse(gunzipSync(readFileSync(join(folder, `${name}.btf.gz`))), {
      pointerSize: wordSize,
    })
    expect(Buffer.compare(closeOver(full, loadRoots(), BTF_BUDGET).bytes, bytes)).toBe(0)
  })
})

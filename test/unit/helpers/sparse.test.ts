import { beforeEach, expect, test } from 'vitest'
import { toAddr } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { memory_blocks, section_size_bits, sections } from '../../../src/helpers/sparse.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const FAULT = expect.objectContaining({ code: 'FAULT' }) as unknown

/** A kernel whose dump has two sections of 128 MiB. */
class Sectioned extends FlatKernel {
  readonly container = { ranges: [{ endPfn: 2 << 15 }] }
  bits: number | undefined = 27
  readonly vmcoreinfo = {
    number: () => this.bits,
    symbol: () => toAddr(this.table),
  }
  /** `mem_section`: a table of pages of sections */
  readonly table = this.room(64 * 8)
  readonly page = this.lonely(4096)
  constructor() {
    super()
    this.symbol('mem_section', this.table)
    this.mem.setPointer(this.table, this.page)
  }
  section(nr: number): StructRef {
    return this.types.ref('mem_section', this.mem, this.page + nr * this.types.sizeof('mem_section'))
  }
}

let k: Sectioned
beforeEach(() => {
  k = new Sectioned()
})

test('sections that are present, with their flags apart from the address', () => {
  k.section(1).$set('section_mem_map', 0xffffea0000000007n)
  expect([...sections(k)]).toEqual([
    {
      nr: 1,
      section: k.section(1).$addr,
      coded_mem_map: 0xffffea0000000000n,
      mem_map: 0xffffea0000000000n + BigInt(k.types.sizeof('page')) * 32768n,
      state: 'PMO',
      pfn: 32768,
    },
  ])
})

test('no pages of sections: none is present', () => {
  k.mem.setPointer(k.table, 0)
  expect([...sections(k)]).toEqual([])
})

test('the sections’ page is not in the dump', () => {
  k.mem.unmap(k.page)
  expect(() => [...sections(k)]).toThrow(FAULT)
})

test.each([0, 12, 48, 1000])('sections of 2^%i bytes are no sections: the usual size', (bits) => {
  k.bits = bits
  expect(section_size_bits(k)).toBe(27)
})

test('a kernel without memory blocks', () => {
  k.symbol('memory_subsys', k.room(256))
  expect([...memory_blocks(k)]).toEqual([])
})

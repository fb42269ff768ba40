import { beforeEach, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { resources, type ResourceRow } from '../../../src/helpers/resource.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const NOWHERE = 0xffffffff00000000n
let k: FlatKernel
let root: StructRef

beforeEach(() => {
  k = new FlatKernel()
  root = resource('PCI IO', 0n, 0xffffn)
  k.symbol('ioport_resource', root.$va)
})

function resource(name: string, start: bigint, end: bigint): StructRef {
  const made: StructRef = k.make('resource')
  made.$set('name', k.text(name))
  made.$set('start', start)
  made.$set('end', end)
  return made
}

/** What came before an error, and the error. */
function upTo(): { found: string[]; error: unknown } {
  const found: ResourceRow[] = []
  let error: unknown
  try {
    for (const row of resources(k, 'ioport_resource')) found.push(row)
  } catch (thrown) {
    error = thrown
  }
  return { found: found.map(({ name, depth }) => `${depth} ${name}`), error }
}

test('a kernel without the tree', () => {
  expect([...resources(k, 'iomem_resource')]).toEqual([])
})

test('parents before children, siblings in order', () => {
  const [dma, pic, inner] = [
    resource('dma1', 0n, 0x1fn),
    resource('pic1', 0x20n, 0x21n),
    resource('in', 1n, 2n),
  ]
  root.$set('child', dma)
  dma.$set('sibling', pic)
  dma.$set('child', inner)
  expect(upTo()).toEqual({ found: ['0 PCI IO', '1 dma1', '2 in', '1 pic1'], error: undefined })
})

test('a child that is not in the dump: its parent is delivered', () => {
  root.$set('child', NOWHERE)
  expect(upTo()).toEqual({
    found: ['0 PCI IO'],
    error: expect.objectContaining({ code: 'FAULT' }) as unknown,
  })
})

test.each(['child', 'sibling'])('a %s that leads back ends', (member) => {
  const dma = resource('dma1', 0n, 0x1fn)
  root.$set('child', dma)
  dma.$set(member, dma)
  const { found, error } = upTo()
  expect(found).toEqual(['0 PCI IO', '1 dma1'])
  expect(error).toMatchObject({ code: 'CORRUPT' })
})

import { describe, expect, test } from 'vitest'
import { Btf } from '../../../src/btf/parse.ts'
import { Types } from '../../../src/btf/types.ts'
import {
  decodeLayout,
  encodeLayout,
  LAYOUTS,
  loadLayout,
  type LayoutName,
} from '../../../src/layouts/layout.ts'

const names = Object.keys(LAYOUTS) as LayoutName[]

describe.each(names)('layout %s', (name) => {
  const layout = loadLayout(name)
  const types = new Types(Btf.parse(layout.btf, { pointerSize: layout.wordSize }))

  test('is read once', () => expect(loadLayout(name)).toBe(layout))

  test('symbols are sorted, inside the address space, and end where the next begins or before', () => {
    const limit = 1n << BigInt(layout.wordSize * 8)
    layout.symbols.forEach(({ address, size }, i) => {
      const next = layout.symbols.slice(i + 1, i + 40).find((symbol) => symbol.address > address)
      expect(address < limit && (next === undefined || address + BigInt(size) <= next.address)).toBe(true)
    })
  })

  test('every symbol that was asked for is followed by the one that ends it', () => {
    const addresses = new Set(layout.symbols.map(({ address }) => address))
    const open = layout.symbols.filter(
      (s) => !s.filler && s.size > 0 && !addresses.has(s.address + BigInt(s.size)),
    )
    expect(open).toEqual([])
  })

  test.each(['task_struct', 'tcp_sock', 'module', 'printk_ringbuffer', 'net', 'mount', 'rq', 'kmem_cache'])(
    'has struct %s whole',
    (struct) => expect(types.struct(struct).members.length).toBeGreaterThan(2),
  )

  test('has the per-CPU variables as a section', () => {
    const section = types.btf.find('.data..percpu', 'datasec')
    expect(section).toMatchObject({ kind: 'datasec' })
    expect(types.btf.find('runqueues', 'var')).toMatchObject({ type: { kind: 'struct', name: 'rq' } })
  })

  test('BTF stays within its budget', () => expect(layout.btf.length).toBeLessThan(720_000))
})

describe('facts of Debian 6.1.0-56-amd64', () => {
  const layout = loadLayout('linux-6.1.192-x86_64')
  const types = new Types(Btf.parse(layout.btf, { pointerSize: 8 }))

  test.each([
    ['tcp_sock', 2280],
    ['task_struct', 9792],
    ['socket_alloc', 768],
    ['net', 4480],
    ['module', 896],
    ['security_hook_heads', 1912],
  ])('sizeof(struct %s) is %i', (name, size) => expect(types.sizeof(name)).toBe(size))

  test.each([
    ['tcp_v4_rcv', 0xffffffff818ac410n, 'T'],
    ['runqueues', 0x31c40n, 'D'],
    ['apparmor_socket_recvmsg', 0xffffffff814983d0n, 't'],
    ['init_task', 0xffffffff82a1aa40n, 'D'],
  ])('symbol %s is at %s', (name, address, type) => {
    expect(layout.symbols.find((symbol) => symbol.name === name)).toMatchObject({
      address,
      type,
      filler: false,
    })
  })
})

describe('a layout file', () => {
  const symbols = [
    { name: 'cpu_number', address: 0x199e0n, type: 'D', size: 8, filler: false },
    { name: '_text', address: 0xffffffff81000000n, type: 'T', size: 0, filler: false },
    { name: '_stext', address: 0xffffffff81000000n, type: 'T', size: 0xffff, filler: true },
  ]
  const file = encodeLayout(Uint8Array.of(1, 2, 3), symbols)

  test('gives back what was put in', () => {
    const layout = decodeLayout('linux-6.1.192-x86_64', file, 'x.bin')
    expect([...layout.btf]).toEqual([1, 2, 3])
    expect(layout.symbols).toEqual(symbols)
  })

  test.each([
    ['of another kind', Buffer.alloc(64), 'BAD_MAGIC'],
    ['cut short', file.subarray(0, file.length - 1), 'TRUNCATED'],
    ['empty', new Uint8Array(), 'BAD_MAGIC'],
  ])('%s is refused', (_, bytes, code) => {
    expect(() => decodeLayout('linux-6.1.192-x86_64', bytes, 'x.bin')).toThrow(
      expect.objectContaining({ code }),
    )
  })

  test('of an unknown name is a lookup error', () => {
    expect(() => loadLayout('linux-1.0')).toThrow(expect.objectContaining({ code: 'NO_TYPE' }))
  })
})

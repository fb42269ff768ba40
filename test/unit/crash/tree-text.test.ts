import { expect, test } from 'vitest'
import Tree from '../../../commands/tree.ts'
import { hex, toAddr, type Va } from '../../../src/base/addr.ts'
import { DataTarget } from '../../support/data-target.ts'

/** Three vmap_areas: 2 at the top, 1 left of it, 3 right. */
function rbMachine() {
  const k = new DataTarget()
  const areas = [1n, 2n, 3n].map((n) => {
    const area = k.make('vmap_area')
    area.$set('va_start', n)
    return area
  })
  const [one, two, three] = areas.map((area) => area.$vaOf('rb_node')) as [Va, Va, Va]
  k.mem.setPointer(two + 16, one)
  k.mem.setPointer(two + 8, three)
  const root = k.room(8)
  k.mem.setPointer(root, two)
  k.global('areas', root)
  const [a, b, c] = areas.map((area) => hex(area.$addr)) as [string, string, string]
  return { k, one, two, three, root, a, b, c }
}

const RB = ['-t', 'rbtree', '-o', 'vmap_area.rb_node', 'areas']

test('rbtree: from the top down, in order, with places and members', async () => {
  const { k, two, a, b, c } = rbMachine()
  expect(await k.run(Tree, 'tree', ...RB)).toBe(`${b}\n${a}\n${c}\n`)
  expect(await k.run(Tree, 'tree', ...RB, '-l')).toBe(`${a}\n${b}\n${c}\n`)
  expect(await k.run(Tree, 'tree', ...RB, '-p', '-s', 'vmap_area.va_start')).toBe(
    `${b}\n  position: root\n  va_start = 2,\n` +
      `${a}\n  position: root/l\n  va_start = 1,\n${c}\n  position: root/r\n  va_start = 3,\n`,
  )
  expect(await k.run(Tree, 'tree', '-t', 'rb', '-N', hex(toAddr(two)))).toContain(hex(toAddr(two)))
  const { rows } = await k.report(Tree, 'tree', ...RB)
  expect(rows).toMatchObject([{ position: 'root' }, { position: 'root/l' }, { position: 'root/r' }])
})

test('rbtree: a bad link is told and the rest shown; a loop ends', async () => {
  const { k, one, two, a, b, c } = rbMachine()
  k.mem.setPointer(one + 16, -4096)
  const bad = await k.report(Tree, 'tree', ...RB)
  expect(bad.text.startsWith(`${b}\n${a}\n`)).toBe(true)
  expect(bad.text).toContain(
    'tree: invalid kernel virtual address: fffffffffffff010  type: "rb_node rb_left"\n',
  )
  expect(bad.text.endsWith(`${c}\n`)).toBe(true)
  expect(bad.failed).toBe(true)
  k.mem.setPointer(one + 16, two)
  expect(await k.run(Tree, 'tree', ...RB)).toBe(
    `${b}\n${a}\n\ntree: duplicate tree entry: ${hex(toAddr(two))}\n`,
  )
  expect(await k.run(Tree, 'tree', ...RB, '-l')).toContain('duplicate tree entry')
})

test('xarray: slots by index; an entry that spans several; nothing', async () => {
  const k = new DataTarget()
  const xarray = k.make('xarray')
  const at = hex(xarray.$addr)
  expect(await k.run(Tree, 'tree', '-t', 'xarray', at)).toBe('0\n')
  const [top, leaf] = [k.make('xa_node'), k.make('xa_node')]
  top.$set('shift', 6)
  const slot = (node: typeof top, i: number, value: bigint): void =>
    k.mem.setU64(node.$vaOf('slots') + i * 8, value)
  slot(top, 0, leaf.$addr | 2n)
  slot(top, 1, 0xffff888000004000n)
  slot(top, 2, (1n << 2n) | 2n)
  slot(leaf, 5, 0xffff888000003000n)
  xarray.$set('xa_head', top.$addr | 2n)
  expect(await k.run(Tree, 'tree', '-t', 'x', '-p', at)).toBe(
    'ffff888000003000\n  index: 5  position: root/0/5\nffff888000004000\n  index: 64  position: root/1\n',
  )
  slot(top, 1, top.$addr | 2n)
  expect(await k.run(Tree, 'tree', '-t', 'xarray', at)).toContain('duplicate tree entry')
})

test('maple: entries with their first index', async () => {
  const k = new DataTarget()
  const tree = k.make('maple_tree')
  const leaf = k.room(256, 256)
  const slots = [[0xfffn, 0n], [0x1fffn, 0xffff888000003000n], [0x2fffn, 0xffff888000004000n]] as const // prettier-ignore
  slots.forEach(([pivot, value], i) => {
    k.mem.setU64(leaf + k.types.offsetof('maple_range_64', 'pivot') + i * 8, pivot)
    k.mem.setU64(leaf + k.types.offsetof('maple_range_64', 'slot') + i * 8, value)
  })
  tree.$set('ma_root', toAddr(leaf) | 0xen)
  const { text, rows } = await k.report(Tree, 'tree', '-t', 'maple', hex(tree.$addr))
  expect(text).toBe('ffff888000003000\nffff888000004000\n')
  expect(rows).toMatchObject([{ index: 0x1000n }, { index: 0x2000n }])
  tree.$set('ma_root', toAddr(leaf) | 0x7en)
  expect(await k.run(Tree, 'tree', '-t', 'maple', hex(tree.$addr))).toMatch(/^tree: .*a maple node/)
})

test('what is no start, no type, no such tree', async () => {
  const k = new DataTarget()
  expect(await k.run(Tree, 'tree', '-t', 'maple', 'init_mm.mm_mt')).toBe(
    'tree: invalid start argument: init_mm.mm_mt\n',
  )
  expect(await k.run(Tree, 'tree', '-t', 'oak', 'x')).toBe('tree: invalid tree type: oak\n')
  const at = hex(k.make('xarray').$addr)
  expect(await k.run(Tree, 'tree', '-t', 'radix', at)).toBe(
    'tree: radix trees do not exist or have changed their format\n',
  )
  expect(await k.run(Tree, 'tree', at)).toMatch(/^Usage:/)
})

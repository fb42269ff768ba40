import { beforeEach, expect, test } from 'vitest'
import { toAddr, type Va } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import type { Report } from '../../../src/crash/dump-command.ts'
import { cachesReport } from '../../../src/crash/kmem-slab.ts'
import { vmapReport } from '../../../src/crash/kmem-address.ts'
import { zonesReport } from '../../../src/crash/kmem-zones.ts'
import { free_list } from '../../../src/helpers/slab.ts'
import { FlatTarget } from '../../support/flat-target.ts'

const SIZE = 64
const OBJECTS = 4
const PFN = 16
let t: FlatTarget
let cache: StructRef
let slab: StructRef
let memory: Va

const textOf = (report: Report): string =>
  typeof report.text === 'string' ? report.text : [...report.text].join('')

/** One cache with one slab that the CPU has: four objects, the last two free, one of them taken by the CPU. */
beforeEach(() => {
  t = new FlatTarget()
  memory = t.room(4096, 4096)
  Object.assign(t, { pageOffset: memory - PFN * 4096, virtToPhys: () => undefined })
  const pages = t.room(64 * 32)
  const base = t.room(8)
  t.mem.setPointer(base, pages)
  t.symbol('vmemmap_base', base)
  cache = t.make('kmem_cache')
  const head = t.room(16)
  t.emptyList(head)
  t.symbol('slab_caches', head)
  t.append(head, cache.$vaOf('list'))
  cache.$set('name', t.text('filp'))
  cache.$set('size', SIZE)
  cache.$set('object_size', 56)
  cache.$set('oo.x', OBJECTS)
  slab = t.types.ref('slab', t.mem, pages + PFN * t.types.sizeof('page'))
  slab.$set('objects', OBJECTS)
  slab.$set('inuse', 3)
  slab.$set('freelist', toAddr(memory + 3 * SIZE))
  const cpu: StructRef = t.make('kmem_cache_cpu')
  cpu.$set('slab', slab)
  cpu.$set('freelist', toAddr(memory + 2 * SIZE))
  cache.$set('cpu_slab', cpu)
  const node: StructRef = t.make('kmem_cache_node')
  t.emptyList(node.$vaOf('partial'))
  node.$set('nr_slabs.counter', 1n)
  node.$set('total_objects.counter', BigInt(OBJECTS))
  t.mem.setPointer(cache.$vaOf('node'), node.$va)
  // the ends of both lists, as a hardened kernel writes them
  for (const i of [2, 3]) link(i)
})

function link(from: number, to = 0n): void {
  const at = memory + from * SIZE
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(toAddr(at))
  t.mem.setU64(at, to ^ bytes.readBigUInt64LE())
}

test('what the CPU has taken is not allocated', () => {
  const { rows } = { rows: cachesReport(t.target, [], { whole: false }, () => undefined) }
  expect(textOf(rows)).toBe(
    'CACHE             OBJSIZE  ALLOCATED     TOTAL  SLABS  SSIZE  NAME\n' +
      `${toAddr(cache.$va).toString(16)}       56          2         4      1     4k  filp\n`,
  )
})

test('objects', () => {
  const text = textOf(cachesReport(t.target, ['filp'], { whole: true }, () => undefined))
  const at = (i: number): string => toAddr(memory + i * SIZE).toString(16)
  expect(text).toContain(
    `  FREE / [ALLOCATED]\n  [${at(0)}]\n  [${at(1)}]\n   ${at(2)}  (cpu 0 cache)\n   ${at(3)}  (cpu 0 cache)\n`,
  )
  expect(text).toContain('CPU 0 PARTIAL:\n  (empty)\n')
})

test('an ignored cache is named, not looked into', () => {
  const report = cachesReport(t.target, [], { whole: true, ignored: ['filp'] }, () => undefined)
  expect(textOf(report)).toMatch(/^CACHE .*\n[0-9a-f]{16} +filp {2}\[IGNORED\]\n$/)
})

test('the slabs of chosen CPUs only', () => {
  const text = textOf(cachesReport(t.target, ['filp'], { whole: true, cpus: [1] }, () => undefined))
  expect(text).not.toContain('CPU 0')
})

test('a list of free objects that returns to itself ends', () => {
  link(2, toAddr(memory + 2 * SIZE))
  expect(free_list(cache, memory + 2 * SIZE, 100)).toEqual([memory + 2 * SIZE])
})

test('a cache that is not there', () => {
  const notes: string[] = []
  const report = cachesReport(t.target, ['zebra'], { whole: false }, (line) => void notes.push(line))
  expect(textOf(report)).toBe('')
  expect(report.failed).toBe(true)
  expect(notes).toHaveLength(1)
})

test('vmalloc areas, and where their list breaks', () => {
  const head = t.room(16)
  t.emptyList(head)
  t.symbol('vmap_area_list', head)
  const area: StructRef = t.make('vmap_area')
  const vm: StructRef = t.make('vm_struct')
  vm.$set('addr', 0xffffce8900000000n)
  vm.$set('size', 0x5000n)
  area.$set('vm', vm)
  t.append(head, area.$vaOf('list'))
  expect(textOf(vmapReport(t.target))).toMatch(/ {2}ffffce8900000000 - ffffce8900005000 {4}20480\n$/)
  t.mem.setU64(area.$vaOf('list'), 0xdead000000000100n)
  expect(textOf(vmapReport(t.target))).toMatch(/20480\n<damaged 0x[0-9a-f]+>\n$/)
})

test('zones: watermarks of the populated', () => {
  const node: StructRef = t.make('pglist_data')
  t.symbol('contig_page_data', node.$va)
  const zone = node.$array('node_zones').ref(0)
  zone?.$set('name', t.text('DMA'))
  zone?.$set('spanned_pages', 4095n)
  zone?.$set('present_pages', 3998n)
  const text = textOf(zonesReport(t.target))
  expect(text).toMatch(
    /^NODE: 0 {2}ZONE: 0 {2}ADDR: [0-9a-f]+ {2}NAME: "DMA"\n {2}SIZE: 4095 {2}PRESENT: 3998 {2}/,
  )
  expect(text).toMatch(/MIN\/LOW\/HIGH: 0\/0\/0\n {2}VM_STAT:\n {8}NR_FREE_PAGES: 0\n/)
  expect(text).toContain('  [unpopulated]\n\n')
})

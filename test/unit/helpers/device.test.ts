import { beforeEach, describe, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { char_devices, dev_name, disk_row, gendisks } from '../../../src/helpers/device.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const NOWHERE = 0xffffffff00000000n
const FAULT = expect.objectContaining({ code: 'FAULT' }) as unknown
const CORRUPT = expect.objectContaining({ code: 'CORRUPT' }) as unknown
let k: FlatKernel
beforeEach(() => {
  k = new FlatKernel()
})

/** What came before an error, and the error. */
function upTo<T>(walk: Iterable<T>): { found: T[]; error: unknown } {
  const found: T[] = []
  try {
    for (const each of walk) found.push(each)
  } catch (error) {
    return { found, error }
  }
  return { found, error: undefined }
}

describe('character devices', () => {
  const walk = char_devices
  let table: number
  beforeEach(() => {
    table = k.room(255 * 8)
    k.symbol('chrdevs', table)
  })

  function registered(major: number, name: string): StructRef {
    const made: StructRef = k.make('char_device_struct')
    made.$set('major', major)
    k.mem.write(made.$vaOf('name'), Buffer.from(name, 'latin1'))
    k.mem.setPointer(table + (major % 255) * 8, made.$va)
    return made
  }

  test('a kernel without the table, and an empty one', () => {
    expect([...walk(new FlatKernel())]).toEqual([])
    expect([...walk(k)]).toEqual([])
  })

  test('majors by bucket, without devices', () => {
    registered(8, 'sd')
    registered(4, 'tty')
    expect([...walk(k)]).toMatchObject([
      { major: 4, name: 'tty', operations: 0n },
      { major: 8, name: 'sd', operations: 0n },
    ])
  })

  test('a chain that leads back to itself ends', () => {
    const made = registered(4, 'tty')
    made.$set('next', made)
    const { found, error } = upTo(walk(k))
    expect(found).toMatchObject([{ major: 4 }])
    expect(error).toEqual(CORRUPT)
  })

  test('an entry that is not in the dump: those before it are delivered', () => {
    registered(4, 'tty').$set('next', NOWHERE)
    const { found, error } = upTo(walk(k))
    expect(found).toMatchObject([{ major: 4 }])
    expect(error).toEqual(FAULT)
  })
})

test('a table of cdevs whose probes loop is read once around', () => {
  const map: StructRef = k.make('kobj_map')
  const pointer = k.room(8)
  k.mem.setPointer(pointer, map.$va)
  k.symbol('cdev_map', pointer)
  const table = k.room(255 * 8)
  k.symbol('chrdevs', table)
  const entry: StructRef = k.make('char_device_struct')
  entry.$set('major', 1)
  k.mem.setPointer(table + 8, entry.$va)
  const cdev: StructRef = k.make('cdev')
  const probe: StructRef = k.types.ref('probe', k.mem, k.room(128))
  k.mem.setPointer(map.$vaOf('probes'), probe.$va)
  probe.$set('next', probe)
  probe.$set('dev', 1 << 20)
  probe.$set('data', cdev.$addr)
  expect([...char_devices(k)]).toMatchObject([{ major: 1, cdev: cdev.$addr }])
})

describe('disks', () => {
  let head: number
  beforeEach(() => {
    const block: StructRef = k.make('class')
    const subsys: StructRef = k.make('subsys_private')
    block.$set('p', subsys)
    k.symbol('block_class', block.$va)
    head = subsys.$vaOf('klist_devices.k_list')
    k.emptyList(head)
  })

  function disk(name: string): { made: StructRef; priv: StructRef; node: number } {
    const made: StructRef = k.make('gendisk')
    const bdev: StructRef = k.make('block_device')
    const priv: StructRef = k.make('device_private')
    k.mem.write(made.$vaOf('disk_name'), Buffer.from(name, 'latin1'))
    bdev.$set('bd_disk', made)
    k.mem.setPointer(priv.$vaOf('device'), bdev.$vaOf('bd_device'))
    const node = priv.$vaOf('knode_class.n_node')
    k.append(head, node)
    return { made, priv, node }
  }

  test('a disk without a queue has no requests', () => {
    const { made } = disk('vda')
    expect([...gendisks(k)].map(({ $va }) => $va)).toEqual([made.$va])
    expect(disk_row(k, made)).toMatchObject({ name: 'vda', request_queue: 0n, total: 0, read: 0, write: 0 })
  })

  test('a list that does not come back ends', () => {
    const { node } = disk('vda')
    k.mem.setPointer(node, node)
    expect(upTo(gendisks(k)).error).toEqual(CORRUPT)
  })

  test('a device that is not in the dump: the disk before it is delivered', () => {
    const { made } = disk('vda')
    disk('vdb').priv.$set('device', NOWHERE)
    const { found, error } = upTo(gendisks(k))
    expect(found.map(({ $va }) => $va)).toEqual([made.$va])
    expect(error).toEqual(FAULT)
  })

  test('a queue that is not in the dump', () => {
    const { made } = disk('vda')
    made.$set('queue', NOWHERE)
    expect(() => disk_row(k, made)).toThrow(FAULT)
  })
})

test('the name of a device: its first, its object’s, or none', () => {
  const device: StructRef = k.make('device')
  expect(dev_name(device)).toBe('')
  device.$set('kobj.name', k.text('object'))
  expect(dev_name(device)).toBe('object')
  device.$set('init_name', k.text('first'))
  expect(dev_name(device)).toBe('first')
})

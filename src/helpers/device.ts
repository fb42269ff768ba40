/** Devices as their drivers registered them: character and block majors, and disks with what is under way on them. */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each, list_for_each_entry } from '../structures/list.ts'
import { xa_for_each } from '../structures/xarray.ts'
import { findSymbolVa, readStringAt, refAt, type Kernel } from './kernel.ts'

/** Buckets of both tables of majors. @see fs/char_dev.c:chrdevs, block/genhd.c:major_names */
const BUCKETS = 255
const CHAIN_MAX = 4096
const DEVICES_MAX = 1_000_000
const CLASSES_MAX = 10_000
const QUEUES_MAX = 4096
const TAGS_MAX = 65_536
/** @see include/linux/kdev_t.h:MINORBITS */
const MINORBITS = 20
/** @see block/blk-mq.h:enum mq_rq_state */
const MQ_RQ_IN_FLIGHT = 1
/** Written requests have odd operations. @see include/linux/blk_types.h:op_is_write */
const OP_WRITE = 1

/** A range of character devices. */
export interface CharDevice {
  readonly major: number
  readonly name: string
  /** `struct cdev *`; 0 when the driver keeps it elsewhere */
  readonly cdev: bigint
  /** `struct file_operations *` */
  readonly operations: bigint
}

/** A driver's block major. */
export interface BlockDevice {
  readonly major: number
  readonly name: string
  /** `struct gendisk *` of one of its disks; 0 without any */
  readonly gendisk: bigint
  /** `struct block_device_operations *` */
  readonly operations: bigint
}

/** A disk and the requests its driver has. */
export interface DiskRow {
  readonly major: number
  readonly gendisk: bigint
  readonly name: string
  readonly request_queue: bigint
  readonly total: number
  readonly read: number
  readonly write: number
}

/** The structs of a table of buckets, each a chain by `next`. @throws ValidationError where a chain loops */
function* chains(kernel: Kernel, symbol: string, struct: string): Generator<StructRef> {
  const table = findSymbolVa(kernel, symbol)
  if (table === undefined || !kernel.types.has(struct)) return
  const { mem } = kernel
  for (let i = 0; i < BUCKETS; i++) {
    const seen = new Set<Va>()
    for (let va = mem.pointer(table + i * mem.wordSize); va !== 0;) {
      if (Number.isNaN(va) || seen.has(va) || seen.size >= CHAIN_MAX)
        throw new ValidationError(toAddr(table + i * mem.wordSize), 'a chain that ends', 'a loop')
      seen.add(va)
      const entry = refAt(kernel, struct, va)
      yield entry
      va = toVa(entry.$int('next'), mem.wordSize)
    }
  }
}

/** @throws FaultError, ValidationError after the devices before the damage */
export function* char_devices(kernel: Kernel): Generator<CharDevice> {
  let registered: Map<number, StructRef> | undefined
  for (const entry of chains(kernel, 'chrdevs', 'char_device_struct')) {
    registered ??= cdevs(kernel)
    const major = Number(entry.$int('major'))
    const first = major * 2 ** MINORBITS + Number(entry.$int('baseminor'))
    const cdev = entry.$ref('cdev') ?? registered.get(first) ?? null
    yield {
      major,
      name: entry.$array('name').$string(),
      cdev: cdev === null ? 0n : cdev.$addr,
      operations: cdev === null ? 0n : cdev.$int('ops'),
    }
  }
}

/** Each `struct cdev` by the number of its first device. @see fs/char_dev.c:cdev_map */
function cdevs(kernel: Kernel): Map<number, StructRef> {
  const found = new Map<number, StructRef>()
  const at = findSymbolVa(kernel, 'cdev_map')
  if (at === undefined || !kernel.types.has('kobj_map', 'probes')) return found
  const probes = refAt(kernel, 'kobj_map', kernel.mem.pointer(at)).$array('probes')
  const seen = new Set<Va>()
  for (let i = 0; i < probes.length; i++) {
    for (let probe = probes.ref(i); probe !== null && !seen.has(probe.$va); probe = probe.$ref('next')) {
      seen.add(probe.$va)
      const cdev = toVa(probe.$int('data'), kernel.mem.wordSize)
      const device = Number(probe.$int('dev'))
      if (cdev !== 0 && !found.has(device)) found.set(device, refAt(kernel, 'cdev', cdev))
      if (seen.size > DEVICES_MAX) return found
    }
  }
  return found
}

/** @throws FaultError, ValidationError after the devices before the damage */
export function* block_devices(kernel: Kernel): Generator<BlockDevice> {
  let disks: Map<number, StructRef> | undefined
  for (const entry of chains(kernel, 'major_names', 'blk_major_name')) {
    disks ??= open_disks(kernel)
    const major = Number(entry.$int('major'))
    const disk = disks.get(major)
    yield {
      major,
      name: entry.$array('name').$string(),
      gendisk: disk === undefined ? 0n : disk.$addr,
      operations: disk === undefined ? 0n : disk.$int('fops'),
    }
  }
}

/** A disk of each major: that of its youngest inode. @see block/bdev.c:blockdev_superblock */
function open_disks(kernel: Kernel): Map<number, StructRef> {
  const disks = new Map<number, StructRef>()
  const { types, mem } = kernel
  const at = findSymbolVa(kernel, 'blockdev_superblock')
  if (at === undefined || !types.has('bdev_inode', 'vfs_inode') || !types.has('block_device', 'bd_disk'))
    return disks
  const head = refAt(kernel, 'super_block', mem.pointer(at)).$vaOf('s_inodes')
  const member = types.offsetof('bdev_inode', 'vfs_inode')
  for (const inode of list_for_each_entry(types, mem, head, 'inode', 'i_sb_list', DEVICES_MAX)) {
    const bdev = refAt(kernel, 'bdev_inode', inode.$va - member).$ref('bdev')
    const disk = bdev?.$ref('bd_disk') ?? null
    if (bdev === null || disk === null) continue
    const major = Number(bdev.$int('bd_dev')) >>> MINORBITS
    if (!disks.has(major)) disks.set(major, disk)
  }
  return disks
}

/** Every `struct gendisk`, partitions left out. @throws FaultError, ValidationError @see block/genhd.c:block_class */
export function* gendisks(kernel: Kernel): Generator<StructRef> {
  const { types, mem } = kernel
  const list = class_devices(kernel)
  const disk = findSymbolVa(kernel, 'disk_type')
  if (list === undefined || !types.has('block_device', 'bd_device')) return
  const knode = types.offsetof('device_private', 'knode_class.n_node')
  const member = types.offsetof('block_device', 'bd_device')
  for (const node of list_for_each(mem, list, DEVICES_MAX)) {
    const device = refAt(kernel, 'device_private', node - knode).$ref('device')
    if (device === null || (disk !== undefined && toVa(device.$int('type'), mem.wordSize) !== disk)) continue
    const gendisk = refAt(kernel, 'block_device', device.$va - member).$ref('bd_disk')
    if (gendisk !== null) yield gendisk
  }
}

/** Head of the list of devices of class `block`: in the class before 6.4, in the set of all classes since. */
function class_devices(kernel: Kernel): Va | undefined {
  const { types, mem } = kernel
  const block = findSymbolVa(kernel, 'block_class')
  if (block === undefined || !types.has('subsys_private', 'klist_devices')) return undefined
  if (types.has('class', 'p')) {
    return refAt(kernel, 'class', block).$ref('p')?.$vaOf('klist_devices.k_list')
  }
  const set = findSymbolVa(kernel, 'class_kset')
  if (set === undefined) return undefined
  const head = refAt(kernel, 'kset', mem.pointer(set)).$vaOf('list')
  const entry = types.offsetof('subsys_private', 'subsys.kobj.entry')
  for (const node of list_for_each(mem, head, CLASSES_MAX)) {
    const subsys = refAt(kernel, 'subsys_private', node - entry)
    if (toVa(subsys.$int('class'), mem.wordSize) === block) return subsys.$vaOf('klist_devices.k_list')
  }
  return undefined
}

/** @param disk `struct gendisk *` @throws FaultError */
export function disk_row(kernel: Kernel, disk: StructRef): DiskRow {
  const queue = disk.$ref('queue')
  return {
    major: Number(disk.$int('major')),
    gendisk: disk.$addr,
    name: disk.$array('disk_name').$string(),
    request_queue: queue === null ? 0n : queue.$addr,
    ...(queue === null ? { total: 0, read: 0, write: 0 } : in_flight(kernel, queue)),
  }
}

/**
 * Requests that the driver has been given and has not ended.
 *
 * @param queue `struct request_queue *`
 * @see block/blk-mq.c:blk_mq_in_flight_rw
 * @remarks Queues without hardware contexts (drivers that take bios themselves) have none to count.
 */
export function in_flight(kernel: Kernel, queue: StructRef): { total: number; read: number; write: number } {
  const count = { total: 0, read: 0, write: 0 }
  const seen = new Set<Va>()
  for (const context of hardware_contexts(kernel, queue)) {
    const tags = context.$ref('tags')
    // queues of one device may share their tags
    if (tags === null || seen.has(tags.$va)) continue
    seen.add(tags.$va)
    const table = toVa(tags.$int('rqs'), kernel.mem.wordSize)
    for (let i = 0; i < Math.min(Number(tags.$int('nr_tags')), TAGS_MAX); i++) {
      const va = kernel.mem.pointer(table + i * kernel.mem.wordSize)
      if (va === 0) continue
      const request = refAt(kernel, 'request', va)
      if (toVa(request.$int('q'), kernel.mem.wordSize) !== queue.$va) continue
      if (Number(request.$int('state')) !== MQ_RQ_IN_FLIGHT) continue
      count.total++
      if ((Number(request.$int('cmd_flags') & 0xffn) & OP_WRITE) === 0) count.read++
      else count.write++
    }
  }
  return count
}

/** `struct blk_mq_hw_ctx` of a queue: in an xarray since 5.18, an array of pointers before. */
function* hardware_contexts(kernel: Kernel, queue: StructRef): Generator<StructRef> {
  const { types, mem } = kernel
  if (!types.has('blk_mq_hw_ctx', 'tags') || !types.has('request', 'state')) return
  if (queue.$has('hctx_table')) {
    for (const { entry } of xa_for_each(types, mem, queue.$vaOf('hctx_table')))
      yield refAt(kernel, 'blk_mq_hw_ctx', toVa(entry, mem.wordSize))
  } else if (queue.$has('queue_hw_ctx')) {
    const table = toVa(queue.$int('queue_hw_ctx'), mem.wordSize)
    for (let i = 0; table !== 0 && i < Math.min(Number(queue.$int('nr_hw_queues')), QUEUES_MAX); i++) {
      const va = mem.pointer(table + i * mem.wordSize)
      if (va !== 0) yield refAt(kernel, 'blk_mq_hw_ctx', va)
    }
  }
}

/** Name of a `struct device`. @see include/linux/device.h:dev_name */
export const dev_name = (device: StructRef): string =>
  readStringAt(device, 'init_name', 128) ?? readStringAt(device, 'kobj.name', 128) ?? ''

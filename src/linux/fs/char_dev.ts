/** Character devices: majors and who has them, device numbers and what serves them, opening one. @see fs/char_dev.c */

import type { Va } from '../../base/addr.ts'
import type {
  cdev,
  char_device_struct,
  file,
  file_operations,
  inode,
  kobj_map as KobjMap,
} from '../../btf/vmlinux.ts'
import { EBUSY, EINVAL, ENXIO } from '../../abi/errno.ts'
import { MAJOR, MEM_MAJOR, MINOR, MKDEV, UNIX98_PTY_SLAVE_MAJOR } from '../../abi/stat.ts'
import { INIT_LIST_HEAD, list_add, list_del_init } from '../../structures/list.ts'
import { kobj_lookup, kobj_map, kobj_map_init, kobj_unmap, pointerAt } from '../drivers/base/map.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { module_put, try_module_get } from '../kernel/module/main.ts'
import { kfree, kzalloc } from '../mm/slab.ts'
import { sleepable } from '../sleepable.ts'
import type { Open } from './open.ts'

const FILE = 'fs/char_dev.c'
const CHRDEV_MAJOR_HASH_SIZE = 255
/** Majors above it are refused. */
const CHRDEV_MAJOR_MAX = 512
/** Given to who asks for any, from the highest down. */
const DYNAMIC = { from: 254, to: 234 }
const NAME_MAX = 63
const CHAIN_MAX = 4096

const map = (k: Kernel): KobjMap => k.ref('kobj_map', k.mem.pointer(pointerAt(k, 'cdev_map')))
const slot = (k: Kernel, major: number): Va =>
  pointerAt(k, 'chrdevs') + (major % CHRDEV_MAJOR_HASH_SIZE) * k.mem.wordSize

/** Number ranges of one slot, by major and first minor. */
function* ranges(k: Kernel, head: Va): Generator<char_device_struct> {
  let at = k.mem.pointer(head)
  for (let hops = 0; at !== 0 && hops < CHAIN_MAX; hops++) {
    const cd = k.ref('char_device_struct', at)
    yield cd
    at = k.mem.pointer(cd.$vaOf('next'))
  }
}

/** Nothing serves the number, and no module is loaded for it. */
const base_probe = kfunc(FILE, function base_probe(_k, _dev: number, _data: Va): Va {
  return 0
})
const exact_match = kfunc(FILE, function exact_match(k, _dev: number, data: Va): Va {
  return k.ref('cdev', data).kobj.$va
})

/** @see fs/char_dev.c:chrdev_init */
export const chrdev_init = kfunc(FILE, function chrdev_init(k): void {
  k.mem.setPointer(pointerAt(k, 'cdev_map'), kobj_map_init(k, k.text(base_probe)).$va)
})

/** @returns a free major, or -EBUSY */
function find_dynamic_major(k: Kernel): number {
  for (let major = DYNAMIC.from; major >= DYNAMIC.to; major--) {
    if ([...ranges(k, slot(k, major))].every((cd) => cd.major !== major)) return major
  }
  return -EBUSY
}

/**
 * @param major 0 for any
 * @returns the range's entry in `chrdevs`, or -EBUSY when it overlaps another, -EINVAL
 */
const __register_chrdev_region = kfunc(
  FILE,
  function __register_chrdev_region(
    k: Kernel,
    major: number,
    baseminor: number,
    minorct: number,
    name: string,
  ): char_device_struct | number {
    if (major >= CHRDEV_MAJOR_MAX || minorct < 1) return -EINVAL
    const number = major === 0 ? find_dynamic_major(k) : major
    if (number < 0) return number
    let link = slot(k, number)
    for (const cd of ranges(k, link)) {
      const before = cd.major < number || (cd.major === number && cd.baseminor + cd.minorct <= baseminor)
      const behind = cd.major > number || (cd.major === number && baseminor + minorct <= cd.baseminor)
      if (!before && !behind) return -EBUSY
      if (behind) break
      link = cd.$vaOf('next')
    }
    const cd = k.ref('char_device_struct', kzalloc(k, k.types.sizeof('char_device_struct')))
    cd.major = number
    cd.baseminor = baseminor
    cd.minorct = minorct
    cd.name.$setString(name.slice(0, NAME_MAX))
    k.mem.setPointer(cd.$vaOf('next'), k.mem.pointer(link))
    k.mem.setPointer(link, cd.$va)
    return cd
  },
)

/** @returns 0, -EBUSY, -EINVAL */
export const register_chrdev_region = kfunc(
  FILE,
  function register_chrdev_region(k: Kernel, from: number, count: number, name: string): number {
    const made = __register_chrdev_region(k, MAJOR(from), MINOR(from), count, name)
    return typeof made === 'number' ? made : 0
  },
)

/** Any major. @returns the first device number, or a negative errno */
export const alloc_chrdev_region = kfunc(
  FILE,
  function alloc_chrdev_region(k: Kernel, baseminor: number, count: number, name: string): number {
    const made = __register_chrdev_region(k, 0, baseminor, count, name)
    return typeof made === 'number' ? made : MKDEV(made.major, made.baseminor)
  },
)

export const unregister_chrdev_region = kfunc(
  FILE,
  function unregister_chrdev_region(k: Kernel, from: number, count: number): void {
    let link = slot(k, MAJOR(from))
    for (const cd of ranges(k, link)) {
      if (cd.major === MAJOR(from) && cd.baseminor === MINOR(from) && cd.minorct === count) {
        k.mem.setPointer(link, k.mem.pointer(cd.$vaOf('next')))
        kfree(k, cd)
        return
      }
      link = cd.$vaOf('next')
    }
  },
)

/** @param cdev zeroed here @see fs/char_dev.c:cdev_init */
export const cdev_init = kfunc(FILE, function cdev_init(k: Kernel, cdev: cdev, fops: file_operations): void {
  k.mem.fill(cdev.$va, 0, cdev.$size)
  INIT_LIST_HEAD(k.mem, cdev.list.$va)
  INIT_LIST_HEAD(k.mem, cdev.kobj.entry.$va)
  const type = k.symbols.get('ktype_cdev_default')
  if (type !== undefined) k.mem.setWord(cdev.kobj.$vaOf('ktype'), type)
  cdev.kobj.kref.refcount.refs.counter = 1
  cdev.ops = fops
})

/** The device is alive from here on. @returns 0 */
export const cdev_add = kfunc(
  FILE,
  function cdev_add(k: Kernel, p: cdev, dev: number, count: number): number {
    p.dev = dev
    p.count = count
    return kobj_map(k, map(k), dev, count, null, k.text(exact_match), p.$va)
  },
)

/** @remarks inodes that were opened forget the device here, not when they are evicted */
export const cdev_del = kfunc(FILE, function cdev_del(k: Kernel, p: cdev): void {
  kobj_unmap(k, map(k), p.dev, p.count)
  const inodes = k.types.offsetof('inode', 'i_devices')
  for (let node = k.mem.pointer(p.list.$va), hops = 0; node !== p.list.$va && hops < CHAIN_MAX; hops++) {
    const next = k.mem.pointer(node)
    list_del_init(k.mem, node)
    k.ref('inode', node - inodes).i_cdev = null
    node = next
  }
})

/** Devices whose drivers are part of the kernel and have no `struct cdev` here. */
const BUILT_IN: Readonly<Record<number, string>> = {
  [MEM_MAJOR]: 'null_fops',
  [UNIX98_PTY_SLAVE_MAJOR]: 'tty_fops',
}

/** The operations a device number is served by, its module held. */
function operations(k: Kernel, inode: inode): file_operations | null {
  if (inode.i_cdev === null) {
    const kobj = kobj_lookup(k, map(k), inode.i_rdev)
    if (kobj === 0) {
      const symbol = BUILT_IN[MAJOR(inode.i_rdev)]
      return symbol === undefined ? null : k.global(symbol, 'file_operations')
    }
    const found = k.ref('cdev', kobj - k.types.offsetof('cdev', 'kobj'))
    inode.i_cdev = found
    list_add(k.mem, inode.i_devices.$va, found.list.$va)
  }
  const { ops, owner } = inode.i_cdev
  if (ops === null || !try_module_get(owner)) return null
  if (try_module_get(ops.owner)) return ops
  module_put(owner)
  return null
}

/** The file gets its device's operations. @returns 0, -ENXIO, or what its open says @see fs/char_dev.c:chrdev_open */
export const chrdev_open = kfunc(FILE, function* chrdev_open(k: Kernel, inode: inode, file: file): Generator<
  unknown,
  number
> {
  const fops = operations(k, inode)
  if (fops === null) return -ENXIO
  file.f_op = fops
  if (fops.open === 0n) return 0
  return yield* sleepable(k.indirect<Open>(fops.open)(k, inode, file))
})

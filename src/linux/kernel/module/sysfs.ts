/** Modules as objects of /sys/module. @see kernel/module/sysfs.c, kernel/params.c:param_sysfs_init */

import { toVa } from '../../../base/addr.ts'
import type { kset, module } from '../../../btf/vmlinux.ts'
import { INIT_LIST_HEAD, list_add_tail, list_del_init } from '../../../structures/list.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { kfree, kmalloc, kstrdup } from '../../mm/slab.ts'

const ksetAt = (k: Kernel): number => toVa(k.sym('module_kset'), k.mem.wordSize)

/** The set of all modules' objects. @see kernel/params.c:param_sysfs_init */
export function param_sysfs_init(k: Kernel): void {
  const set = k.ref('kset', kmalloc(k, k.types.sizeof('kset')))
  INIT_LIST_HEAD(k.mem, set.list.$va)
  INIT_LIST_HEAD(k.mem, set.kobj.entry.$va)
  k.mem.setPointer(set.kobj.$vaOf('name'), kstrdup(k, 'module'))
  set.kobj.kref.refcount.refs.counter = 1
  set.kobj.state_initialized = 1
  set.kobj.state_in_sysfs = 1
  set.kobj.state_add_uevent_sent = 1
  const uevents = k.symbols.get('module_uevent_ops')
  if (uevents !== undefined) set.$set('uevent_ops', uevents)
  k.mem.setPointer(ksetAt(k), set.$va)
}

const moduleSet = (k: Kernel): kset => k.ref('kset', k.mem.pointer(ksetAt(k)))

/**
 * @see kernel/module/sysfs.c:mod_sysfs_setup
 * @remarks there is no sysfs: the object has no kernfs node, no attributes, no holders directory.
 */
export const mod_sysfs_setup = kfunc(
  'kernel/module/sysfs.c',
  function mod_sysfs_setup(k, mod: module): number {
    const set = moduleSet(k)
    const { kobj } = mod.mkobj
    mod.mkobj.mod = mod
    kobj.name = BigInt(kstrdup(k, mod.name.$string()))
    kobj.kset = set
    kobj.parent = set.kobj
    const type = k.symbols.get('module_ktype')
    if (type !== undefined) kobj.$set('ktype', type)
    kobj.kref.refcount.refs.counter = 1
    kobj.state_initialized = 1
    list_add_tail(k.mem, kobj.entry.$va, set.list.$va)
    kobj.state_in_sysfs = 1
    kobj.state_add_uevent_sent = 1
    return 0
  },
)

/** @see kernel/module/sysfs.c:mod_sysfs_teardown */
export function mod_sysfs_teardown(k: Kernel, mod: module): void {
  const { kobj } = mod.mkobj
  if (kobj.state_in_sysfs === 0) return
  list_del_init(k.mem, kobj.entry.$va)
  kobj.state_in_sysfs = 0
  kfree(k, kobj.name)
  kobj.name = 0n
}

/** Process ids: `struct pid`, the namespace's IDR, and the lists by which a pid knows its tasks. @see kernel/pid.c */

import { toVa } from '../../base/addr.ts'
import { InvariantError } from '../../base/errors.ts'
import type { kmem_cache, pid, pid_namespace, task_struct } from '../../btf/vmlinux.ts'
import { PIDTYPE_PID } from '../../abi/sched.ts'
import { INIT_HLIST_NODE, hlist_add_head, hlist_del_rcu } from '../../structures/hlist.ts'
import { idr_alloc, idr_alloc_cyclic, idr_init, idr_remove } from '../../structures/idr.ts'
import { xa_load } from '../../structures/xarray.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { refcount_dec_and_test, refcount_inc, refcount_set } from '../lib/refcount.ts'
import { xaNodes } from '../lib/xarray.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../mm/slub.ts'
import { init_waitqueue_head } from './sched/wait.ts'

/** First ids are not given out again once the numbers have gone round. */
const RESERVED_PIDS = 300
/** What systemd sets `kernel.pid_max` to on 64-bit machines. */
const PID_MAX_LIMIT = 4 * 1024 * 1024
const PIDNS_ADDING = 0x8000_0000
const PIDTYPE_MAX = 4

const state = perKernel<{ cache: kmem_cache | undefined }>(() => ({ cache: undefined }))

export const init_pid_ns = (k: Kernel): pid_namespace => k.global('init_pid_ns', 'pid_namespace')
const idrVa = (ns: pid_namespace): number => ns.$vaOf('idr')

/** @see kernel/pid.c:pid_idr_init */
export function pid_idr_init(k: Kernel): void {
  const ns = init_pid_ns(k)
  idr_init(k.types, k.mem, idrVa(ns))
  ns.pid_allocated = PIDNS_ADDING
  ns.user_ns = k.global('init_user_ns', 'user_namespace')
  ns.child_reaper = k.global('init_task', 'task_struct')
  refcount_set(ns.ns.count, 2)
  ns.ns.inum = 0xeffffffc
  const size = k.types.sizeof('pid') + k.types.sizeof('upid')
  const flags = SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT
  state(k).cache = kmem_cache_create(k, 'pid', size, { flags })
  ns.pid_cachep = state(k).cache as kmem_cache
}

/**
 * A new `struct pid`, its number in the namespace's IDR.
 * @param wanted this number, instead of the next free one
 * @throws InvariantError when it is taken
 * @see kernel/pid.c:alloc_pid
 */
export const alloc_pid = kfunc(
  'kernel/pid.c',
  function alloc_pid(k, ns: pid_namespace, wanted: number | undefined): pid {
    const pid = k.ref('pid', kmem_cache_alloc(k, state(k).cache as kmem_cache))
    const nodes = xaNodes(k)
    const lowest = k.mem.u32(ns.$vaOf('idr.idr_next')) > RESERVED_PIDS ? RESERVED_PIDS : 1
    const nr =
      wanted === undefined
        ? idr_alloc_cyclic(k.types, k.mem, idrVa(ns), pid.$va, lowest, PID_MAX_LIMIT, nodes)
        : idr_alloc(k.types, k.mem, idrVa(ns), pid.$va, wanted, wanted + 1, nodes)
    if (nr < 0) throw new InvariantError(`pid ${wanted ?? ''} is taken`)
    if (wanted !== undefined && wanted >= RESERVED_PIDS) ns.idr.idr_next = nr + 1
    refcount_set(pid.count, 1)
    pid.level = 0
    for (let type = 0; type < PIDTYPE_MAX; type++) k.mem.setPointer(pid.$vaOf(`tasks[${type}]`), 0)
    k.mem.setPointer(pid.$vaOf('inodes'), 0)
    init_waitqueue_head(k, pid.wait_pidfd)
    const number = k.ref('upid', pid.$vaOf('numbers'))
    number.nr = nr
    number.ns = ns
    ns.pid_allocated = ns.pid_allocated + 1
    return pid
  },
)

/** The number of a pid in its own namespace. @see include/linux/pid.h:pid_nr */
export const pid_nr = (k: Kernel, pid: pid): number => k.ref('upid', pid.$vaOf('numbers')).nr

/** @see kernel/pid.c:attach_pid */
export const attach_pid = kfunc('kernel/pid.c', function attach_pid(k, task: task_struct, type: number) {
  const pid = task_pid_type(task, type)
  hlist_add_head(k.mem, task.$vaOf(`pid_links[${type}]`), pid.$vaOf(`tasks[${type}]`))
})

/** `struct pid` of a task by type. @see kernel/pid.c:task_pid_ptr */
export function task_pid_type(task: task_struct, type: number): pid {
  const pid = type === PIDTYPE_PID ? task.thread_pid : task.signal?.pids.ref(type)
  if (pid === null || pid === undefined) throw new InvariantError(`task without a pid of type ${type}`)
  return pid as pid
}

/** @see kernel/pid.c:detach_pid */
export const detach_pid = kfunc('kernel/pid.c', function detach_pid(k, task: task_struct, type: number) {
  const pid = task_pid_type(task, type)
  const link = task.$vaOf(`pid_links[${type}]`)
  hlist_del_rcu(k.mem, link)
  if (type === PIDTYPE_PID) task.thread_pid = null
  else task.signal?.pids.set(type, null)
  for (let t = 0; t < PIDTYPE_MAX; t++) if (k.mem.pointer(pid.$vaOf(`tasks[${t}]`)) !== 0) return
  free_pid(k, pid)
})

/** The number can be given out again. @see kernel/pid.c:free_pid */
export const free_pid = kfunc('kernel/pid.c', function free_pid(k, pid: pid) {
  const ns = init_pid_ns(k)
  idr_remove(k.types, k.mem, idrVa(ns), pid_nr(k, pid), xaNodes(k))
  ns.pid_allocated = ns.pid_allocated - 1
  put_pid(k, pid)
})

/** @see kernel/pid.c:put_pid */
export const put_pid = kfunc('kernel/pid.c', function put_pid(k, pid: pid) {
  if (refcount_dec_and_test(pid.count)) kmem_cache_free(k, state(k).cache as kmem_cache, pid.$va)
})

/** @see include/linux/pid.h:get_pid */
export function get_pid(pid: pid): pid {
  refcount_inc(pid.count)
  return pid
}

/** @see kernel/pid.c:find_vpid */
export const find_vpid = kfunc('kernel/pid.c', function find_vpid(k, nr: number): pid | null {
  const ns = init_pid_ns(k)
  const entry = xa_load(k.types, k.mem, ns.$vaOf('idr.idr_rt'), nr)
  return entry === 0n ? null : k.ref('pid', toVa(entry, k.mem.wordSize))
})

/** The first task on a pid's list of a type. @see kernel/pid.c:pid_task */
export const pid_task = kfunc(
  'kernel/pid.c',
  function pid_task(k, pid: pid | null, type: number): task_struct | null {
    if (pid === null) return null
    const node = k.mem.pointer(pid.$vaOf(`tasks[${type}]`))
    return node === 0
      ? null
      : k.ref('task_struct', node - k.types.offsetof('task_struct', `pid_links[${type}]`))
  },
)

/** @see kernel/pid.c:find_task_by_vpid */
export const find_task_by_vpid = (k: Kernel, nr: number): task_struct | null =>
  pid_task(k, find_vpid(k, nr), PIDTYPE_PID)

/** A task that is on no pid's list yet. */
export function clearPidLinks(k: Kernel, task: task_struct): void {
  for (let type = 0; type < PIDTYPE_MAX; type++) INIT_HLIST_NODE(k.mem, task.$vaOf(`pid_links[${type}]`))
}

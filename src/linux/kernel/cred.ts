/** Credentials: who a task is. Shared until changed, never changed in place. @see kernel/cred.c */

import { InvariantError } from '../../base/errors.ts'
import type { cred, kmem_cache, task_struct, user_struct } from '../../btf/vmlinux.ts'
import { CLONE_THREAD } from '../../abi/sched.ts'
import { deref } from '../deref.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { atomic_long_dec, atomic_long_inc, atomic_long_set } from '../lib/atomic_long.ts'
import { refcount_set } from '../lib/refcount.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { kmalloc } from '../mm/slab.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../mm/slub.ts'
import { security_cred_free, security_prepare_creds } from '../security/security/task.ts'

interface State {
  cache: kmem_cache | undefined
  readonly users: Map<number, user_struct>
}
const state = perKernel<State>((k) => ({
  cache: undefined,
  users: new Map([[0, k.global('root_user', 'user_struct')]]),
}))

/** @see kernel/cred.c:cred_init */
export function cred_init(k: Kernel): void {
  const flags = SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT
  state(k).cache = kmem_cache_create(k, 'cred_jar', k.types.sizeof('cred'), { flags })
  setCachePointer(k, 'cred_jar', state(k).cache)
}

/** @see include/linux/cred.h:get_cred */
export function get_cred(cred: cred): cred {
  atomic_long_inc(cred.usage)
  return cred
}

/** @see include/linux/cred.h:put_cred */
export function put_cred(k: Kernel, cred: cred): void {
  if (atomic_long_dec(cred.usage) === 0n) put_cred_rcu(k, cred)
}

const put_cred_rcu = kfunc('kernel/cred.c', function put_cred_rcu(k, cred: cred) {
  security_cred_free(k, cred)
  kmem_cache_free(k, state(k).cache as kmem_cache, cred.$va)
})

/** A copy of the current task's credentials, to be changed. @see kernel/cred.c:prepare_creds */
export const prepare_creds = kfunc('kernel/cred.c', function prepare_creds(k): cred {
  return copyOf(k, deref(k.current.cred))
})

function copyOf(k: Kernel, old: cred): cred {
  const fresh = k.ref('cred', kmem_cache_alloc(k, state(k).cache as kmem_cache))
  k.mem.copy(fresh.$va, old.$va, old.$size)
  atomic_long_set(fresh.usage, 1)
  const group = deref(fresh.group_info)
  group.usage.counter = group.usage.counter + 1
  fresh.$set('security', 0n)
  security_prepare_creds(k, fresh, old)
  return fresh
}

/** Make them the task's own. @see kernel/cred.c:commit_creds */
export const commit_creds = kfunc(
  'kernel/cred.c',
  function commit_creds(k, fresh: cred, task: task_struct = k.current) {
    const old = deref(task.cred)
    atomic_long_inc(fresh.usage)
    task.real_cred = fresh
    task.cred = fresh
    put_cred(k, old)
    put_cred(k, old)
  },
)

/** @see kernel/cred.c:copy_creds */
export const copy_creds = kfunc('kernel/cred.c', function copy_creds(k, p: task_struct, flags: number) {
  const inherited = deref(p.cred)
  if ((flags & CLONE_THREAD) !== 0) {
    get_cred(get_cred(inherited))
    return
  }
  const fresh = copyOf(k, inherited)
  p.cred = p.real_cred = get_cred(fresh)
})

/** @see kernel/cred.c:exit_creds */
export const exit_creds = kfunc('kernel/cred.c', function exit_creds(k, task: task_struct) {
  const { real_cred, cred } = task
  task.real_cred = null
  task.cred = null
  if (real_cred !== null) put_cred(k, real_cred)
  if (cred !== null) put_cred(k, cred)
})

/** The accounting structure of a user, made on first sight. @see kernel/user.c:alloc_uid */
export const alloc_uid = kfunc('kernel/user.c', function alloc_uid(k, uid: number): user_struct {
  const known = state(k).users.get(uid)
  if (known !== undefined) {
    known.__count.refs.counter = known.__count.refs.counter + 1
    return known
  }
  const user = k.ref('user_struct', kmalloc(k, k.types.sizeof('user_struct')))
  refcount_set(user.__count, 1)
  user.uid.val = uid
  state(k).users.set(uid, user)
  return user
})

/**
 * Become a user for good, as setuid(2) and setgid(2) of root do before they drop everything.
 * @see kernel/sys.c:__sys_setresuid
 */
export function becomeUser(k: Kernel, task: task_struct, uid: number, gid: number): void {
  const old = task.cred
  if (old === null) throw new InvariantError('a task without credentials')
  const fresh = copyOf(k, old)
  for (const id of [fresh.uid, fresh.suid, fresh.euid, fresh.fsuid]) id.val = uid
  for (const id of [fresh.gid, fresh.sgid, fresh.egid, fresh.fsgid]) id.val = gid
  fresh.user = alloc_uid(k, uid)
  if (uid !== 0) {
    for (const set of [fresh.cap_permitted, fresh.cap_effective]) k.mem.fill(set.$va, 0, set.$size)
  }
  commit_creds(k, fresh, task)
}

/** Who the current task acts as on files. @see include/linux/cred.h:current_fsuid */
export function current_cred_ids(k: Kernel): { uid: number; gid: number } {
  const cred = deref(k.current.cred)
  return { uid: cred.fsuid.val, gid: cred.fsgid.val }
}

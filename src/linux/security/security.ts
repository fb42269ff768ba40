/**
 * The security framework: `security_hook_heads` filled at boot, and the `security_*` calls that walk it.
 *
 * @see security/security.c
 */

import { toVa } from '../../base/addr.ts'
import { hlist_add_tail_rcu } from '../../structures/hlist.ts'
import type { Kernel } from '../kernel.ts'
import { kstrdup } from '../mm/slab.ts'
import { apparmor_init } from './apparmor/lsm.ts'
import './hook-functions.ts'
import { securityModules, type SecurityModule } from './lsm-hooks.ts'
import { tomoyo_init } from './tomoyo.ts'
import { lsm_blobs_init, lsm_cred_alloc, lsm_task_alloc } from './security/blob.ts'
import { hook_head } from './security/call.ts'

export { hook_head } from './security/call.ts'
export * from './security/file.ts'
export * from './security/socket.ts'
export * from './security/task.ts'

/**
 * Bring the profile's security modules up: blobs of the boot task, then each module's hooks.
 * After kmem_cache_init and the boot task's cred, before the first fork, file or sock.
 * @see security/security.c:security_init
 */
export function security_init(k: Kernel): void {
  lsm_blobs_init(k)
  lsm_cred_alloc(k, k.global('init_cred', 'cred'))
  lsm_task_alloc(k, k.global('init_task', 'task_struct'))
  const names = k.types.struct('security_hook_heads').members.map(({ name }) => name)
  const all = new Map(securityModules(names).map((module) => [module.name, module]))
  for (const name of k.profile.lsm) {
    const module = all.get(name)
    if (module !== undefined) addModule(k, module)
  }
  if (k.profile.lsm.includes('apparmor')) apparmor_init(k)
  if (k.profile.lsm.includes('tomoyo')) tomoyo_init(k)
  k.mem.setPointer(toVa(k.sym('lsm_names'), k.mem.wordSize), kstrdup(k, k.profile.lsm.join(',')))
}

/** Fill a module's arrays in, then link each entry at the end of its hook's list. */
function addModule(k: Kernel, module: SecurityModule): void {
  const lsm = kstrdup(k, module.name)
  const size = k.types.sizeof('security_hook_list')
  const heads = k.types.struct('security_hook_heads')
  for (const { symbol, offset, hooks } of module.arrays) {
    const base = toVa(k.sym(symbol), k.mem.wordSize) + offset
    hooks.forEach(([head, hook], i) => {
      if (!heads.members.some(({ name }) => name === head)) return
      const entry = k.ref('security_hook_list', base + i * size)
      k.mem.setPointer(entry.$vaOf('head'), hook_head(k, head))
      k.mem.setWord(entry.$vaOf('hook'), k.sym(hook))
      k.mem.setPointer(entry.$vaOf('lsm'), lsm)
    })
    security_add_hooks(k, base, hooks.length)
  }
}

/**
 * @param hooks address of an array of `struct security_hook_list`
 * @see security/security.c:security_add_hooks
 * @remarks __init text: freed after boot, so no module can call it.
 */
function security_add_hooks(k: Kernel, hooks: number, count: number): void {
  const size = k.types.sizeof('security_hook_list')
  for (let i = 0; i < count; i++) {
    const entry = k.ref('security_hook_list', hooks + i * size)
    const head = k.mem.pointer(entry.$vaOf('head'))
    if (head !== 0) hlist_add_tail_rcu(k.mem, entry.list.$va, head)
  }
}

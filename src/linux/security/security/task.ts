/** Hooks of tasks, credentials and programs. @see security/security.c */

import { toVa } from '../../../base/addr.ts'
import type { cred, file, linux_binprm, task_struct, user_namespace } from '../../../btf/vmlinux.ts'
import { kfunc } from '../../kfunc.ts'
import { kfree } from '../../mm/slab.ts'
import { lsm_cred_alloc, lsm_task_alloc } from './blob.ts'
import { call_int_hook, call_void_hook, intHook, voidHook } from './call.ts'

const FILE = 'security/security.c'

/**
 * May `cred` use a capability in `ns`?
 * @returns 0 or -EPERM
 * @see security/security.c:security_capable
 */
export const security_capable = kfunc(
  FILE,
  function security_capable(k, cred: cred, ns: user_namespace | null, cap: number, opts = 0): number {
    return call_int_hook(k, 'capable', [cred, ns, cap, opts])
  },
)

/** The modules' blob of a new task. @returns 0 or -errno @see security/security.c:security_task_alloc */
export const security_task_alloc = kfunc(
  FILE,
  function security_task_alloc(k, task: task_struct, clone_flags: number | bigint): number {
    lsm_task_alloc(k, task)
    const rc = call_int_hook(k, 'task_alloc', [task, clone_flags])
    if (rc !== 0) security_task_free(k, task)
    return rc
  },
)

/** @see security/security.c:security_task_free */
export const security_task_free = kfunc(FILE, function security_task_free(k, task: task_struct): void {
  call_void_hook(k, 'task_free', [task])
  kfree(k, toVa(task.security, k.mem.wordSize))
  task.security = 0n
})

/** @returns 0 or -errno @see security/security.c:security_cred_alloc_blank */
export const security_cred_alloc_blank = kfunc(
  FILE,
  function security_cred_alloc_blank(k, cred: cred): number {
    lsm_cred_alloc(k, cred)
    return call_int_hook(k, 'cred_alloc_blank', [cred])
  },
)

/** Give a copied cred a blob of its own. @returns 0 or -errno @see security/security.c:security_prepare_creds */
export const security_prepare_creds = kfunc(
  FILE,
  function security_prepare_creds(k, fresh: cred, old: cred): number {
    lsm_cred_alloc(k, fresh)
    return call_int_hook(k, 'cred_prepare', [fresh, old])
  },
)

/** @see security/security.c:security_transfer_creds */
export const security_transfer_creds = kfunc(
  FILE,
  function security_transfer_creds(k, fresh: cred, old: cred): void {
    call_void_hook(k, 'cred_transfer', [fresh, old])
  },
)

/** @see security/security.c:security_cred_free */
export const security_cred_free = kfunc(FILE, function security_cred_free(k, cred: cred): void {
  if (cred.security === 0n) return
  call_void_hook(k, 'cred_free', [cred])
  kfree(k, toVa(cred.security, k.mem.wordSize))
  cred.security = 0n
})

export const security_bprm_creds_for_exec = intHook<[bprm: linux_binprm]>('bprm_creds_for_exec')
export const security_bprm_creds_from_file = intHook<[bprm: linux_binprm, file: file]>('bprm_creds_from_file')
/** `security_bprm_check`: the hook's name is longer. @see security/security.c:security_bprm_check */
export const security_bprm_check = kfunc(FILE, function security_bprm_check(k, bprm: linux_binprm): number {
  return call_int_hook(k, 'bprm_check_security', [bprm])
})
export const security_bprm_committing_creds = voidHook<[bprm: linux_binprm]>('bprm_committing_creds')
export const security_bprm_committed_creds = voidHook<[bprm: linux_binprm]>('bprm_committed_creds')

export const security_task_fix_setuid = intHook<[fresh: cred, old: cred, flags: number]>('task_fix_setuid')
export const security_task_fix_setgid = intHook<[fresh: cred, old: cred, flags: number]>('task_fix_setgid')
export const security_task_kill =
  intHook<[p: task_struct, info: unknown, sig: number, cred: cred | null]>('task_kill')
export const security_task_setrlimit =
  intHook<[p: task_struct, resource: number, limit: unknown]>('task_setrlimit')
export const security_task_setnice = intHook<[p: task_struct, nice: number]>('task_setnice')
export const security_task_setscheduler = intHook<[p: task_struct]>('task_setscheduler')
export const security_task_setpgid = intHook<[p: task_struct, pgid: number]>('task_setpgid')
export const security_task_getsid = intHook<[p: task_struct]>('task_getsid')
export const security_task_to_inode = voidHook<[p: task_struct, inode: unknown]>('task_to_inode')
export const security_ptrace_access_check = intHook<[child: task_struct, mode: number]>('ptrace_access_check')
export const security_ptrace_traceme = intHook<[parent: task_struct]>('ptrace_traceme')

/** May the kernel be changed in this way? `what` is an `enum lockdown_reason`. @returns 0 or -EPERM */
export const security_locked_down = intHook<[what: number]>('locked_down')
export const security_kernel_module_request = intHook<[name: string]>('kernel_module_request')
export const security_kernel_read_file =
  intHook<[file: file | null, id: number, contents: boolean]>('kernel_read_file')
export const security_kernel_load_data = intHook<[id: number, contents: boolean]>('kernel_load_data')

/** Signals: sent into the pending sets, taken on the way back to user space. @see kernel/signal.c */

import { InvariantError } from '../../base/errors.ts'
import type { StructRef } from '../../btf/ref.ts'
import type { kmem_cache, sigpending, task_struct } from '../../btf/vmlinux.ts'
import { EINVAL, EPERM, ESRCH } from '../../abi/errno.ts'
import { PIDTYPE_PGID, TASK_INTERRUPTIBLE, TASK_WAKEKILL, TIF_SIGPENDING } from '../../abi/sched.ts'
import {
  CLD_EXITED,
  CLD_KILLED,
  SIG_DFL,
  SIG_IGN,
  SIG_KERNEL_IGNORE_MASK,
  SI_KERNEL,
  SIGCHLD,
  SIGKILL,
  SIGSTOP,
  SI_USER,
  _NSIG,
  sigmask,
} from '../../abi/signal.ts'
import { list_add_tail, list_del_init, list_for_each_entry } from '../../structures/list.ts'
import { deref } from '../deref.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_PANIC } from '../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../mm/slub.ts'
import { __wake_up_parent, ignoresChildren } from './exit.ts'
import { find_task_by_vpid, find_vpid } from './pid.ts'
import { clear_tsk_flag, set_tsk_flag, wake_up_state } from './sched/core.ts'

const state = perKernel<{ cache: kmem_cache | undefined }>(() => ({ cache: undefined }))

/** @see kernel/signal.c:signals_init */
export function signals_init(k: Kernel): void {
  const size = k.types.sizeof('sigqueue')
  state(k).cache = kmem_cache_create(k, 'sigqueue', size, { flags: SLAB_PANIC | SLAB_ACCOUNT })
  setCachePointer(k, 'sigqueue_cachep', state(k).cache)
}

/** `struct k_sigaction` of a signal. */
export function k_sigaction(task: task_struct, sig: number): StructRef {
  return deref(
    deref(task.sighand)
      .$array('action')
      .ref(sig - 1),
  )
}

const handlerOf = (task: task_struct, sig: number): bigint => k_sigaction(task, sig).$int('sa.sa_handler')

/** A `sigset_t` as one number. */
export const sigset = (set: StructRef): bigint => set.$mem.u64(set.$va)
function setSigset(k: Kernel, set: StructRef, value: bigint): void {
  k.mem.setU64(set.$va, value)
}

/** Would it be thrown away at once? @see kernel/signal.c:sig_ignored */
function sig_ignored(task: task_struct, sig: number): boolean {
  if ((sigset(task.blocked) & sigmask(sig)) !== 0n) return false
  const handler = handlerOf(task, sig)
  if (sig === SIGKILL || sig === SIGSTOP) return false
  return handler === SIG_IGN || (handler === SIG_DFL && (SIG_KERNEL_IGNORE_MASK & sigmask(sig)) !== 0n)
}

/** What comes with a signal. */
export interface SigInfo {
  readonly code: number
  readonly pid?: number
  readonly uid?: number
  readonly status?: number
}

/**
 * Queue a signal for a task or its whole process, and wake it.
 * @see kernel/signal.c:send_signal_locked
 */
export const send_signal_locked = kfunc(
  'kernel/signal.c',
  function send_signal_locked(k, sig: number, info: SigInfo, task: task_struct, group: boolean): number {
    if (sig_ignored(task, sig)) return 0
    const pending: sigpending = group ? deref(task.signal).shared_pending : task.pending
    if (sig < 32 && (sigset(pending.signal) & sigmask(sig)) !== 0n) return 0
    const queued = k.ref('sigqueue', kmem_cache_alloc(k, state(k).cache as kmem_cache))
    list_add_tail(k.mem, queued.$vaOf('list'), pending.list.$va)
    queued.$set('info.si_signo', sig)
    queued.$set('info.si_errno', 0)
    queued.$set('info.si_code', info.code)
    queued.$set('info._sifields._kill._pid', info.pid ?? 0)
    queued.$set('info._sifields._kill._uid', info.uid ?? 0)
    if (info.status !== undefined) queued.$set('info._sifields._sigchld._status', info.status)
    setSigset(k, pending.signal, sigset(pending.signal) | sigmask(sig))
    if ((sigset(task.blocked) & sigmask(sig)) === 0n || sig === SIGKILL)
      signal_wake_up(k, task, sig === SIGKILL)
    return 0
  },
)

/** @see kernel/signal.c:signal_wake_up_state */
function signal_wake_up(k: Kernel, task: task_struct, kill: boolean): void {
  if (kill) setSigset(k, task.pending.signal, sigset(task.pending.signal) | sigmask(SIGKILL))
  set_tsk_flag(task, TIF_SIGPENDING)
  wake_up_state(k, task, TASK_INTERRUPTIBLE | (kill ? TASK_WAKEKILL : 0))
}

/** From the kernel itself, to one task: SIGPIPE, faults. @see kernel/signal.c:send_sig */
export const send_sig = kfunc(
  'kernel/signal.c',
  function send_sig(k, sig: number, task: task_struct, _priv: number): number {
    return send_signal_locked(k, sig, { code: SI_KERNEL }, task, false)
  },
)

/** @see kernel/signal.c:group_send_sig_info */
export const group_send_sig_info = kfunc(
  'kernel/signal.c',
  function group_send_sig_info(k, sig: number, info: SigInfo, task: task_struct): number {
    if (!may_signal(k, task)) return -EPERM
    return sig === 0 ? 0 : send_signal_locked(k, sig, info, task, true)
  },
)

/** @see kernel/signal.c:kill_ok_by_cred */
function may_signal(k: Kernel, task: task_struct): boolean {
  const mine = deref(k.current.cred)
  const theirs = deref(task.cred)
  const euid = mine.euid.val
  return euid === 0 || euid === theirs.suid.val || euid === theirs.uid.val
}

/** kill(2) of one process or a group. @returns 0 or -errno @see kernel/signal.c:kill_something_info */
export const kill_something_info = kfunc(
  'kernel/signal.c',
  function kill_something_info(k, sig: number, pid: number): number {
    if (sig < 0 || sig > _NSIG) return -EINVAL
    const info = { code: SI_USER, pid: k.current.tgid, uid: deref(k.current.cred).uid.val }
    if (pid > 0) {
      const task = find_task_by_vpid(k, pid)
      return task === null ? -ESRCH : group_send_sig_info(k, sig, info, task)
    }
    const group = find_vpid(k, Math.abs(pid))
    if (group === null) return -ESRCH
    let result = -ESRCH
    for (const task of groupOf(k, group)) result = group_send_sig_info(k, sig, info, task)
    return result
  },
)

function groupOf(k: Kernel, group: StructRef): task_struct[] {
  const link = `pid_links[${PIDTYPE_PGID}]`
  const tasks: task_struct[] = []
  const head = group.$vaOf(`tasks[${PIDTYPE_PGID}]`)
  for (let node = k.mem.pointer(head); node !== 0; node = k.mem.pointer(node))
    tasks.push(k.ref('task_struct', node - k.types.offsetof('task_struct', link)))
  return tasks
}

/**
 * A child ended: SIGCHLD for the parent, and a wake-up if it waits.
 * @returns whether nobody will ask for the zombie
 * @see kernel/signal.c:do_notify_parent
 */
export const do_notify_parent = kfunc(
  'kernel/signal.c',
  function do_notify_parent(k, task: task_struct, sig: number): boolean {
    const parent = deref(task.parent)
    const code = task.exit_code
    const autoreap = sig !== SIGCHLD || ignoresChildren(parent)
    if (sig > 0 && !(autoreap && sig === SIGCHLD && handlerOf(parent, SIGCHLD) === SIG_IGN)) {
      const killed = (code & 0x7f) !== 0
      send_signal_locked(
        k,
        sig,
        { code: killed ? CLD_KILLED : CLD_EXITED, pid: task.pid, status: killed ? code & 0x7f : code >> 8 },
        parent,
        true,
      )
    }
    __wake_up_parent(k, task, parent)
    return autoreap
  },
)

/** Recompute whether anything is to be handled. @see kernel/signal.c:recalc_sigpending */
export function recalc_sigpending(task: task_struct): void {
  const set = sigset(task.pending.signal) | sigset(deref(task.signal).shared_pending.signal)
  if ((set & ~sigset(task.blocked)) !== 0n) set_tsk_flag(task, TIF_SIGPENDING)
  else clear_tsk_flag(task, TIF_SIGPENDING)
}

/** The lowest signal that is pending and not blocked, taken off its queue. @see kernel/signal.c:dequeue_signal */
export const dequeue_signal = kfunc('kernel/signal.c', function dequeue_signal(k, task: task_struct): number {
  for (const pending of [task.pending, deref(task.signal).shared_pending]) {
    const ready = sigset(pending.signal) & ~sigset(task.blocked)
    if (ready === 0n) continue
    let sig = (ready & sigmask(SIGKILL)) !== 0n ? SIGKILL : 1
    while ((ready & sigmask(sig)) === 0n) sig++
    take(k, pending, sig)
    recalc_sigpending(task)
    return sig
  }
  recalc_sigpending(task)
  return 0
})

function take(k: Kernel, pending: sigpending, sig: number): void {
  setSigset(k, pending.signal, sigset(pending.signal) & ~sigmask(sig))
  const queue = [...list_for_each_entry(k.types, k.mem, pending.list.$va, 'sigqueue', 'list')] as StructRef[]
  for (const entry of queue) {
    if (Number(entry.$int('info.si_signo')) !== sig) continue
    list_del_init(k.mem, entry.$vaOf('list'))
    kmem_cache_free(k, state(k).cache as kmem_cache, entry.$va)
  }
}

/** What is to be done about a signal. */
export type Disposition =
  | { readonly kind: 'none' }
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'handler'; readonly sig: number; readonly flags: number }

/** Signals whose default leaves a core: bit 7 of the exit code. */
const CORE_DUMP = [3, 4, 5, 6, 7, 8, 11, 24, 25, 31]

/** Take signals until one needs something done. @see kernel/signal.c:get_signal */
export const get_signal = kfunc('kernel/signal.c', function get_signal(k): Disposition {
  const task = k.current
  for (let i = 0; i < 2 * _NSIG; i++) {
    const sig = dequeue_signal(k, task)
    if (sig === 0) return { kind: 'none' }
    const handler = handlerOf(task, sig)
    if (handler === SIG_IGN) continue
    if (handler !== SIG_DFL)
      return { kind: 'handler', sig, flags: Number(k_sigaction(task, sig).$int('sa.sa_flags')) }
    if ((SIG_KERNEL_IGNORE_MASK & sigmask(sig)) !== 0n) continue
    return { kind: 'exit', code: sig | (CORE_DUMP.includes(sig) ? 0x80 : 0) }
  }
  throw new InvariantError('signals without end')
})

/** @returns 0 or -EINVAL @see kernel/signal.c:do_sigaction */
export const do_sigaction = kfunc(
  'kernel/signal.c',
  function do_sigaction(k, sig: number, handler: bigint, flags: number, mask: bigint): number {
    if (sig < 1 || sig > _NSIG || sig === SIGKILL || sig === SIGSTOP) return -EINVAL
    const action = k_sigaction(k.current, sig)
    action.$set('sa.sa_handler', handler)
    action.$set('sa.sa_flags', BigInt(flags))
    setSigset(k, action.$ref('sa.sa_mask') as StructRef, mask)
    return 0
  },
)

/** After exec only ignored signals stay as they were. @see kernel/signal.c:flush_signal_handlers */
export const flush_signal_handlers = kfunc(
  'kernel/signal.c',
  function flush_signal_handlers(k, task: task_struct) {
    for (let sig = 1; sig <= _NSIG; sig++) {
      const action = k_sigaction(task, sig)
      if (action.$int('sa.sa_handler') !== SIG_IGN) action.$set('sa.sa_handler', SIG_DFL)
      action.$set('sa.sa_flags', 0n)
      setSigset(k, action.$ref('sa.sa_mask') as StructRef, 0n)
    }
  },
)

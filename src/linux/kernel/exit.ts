/** The end of a task, and its parent's hearing of it. @see kernel/exit.c */

import { InvariantError } from '../../base/errors.ts'
import type { file, task_struct, wait_queue_entry } from '../../btf/vmlinux.ts'
import { ECHILD, ERESTARTSYS } from '../../abi/errno.ts'
import {
  EXIT_DEAD,
  EXIT_ZOMBIE,
  PF_EXITING,
  PIDTYPE_PGID,
  PIDTYPE_PID,
  PIDTYPE_SID,
  PIDTYPE_TGID,
  TASK_DEAD,
  TASK_INTERRUPTIBLE,
  TASK_RUNNING,
  WNOHANG,
} from '../../abi/sched.ts'
import { SA_NOCLDWAIT, SIGCHLD, SIG_IGN } from '../../abi/signal.ts'
import { list_add_tail, list_del_init, list_del_rcu, list_for_each_entry } from '../../structures/list.ts'
import { deref } from '../deref.ts'
import { exit_files } from '../fs/file.ts'
import { fput } from '../fs/file_table.ts'
import { exit_fs } from '../fs/fs_struct.ts'
import { bump } from '../fs/inode.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { mmput } from '../mm/mm_struct.ts'
import { put_user } from '../lib/usercopy.ts'
import { __cleanup_sighand, countThreads, put_task_struct_rcu_user } from './fork.ts'
import { panic } from './panic.ts'
import { detach_pid, find_vpid, init_pid_ns, pid_nr, task_pid_type } from './pid.ts'
import { complete } from './sched/completion.ts'
import { schedule, signal_pending } from './sched/core.ts'
import { default_wake_function } from './sched/core.ts'
import { __wake_up_sync_key, add_wait_queue, remove_wait_queue } from './sched/wait.ts'
import { do_notify_parent, k_sigaction } from './signal.ts'
import { task_work_run } from './task_work.ts'

/** @see kernel/exit.c:exit_mm */
const exit_mm = kfunc('kernel/exit.c', function exit_mm(k) {
  const { mm } = k.current
  mm_release(k)
  if (mm === null) return
  // the address space stays borrowed until the next task with one of its own runs
  mm.mm_count.counter = mm.mm_count.counter + 1
  k.current.mm = null
  k.mem.userPages = null
  mmput(k, mm, (file: file) => fput(k, file))
})

/** How each process ended, by pid, as wait(2) has it: for whoever records the machine; the kernel never looks. */
export const exits = perKernel(() => new Map<number, number>())

/** Tell those who wait for the address space. @see kernel/fork.c:mm_release */
export function mm_release(k: Kernel): void {
  const { current } = k
  if (current.clear_child_tid !== 0n) {
    if (current.mm !== null) put_user(k, 0, current.clear_child_tid, 4)
    current.clear_child_tid = 0n
  }
  const vfork = current.vfork_done
  if (vfork !== null) {
    current.vfork_done = null
    complete(k, vfork)
  }
}

/** Children get a new parent: the first process. @see kernel/exit.c:forget_original_parent */
function forget_original_parent(k: Kernel, father: task_struct): void {
  const reaper = deref(init_pid_ns(k).child_reaper)
  const children = [...list_for_each_entry(k.types, k.mem, father.children.$va, 'task_struct', 'sibling')]
  for (const child of children) {
    child.real_parent = child.parent = reaper
    list_del_init(k.mem, child.sibling.$va)
    list_add_tail(k.mem, child.sibling.$va, reaper.children.$va)
    if (child.exit_state === EXIT_ZOMBIE) do_notify_parent(k, child, SIGCHLD)
  }
}

const exit_notify = kfunc('kernel/exit.c', function exit_notify(k, task: task_struct) {
  forget_original_parent(k, task)
  task.exit_state = EXIT_ZOMBIE
  const leader = deref(task.group_leader).$equals(task)
  const autoreap = leader ? do_notify_parent(k, task, task.exit_signal) : true
  if (!autoreap) return
  task.exit_state = EXIT_DEAD
  release_task(k, task)
})

/**
 * The current task ends. Never returns.
 * @param code as wait reports it: status << 8, or the signal
 * @see kernel/exit.c:do_exit
 */
export const do_exit = kfunc('kernel/exit.c', function* do_exit(k, code: number): Generator<unknown, never> {
  const task = k.current
  if (task.pid === 1) panic(k, `Attempted to kill init! exitcode=0x${code.toString(16).padStart(8, '0')}`)
  task.flags = task.flags | PF_EXITING
  task.exit_code = code
  exits(k).set(task.pid, code)
  const signal = deref(task.signal)
  signal.live.counter = signal.live.counter - 1
  exit_mm(k)
  yield* exit_files(k, task)
  exit_fs(k, task)
  yield* task_work_run(k)
  const { nsproxy } = task
  task.nsproxy = null
  if (nsproxy !== null) nsproxy.count.counter = nsproxy.count.counter - 1
  exit_notify(k, task)
  yield* do_task_dead(k)
  throw new InvariantError('a dead task runs')
})

/** @see kernel/sched/core.c:do_task_dead */
const do_task_dead = kfunc('kernel/sched/core.c', function* do_task_dead(k): Generator<unknown, void> {
  k.current.__state = TASK_DEAD
  yield* schedule(k)
})

/** All threads of the process end. @see kernel/exit.c:do_group_exit */
export const do_group_exit = kfunc('kernel/exit.c', function* do_group_exit(k, code: number): Generator<
  unknown,
  never
> {
  const signal = deref(k.current.signal)
  signal.group_exit_code = code
  signal.flags = signal.flags | 0x4
  return yield* do_exit(k, code)
})

/** The last trace of a task goes: its numbers, its place in the lists. @see kernel/exit.c:release_task */
export const release_task = kfunc('kernel/exit.c', function release_task(k, p: task_struct) {
  const leader = deref(p.group_leader).$equals(p)
  const signal = deref(p.signal)
  signal.nr_threads = signal.nr_threads - 1
  countThreads(k, -1)
  detach_pid(k, p, PIDTYPE_PID)
  if (leader) {
    for (const type of [PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID]) detach_pid(k, p, type)
    list_del_rcu(k.mem, p.tasks.$va)
    list_del_init(k.mem, p.sibling.$va)
    bump(k, 'process_counts', -1)
  }
  list_del_rcu(k.mem, p.thread_group.$va)
  list_del_rcu(k.mem, p.thread_node.$va)
  const { sighand } = p
  p.sighand = null
  if (sighand !== null) __cleanup_sighand(k, sighand)
  put_task_struct_rcu_user(k, p)
})

/** What a wait is for: `struct wait_opts`, as far as there is a choice. */
interface WaitOptions {
  /** > 0 that child, 0 own group, -1 every child, < -1 that group */
  readonly pid: number
  readonly options: number
}

/** Is this one of those waited for? @see kernel/exit.c:eligible_child */
function eligible(k: Kernel, child: task_struct, wo: WaitOptions): boolean {
  if (wo.pid === -1) return true
  if (wo.pid > 0) return child.pid === wo.pid
  const group = pid_nr(k, task_pid_type(child, PIDTYPE_PGID))
  const wanted = wo.pid === 0 ? pid_nr(k, task_pid_type(k.current, PIDTYPE_PGID)) : -wo.pid
  return group === wanted
}

/** Wakes the parent in wait. @see kernel/exit.c:child_wait_callback */
const child_wait_callback = kfunc(
  'kernel/exit.c',
  function child_wait_callback(k, entry: wait_queue_entry, mode: number, flags: number, key: number): number {
    return default_wake_function(k, entry, mode, flags, key)
  },
)

/** @see kernel/exit.c:__wake_up_parent */
export const __wake_up_parent = kfunc(
  'kernel/exit.c',
  function __wake_up_parent(k, p: task_struct, parent: task_struct) {
    __wake_up_sync_key(k, deref(parent.signal).wait_chldexit, TASK_INTERRUPTIBLE, p.$va)
  },
)

/** One look at the children. @returns a zombie, whether there is any child at all */
function look(k: Kernel, wo: WaitOptions): { zombie: task_struct | undefined; some: boolean } {
  let some = false
  for (const child of list_for_each_entry(k.types, k.mem, k.current.children.$va, 'task_struct', 'sibling')) {
    if (!eligible(k, child, wo)) continue
    some = true
    if (child.exit_state === EXIT_ZOMBIE) return { zombie: child, some }
  }
  return { zombie: undefined, some }
}

/** @returns the child's pid and exit code, 0 when none is ready (WNOHANG), or -errno @see kernel/exit.c:do_wait */
export const do_wait = kfunc(
  'kernel/exit.c',
  function* do_wait(k, wo: WaitOptions): Generator<unknown, { result: number; status: number }> {
    const entry = k.local('wait_queue_entry')
    entry.func = k.text(child_wait_callback)
    entry.private = k.current.$addr
    const queue = deref(k.current.signal).wait_chldexit
    add_wait_queue(k, queue, entry)
    let outcome: { result: number; status: number }
    for (;;) {
      k.current.__state = TASK_INTERRUPTIBLE
      const { zombie, some } = look(k, wo)
      if (zombie !== undefined) {
        outcome = wait_task_zombie(k, zombie)
        break
      }
      if (!some) outcome = { result: -ECHILD, status: 0 }
      else if ((wo.options & WNOHANG) !== 0) outcome = { result: 0, status: 0 }
      else if (signal_pending(k.current)) outcome = { result: -ERESTARTSYS, status: 0 }
      else {
        yield* schedule(k)
        continue
      }
      break
    }
    k.current.__state = TASK_RUNNING
    remove_wait_queue(k, queue, entry)
    return outcome
  },
  { locals: 40 },
)

/** @see kernel/exit.c:wait_task_zombie */
function wait_task_zombie(k: Kernel, p: task_struct): { result: number; status: number } {
  const outcome = { result: p.pid, status: p.exit_code }
  p.exit_state = EXIT_DEAD
  release_task(k, p)
  return outcome
}

/** @returns a pid, 0 or -errno; the status goes to `statusAddr` @see kernel/exit.c:kernel_wait4 */
export const kernel_wait4 = kfunc(
  'kernel/exit.c',
  function* kernel_wait4(k, pid: number, statusAddr: bigint, options: number): Generator<unknown, number> {
    if (pid > 0 && find_vpid(k, pid) === null) return -ECHILD
    const { result, status } = yield* do_wait(k, { pid, options })
    if (result > 0 && statusAddr !== 0n) put_user(k, status, statusAddr, 4)
    return result
  },
)

/** Does the parent not want to know? @see kernel/signal.c:do_notify_parent */
export function ignoresChildren(parent: task_struct): boolean {
  const action = k_sigaction(parent, SIGCHLD)
  return (
    action.$int('sa.sa_handler') === SIG_IGN || (action.$int('sa.sa_flags') & BigInt(SA_NOCLDWAIT)) !== 0n
  )
}

/**
 * Making tasks: a copy of the current one, in the kernel's order of steps.
 *
 * @see kernel/fork.c
 */

import { toVa } from '../../base/addr.ts'
import { InvariantError } from '../../base/errors.ts'
import type { completion, kmem_cache, sighand_struct, signal_struct, task_struct } from '../../btf/vmlinux.ts'
import { PAGE_SIZE, THREAD_SIZE } from '../../abi/page.ts'
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_PARENT_SETTID,
  CLONE_SIGHAND,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
  PF_FORKNOEXEC,
  PF_KTHREAD,
  PF_SUPERPRIV,
  PF_WQ_WORKER,
  PF_IDLE,
  PIDTYPE_PGID,
  PIDTYPE_PID,
  PIDTYPE_SID,
  PIDTYPE_TGID,
  TIF_NEED_RESCHED,
  TIF_SIGPENDING,
} from '../../abi/sched.ts'
import { list_add_tail, INIT_LIST_HEAD } from '../../structures/list.ts'
import { fork_frame } from '../arch/x86/kernel/stack.ts'
import { deref } from '../deref.ts'
import { copy_files, files_cache_init } from '../fs/file.ts'
import { bump } from '../fs/inode.ts'
import { copy_fs, fs_cache_init } from '../fs/fs_struct.ts'
import { OWN_LISTS, emptyLists, set_task_stack_end_magic, setLimit } from '../init/init_task.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { refcount_inc, refcount_set } from '../lib/refcount.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { mmdrop, mm_cache_init, copy_mm } from '../mm/mm_struct.ts'
import {
  kmem_cache_create,
  SLAB_ACCOUNT,
  SLAB_HWCACHE_ALIGN,
  SLAB_PANIC,
  SLAB_TYPESAFE_BY_RCU,
} from '../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free, kmem_cache_zalloc } from '../mm/slub.ts'
import { vfree, vmalloc } from '../mm/vmalloc.ts'
import { security_task_alloc, security_task_free } from '../security/security/task.ts'
import { copy_creds, exit_creds } from './cred.ts'
import { alloc_pid, attach_pid, clearPidLinks, init_pid_ns, pid_nr, task_pid_type } from './pid.ts'
import { clear_tsk_flag } from './sched/core.ts'
import { init_idle, sched_fork, wake_up_new_task } from './sched/init.ts'
import { onDead } from './sched/switch.ts'
import { dropThread, newThread, type Coroutine } from './sched/thread.ts'
import { init_waitqueue_head } from './sched/wait.ts'
import { ktime_get_ns } from './time/timekeeping.ts'

/** What a task of this kernel takes with a processor without extended state: 512 bytes of FPU registers at the end. */
const FPU_REGISTERS = 512

interface State {
  task: kmem_cache | undefined
  signal: kmem_cache | undefined
  sighand: kmem_cache | undefined
}
const state = perKernel<State>(() => ({ task: undefined, signal: undefined, sighand: undefined }))

/** Bytes of a task: the struct with as much FPU state as the processor has. @see kernel/fork.c:task_struct_size */
function taskSize(k: Kernel): number {
  const full = k.types.sizeof('task_struct')
  return k.mem.wordSize === 8 ? full - PAGE_SIZE + FPU_REGISTERS : full
}

/** @see kernel/fork.c:fork_init */
export function fork_init(k: Kernel): void {
  const size = taskSize(k)
  const at = k.symbols.get('arch_task_struct_size')
  if (at !== undefined) k.mem.setU32(toVa(at, k.mem.wordSize), size)
  state(k).task = kmem_cache_create(k, 'task_struct', size, { align: 64, flags: SLAB_PANIC | SLAB_ACCOUNT })
  setCachePointer(k, 'task_struct_cachep', state(k).task)
  const threads = BigInt(
    Math.min(0x7fff_ffff, Math.floor(k.mem.sizeBytes / (8 * THREAD_SIZE(k.mem.wordSize)))),
  )
  const { rlim } = k.global('init_signals', 'signal_struct')
  for (const which of [6, 11]) setLimit(rlim.ref(which), threads / 2n, threads / 2n)
  onDead(
    k,
    (task) => task_is_dead(k, task),
    (mm) => mmdrop(k, k.ref('mm_struct', mm)),
  )
}

/** @see kernel/fork.c:proc_caches_init */
export function proc_caches_init(k: Kernel): void {
  const flags = SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT
  state(k).sighand = kmem_cache_create(k, 'sighand_cache', k.types.sizeof('sighand_struct'), {
    flags: flags | SLAB_TYPESAFE_BY_RCU,
    ctor: (_k, object) => init_waitqueue_head(k, k.ref('sighand_struct', object).signalfd_wqh),
  })
  state(k).signal = kmem_cache_create(k, 'signal_cache', k.types.sizeof('signal_struct'), { flags })
  setCachePointer(k, 'sighand_cachep', state(k).sighand)
  setCachePointer(k, 'signal_cachep', state(k).signal)
  files_cache_init(k)
  fs_cache_init(k)
  mm_cache_init(k)
}

/** What kind of task, and who it is to be. */
export interface CloneArgs {
  readonly flags: number
  readonly exitSignal: number
  /** What the child runs; made once it has a task. `null` for an idle task. */
  readonly coroutine: ((child: task_struct) => Coroutine) | null
  /** The task copied; the current one when left out. */
  readonly parent?: task_struct
  /** This pid instead of the next free one. */
  readonly pid?: number
  /** The CPU it runs on; its parent's when left out. */
  readonly cpu?: number
  readonly name?: string
  /** A kernel thread. */
  readonly kthread?: boolean
  readonly idle?: boolean
  readonly vforkDone?: completion
  readonly childTid?: bigint
  readonly parentTid?: bigint
}

/** Task and kernel stack, the task a copy. @see kernel/fork.c:dup_task_struct */
const dup_task_struct = kfunc('kernel/fork.c', function dup_task_struct(k, orig: task_struct): task_struct {
  const task = k.ref('task_struct', kmem_cache_alloc(k, state(k).task as kmem_cache))
  k.mem.copy(task.$va, orig.$va, taskSize(k))
  const stackSize = THREAD_SIZE(k.mem.wordSize)
  const stack = vmalloc(k, stackSize, stackSize)
  k.mem.setPointer(task.$vaOf('stack'), stack)
  set_task_stack_end_magic(k, stack)
  clear_tsk_flag(task, TIF_NEED_RESCHED)
  clear_tsk_flag(task, TIF_SIGPENDING)
  task.stack_canary = k.random.u64() & ~0xffn
  if (task.cpus_ptr?.$va === orig.cpus_mask.$va) task.cpus_ptr = task.cpus_mask
  refcount_set(task.rcu_users, 2)
  refcount_set(task.usage, 1)
  return task
})

/** Everything that must not be shared with the original. */
function ownState(k: Kernel, p: task_struct, args: CloneArgs): void {
  p.flags = (p.flags & ~(PF_SUPERPRIV | PF_WQ_WORKER | PF_IDLE)) | PF_FORKNOEXEC
  if (args.kthread !== true && args.idle !== true) p.flags = p.flags & ~PF_KTHREAD
  emptyLists(k, p, OWN_LISTS)
  p.vfork_done = null
  p.utime = p.stime = p.gtime = 0n
  p.min_flt = p.maj_flt = 0n
  p.nvcsw = p.nivcsw = 0n
  k.mem.fill(p.pending.signal.$va, 0, p.pending.signal.$size)
  k.mem.fill(p.ioac.$va, 0, p.ioac.$size)
  k.mem.fill(p.rss_stat.$va, 0, p.rss_stat.$size)
  p.task_works = null
  p.last_wakee = null
  p.start_time = p.start_boottime = ktime_get_ns(k)
  p.security = 0n
  p.set_child_tid = (args.flags & CLONE_CHILD_SETTID) !== 0 ? (args.childTid ?? 0n) : 0n
  p.clear_child_tid = (args.flags & CLONE_CHILD_CLEARTID) !== 0 ? (args.childTid ?? 0n) : 0n
  p.parent_exec_id = p.self_exec_id
}

const copy_sighand = (k: Kernel, p: task_struct, flags: number): void => {
  const old = deref(p.sighand)
  if ((flags & CLONE_SIGHAND) !== 0) {
    refcount_inc(old.count)
    return
  }
  const sighand: sighand_struct = k.ref('sighand_struct', kmem_cache_alloc(k, state(k).sighand as kmem_cache))
  refcount_set(sighand.count, 1)
  k.mem.copy(
    sighand.$vaOf('action'),
    old.$vaOf('action'),
    k.types.sizeof(k.types.place('sighand_struct', 'action').type),
  )
  p.sighand = sighand
}

/** The part all threads of a process share. @see kernel/fork.c:copy_signal */
function copy_signal(k: Kernel, p: task_struct, flags: number): void {
  if ((flags & CLONE_THREAD) !== 0) return
  const old = deref(p.signal)
  const sig: signal_struct = k.ref('signal_struct', kmem_cache_zalloc(k, state(k).signal as kmem_cache))
  p.signal = sig
  sig.nr_threads = 1
  if (sig.$has('quick_threads')) sig.quick_threads = 1
  sig.live.counter = 1
  refcount_set(sig.sigcnt, 1)
  // list of threads with the leader on it
  for (const at of [sig.thread_head.$va, p.thread_node.$va]) {
    const other = at === p.thread_node.$va ? sig.thread_head.$va : p.thread_node.$va
    k.mem.setPointer(at, other)
    k.mem.setPointer(at + k.mem.wordSize, other)
  }
  init_waitqueue_head(k, sig.wait_chldexit)
  sig.curr_target = p
  INIT_LIST_HEAD(k.mem, sig.$vaOf('shared_pending.list'))
  INIT_LIST_HEAD(k.mem, sig.posix_timers.$va)
  k.mem.copy(sig.$vaOf('rlim'), old.$vaOf('rlim'), 16 * 2 * k.mem.wordSize)
  sig.tty = old.tty
  sig.$set('oom_score_adj', old.$int('oom_score_adj'))
}

/**
 * A new task, complete but not running.
 * @see kernel/fork.c:copy_process
 */
export const copy_process = kfunc('kernel/fork.c', function copy_process(k, args: CloneArgs): task_struct {
  const { flags } = args
  const parent = args.parent ?? k.current
  const p = dup_task_struct(k, parent)
  copy_creds(k, p, flags)
  ownState(k, p, args)
  const cpu = args.cpu ?? parent.thread_info.cpu
  sched_fork(k, p, cpu)
  security_task_alloc(k, p, flags)
  copy_files(k, flags, p)
  copy_fs(k, flags, p)
  copy_sighand(k, p, flags)
  copy_signal(k, p, flags)
  copy_mm(k, flags, p)
  const nsproxy = deref(p.nsproxy)
  nsproxy.count.counter = nsproxy.count.counter + 1
  p.thread.sp = BigInt.asUintN(64, BigInt(fork_frame(k, toVa(p.stack, k.mem.wordSize))))
  if (args.name !== undefined) p.comm.$setString(args.name)
  clearPidLinks(k, p)
  const pid = args.idle === true ? k.global('init_struct_pid', 'pid') : alloc_pid(k, init_pid_ns(k), args.pid)
  p.pid = args.idle === true ? 0 : pid_nr(k, pid)
  p.exit_signal = (flags & CLONE_THREAD) !== 0 ? -1 : args.exitSignal
  p.pdeath_signal = 0
  p.thread_pid = pid
  identify(k, p, parent, flags)
  if (args.idle !== true) link(k, p, parent, flags)
  newThread(k, p, args.coroutine === null ? null : args.coroutine(p), cpu)
  return p
})

/** Process or thread: whose group, whose child. */
function identify(_k: Kernel, p: task_struct, current: task_struct, flags: number): void {
  if ((flags & CLONE_THREAD) !== 0) {
    p.group_leader = current.group_leader
    p.tgid = current.tgid
    p.real_parent = current.real_parent
  } else {
    p.group_leader = p
    p.tgid = p.pid
    p.real_parent = current
  }
  p.parent = p.real_parent
}

/** Into the lists by which it is found. */
function link(k: Kernel, p: task_struct, current: task_struct, flags: number): void {
  if ((flags & CLONE_THREAD) === 0) {
    const signal = deref(p.signal)
    signal.pids.set(PIDTYPE_TGID, p.thread_pid)
    signal.pids.set(PIDTYPE_PGID, task_pid_type(current, PIDTYPE_PGID))
    signal.pids.set(PIDTYPE_SID, task_pid_type(current, PIDTYPE_SID))
    if (p.pid === 1) init_pid_ns(k).child_reaper = p
    const parent = deref(p.real_parent)
    list_add_tail(k.mem, p.sibling.$va, parent.children.$va)
    list_add_tail(k.mem, p.tasks.$va, k.global('init_task', 'task_struct').tasks.$va)
    attach_pid(k, p, PIDTYPE_TGID)
    attach_pid(k, p, PIDTYPE_PGID)
    attach_pid(k, p, PIDTYPE_SID)
    bump(k, 'process_counts', 1)
  } else {
    const signal = deref(current.signal)
    signal.nr_threads = signal.nr_threads + 1
    signal.live.counter = signal.live.counter + 1
    refcount_inc(signal.sigcnt)
    list_add_tail(k.mem, p.thread_group.$va, deref(p.group_leader).thread_group.$va)
    list_add_tail(k.mem, p.thread_node.$va, signal.thread_head.$va)
  }
  attach_pid(k, p, PIDTYPE_PID)
  addTo(k, 'nr_threads', 1)
  addTo(k, 'total_forks', 1)
}

/** A global counter of ints or longs, if this kernel has it. */
function addTo(k: Kernel, symbol: string, by: number): void {
  const at = k.symbols.get(symbol)
  if (at === undefined) return
  const va = toVa(at, k.mem.wordSize)
  k.mem.setU32(va, (k.mem.u32(va) + by) >>> 0)
}
export const countThreads = (k: Kernel, by: number): void => addTo(k, 'nr_threads', by)

/**
 * A new task that runs.
 * @returns its task; the caller reads the pid
 * @see kernel/fork.c:kernel_clone
 */
export const kernel_clone = kfunc('kernel/fork.c', function kernel_clone(k, args: CloneArgs): task_struct {
  if ((args.flags & CLONE_SIGHAND) !== 0 && (args.flags & CLONE_VM) === 0)
    throw new InvariantError('CLONE_SIGHAND without CLONE_VM')
  const p = copy_process(k, args)
  if ((args.flags & CLONE_PARENT_SETTID) !== 0) k.mem.setU32(toVa(args.parentTid ?? 0n), p.pid)
  if ((args.flags & CLONE_VFORK) !== 0 && args.vforkDone !== undefined) p.vfork_done = args.vforkDone
  wake_up_new_task(k, p)
  return p
})

/** The idle task of another processor. @see kernel/fork.c:fork_idle */
export function fork_idle(k: Kernel, cpu: number): task_struct {
  const args = {
    flags: CLONE_VM,
    exitSignal: 0,
    coroutine: null,
    parent: k.global('init_task', 'task_struct'),
    cpu,
    idle: true,
  }
  const idle = copy_process(k, args)
  init_idle(k, idle, cpu)
  return idle
}

/** It will never run again: the stack goes; the task stays until its parent has asked. @see kernel/sched/core.c:finish_task_switch */
function task_is_dead(k: Kernel, task: task_struct): void {
  const stack = toVa(task.stack, k.mem.wordSize)
  task.stack = 0n
  vfree(k, stack)
  put_task_struct_rcu_user(k, task)
}

/** @see kernel/exit.c:put_task_struct_rcu_user */
export const put_task_struct_rcu_user = kfunc(
  'kernel/exit.c',
  function put_task_struct_rcu_user(k, task: task_struct) {
    const { refs } = task.rcu_users
    refs.counter = refs.counter - 1
    if (refs.counter === 0) __put_task_struct(k, task)
  },
)

/** @see kernel/fork.c:__put_task_struct */
const __put_task_struct = kfunc('kernel/fork.c', function __put_task_struct(k, task: task_struct) {
  security_task_free(k, task)
  exit_creds(k, task)
  const signal = task.signal
  if (signal !== null) {
    const { refs } = signal.sigcnt
    refs.counter = refs.counter - 1
    if (refs.counter === 0) kmem_cache_free(k, state(k).signal as kmem_cache, signal.$va)
  }
  dropThread(k, task)
  kmem_cache_free(k, state(k).task as kmem_cache, task.$va)
})

/** @see kernel/fork.c:__cleanup_sighand */
export function __cleanup_sighand(k: Kernel, sighand: sighand_struct): void {
  const { refs } = sighand.count
  refs.counter = refs.counter - 1
  if (refs.counter === 0) kmem_cache_free(k, state(k).sighand as kmem_cache, sighand.$va)
}

/**
 * The first task, and what it is born with: the objects other tasks are copied from or share for ever.
 *
 * @see init/init_task.c, kernel/cred.c:init_cred, kernel/nsproxy.c:init_nsproxy, fs/file.c:init_files
 */

import { toVa, type Va } from '../../base/addr.ts'
import type { StructRef } from '../../btf/ref.ts'
import type { task_struct } from '../../btf/vmlinux.ts'
import { task_pt_regs } from '../arch/x86/kernel/stack.ts'
import { DEFAULT_PRIO, NICE_0_LOAD, PF_KTHREAD } from '../../abi/sched.ts'
import { INIT_LIST_HEAD, list_add_tail } from '../../structures/list.ts'
import { adoptThread } from '../kernel/sched/thread.ts'
import { init_waitqueue_head } from '../kernel/sched/wait.ts'
import type { Kernel } from '../kernel.ts'
import { atomic_long_set } from '../lib/atomic_long.ts'
import { refcount_set } from '../lib/refcount.ts'

/** Marks the end of a stack. @see include/uapi/linux/magic.h:STACK_END_MAGIC */
const STACK_END_MAGIC = 0x57ac6e9dn
const MAX_PRIO = 140
const RR_TIMESLICE = 25
const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn
/** All capabilities up to CAP_CHECKPOINT_RESTORE. */
const CAP_FULL = [0xffff_ffff, 0x1ff] as const
const ROOT_UID = 0

/** List heads of a task that belong to it alone; a copied task starts with each of them empty. */
export const OWN_LISTS = [
  'se.group_node',
  'rt.run_list',
  'rcu_node_entry',
  'rcu_tasks_holdout_list',
  'trc_holdout_list',
  'trc_blkd_node',
  'pushable_tasks.prio_list',
  'pushable_tasks.node_list',
  'children',
  'sibling',
  'ptraced',
  'ptrace_entry',
  'thread_group',
  'sysvshm.shm_clist',
  'pending.list',
  'pi_state_list',
  'futex_exit_mutex.wait_list',
  'perf_event_mutex.wait_list',
  'perf_event_list',
  'cg_list',
] as const

/** Where a struct of a global variable has list heads: make them empty. */
export function emptyLists(k: Kernel, ref: StructRef, paths: readonly string[]): void {
  for (const path of paths) if (ref.$has(path)) INIT_LIST_HEAD(k.mem, ref.$vaOf(path))
}

/** @see include/linux/sched/task_stack.h:set_task_stack_end_magic */
export function set_task_stack_end_magic(k: Kernel, stack: Va): void {
  k.mem.setWord(stack, STACK_END_MAGIC)
}

/** Lay out everything the boot processor's task stands on. */
export function init_init_task(k: Kernel): void {
  init_cred(k)
  init_pid(k)
  init_signals(k)
  init_nsproxy(k)
  const task = k.global('init_task', 'task_struct')
  init_task(k, task)
  const thread = k.cpus[0]?.idle
  if (thread !== undefined) {
    thread.sp = task_pt_regs(k, toVa(task.stack, k.mem.wordSize))
    adoptThread(k, thread)
  }
}

function init_task(k: Kernel, task: task_struct): void {
  const stack = toVa(k.sym('init_stack'), k.mem.wordSize)
  task.stack = k.sym('init_stack')
  set_task_stack_end_magic(k, stack)
  refcount_set(task.usage, 2)
  task.flags = PF_KTHREAD
  task.prio = task.static_prio = task.normal_prio = DEFAULT_PRIO
  task.se.load.weight = BigInt(NICE_0_LOAD)
  task.se.load.inv_weight = 4194304
  task.rt.time_slice = RR_TIMESLICE
  task.sched_class = k.ref('sched_class', k.sym('fair_sched_class'))
  task.sched_task_group = k.ref('task_group', k.sym('root_task_group'))
  task.nr_cpus_allowed = 8192
  task.cpus_ptr = task.cpus_mask
  task.cpus_mask.bits = new Uint8Array(k.types.sizeof('cpumask')).fill(0xff)
  task.active_mm = k.global('init_mm', 'mm_struct')
  emptyLists(k, task, [...OWN_LISTS, 'tasks'])
  task.pushable_tasks.prio = MAX_PRIO
  task.rcu_tasks_idle_cpu = -1
  task.real_parent = task.parent = task.group_leader = task
  task.thread_pid = k.global('init_struct_pid', 'pid')
  task.real_cred = task.cred = k.global('init_cred', 'cred')
  task.comm.$setString('swapper')
  task.fs = k.global('init_fs', 'fs_struct')
  task.files = k.global('init_files', 'files_struct')
  task.nsproxy = k.global('init_nsproxy', 'nsproxy')
  task.signal = k.global('init_signals', 'signal_struct')
  task.sighand = k.global('init_sighand', 'sighand_struct')
  task.cgroups = k.global('init_css_set', 'css_set')
  list_add_tail(k.mem, task.thread_node.$va, k.global('init_signals', 'signal_struct').thread_head.$va)
  task.loginuid.val = 0xffff_ffff
  task.sessionid = 0xffff_ffff
  task.timer_slack_ns = 50_000n
  if (task.$has('numa_preferred_nid')) task.numa_preferred_nid = -1
  task.mems_allowed.bits.set(0, 1n)
  refcount_set(task.rcu_users, 2)
}

function init_cred(k: Kernel): void {
  const cred = k.global('init_cred', 'cred')
  atomic_long_set(cred.usage, 4)
  for (const set of [cred.cap_permitted, cred.cap_effective, cred.cap_bset]) {
    const at = set.$va
    k.mem.setU32(at, CAP_FULL[0])
    k.mem.setU32(at + 4, CAP_FULL[1])
  }
  cred.user = k.global('root_user', 'user_struct')
  cred.user_ns = k.global('init_user_ns', 'user_namespace')
  cred.ucounts = k.global('init_ucounts', 'ucounts')
  cred.group_info = k.global('init_groups', 'group_info')
  k.global('init_groups', 'group_info').usage.counter = 2
  const user = k.global('root_user', 'user_struct')
  refcount_set(user.__count, 1)
  user.uid.val = ROOT_UID
  const ns = k.global('init_user_ns', 'user_namespace')
  refcount_set(ns.ns.count, 3)
  ns.ns.inum = 0xeffffffd
  const ucounts = k.global('init_ucounts', 'ucounts')
  ucounts.ns = ns
  ucounts.count.counter = 1
}

function init_pid(k: Kernel): void {
  const pid = k.global('init_struct_pid', 'pid')
  refcount_set(pid.count, 1)
  const number = k.ref('upid', pid.$vaOf('numbers'))
  number.nr = 0
  number.ns = k.global('init_pid_ns', 'pid_namespace')
}

/** Soft and hard limits of the first task, which its children inherit: number of the limit, soft, hard. */
const LIMITS: readonly (readonly [number, bigint, bigint])[] = [
  [3, 8n << 20n, RLIM_INFINITY], // RLIMIT_STACK
  [4, 0n, RLIM_INFINITY], // RLIMIT_CORE
  [6, 0n, 0n], // RLIMIT_NPROC, set when memory is known
  [7, 1024n, 4096n], // RLIMIT_NOFILE
  [8, 8n << 20n, 8n << 20n], // RLIMIT_MEMLOCK
  [11, 0n, 0n], // RLIMIT_SIGPENDING, the same
  [12, 819200n, 819200n], // RLIMIT_MSGQUEUE
  [13, 0n, 0n], // RLIMIT_NICE
  [14, 0n, 0n], // RLIMIT_RTPRIO
]

function init_signals(k: Kernel): void {
  const signal = k.global('init_signals', 'signal_struct')
  refcount_set(signal.sigcnt, 1)
  signal.live.counter = 1
  signal.nr_threads = 1
  emptyLists(k, signal, ['thread_head', 'shared_pending.list', 'posix_timers'])
  init_waitqueue_head(k, signal.wait_chldexit)
  for (let i = 0; i < 16; i++) setLimit(signal.rlim.ref(i), RLIM_INFINITY, RLIM_INFINITY)
  for (const [which, soft, hard] of LIMITS) setLimit(signal.rlim.ref(which), soft, hard)
  for (const type of [1, 2, 3]) signal.pids.set(type, k.global('init_struct_pid', 'pid'))
  const sighand = k.global('init_sighand', 'sighand_struct')
  refcount_set(sighand.count, 1)
  init_waitqueue_head(k, sighand.signalfd_wqh)
}

export function setLimit(limit: StructRef | null, soft: bigint, hard: bigint): void {
  limit?.$set('rlim_cur', soft)
  limit?.$set('rlim_max', hard)
}

function init_nsproxy(k: Kernel): void {
  const nsproxy = k.global('init_nsproxy', 'nsproxy')
  nsproxy.count.counter = 1
  nsproxy.uts_ns = k.global('init_uts_ns', 'uts_namespace')
  nsproxy.ipc_ns = k.global('init_ipc_ns', 'ipc_namespace')
  nsproxy.pid_ns_for_children = k.global('init_pid_ns', 'pid_namespace')
  nsproxy.net_ns = k.global('init_net', 'net')
  nsproxy.time_ns = k.global('init_time_ns', 'time_namespace')
  nsproxy.time_ns_for_children = nsproxy.time_ns
  nsproxy.cgroup_ns = k.global('init_cgroup_ns', 'cgroup_namespace')
}

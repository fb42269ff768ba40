/** Runqueues at boot, and what the scheduler does for a task that is new. @see kernel/sched/core.c:sched_init, sched_fork */

import type { rq, task_struct } from '../../../btf/vmlinux.ts'
import { MAX_RT_PRIO, NICE_0_LOAD, PF_IDLE, TASK_NEW, TASK_RUNNING } from '../../../abi/sched.ts'
import { INIT_LIST_HEAD } from '../../../structures/list.ts'
import { RB_CLEAR_NODE } from '../../../structures/rbtree.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { activate_task, update_rq_clock } from './core.ts'
import { cpu_rq, task_fork_fair } from './fair.ts'
import { setCurrent } from './switch.ts'

const NICE_0_INV_WEIGHT = 4194304
/** `cfs_rq.min_vruntime` starts a little before 0, so that wrapping is met early. */
const FIRST_VRUNTIME = BigInt.asUintN(64, -(1n << 20n))
const RT_RUNTIME_NS = 950_000_000n
const SCHED_CAPACITY_SCALE = 1024n

/** @see kernel/sched/core.c:sched_init */
export function sched_init(k: Kernel): void {
  for (const { id } of k.cpus) {
    const rq = cpu_rq(k, id)
    rq.cpu = id
    rq.online = 1
    rq.cpu_capacity = SCHED_CAPACITY_SCALE
    rq.cpu_capacity_orig = SCHED_CAPACITY_SCALE
    rq.avg_idle = 1_000_000n
    INIT_LIST_HEAD(k.mem, rq.cfs_tasks.$va)
    initCfs(k, rq)
    initRt(k, rq)
    rq.curr = rq.idle = k.global('init_task', 'task_struct')
  }
  init_idle(k, k.global('init_task', 'task_struct'), 0)
}

function initCfs(k: Kernel, rq: rq): void {
  const { cfs } = rq
  cfs.min_vruntime = FIRST_VRUNTIME
  cfs.rq = rq
  cfs.on_list = 1
  cfs.tg = k.ref('task_group', k.sym('root_task_group'))
  INIT_LIST_HEAD(k.mem, cfs.throttled_list.$va)
  INIT_LIST_HEAD(k.mem, rq.leaf_cfs_rq_list.$va)
  const head = rq.leaf_cfs_rq_list.$va
  const node = cfs.leaf_cfs_rq_list.$va
  for (const [from, to] of [
    [head, node],
    [node, head],
  ] as const) {
    k.mem.setPointer(from, to)
    k.mem.setPointer(from + k.mem.wordSize, to)
  }
  k.mem.setPointer(rq.$vaOf('tmp_alone_branch'), head)
}

function initRt(k: Kernel, rq: rq): void {
  const { rt } = rq
  for (let prio = 0; prio < MAX_RT_PRIO; prio++) INIT_LIST_HEAD(k.mem, rt.active.queue.$vaAt(prio))
  // the bit behind the last priority ends searches
  const bit = rt.active.$vaOf('bitmap') + (MAX_RT_PRIO >>> 3)
  k.mem.setU8(bit, 1 << (MAX_RT_PRIO & 7))
  rt.highest_prio.curr = MAX_RT_PRIO - 1
  rt.highest_prio.next = MAX_RT_PRIO - 1
  rt.rt_runtime = RT_RUNTIME_NS
  INIT_LIST_HEAD(k.mem, rt.$vaOf('pushable_tasks.node_list'))
}

/** Make a task the idle task of a CPU, which runs it from now on. @see kernel/sched/core.c:init_idle */
export function init_idle(k: Kernel, idle: task_struct, cpu: number): void {
  const rq = cpu_rq(k, cpu)
  idle.flags = idle.flags | PF_IDLE
  idle.__state = TASK_RUNNING
  idle.se.exec_start = BigInt(Math.floor(k.clock.nowNs))
  idle.sched_class = k.ref('sched_class', k.sym('idle_sched_class'))
  idle.cpus_mask.bits = new Uint8Array(k.types.sizeof('cpumask'))
  k.mem.setU8(idle.cpus_mask.$va + (cpu >>> 3), 1 << (cpu & 7))
  idle.nr_cpus_allowed = 1
  idle.thread_info.cpu = cpu
  idle.comm.$setString(`swapper/${cpu}`)
  idle.on_rq = 1
  idle.on_cpu = 1
  rq.curr = rq.idle = idle
  k.onCpu(cpu, () => setCurrent(k, idle))
}

/** A copied task gets scheduling state of its own. @see kernel/sched/core.c:sched_fork, __sched_fork */
export const sched_fork = kfunc('kernel/sched/core.c', function sched_fork(k, p: task_struct, cpu: number) {
  const { se } = p
  p.on_rq = 0
  se.on_rq = 0
  se.exec_start = 0n
  se.sum_exec_runtime = 0n
  se.prev_sum_exec_runtime = 0n
  se.nr_migrations = 0n
  se.vruntime = 0n
  INIT_LIST_HEAD(k.mem, se.group_node.$va)
  RB_CLEAR_NODE(k.mem, p.dl.rb_node.$va)
  RB_CLEAR_NODE(k.mem, p.pushable_dl_tasks.$va)
  INIT_LIST_HEAD(k.mem, p.rt.run_list.$va)
  p.__state = TASK_NEW
  se.load.weight = BigInt(NICE_0_LOAD)
  se.load.inv_weight = NICE_0_INV_WEIGHT
  p.sched_class = k.ref('sched_class', k.sym('fair_sched_class'))
  k.mem.fill(p.sched_info.$va, 0, p.sched_info.$size)
  p.on_cpu = 0
  p.wake_cpu = cpu
  p.recent_used_cpu = cpu
  p.thread_info.cpu = cpu
  se.cfs_rq = cpu_rq(k, cpu).cfs
})

/** Run a new task for the first time. @see kernel/sched/core.c:wake_up_new_task */
export const wake_up_new_task = kfunc('kernel/sched/core.c', function wake_up_new_task(k, p: task_struct) {
  const rq = cpu_rq(k, p.thread_info.cpu)
  p.__state = TASK_RUNNING
  update_rq_clock(k, rq)
  task_fork_fair(rq, p)
  // the runqueue's own zero is added when the task is queued there
  p.se.vruntime = p.se.vruntime + rq.cfs.min_vruntime
  activate_task(k, rq, p, false)
})

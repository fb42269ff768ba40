/** Kernel threads: tasks without user memory, children of kthreadd. @see kernel/kthread.c */

import type { task_struct } from '../../btf/vmlinux.ts'
import {
  CLONE_FILES,
  CLONE_FS,
  CLONE_VM,
  PF_NO_SETAFFINITY,
  TASK_IDLE,
  TASK_INTERRUPTIBLE,
} from '../../abi/sched.ts'
import { sleepable, type MaySleep } from '../sleepable.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { kzalloc } from '../mm/slab.ts'
import { do_exit } from './exit.ts'
import { kernel_clone } from './fork.ts'
import { schedule } from './sched/core.ts'

/** What a kernel thread runs. */
export type ThreadFunction = (k: Kernel, data: bigint) => MaySleep<unknown>

/** Where a new task comes to life. @see arch/x86/entry/entry_64.S:ret_from_fork */
const ret_from_fork = kfunc(
  'arch/x86/entry/entry_64.S',
  function* ret_from_fork(k, fn: ThreadFunction, data: bigint): Generator<unknown, void> {
    yield* sleepable(fn(k, data))
  },
  { asm: true },
)

/** @see kernel/kthread.c:kthread */
const kthread = kfunc('kernel/kthread.c', function* kthread(k, fn: ThreadFunction, data: bigint): Generator<
  unknown,
  void
> {
  yield* sleepable(fn(k, data))
  yield* do_exit(k, 0)
})

export interface KthreadOptions {
  readonly pid?: number
  readonly cpu?: number
  /** Flags of the task besides PF_KTHREAD. */
  readonly taskFlags?: number
}

/**
 * A kernel thread that runs.
 * @param fn runs on its own stack; when it returns the thread ends
 * @see kernel/kthread.c:kthread_run
 */
export function kthread_run(
  k: Kernel,
  fn: ThreadFunction,
  data: bigint,
  name: string,
  options: KthreadOptions = {},
): task_struct {
  const task = kernel_clone(k, {
    flags: CLONE_VM | CLONE_FS | CLONE_FILES,
    exitSignal: 17,
    kthread: true,
    name,
    parent: kthreaddOf(k) ?? k.global('init_task', 'task_struct'),
    coroutine: () => ret_from_fork(k, (k2) => kthread(k2, fn, data), data),
    ...(options.pid === undefined ? {} : { pid: options.pid }),
    ...(options.cpu === undefined ? {} : { cpu: options.cpu }),
  })
  task.flags = task.flags | (options.taskFlags ?? 0)
  k.mem.setPointer(task.$vaOf('worker_private'), kzalloc(k, k.types.sizeof('kthread')))
  return task
}

/** A task that only sleeps: its function is on the stack, it waits in `state`. */
export function sleeper(name: string, file: string, state: number): ThreadFunction {
  return kfunc(
    file,
    Object.defineProperty(
      function* (k: Kernel): Generator<unknown, void> {
        for (;;) {
          k.current.__state = state
          yield* schedule(k)
        }
      },
      'name',
      { value: name },
    ),
  )
}

/** The parent of all kernel threads: pid 2. */
const kthreaddOf = (k: Kernel): task_struct | undefined => {
  const va = k.symbols.get('kthreadd_task')
  if (va === undefined) return undefined
  const task = k.mem.pointer(Number(BigInt.asIntN(64, va)))
  return task === 0 ? undefined : k.ref('task_struct', task)
}

/** kthreadd is no child of itself and has no kthread() frame. @see kernel/kthread.c:kthreadd */
export function startKthreadd(k: Kernel): task_struct {
  const kthreadd = kernel_clone(k, {
    flags: CLONE_VM | CLONE_FS | CLONE_FILES,
    exitSignal: 0,
    kthread: true,
    name: 'kthreadd',
    pid: 2,
    parent: k.global('init_task', 'task_struct'),
    coroutine: () => ret_from_fork(k, kthreaddMain, 0n),
  })
  const va = k.symbols.get('kthreadd_task')
  if (va !== undefined) k.mem.setPointer(Number(BigInt.asIntN(64, va)), kthreadd.$va)
  return kthreadd
}

const kthreaddMain = sleeper('kthreadd', 'kernel/kthread.c', TASK_INTERRUPTIBLE)
const rescuer_thread = sleeper('rescuer_thread', 'kernel/workqueue.c', TASK_IDLE)
const worker_thread = sleeper('worker_thread', 'kernel/workqueue.c', TASK_IDLE)
const smpboot_thread_fn = sleeper('smpboot_thread_fn', 'kernel/smpboot.c', TASK_INTERRUPTIBLE)
const rcu_gp_kthread = sleeper('rcu_gp_kthread', 'kernel/rcu/tree.c', TASK_IDLE)
const rcu_tasks_kthread = sleeper('rcu_tasks_kthread', 'kernel/rcu/tasks.h', TASK_IDLE)
const devtmpfsd = sleeper('devtmpfsd', 'drivers/base/devtmpfs.c', TASK_INTERRUPTIBLE)
const kauditd_thread = sleeper('kauditd_thread', 'kernel/audit.c', TASK_INTERRUPTIBLE)
const watchdog = sleeper('watchdog', 'kernel/hung_task.c', TASK_INTERRUPTIBLE)
const oom_reaper = sleeper('oom_reaper', 'mm/oom_kill.c', TASK_INTERRUPTIBLE)
const kcompactd = sleeper('kcompactd', 'mm/compaction.c', TASK_INTERRUPTIBLE)
const ksm_scan_thread = sleeper('ksm_scan_thread', 'mm/ksm.c', TASK_INTERRUPTIBLE)
const khugepaged = sleeper('khugepaged', 'mm/khugepaged.c', TASK_INTERRUPTIBLE)
const kswapd = sleeper('kswapd', 'mm/vmscan.c', TASK_INTERRUPTIBLE)

const PF_WQ_WORKER = 0x20

/** Kernel threads of a booted machine, in the order they come up. `%` is the CPU. */
export function startKernelThreads(k: Kernel): void {
  const run = (name: string, fn: ThreadFunction, cpu = 0, taskFlags = 0): void => {
    kthread_run(k, fn, 0n, name, { cpu, taskFlags })
  }
  const worker = (name: string, cpu = 0): void =>
    run(name, worker_thread, cpu, PF_WQ_WORKER | PF_NO_SETAFFINITY)
  const rescuer = (name: string): void => run(name, rescuer_thread, 0, PF_WQ_WORKER)
  for (const name of ['rcu_gp', 'rcu_par_gp', 'slub_flushwq', 'netns']) rescuer(name)
  worker('kworker/0:0')
  worker('kworker/0:0H')
  worker(`kworker/u${2 * k.nr_cpu_ids}:0`)
  rescuer('mm_percpu_wq')
  for (const name of ['rcu_tasks_kthre', 'rcu_tasks_rude_', 'rcu_tasks_trace']) run(name, rcu_tasks_kthread)
  run('ksoftirqd/0', smpboot_thread_fn, 0, PF_NO_SETAFFINITY)
  run('rcu_preempt', rcu_gp_kthread)
  run('migration/0', smpboot_thread_fn, 0, PF_NO_SETAFFINITY)
  run('cpuhp/0', smpboot_thread_fn, 0, PF_NO_SETAFFINITY)
  for (let cpu = 1; cpu < k.nr_cpu_ids; cpu++) {
    for (const name of ['cpuhp', 'migration', 'ksoftirqd'])
      run(`${name}/${cpu}`, smpboot_thread_fn, cpu, PF_NO_SETAFFINITY)
    worker(`kworker/${cpu}:0`, cpu)
    worker(`kworker/${cpu}:0H`, cpu)
  }
  run('kdevtmpfs', devtmpfsd)
  rescuer('inet_frag_wq')
  run('kauditd', kauditd_thread)
  run('khungtaskd', watchdog)
  run('oom_reaper', oom_reaper)
  rescuer('writeback')
  run('kcompactd0', kcompactd)
  run('ksmd', ksm_scan_thread)
  run('khugepaged', khugepaged)
  for (const name of ['kintegrityd', 'kblockd', 'blkcg_punt_bio']) rescuer(name)
  run('kswapd0', kswapd)
  rescuer('kthrotld')
  rescuer('mld')
  rescuer('ipv6_addrconf')
}

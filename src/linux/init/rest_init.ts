/** The last part of booting: idle tasks, the first process, kthreadd and the kernel's threads. @see init/main.c:rest_init, kernel_init */

import { toVa } from '../../base/addr.ts'
import type { task_struct } from '../../btf/vmlinux.ts'
import { mark_rodata_ro } from '../arch/x86/mm/pageattr.ts'
import { CLONE_FS, PF_KTHREAD, TASK_INTERRUPTIBLE } from '../../abi/sched.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { fork_idle, kernel_clone } from '../kernel/fork.ts'
import { startKernelThreads, startKthreadd } from '../kernel/kthread.ts'
import { find_task_by_vpid } from '../kernel/pid.ts'
import { schedule, wake_up_process } from '../kernel/sched/core.ts'
import { enterIdle } from '../kernel/sched/idle.ts'
import { runUntilIdle } from '../kernel/sched/run.ts'
import type { Coroutine } from '../kernel/sched/thread.ts'
import { threadOf } from '../kernel/sched/thread.ts'

/** The program of the first process, once there is one. */
const firstProgram = perKernel<{ run: ((task: task_struct) => Coroutine) | undefined }>(() => ({
  run: undefined,
}))

const kernel_init = kfunc('init/main.c', function* kernel_init(k): Generator<unknown, void> {
  while (firstProgram(k).run === undefined) {
    k.current.__state = TASK_INTERRUPTIBLE
    yield* schedule(k)
  }
})

function* ret_from_fork(k: Kernel): Generator<unknown, void> {
  yield* kernel_init(k)
  k.current.flags = k.current.flags & ~PF_KTHREAD
  const program = firstProgram(k).run?.(k.current)
  if (program !== null && program !== undefined) yield* program
}

/** @see init/main.c:rest_init, kernel/smp.c:smp_init */
export function rest_init(k: Kernel): void {
  for (const cpu of k.cpus) {
    if (cpu.id === 0) continue
    const idle = threadOf(k, fork_idle(k, cpu.id))
    cpu.idle = idle
    cpu.current = idle
  }
  kernel_clone(k, {
    flags: CLONE_FS,
    exitSignal: 0,
    kthread: true,
    name: 'swapper/0',
    pid: 1,
    parent: k.global('init_task', 'task_struct'),
    coroutine: () => ret_from_fork(k),
  })
  startKthreadd(k)
  startKernelThreads(k)
  for (const { id } of k.cpus) k.onCpu(id, () => enterIdle(k))
  const state = k.symbols.get('system_state')
  if (state !== undefined) k.mem.setU32(toVa(state, k.mem.wordSize), SYSTEM_RUNNING)
  mark_rodata_ro(k)
  runUntilIdle(k)
}
/** @see include/linux/kernel.h:enum system_states */
const SYSTEM_RUNNING = 3

/** The first process becomes a program. @see init/main.c:run_init_process */
export function runInit(k: Kernel, program: (task: task_struct) => Coroutine): void {
  firstProgram(k).run = program
  const task = find_task_by_vpid(k, 1)
  if (task !== null) wake_up_process(k, task)
}

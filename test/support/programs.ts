/** Programs on a booted machine: what they did comes back as a list, what the kernel holds is read from memory. */

import { toVa } from '../../src/base/addr.ts'
import { init_pipe_fs } from '../../src/linux/fs/pipe.ts'
import { tty_init } from '../../src/linux/drivers/tty/pty.ts'
import { prepare_namespace } from '../../src/linux/fs/mounts.ts'
import { rest_init } from '../../src/linux/init/rest_init.ts'
import type { Kernel } from '../../src/linux/kernel.ts'
import { find_task_by_vpid } from '../../src/linux/kernel/pid.ts'
import { runUntilIdle } from '../../src/linux/kernel/sched/run.ts'
import { hrtimers_init } from '../../src/linux/kernel/time/hrtimer.ts'
import { spawn, startInit } from '../../src/userland/init.ts'
import type { Program } from '../../src/userland/process.ts'
import { bootedMachine } from './machine.ts'
import '../../src/linux/fs/dup.ts'
import '../../src/linux/fs/fcntl.ts'
import '../../src/linux/fs/read_write.ts'
import '../../src/linux/fs/select.ts'

const IMAGE = { path: '/usr/bin/test', argv: ['test'], envp: [], vszKb: 13160, rssKb: 4652 }

/** A machine with its first process, whatever boot does by now. */
export function machineWithInit(): Kernel {
  const k = bootedMachine()
  if (find_task_by_vpid(k, 1) === null) {
    tty_init(k)
    prepare_namespace(k)
    rest_init(k)
    startInit(k)
  }
  if (k.mem.pointer(toVa(k.sym('pipe_mnt'))) === 0) init_pipe_fs(k)
  if (k.per_cpu('hrtimer_bases', 'hrtimer_cpu_base', 0).clock_base.length > 0) hrtimers_init(k)
  return k
}

/** Start a program without open files as pid 106445, and let the machine come to rest. */
export function runProgram(k: Kernel, program: Program, quietNs?: number): void {
  spawn(k, { image: IMAGE, program, pid: 106445, cpu: 1 })
  runUntilIdle(k, quietNs)
}

/** Programs on a booted machine: what they did comes back as a list, what the kernel holds is read from memory. */

import type { Kernel } from '../../src/linux/kernel.ts'
import { runUntilIdle } from '../../src/linux/kernel/sched/run.ts'
import { spawn, startInit } from '../../src/userland/init.ts'
import type { Program } from '../../src/userland/process.ts'
import { bootedMachine } from './machine.ts'

const IMAGE = { path: '/usr/bin/test', argv: ['test'], envp: [], vszKb: 13160, rssKb: 4652 }

/** A machine with its first process. */
export function machineWithInit(): Kernel {
  const k = bootedMachine()
  startInit(k)
  return k
}

/** Start a program without open files as pid 106445, and let the machine come to rest. */
export function runProgram(k: Kernel, program: Program, quietNs?: number): void {
  spawn(k, { image: IMAGE, program, pid: 106445, cpu: 1 })
  runUntilIdle(k, quietNs)
}

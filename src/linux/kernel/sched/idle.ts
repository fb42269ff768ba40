/**
 * The idle task of each CPU: no coroutine, only the frames it would have on its stack while it halts, and while
 * it hands over to another task.
 *
 * @see kernel/sched/idle.c
 */

import type { KFunctionInfo } from '../../kfunc.ts'
import { kfunc } from '../../kfunc.ts'
import type { Cpu, Kernel, Thread } from '../../kernel.ts'
import { switchFromIdle } from './core.ts'

const frame = (file: string, body: (k: Kernel) => void, asm = false): KFunctionInfo =>
  kfunc(file, body, { asm }).kfunc

/** What the boot processor's idle task came through, and the others'. */
const bootFrames = [
  frame('arch/x86/kernel/head_64.S', function secondary_startup_64_no_verify() {}, true),
  frame('arch/x86/kernel/head64.c', function x86_64_start_kernel() {}),
  frame('init/main.c', function start_kernel() {}),
  frame('init/main.c', function rest_init() {}),
]
/** The same on i386. */
const bootFrames32 = [
  frame('arch/x86/kernel/head_32.S', function startup_32_smp() {}, true),
  ...bootFrames.slice(2),
]
const secondaryFrames = [
  bootFrames[0] as KFunctionInfo,
  frame('arch/x86/kernel/smpboot.c', function start_secondary() {}),
]
const secondaryFrames32 = [bootFrames32[0] as KFunctionInfo, ...secondaryFrames.slice(1)]

/** What this CPU's idle task came through. */
function baseFrames(k: Kernel): readonly KFunctionInfo[] {
  if (k.mem.wordSize === 8) return k.cpu.id === 0 ? bootFrames : secondaryFrames
  return k.cpu.id === 0 ? bootFrames32 : secondaryFrames32
}

const idleFrames = [
  frame('kernel/sched/idle.c', function cpu_startup_entry() {}),
  frame('kernel/sched/idle.c', function do_idle() {}),
]
/** How the processor sleeps: without a cpuidle driver, and with ACPI's. */
const haltFrames = [
  frame('kernel/sched/idle.c', function default_idle_call() {}),
  frame('arch/x86/kernel/process.c', function amd_e400_idle() {}),
  frame('arch/x86/include/asm/irqflags.h', function native_safe_halt() {}),
]
const acpiFrames = [
  frame('kernel/sched/idle.c', function cpuidle_idle_call() {}),
  frame('drivers/cpuidle/cpuidle.c', function cpuidle_enter() {}),
  frame('drivers/cpuidle/cpuidle.c', function cpuidle_enter_state() {}),
  frame('drivers/acpi/processor_idle.c', function acpi_idle_enter() {}),
  haltFrames[2] as KFunctionInfo,
]
const schedule_idle = frame('kernel/sched/core.c', function schedule_idle() {})
const __schedule = frame('kernel/sched/core.c', function __schedule() {})

const haltOf = (k: Kernel): KFunctionInfo[] => (k.profile.unwinder === 'fp' ? acpiFrames : haltFrames)

/** The CPU has nothing to run: its idle task halts. Called on that CPU. @see kernel/sched/idle.c:cpu_startup_entry */
export function enterIdle(k: Kernel): void {
  const { idle } = k.cpu
  if (k.cpu.current !== idle) return
  dropFrames(k, idle, 0)
  for (const info of [...baseFrames(k), ...idleFrames, ...haltOf(k)]) push(k, idle, info)
}

/** Number of frames below the halt: up to and with do_idle. */
const baseDepth = (k: Kernel): number => baseFrames(k).length + idleFrames.length

/** Something has become runnable: leave the halt and switch. @see kernel/sched/idle.c:do_idle */
export function leaveIdle(k: Kernel): void {
  const { idle } = k.cpu
  dropFrames(k, idle, baseDepth(k))
  push(k, idle, schedule_idle)
  push(k, idle, __schedule)
  switchFromIdle(k)
}

/** The idle task is current again: back into the halt. */
export function haltAgain(k: Kernel): void {
  const { idle } = k.cpu
  if (idle.frames.at(-1) === haltOf(k).at(-1)) return
  dropFrames(k, idle, baseDepth(k))
  for (const info of haltOf(k)) push(k, idle, info)
}

/** Is this CPU's current task its idle task? */
export const isIdle = (cpu: Cpu): boolean => cpu.current === cpu.idle

function push(k: Kernel, thread: Thread, info: KFunctionInfo): void {
  thread.frames.push(info)
  thread.stackPointers.push(thread.sp)
  thread.sp -= k.stackBytes(info)
  thread.localsUsed[thread.frames.length] = 0
}

function dropFrames(_k: Kernel, thread: Thread, depth: number): void {
  while (thread.frames.length > depth) {
    thread.frames.pop()
    thread.sp = thread.stackPointers.pop() as number
  }
}

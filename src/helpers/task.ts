/** What a `struct task_struct` says of itself: names, states, flags, CPU, memory descriptors. */

import type { Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { findSymbolVa, refAt, symbolVa, type Kernel } from './kernel.ts'

/** @see include/linux/sched.h */
export const PF_EXITING = 0x4
export const PF_KTHREAD = 0x0020_0000

/** State bits of one kernel; a state it does not have is 0. */
export interface TaskStates {
  readonly INTERRUPTIBLE: number
  readonly UNINTERRUPTIBLE: number
  readonly STOPPED: number
  readonly TRACED: number
  /** EXIT_DEAD and TASK_DEAD */
  readonly DEAD: number
  readonly ZOMBIE: number
  readonly PARKED: number
  readonly WAKEKILL: number
  readonly WAKING: number
  readonly NOLOAD: number
  readonly NEW: number
}

/** Since Linux 4.14. @see include/linux/sched.h */
const STATES_4_14: TaskStates = {
  INTERRUPTIBLE: 0x1,
  UNINTERRUPTIBLE: 0x2,
  STOPPED: 0x4,
  TRACED: 0x8,
  DEAD: 0x10 | 0x80,
  ZOMBIE: 0x20,
  PARKED: 0x40,
  WAKEKILL: 0x100,
  WAKING: 0x200,
  NOLOAD: 0x400,
  NEW: 0x800,
}

/** From 2.6.33 to 4.13: the dead and wake bits lie elsewhere. */
const STATES_2_6_33: TaskStates = {
  ...STATES_4_14,
  DEAD: 0x10 | 0x40,
  PARKED: 0x200,
  WAKEKILL: 0x80,
  WAKING: 0x100,
  NOLOAD: 0x400,
  NEW: 0x800,
}

const known = new WeakMap<Kernel, TaskStates>()

/**
 * The state bits of this kernel. They are `#define`s, so they are told apart by what the kernel prints: the
 * seventh name of `task_state_array` is `P (parked)` since 4.14.
 */
export function task_states(kernel: Kernel): TaskStates {
  let states = known.get(kernel)
  if (states === undefined) {
    const names = findSymbolVa(kernel, 'task_state_array')
    const word = kernel.mem.wordSize
    const seventh = names === undefined ? undefined : stateName(kernel, names + 7 * word)
    states = seventh === undefined || seventh.includes('parked') ? STATES_4_14 : STATES_2_6_33
    known.set(kernel, states)
  }
  return states
}

function stateName(kernel: Kernel, slot: Va): string | undefined {
  try {
    const at = kernel.mem.pointer(slot)
    if (at === 0 || Number.isNaN(at)) return undefined
    return Buffer.from(kernel.mem.read(at, 12)).toString('latin1').replace(/\0.*$/s, '')
  } catch {
    return undefined
  }
}

/** `state | exit_state`. @see kernel/sched: `task_struct.__state`, `.state` before 5.14 */
export function task_state(task: StructRef): number {
  const state = task.$int(task.$has('__state') ? '__state' : 'state')
  return Number(BigInt.asUintN(32, state | (task.$has('exit_state') ? task.$int('exit_state') : 0n)))
}

/** Two letters, as crash's `ps` has them: `RU IN UN ID ZO ST TR DE PA WA NE`, `??`. */
export function task_state_string(states: TaskStates, state: number): string {
  let text = '??'
  const also = (bits: number, name: string): void => {
    if ((state & bits) === 0) return
    text = name
  }
  if (state === 0) text = 'RU'
  also(states.INTERRUPTIBLE, 'IN')
  also(states.UNINTERRUPTIBLE, state & states.NOLOAD ? 'ID' : 'UN')
  also(states.ZOMBIE, 'ZO')
  also(states.STOPPED, 'ST')
  also(states.TRACED, 'TR')
  if (text === '??') also(states.DEAD, 'DE')
  if (state !== 0 && state === states.PARKED) text = 'PA'
  if (state !== 0 && state === states.WAKING) text = 'WA'
  if (state !== 0 && state === states.NEW) text = 'NE'
  return text
}

/** The states by name, joined with `|`, as crash's `set` has them. */
export function task_state_names(states: TaskStates, state: number): string {
  if (state === 0) return 'TASK_RUNNING'
  if (state === states.PARKED) return 'TASK_PARKED'
  const names: string[] = []
  const also = (bits: number, name: string): void => {
    if (state & bits) names.push(name)
  }
  also(states.INTERRUPTIBLE, 'TASK_INTERRUPTIBLE')
  also(states.UNINTERRUPTIBLE, 'TASK_UNINTERRUPTIBLE')
  also(states.STOPPED, 'TASK_STOPPED')
  also(states.TRACED, 'TASK_TRACED')
  also(states.DEAD, (state & states.DEAD) === states.DEAD ? 'EXIT_DEAD|TASK_DEAD' : 'EXIT_DEAD')
  also(states.ZOMBIE, 'EXIT_ZOMBIE')
  also(states.WAKING, 'TASK_WAKING')
  also(states.WAKEKILL, 'TASK_WAKEKILL')
  also(states.NOLOAD, 'TASK_NOLOAD')
  also(states.NEW, 'TASK_NEW')
  return names.join('|')
}

/** One letter, as /proc has it. @see fs/proc/array.c:task_state_array, include/linux/sched.h:task_index_to_char */
export function task_state_to_char(states: TaskStates, state: number): string {
  if (state & states.UNINTERRUPTIBLE && state & states.NOLOAD) return 'I'
  const { INTERRUPTIBLE, UNINTERRUPTIBLE, STOPPED, TRACED, ZOMBIE, PARKED } = states
  const reported = state & (INTERRUPTIBLE | UNINTERRUPTIBLE | STOPPED | TRACED | 0x10 | ZOMBIE | PARKED)
  const letters: readonly (readonly [number, string])[] = [
    [PARKED, 'P'],
    [ZOMBIE, 'Z'],
    [0x10, 'X'],
    [TRACED, 't'],
    [STOPPED, 'T'],
    [UNINTERRUPTIBLE, 'D'],
    [INTERRUPTIBLE, 'S'],
  ]
  return letters.find(([bit]) => reported & bit)?.[1] ?? 'R'
}

export const task_pid = (task: StructRef): number => Number(task.$int('pid'))
export const task_tgid = (task: StructRef): number => Number(task.$int('tgid'))
export const task_flags = (task: StructRef): number => Number(task.$int('flags'))

/** The name, bytes as Latin-1, at most 15. */
export const task_comm = (task: StructRef): string => task.$array('comm').$string()

/** Has no user memory by birth. @see include/linux/sched.h:PF_KTHREAD */
export const is_kernel_thread = (task: StructRef): boolean => (task_flags(task) & PF_KTHREAD) !== 0

/** Its `struct thread_info`: in the task itself, or at the bottom of its stack. */
export function task_thread_info(task: StructRef): StructRef {
  const types = task.$types
  if (types.has('task_struct', 'thread_info')) return task.$inside('thread_info')
  const stack = task.$mem.pointer(task.$vaOf('stack'))
  return types.ref('thread_info', task.$mem, stack)
}

/** The CPU it runs on, or ran last. @see include/linux/sched.h:task_cpu */
export function task_cpu(task: StructRef): number {
  if (task.$has('cpu')) return Number(task.$int('cpu'))
  const info = task_thread_info(task)
  return info.$has('cpu') ? Number(info.$int('cpu')) : 0
}

/** `struct mm_struct *`, null of a kernel thread and a zombie. */
export const task_mm = (task: StructRef): StructRef | null => task.$ref('mm')

/** `SCHED_NORMAL` and so on. @see include/uapi/linux/sched.h */
export const sched_policies = ['NORMAL', 'FIFO', 'RR', 'BATCH', 'ISO', 'IDLE', 'DEADLINE'] as const
export const task_policy = (task: StructRef): number => Number(task.$int('policy'))

/** When it last got a CPU, in nanoseconds of the scheduler's clock. 0 when the kernel keeps no such account. */
export function task_last_run(task: StructRef): bigint {
  if (task.$has('last_run')) return task.$int('last_run')
  if (task.$has('sched_info.last_arrival')) return task.$int('sched_info.last_arrival')
  return 0n
}

/** When it started, in nanoseconds since boot. @see kernel/fork.c:copy_process */
export const task_start_time = (task: StructRef): bigint => task.$int('start_time')

/** Names and the soft and hard value of each resource limit; 2^64-1 is "unlimited". */
export function task_rlimits(task: StructRef): { name: string; current: bigint; maximum: bigint }[] {
  const signal = task.$ref('signal')
  if (signal === null) return []
  const rlim = signal.$array('rlim')
  return Array.from({ length: Math.min(rlim.length, 64) }, (_, i) => {
    const limit = rlim.ref(i) as StructRef
    return {
      name: rlim_names[i] ?? '(unknown)',
      current: limit.$int('rlim_cur'),
      maximum: limit.$int('rlim_max'),
    }
  })
}

/** @see include/uapi/asm-generic/resource.h */
const rlim_names = [
  ...['CPU', 'FSIZE', 'DATA', 'STACK', 'CORE', 'RSS', 'NPROC', 'NOFILE', 'MEMLOCK', 'AS', 'LOCKS'],
  ...['SIGPENDING', 'MSGQUEUE', 'NICE', 'RTPRIO', 'RTTIME'],
]

/** The task that is at an address. */
export const task_at = (kernel: Kernel, va: Va): StructRef => refAt(kernel, 'task_struct', va)

/** `init_task`, the idle task of the boot CPU. */
export const init_task = (kernel: Kernel): StructRef => task_at(kernel, symbolVa(kernel, 'init_task'))

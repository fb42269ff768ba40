/** A task's signals: what it does with each, which are blocked, and which wait for it. */

import { toVa, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { task_thread_info } from './task.ts'

/** Bit of `thread_info.flags`. @see arch/x86/include/asm/thread_info.h */
const TIF_SIGPENDING = 2n

/** What a task does with one signal. */
export interface SignalAction {
  readonly sig: number
  /** `struct k_sigaction *` */
  readonly action: bigint
  /** user address, 0 SIG_DFL, 1 SIG_IGN */
  readonly handler: bigint
  readonly mask: bigint
  readonly flags: bigint
}

/** Signals that wait: `struct sigpending`. */
export interface SignalsPending {
  readonly signal: bigint
  readonly queue: readonly { readonly sig: number; readonly info: bigint }[]
}

/** A `sigset_t`, one bit a signal. */
function sigset(ref: StructRef, member: string): bigint {
  const words = ref.$ref(member)?.$array('sig')
  if (words === undefined) return 0n
  const bits = words.$stride * 8
  let set = 0n
  for (let i = words.length - 1; i >= 0; i--) {
    set = (set << BigInt(bits)) | BigInt.asUintN(bits, BigInt(words.get(i) as bigint | number))
  }
  return set
}

/** The table of a task's signal actions; empty when it has none any more. @see kernel/signal.c:do_sigaction */
export function* signal_actions(task: StructRef): Generator<SignalAction> {
  const sighand = task.$ref('sighand')
  if (sighand === null) return
  const actions = sighand.$array('action')
  for (let i = 0; i < actions.length; i++) {
    const action = actions.ref(i)
    if (action === null) continue
    yield {
      sig: i + 1,
      action: action.$addr,
      handler: action.$int('sa.sa_handler'),
      mask: sigset(action, 'sa.sa_mask'),
      flags: BigInt.asUintN(task.$mem.wordSize * 8, action.$int('sa.sa_flags')),
    }
  }
}

/** The signals one thread keeps out. */
export const blocked_signals = (task: StructRef): bigint => sigset(task, 'blocked')

/** Is the thread marked to look at its signals on its way to user mode? @see include/linux/sched/signal.h:signal_pending */
export const signal_pending = (task: StructRef): boolean =>
  ((task_thread_info(task).$int('flags') >> TIF_SIGPENDING) & 1n) === 1n

/** @param pending `struct sigpending *` @throws FaultError, ValidationError from a damaged queue */
export function pending_signals(pending: StructRef): SignalsPending {
  const { $types: types, $mem: mem } = pending
  const queue: { sig: number; info: bigint }[] = []
  for (const entry of list_for_each_entry(types, mem, pending.$vaOf('list'), 'sigqueue', 'list')) {
    const info = entry.$inside('info')
    queue.push({ sig: Number(info.$int('si_signo')), info: info.$addr })
  }
  return { signal: sigset(pending, 'signal'), queue }
}

/** Address of `struct signal_struct`, shared by a process's threads; 0 when it is gone. */
export const signal_struct = (task: StructRef): Va => toVa(task.$int('signal'), task.$mem.wordSize)

const NAMES = [
  ...['HUP', 'INT', 'QUIT', 'ILL', 'TRAP', 'ABRT', 'BUS', 'FPE', 'KILL', 'USR1', 'SEGV', 'USR2', 'PIPE'],
  ...['ALRM', 'TERM', 'STKFLT', 'CHLD', 'CONT', 'STOP', 'TSTP', 'TTIN', 'TTOU', 'URG', 'XCPU', 'XFSZ'],
  ...['VTALRM', 'PROF', 'WINCH', 'IO', 'PWR', 'SYS'],
]
const RT_FIRST = 32
const RT_LAST = 64

/** `SIGHUP` … `SIGSYS`, `SIGRTMIN`, `SIGRTMIN+1` … `SIGRTMAX`. @see include/uapi/asm-generic/signal.h */
export function signal_name(sig: number): string {
  const name = NAMES[sig - 1]
  if (name !== undefined) return `SIG${name}`
  if (sig > RT_FIRST + (RT_LAST - RT_FIRST) / 2)
    return sig === RT_LAST ? 'SIGRTMAX' : `SIGRTMAX-${RT_LAST - sig}`
  return sig === RT_FIRST ? 'SIGRTMIN' : `SIGRTMIN+${sig - RT_FIRST}`
}

/** The signals of a set, ascending. */
export function signals_of(set: bigint): number[] {
  const signals: number[] = []
  for (let sig = 1; sig <= RT_LAST; sig++) if ((set >> BigInt(sig - 1)) & 1n) signals.push(sig)
  return signals
}

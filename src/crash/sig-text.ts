/** The text of `sig`: a task's signal actions and pending signals, or a whole thread group's. */

import { hex, toAddr } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import {
  blocked_signals,
  pending_signals,
  signal_actions,
  signal_pending,
  signal_struct,
  type SignalAction,
  type SignalsPending,
} from '../helpers/signal.ts'
import type { TaskContext } from '../helpers/tasks.ts'
import { addressWidth } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { TaskAnswer } from './each-task.ts'
import { faultMark, isDamage } from './fault-mark.ts'
import { taskHeader } from './task-header.ts'

/** A thread's own part in `sig --json`. */
export interface SigThread {
  readonly pid: number
  readonly task: bigint
  readonly sigpending: boolean
  readonly blocked: bigint
  readonly private: SignalsPending
}

/** One row of `sig --json`. */
export interface SigRow {
  readonly pid: number
  readonly task: bigint
  readonly comm: string
  readonly signal_struct: bigint
  readonly nr_threads: number | null
  readonly actions: readonly SignalAction[]
  readonly shared: SignalsPending | null
  readonly threads: readonly SigThread[]
}

/** In the order crash names them. @see include/uapi/asm-generic/signal-defs.h */
const SA_FLAGS: readonly (readonly [bit: bigint, name: string])[] = [
  [0x0000_0001n, 'SA_NOCLDSTOP'],
  [0x0400_0000n, 'SA_RESTORER'],
  [0x0000_0002n, 'SA_NOCLDWAIT'],
  [0x0000_0004n, 'SA_SIGINFO'],
  [0x0800_0000n, 'SA_ONSTACK'],
  [0x1000_0000n, 'SA_RESTART'],
  [0x4000_0000n, 'SA_NODEFER'],
  [0x8000_0000n, 'SA_RESETHAND'],
]
/** Columns of a user address. */
const HANDLER = { 4: 8, 8: 10 } as const

/**
 * A task's signals.
 * @param threads of its group, itself among them: then each thread's part follows, indented; undefined for itself alone
 */
export function sigAnswer(context: TaskContext, threads?: readonly TaskContext[]): TaskAnswer<SigRow> {
  const { task } = context
  const { pieces, read, state } = guarded()
  const put = (text: string): void => void pieces.push(text)
  put(taskHeader(context))
  const signal = signal_struct(task)
  const shared = signal === 0 ? null : task.$ref('signal')
  const nr_threads = read(() => (shared === null ? null : threadCount(shared)))
  put(`SIGNAL_STRUCT: ${hex(toAddr(signal))}  NR_THREADS: ${nr_threads ?? 0}\n`)
  const actions: SignalAction[] = []
  put(actionHeader(task))
  read(() => {
    for (const action of signal_actions(task)) {
      actions.push(action)
      put(actionLine(task, action))
    }
  })
  const sharedPending = read(() => {
    const ref = shared?.$ref('shared_pending')
    return ref === null || ref === undefined ? undefined : pending_signals(ref)
  })
  const sharedText = `SHARED_PENDING\n${pendingText(task, sharedPending, '')}`
  const own: SigThread[] = []
  const thread = (of: TaskContext, indent: string): void => {
    const row = read(() => threadRow(of))
    if (row === undefined) return
    own.push(row)
    put(threadText(of, row, indent))
  }
  if (threads === undefined) {
    thread(context, '')
    put(`${sharedText}\n`)
  } else {
    put(`${sharedText}\n`)
    for (const of of threads) {
      put(`  ${taskHeader(of)}`)
      thread(of, '  ')
      put('\n')
    }
  }
  const rows: SigRow = {
    pid: context.pid,
    task: task.$addr,
    comm: context.comm,
    signal_struct: toAddr(signal),
    nr_threads: nr_threads ?? null,
    actions,
    shared: sharedPending ?? null,
    threads: own,
  }
  return { rows, text: pieces.join(''), failed: state.failed }
}

/** Pieces of text, and a way to read what may be damaged: then a mark stands among them. */
function guarded(): {
  pieces: string[]
  read: <T>(get: () => T) => T | undefined
  state: { failed: boolean }
} {
  const pieces: string[] = []
  const state = { failed: false }
  const read = <T>(get: () => T): T | undefined => {
    try {
      return get()
    } catch (error) {
      if (!isDamage(error)) throw error
      state.failed = true
      pieces.push(`${faultMark(error)}\n`)
      return undefined
    }
  }
  return { pieces, read, state }
}

const threadCount = (signal: StructRef): number =>
  Number(signal.$int(signal.$has('nr_threads') ? 'nr_threads' : 'count.counter'))

function threadRow({ pid, task }: TaskContext): SigThread {
  return {
    pid,
    task: task.$addr,
    sigpending: signal_pending(task),
    blocked: blocked_signals(task),
    private: pending_signals(task.$ref('pending') as StructRef),
  }
}

const set = (value: bigint): string => hex(value).padStart(16, '0')

function actionHeader(task: StructRef): string {
  const { wordSize } = task.$mem
  const sigaction = center('SIGACTION', addressWidth(wordSize))
  return ` SIG ${sigaction} ${'HANDLER'.padStart(HANDLER[wordSize])} ${center('MASK', 16)} ${'FLAGS'.padEnd(16)}\n`
}

function actionLine(task: StructRef, { sig, action, handler, mask, flags }: SignalAction): string {
  const { wordSize } = task.$mem
  const what = handler === 0n ? 'SIG_DFL' : handler === 1n ? 'SIG_IGN' : hex(handler)
  const names = SA_FLAGS.filter(([bit]) => (flags & bit) !== 0n).map(([, name]) => name)
  const words = names.length === 0 ? '' : `(${names.join('|')})`
  const head = `${`[${sig}]`.padStart(4)} ${hex(action)} ${what.padStart(HANDLER[wordSize])}`
  return `${head} ${set(mask)} ${hex(flags)} ${words}\n`
}

function threadText({ task }: TaskContext, row: SigThread, indent: string): string {
  return (
    `${indent}SIGPENDING: ${row.sigpending ? 'yes' : 'no'}\n` +
    `${indent}   BLOCKED: ${set(row.blocked)}\n` +
    `${indent}PRIVATE_PENDING\n${pendingText(task, row.private, indent)}`
  )
}

function pendingText(task: StructRef, pending: SignalsPending | undefined, indent: string): string {
  const head = `${indent}    SIGNAL: ${set(pending?.signal ?? 0n)}\n${indent}  SIGQUEUE: `
  if (pending === undefined || pending.queue.length === 0) return `${head}(empty)\n`
  const rows = pending.queue.map(({ sig, info }) => `${indent}${String(sig).padStart(16)}  ${hex(info)}\n`)
  return `${head} SIG  ${center('SIGINFO', addressWidth(task.$mem.wordSize))}\n${rows.join('')}`
}

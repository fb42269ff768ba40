/** A program that does what it is told: it sleeps until somebody hands it a system call to make. */

import { request } from '../linux/kernel/syscalls.ts'
import { Process, runProgram, type Program } from './process.ts'

/** An argument: a number, or bytes that are put into the program's memory, whose address it then is. */
export type SyscallArgument = number | bigint | Uint8Array

/** A system call to make, and what became of it. */
export interface SyscallOrder {
  /** A number, or the name programs call it by. */
  readonly call: number | string
  readonly args: readonly SyscallArgument[]
  /** Undefined until the call has returned. */
  result: number | undefined
}

/** Orders of one such program; whoever adds one sends it {@link WAKE_SIGNAL}. */
export class SyscallQueue {
  readonly orders: SyscallOrder[] = []
  /** An order is being carried out. */
  busy = false
}

/** SIGUSR1 */
export const WAKE_SIGNAL = 10

export const syscallProgram = (queue: SyscallQueue): Program =>
  function* (p) {
    yield* p.signal(WAKE_SIGNAL, function* () {
      // only there to end pause()
    })
    for (;;) {
      const order = queue.orders.shift()
      if (order === undefined) yield* p.syscall('pause')
      else {
        queue.busy = true
        order.result = yield* carryOut(p, order)
        queue.busy = false
      }
    }
  }

function* carryOut(p: Process, { call, args }: SyscallOrder): Generator<unknown, number> {
  const mark = p.mark()
  const words = args.map((arg) => (arg instanceof Uint8Array ? p.data(arg) : arg))
  if (typeof call === 'string' && FORKS.includes(call)) {
    // the child has nothing to do
    request(p.k, { child: (task) => runProgram(new Process(p.k, task), done) })
  }
  const result = yield* p.syscall(call, ...words)
  p.release(mark)
  return result
}

const FORKS: readonly string[] = ['fork', 'vfork', 'clone']

// eslint-disable-next-line require-yield -- a program is a coroutine
function* done(): Generator<unknown, number> {
  return 0
}

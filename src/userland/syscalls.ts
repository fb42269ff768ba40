/** A program that does what it is told: it sleeps until somebody hands it a system call to make. */

import type { Process, Program } from './process.ts'

/** An argument: a number, or bytes that are put into the program's memory, whose address it then is. */
export type SyscallArgument = number | bigint | Uint8Array

/** A system call to make, and what became of it. */
export interface SyscallOrder {
  readonly nr: number
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

function* carryOut(p: Process, { nr, args }: SyscallOrder): Generator<unknown, number> {
  const mark = p.mark()
  const words = args.map((arg) => (arg instanceof Uint8Array ? p.data(arg) : arg))
  const result = yield* p.syscall(nr, ...words)
  p.release(mark)
  return result
}

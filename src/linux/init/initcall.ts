/** Calling an init function through its pointer. @see init/main.c:do_one_initcall */

import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'

/**
 * @param fn `initcall_t`: a text address
 * @returns what the function returns; one that sleeps is a generator
 * @see init/main.c:do_one_initcall
 */
export const do_one_initcall = kfunc('init/main.c', function* do_one_initcall(k, fn: bigint): Generator<
  unknown,
  number
> {
  const result = k.indirect<(k: Kernel) => number | Generator<unknown, number>>(fn)(k)
  return typeof result === 'number' ? result : yield* result
})

/** Calls through pointers: what is called may sleep (a generator) or not; the caller need not know. */

import { InvariantError } from '../base/errors.ts'

/** The result of a function that may sleep. */
export type MaySleep<T> = T | Generator<unknown, T>

const isGenerator = (value: unknown): value is Generator<unknown, unknown> =>
  typeof value === 'object' && value !== null && 'next' in value && 'throw' in value

/** `yield* sleepable(k.indirect<…>(ops.release)(k, …))` */
export function* sleepable<T>(result: MaySleep<T>): Generator<unknown, T> {
  return isGenerator(result) ? yield* result : result
}

/** Run something where nothing may sleep. @throws InvariantError when it tries to */
export function atomically<T>(result: MaySleep<T>): T {
  if (!isGenerator(result)) return result
  const { done, value } = result.next()
  if (done !== true) throw new InvariantError('sleeping in atomic context')
  return value
}

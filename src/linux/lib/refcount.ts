/** `refcount_t` and `atomic_t`: counters that lie in memory. @see include/linux/refcount.h, include/linux/atomic.h */

import { InvariantError } from '../../base/errors.ts'
import type { atomic_t, refcount_struct } from '../../btf/vmlinux.ts'

export const refcount_read = (r: refcount_struct): number => r.refs.counter

export function refcount_set(r: refcount_struct, n: number): void {
  r.refs.counter = n
}

export function refcount_add(n: number, r: refcount_struct): void {
  const { refs } = r
  refs.counter = refs.counter + n
}

export function refcount_inc(r: refcount_struct): void {
  const { refs } = r
  const old = refs.counter
  if (old === 0) throw new InvariantError(`refcount_t: addition on 0; use-after-free at ${String(r)}`)
  refs.counter = old + 1
}

/** False when the object is already on its way out. */
export function refcount_inc_not_zero(r: refcount_struct): boolean {
  const { refs } = r
  const old = refs.counter
  if (old === 0) return false
  refs.counter = old + 1
  return true
}

/** True when the count fell to zero. */
export function refcount_sub_and_test(n: number, r: refcount_struct): boolean {
  const { refs } = r
  const left = refs.counter - n
  if (left < 0) throw new InvariantError(`refcount_t: underflow; use-after-free at ${String(r)}`)
  refs.counter = left
  return left === 0
}

export const refcount_dec_and_test = (r: refcount_struct): boolean => refcount_sub_and_test(1, r)

export const atomic_read = (a: atomic_t): number => a.counter

export function atomic_set(a: atomic_t, n: number): void {
  a.counter = n
}

export function atomic_add(n: number, a: atomic_t): void {
  a.counter = a.counter + n
}

export const atomic_inc = (a: atomic_t): void => atomic_add(1, a)
export const atomic_dec = (a: atomic_t): void => atomic_add(-1, a)

/** `atomic_long_t`: as wide as a word, so 64 bits here and 32 there. @see include/linux/atomic/atomic-long.h */

import type { StructRef } from '../../btf/ref.ts'

export const atomic_long_read = (a: StructRef): bigint => a.$int('counter')

export function atomic_long_set(a: StructRef, value: bigint | number): void {
  a.$set('counter', BigInt(value))
}

/** @returns the new value */
export function atomic_long_add(by: bigint | number, a: StructRef): bigint {
  const value = atomic_long_read(a) + BigInt(by)
  a.$set('counter', value)
  return value
}
export const atomic_long_inc = (a: StructRef): bigint => atomic_long_add(1, a)
export const atomic_long_dec = (a: StructRef): bigint => atomic_long_add(-1, a)

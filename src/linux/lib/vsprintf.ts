/** Pointers and strings as the kernel's printf prints them. @see lib/vsprintf.c */

import { toVa, type Va } from '../../base/addr.ts'
import { siphash, type SiphashKey } from '../../structures/siphash.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { since } from '../version.ts'

/** @see lib/vsprintf.c:ptr_key */
const ptr_key = perKernel((k): SiphashKey => {
  const word = (): number => k.random.below(2 ** 32)
  return [word(), word(), word(), word()]
})

/**
 * `%px`, and `%p` of the kernels before 4.15: all digits.
 * @see lib/vsprintf.c:pointer_string
 */
export function px(k: Kernel, pointer: Va | bigint): string {
  const value = BigInt.asUintN(k.mem.wordSize * 8, BigInt(pointer))
  return value.toString(16).padStart(k.mem.wordSize * 2, '0')
}

/**
 * `%p`. Since 4.15 it prints a hash of the address, the same for the same address until the machine is started again:
 * who compares it with /proc/kallsyms finds nothing.
 * @see lib/vsprintf.c:ptr_to_id
 */
export function p(k: Kernel, pointer: Va | bigint): string {
  const value = BigInt.asUintN(k.mem.wordSize * 8, BigInt(pointer))
  if (value === 0n) return '(null)'.padStart(k.mem.wordSize * 2)
  if (!since(k, 4, 15)) return px(k, value)
  const { low } = siphash(ptr_key(k), Number(value & 0xffff_ffffn), Number(value >> 32n))
  return low.toString(16).padStart(k.mem.wordSize * 2, '0')
}

/** A string in kernel memory up to its NUL, no more than `limit` bytes. */
export function cString(k: Kernel, pointer: Va | bigint, limit = 4096): string {
  const at = typeof pointer === 'bigint' ? toVa(pointer, k.mem.wordSize) : pointer
  const bytes: number[] = []
  for (let i = 0; i < limit; i++) {
    const byte = k.mem.u8(at + i)
    if (byte === 0) break
    bytes.push(byte)
  }
  return Buffer.from(bytes).toString('latin1')
}

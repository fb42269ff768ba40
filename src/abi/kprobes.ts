/** Constants of probes. @see include/linux/kprobes.h, include/linux/hash.h */

export const KPROBE_FLAG_GONE = 1
export const KPROBE_FLAG_DISABLED = 2
export const KPROBE_FLAG_OPTIMIZED = 4
/** The probe is on a function's entry, where ftrace has a call of its own: no breakpoint is written. */
export const KPROBE_FLAG_FTRACE = 8

export const KPROBE_HASH_BITS = 6

const GOLDEN_RATIO_64 = 0x61c8864680b583ebn
const GOLDEN_RATIO_32 = 0x61c88647

/** @see include/linux/hash.h:hash_ptr */
export function hash_ptr(pointer: bigint, bits: number, wordSize: 4 | 8 = 8): number {
  if (wordSize === 4) return Math.imul(Number(BigInt.asUintN(32, pointer)), GOLDEN_RATIO_32) >>> (32 - bits)
  return Number(BigInt.asUintN(64, pointer * GOLDEN_RATIO_64) >> BigInt(64 - bits))
}

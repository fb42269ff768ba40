/** Taints: what has happened to this kernel that its developers want to know. @see kernel/panic.c */

import { toVa } from '../../base/addr.ts'
import { TAINT_FLAGS, TAINT_UNSIGNED_MODULE } from '../../abi/module.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { since } from '../version.ts'

const taintedMask = (k: Kernel): number => toVa(k.sym('tainted_mask'), k.mem.wordSize)

/** The table of taint letters, a constant of the image. @see kernel/panic.c:taint_flags */
export function init_taint_flags(k: Kernel): void {
  const table = toVa(k.sym('taint_flags'), k.mem.wordSize)
  const size = k.types.sizeof('taint_flag')
  TAINT_FLAGS.forEach(([on, off, module], i) => {
    const flag = k.ref('taint_flag', table + i * size)
    // unsigned modules were X in their first kernels
    const letter = i === TAINT_UNSIGNED_MODULE && !since(k, 3, 15) ? 'X' : on
    flag.c_true = letter.charCodeAt(0)
    flag.c_false = off.charCodeAt(0)
    flag.module = Number(module)
  })
}

/** @param flag number of a taint, e.g. `TAINT_OOT_MODULE` @see kernel/panic.c:add_taint */
export const add_taint = kfunc('kernel/panic.c', function add_taint(k, flag: number): void {
  const at = taintedMask(k)
  k.mem.setWord(at, k.mem.word(at) | (1n << BigInt(flag)))
})

/** @see kernel/panic.c:test_taint */
export const test_taint = (k: Kernel, flag: number): boolean =>
  ((k.mem.word(taintedMask(k)) >> BigInt(flag)) & 1n) === 1n

/**
 * Taints: what has happened to this kernel that its developers want to know; and its end.
 *
 * @see kernel/panic.c
 */

import { toVa } from '../../base/addr.ts'
import { CoredrillError } from '../../base/errors.ts'
import { TAINT_DIE, TAINT_FLAGS, TAINT_UNSIGNED_MODULE } from '../../abi/module.ts'
import { returnAddress } from '../arch/x86/kernel/text.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { since } from '../version.ts'
import { pr_emerg, pr_warn } from './printk/printk.ts'

const FILE = 'kernel/panic.c'

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
export const add_taint = kfunc(FILE, function add_taint(k, flag: number): void {
  const at = taintedMask(k)
  k.mem.setWord(at, k.mem.word(at) | (1n << BigInt(flag)))
})

/** @see kernel/panic.c:test_taint */
export const test_taint = (k: Kernel, flag: number): boolean =>
  ((k.mem.word(taintedMask(k)) >> BigInt(flag)) & 1n) === 1n

/** Since when there are so many taints. */
const TAINTS_SINCE = [
  [6, 0, 19],
  [4, 15, 18],
  [4, 0, 16],
  [3, 17, 15],
  [3, 7, 14],
  [3, 2, 13],
  [2, 6, 8],
] as const

/** `Tainted: G      D    OE`: a letter or its absence for each taint this kernel knows. @see kernel/panic.c:print_tainted */
export function print_tainted(k: Kernel): string {
  const mask = k.mem.word(taintedMask(k))
  if (mask === 0n) return 'Not tainted'
  const table = toVa(k.sym('taint_flags'), k.mem.wordSize)
  const size = k.types.sizeof('taint_flag')
  const count = TAINTS_SINCE.find(([major, minor]) => since(k, major, minor))?.[2] ?? 8
  const letters = Array.from({ length: count }, (_, i) => {
    const flag = k.ref('taint_flag', table + i * size)
    return String.fromCharCode(((mask >> BigInt(i)) & 1n) === 1n ? flag.c_true : flag.c_false)
  })
  return `Tainted: ${letters.join('')}`
}

/** The machine has stopped for good: no code runs on it any more. */
export class KernelPanic extends CoredrillError {
  constructor(message: string) {
    super('SCENARIO', `the kernel has panicked: ${message}`)
  }
}

/** Called when everything has been said and stacks are still as they were: whoever keeps the memory keeps it now. */
export const panicked = perKernel((): { keep: () => void } => ({ keep: () => undefined }))

const int = (k: Kernel, symbol: string): number => toVa(k.sym(symbol), k.mem.wordSize)

/**
 * The end: says why, stops the other processors, and never returns.
 *
 * @throws KernelPanic once {@link panicked} has been told
 * @see kernel/panic.c:panic
 * @remarks no kernel to dump memory is loaded: the dump is a hypervisor's. The other processors stay where they are.
 */
export const panic = kfunc(
  FILE,
  function panic(k, text: string): never {
    bust_spinlocks(k, true)
    k.mem.setU32(int(k, 'panic_cpu'), k.cpu.id)
    pr_emerg(k, `Kernel panic - not syncing: ${text}`)
    // an oops has shown its trace already
    if (!test_taint(k, TAINT_DIE)) callTrace(k).show()
    if (since(k, 3, 14) && k.mem.wordSize === 8) pr_emerg(k, 'Kernel Offset: disabled')
    bust_spinlocks(k, false)
    if (since(k, 3, 15)) pr_emerg(k, `---[ end Kernel panic - not syncing: ${text} ]---`)
    wait_for_ever(k)
    throw new KernelPanic(text)
  },
  { locals: 64 },
)

/** The processor goes round in panic() from now on: the delay it calls has left its return address below the frame. */
function wait_for_ever(k: Kernel): void {
  const { thread } = k
  const own = thread.frames.at(-1)
  if (own !== undefined) {
    const back = returnAddress(k, own, { ...own, name: '__const_udelay' })
    k.mem.setWord(thread.sp - k.mem.wordSize, back)
  }
  panicked(k).keep()
}

/** How a stack is shown is the architecture's business. @internal */
export const callTrace = perKernel((): { show: () => void } => ({ show: () => undefined }))

/** Messages get out whatever locks are held. @see lib/bust_spinlocks.c:bust_spinlocks */
export const bust_spinlocks = kfunc('lib/bust_spinlocks.c', function bust_spinlocks(k, yes: boolean): void {
  const at = int(k, 'oops_in_progress')
  k.mem.setU32(at, k.mem.u32(at) + (yes ? 1 : -1))
})

const oopsId = perKernel((k): string => k.random.u64().toString(16).padStart(16, '0'))

/** The line that ends an oops, with a number of this boot until 5.18. @see kernel/panic.c:oops_exit */
export const oops_exit = kfunc(FILE, function oops_exit(k): void {
  pr_warn(k, `---[ end trace ${since(k, 5, 18) ? '0'.repeat(16) : oopsId(k)} ]---`)
})

export const panic_on_oops = (k: Kernel): boolean => k.mem.u32(int(k, 'panic_on_oops')) !== 0

/** As `sysctl kernel.panic_on_oops` or `oops=panic` sets it. */
export const set_panic_on_oops = (k: Kernel, value: boolean): void =>
  k.mem.setU32(int(k, 'panic_on_oops'), Number(value))

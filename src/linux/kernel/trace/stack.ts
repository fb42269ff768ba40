/**
 * The stack as a trace shows it: names of the functions a return address leads to. Which are there depends on the
 * unwinder; inlined functions and, under ORC, callers that jumped to their last callee are not.
 *
 * @see kernel/stacktrace.c, arch/x86/kernel/unwind_orc.c, arch/x86/kernel/unwind_frame.c
 */

import type { Kernel } from '../../kernel.ts'
import type { KFunctionInfo } from '../../kfunc.ts'

/** What stands in the place of the return address a return probe has replaced. */
export const KRETPROBED = "[unknown/kretprobe'd]"

/** A function that has jumped to what it calls last (always, or just now) has no frame any more. */
const jumped = (k: Kernel, info: KFunctionInfo): boolean => info.sibling && k.profile.unwinder === 'orc'

const visible = (k: Kernel, info: KFunctionInfo): boolean =>
  info.asm || (k.stackBytes(info) > 0 && !jumped(k, info))

/** The frames a stack walk can see below `frames`, innermost first. */
export function callers(k: Kernel, frames: readonly KFunctionInfo[]): KFunctionInfo[] {
  return frames.filter((info) => visible(k, info)).reverse()
}

/**
 * At a function's entry: the function, then who called it. A frame-pointer walk begins at the caller's frame,
 * because the function has not made its own yet, and so misses the caller itself.
 *
 * @param frames outermost first, ending in the probed function
 */
export function entryStack(k: Kernel, frames: readonly KFunctionInfo[]): string[] {
  const probed = frames.at(-1)
  const below = callers(k, frames.slice(0, -1))
  const seen = k.profile.unwinder === 'fp' ? below.slice(1) : below
  return [...(probed === undefined ? [] : [probed.name]), ...seen.map(({ name }) => name)]
}

/**
 * At a function's return: the trampoline, then the callers; a frame-pointer walk misses the first again.
 *
 * @param frames outermost first, ending in the function that returns
 */
export function returnStack(k: Kernel, frames: readonly KFunctionInfo[]): string[] {
  const below = callers(k, frames.slice(0, -1))
  const seen = k.profile.unwinder === 'fp' ? below.slice(1) : below
  return [KRETPROBED, ...seen.map(({ name }) => name)]
}

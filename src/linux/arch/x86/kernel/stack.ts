/**
 * Kernel stacks in memory. While a thread runs, its stack is the list of its frames; when it stops running (or
 * memory is snapshotted) the return addresses are stored where those frames lie, as the calls would have.
 *
 * @see arch/x86/entry/entry_64.S:__switch_to_asm, arch/x86/include/asm/switch_to.h
 */

import { toAddr, toVa, type Va } from '../../../../base/addr.ts'
import { THREAD_SIZE } from '../../../../abi/page.ts'
import type { Kernel, Thread } from '../../../kernel.ts'
import { returnAddress } from './text.ts'

/** Bytes left free above the registers: room for what entering from virtual-8086 mode adds. @see arch/x86/include/asm/thread_info.h */
const TOP_OF_KERNEL_STACK_PADDING = { 4: 8, 8: 0 } as const

/** Behind the last byte of a task's kernel stack that is ever used. @see arch/x86/include/asm/processor.h:task_top_of_stack */
export function task_top_of_stack(k: Kernel, stack: Va): Va {
  return stack + THREAD_SIZE(k.mem.wordSize) - TOP_OF_KERNEL_STACK_PADDING[k.mem.wordSize]
}

/** `struct pt_regs` at the top of a task's kernel stack. @see arch/x86/include/asm/processor.h:task_pt_regs */
export function task_pt_regs(k: Kernel, stack: Va): Va {
  return task_top_of_stack(k, stack) - k.types.sizeof('pt_regs')
}

/** Store the return addresses (and saved frame pointers) of every active frame. @returns the innermost frame pointer */
export function write_frames(k: Kernel, thread: Thread): Va {
  const word = k.mem.wordSize
  const site = k.mem.journal.site
  let bp = 0
  let caller = thread.frames[0]
  for (let i = 1; i < thread.frames.length; i++) {
    const info = thread.frames[i]
    if (info === undefined || caller === undefined || k.stackBytes(info) === 0) {
      // an entry point has no frame, but what it calls returns into it
      if (info?.asm === true) caller = info
      continue
    }
    const sp = thread.stackPointers[i] as number
    k.mem.journal.site = caller.id
    const back = returnAddress(k, caller, info)
    // where the caller's code is gone, what a call has left stays
    if (back !== 0n) k.mem.setWord(sp - word, back)
    if (k.profile.unwinder === 'fp') {
      k.mem.setPointer(sp - 2 * word, bp)
      bp = sp - 2 * word
    }
    caller = info
  }
  k.mem.journal.site = site
  return bp
}

/**
 * The thread leaves the processor: its frames, then what `__switch_to_asm` pushes, and `task->thread.sp`.
 * @see arch/x86/kernel/process_64.c:__switch_to
 */
export function save_stack(k: Kernel, thread: Thread): void {
  const bp = write_frames(k, thread)
  const innermost = thread.frames.at(-1)
  const size = k.types.sizeof('inactive_task_frame')
  const frame = k.ref('inactive_task_frame', thread.sp - size)
  frame.bp = toAddr(bp)
  const resume = innermost === undefined ? undefined : k.textIfAny(innermost)
  frame.ret_addr =
    innermost === undefined || resume === undefined
      ? 0n
      : returnAddress(k, innermost, { ...innermost, name: '__switch_to_asm' })
  thread.task.thread.sp = toAddr(frame.$va)
}

/**
 * A new task's first frame: it will come to life in `ret_from_fork`.
 * @see arch/x86/kernel/process.c:copy_thread
 */
export function fork_frame(k: Kernel, stack: Va): Va {
  const regs = task_pt_regs(k, stack)
  const frame = k.ref('inactive_task_frame', regs - k.types.sizeof('inactive_task_frame'))
  frame.ret_addr = k.sym('ret_from_fork')
  return toVa(frame.$addr, k.mem.wordSize)
}

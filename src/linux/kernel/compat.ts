/**
 * System calls of 32-bit programs on a 64-bit kernel whose structures or arguments have another layout than the
 * 64-bit call's.
 *
 * @see kernel/compat.c, kernel/signal.c, arch/x86/kernel/sys_ia32.c
 */

import type { pt_regs } from '../../btf/vmlinux.ts'
import { EFAULT } from '../../abi/errno.ts'
import { ia32_regs, syscall_arg, syscall_int } from '../arch/x86/entry/arguments.ts'
import { kfunc } from '../kfunc.ts'
import { get_user } from '../lib/usercopy.ts'
import { do_sigaction } from './signal.ts'
import { sleepFor } from './syscalls.ts'

type Call = Generator<unknown, number>

/** `struct compat_sigaction`: handler, flags, restorer, 64 bits of mask, each at a multiple of 4. */
export const __ia32_compat_sys_rt_sigaction = kfunc(
  'kernel/signal.c',
  function __ia32_compat_sys_rt_sigaction(k, registers: pt_regs): number {
    const regs = ia32_regs(registers)
    const act = syscall_arg(regs, 1)
    if (act === 0n) return 0
    const handler = get_user(k, act, 4)
    const flags = get_user(k, act + 4n, 4)
    const mask = get_user(k, act + 12n, 8)
    if (handler === undefined || flags === undefined || mask === undefined) return -EFAULT
    return do_sigaction(k, syscall_int(regs, 0), handler, Number(flags), mask)
  },
)

export const __ia32_sys_nanosleep_time32 = kfunc(
  'kernel/time/hrtimer.c',
  function* __ia32_sys_nanosleep_time32(k, registers: pt_regs): Call {
    return yield* sleepFor(k, syscall_arg(ia32_regs(registers), 0), 4)
  },
)

export const __ia32_sys_clock_nanosleep_time32 = kfunc(
  'kernel/time/posix-timers.c',
  function* __ia32_sys_clock_nanosleep_time32(k, registers: pt_regs): Call {
    return yield* sleepFor(k, syscall_arg(ia32_regs(registers), 2), 4)
  },
)

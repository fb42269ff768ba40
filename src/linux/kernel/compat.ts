/**
 * System calls of 32-bit programs on a 64-bit kernel whose structures or arguments have another layout than the
 * 64-bit call's.
 *
 * @see kernel/compat.c, kernel/signal.c, arch/x86/kernel/sys_ia32.c
 */

import type { pt_regs } from '../../btf/vmlinux.ts'
import { ia32_regs, syscall_arg } from '../arch/x86/entry/arguments.ts'
import { kfunc } from '../kfunc.ts'
import { setUserAction, sleepFor } from './syscalls.ts'

type Call = Generator<unknown, number>

export const __ia32_compat_sys_rt_sigaction = kfunc(
  'kernel/signal.c',
  function __ia32_compat_sys_rt_sigaction(k, registers: pt_regs): number {
    return setUserAction(k, ia32_regs(registers), 4)
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

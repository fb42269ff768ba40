/** System calls on tasks: fork, exec, exit, wait, signals, ids, sleeping. @see kernel/fork.c, kernel/exit.c, kernel/sys.c */

import type { pt_regs, task_struct } from '../../btf/vmlinux.ts'
import { EFAULT, EINVAL, EINTR, EPERM, ESRCH } from '../../abi/errno.ts'
import {
  CLONE_VFORK,
  CLONE_VM,
  PIDTYPE_PGID,
  PIDTYPE_SID,
  TASK_INTERRUPTIBLE,
  TASK_KILLABLE,
} from '../../abi/sched.ts'
import { SIGCHLD, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK } from '../../abi/signal.ts'
import { hlist_add_head, hlist_del_init } from '../../structures/hlist.ts'
import { ret_from_fork, syscall_arg, syscall_int } from '../arch/x86/entry/common.ts'
import { deref } from '../deref.ts'
import { do_execveat_common, type ExecImage } from '../fs/exec.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { copy_to_user, get_user, put_user } from '../lib/usercopy.ts'
import { becomeUser } from './cred.ts'
import { do_exit, do_group_exit, kernel_wait4 } from './exit.ts'
import { kernel_clone, type CloneArgs } from './fork.ts'
import { find_vpid, get_pid, pid_nr, task_pid_type } from './pid.ts'
import { SWAIT_QUEUE_BYTES, init_completion, wait_for_common } from './sched/completion.ts'
import { schedule, signal_pending } from './sched/core.ts'
import type { Coroutine } from './sched/thread.ts'
import { do_sigaction, kill_something_info, recalc_sigpending, sigset } from './signal.ts'
import { HRTIMER_SLEEPER_BYTES, hrtimer_cancel, startSleeper } from './time/hrtimer.ts'
import { ktime_get_ns } from './time/timekeeping.ts'

type Call = Generator<unknown, number>

/**
 * What a program asked for that does not travel through registers: the code of the child, the program to run.
 * Set by the program right before its system call.
 */
export interface ProgramRequest {
  readonly child?: (task: task_struct) => Coroutine
  readonly exec?: ExecImage
  /** This pid, this CPU for the child. */
  readonly pid?: number
  readonly cpu?: number
  /** The file that was read into the memory given to init_module(2). */
  readonly module?: string
}
const requests = perKernel<{ next: ProgramRequest }>(() => ({ next: {} }))
export function request(k: Kernel, what: ProgramRequest): void {
  requests(k).next = what
}
export function takeRequest(k: Kernel): ProgramRequest {
  const { next } = requests(k)
  requests(k).next = {}
  return next
}

/** @see kernel/fork.c:__do_sys_clone */
function* clone(k: Kernel, flags: number, exitSignal: number, parentTid = 0n, childTid = 0n): Call {
  const { child, pid, cpu } = takeRequest(k)
  const vfork = (flags & CLONE_VFORK) !== 0 ? k.local('completion') : undefined
  if (vfork !== undefined) init_completion(k, vfork)
  const args: CloneArgs = {
    flags,
    exitSignal,
    parentTid,
    childTid,
    coroutine: (task) => newUserThread(k, child?.(task) ?? null),
    ...(pid === undefined ? {} : { pid }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(vfork === undefined ? {} : { vforkDone: vfork }),
  }
  const task = kernel_clone(k, args)
  const nr = task.pid
  if (vfork !== undefined) yield* wait_for_common(k, vfork, TASK_KILLABLE)
  return nr
}

/** The first steps of a task that will be a program. */
export function* newUserThread(k: Kernel, program: Coroutine): Generator<unknown, void> {
  yield* ret_from_fork(k)
  if (program !== null) yield* program
}

const CLONE_LOCALS = { locals: 32 + SWAIT_QUEUE_BYTES }

export const __x64_sys_clone = kfunc(
  'kernel/fork.c',
  function* __x64_sys_clone(k, regs: pt_regs): Call {
    const flags = Number(BigInt.asUintN(32, syscall_arg(regs, 0)))
    return yield* clone(k, flags & ~0xff, flags & 0xff, syscall_arg(regs, 2), syscall_arg(regs, 3))
  },
  CLONE_LOCALS,
)
export const __x64_sys_fork = kfunc(
  'kernel/fork.c',
  function* __x64_sys_fork(k, _regs: pt_regs): Call {
    return yield* clone(k, 0, SIGCHLD)
  },
  CLONE_LOCALS,
)
export const __x64_sys_vfork = kfunc(
  'kernel/fork.c',
  function* __x64_sys_vfork(k, _regs: pt_regs): Call {
    return yield* clone(k, CLONE_VFORK | CLONE_VM, SIGCHLD)
  },
  CLONE_LOCALS,
)

export const __x64_sys_execve = kfunc('fs/exec.c', function* __x64_sys_execve(k, _regs: pt_regs): Call {
  const { exec } = takeRequest(k)
  return exec === undefined ? -EFAULT : yield* do_execveat_common(k, exec)
})

export const __x64_sys_exit = kfunc('kernel/exit.c', function* __x64_sys_exit(k, regs: pt_regs): Call {
  return yield* do_exit(k, (syscall_int(regs, 0) & 0xff) << 8)
})
export const __x64_sys_exit_group = kfunc(
  'kernel/exit.c',
  function* __x64_sys_exit_group(k, regs: pt_regs): Call {
    return yield* do_group_exit(k, (syscall_int(regs, 0) & 0xff) << 8)
  },
)
export const __x64_sys_wait4 = kfunc('kernel/exit.c', function* __x64_sys_wait4(k, regs: pt_regs): Call {
  return yield* kernel_wait4(k, syscall_int(regs, 0), syscall_arg(regs, 1), syscall_int(regs, 2))
})

export const __x64_sys_getpid = kfunc('kernel/sys.c', function __x64_sys_getpid(k, _regs: pt_regs): number {
  return k.current.tgid
})
export const __x64_sys_gettid = kfunc('kernel/sys.c', function __x64_sys_gettid(k, _regs: pt_regs): number {
  return k.current.pid
})
export const __x64_sys_getppid = kfunc('kernel/sys.c', function __x64_sys_getppid(k, _regs: pt_regs): number {
  return deref(k.current.real_parent).tgid
})
export const __x64_sys_getuid = kfunc('kernel/sys.c', function __x64_sys_getuid(k, _regs: pt_regs): number {
  return deref(k.current.cred).uid.val
})
export const __x64_sys_geteuid = kfunc('kernel/sys.c', function __x64_sys_geteuid(k, _regs: pt_regs): number {
  return deref(k.current.cred).euid.val
})
export const __x64_sys_getgid = kfunc('kernel/sys.c', function __x64_sys_getgid(k, _regs: pt_regs): number {
  return deref(k.current.cred).gid.val
})
export const __x64_sys_getegid = kfunc('kernel/sys.c', function __x64_sys_getegid(k, _regs: pt_regs): number {
  return deref(k.current.cred).egid.val
})
export const __x64_sys_setgid = kfunc('kernel/sys.c', function __x64_sys_setgid(k, regs: pt_regs): number {
  const { uid, euid, egid } = deref(k.current.cred)
  if (euid.val !== 0 && egid.val !== syscall_int(regs, 0)) return -EPERM
  becomeUser(k, k.current, uid.val, syscall_int(regs, 0))
  return 0
})

/** uname(2) @see kernel/sys.c */
export const __x64_sys_newuname = kfunc(
  'kernel/sys.c',
  function __x64_sys_newuname(k, regs: pt_regs): number {
    const { name } = deref(deref(k.current.nsproxy).uts_ns)
    return copy_to_user(k, syscall_arg(regs, 0), name.$va, name.$size) === 0 ? 0 : -EFAULT
  },
)

export const __x64_sys_setuid = kfunc('kernel/sys.c', function __x64_sys_setuid(k, regs: pt_regs): number {
  const { euid, gid } = deref(k.current.cred)
  if (euid.val !== 0 && euid.val !== syscall_int(regs, 0)) return -EPERM
  becomeUser(k, k.current, syscall_int(regs, 0), gid.val)
  return 0
})

/** Move a task into another group or session. @see kernel/pid.c:change_pid */
function change_pid(k: Kernel, task: task_struct, type: number, nr: number): void {
  const pid = get_pid(deref(find_vpid(k, nr)))
  const link = task.$vaOf(`pid_links[${type}]`)
  hlist_del_init(k.mem, link)
  task.signal?.pids.set(type, pid)
  hlist_add_head(k.mem, link, pid.$vaOf(`tasks[${type}]`))
  pid.count.refs.counter = pid.count.refs.counter - 1
}

/** A session of its own. @see kernel/sys.c:ksys_setsid */
export const ksys_setsid = kfunc('kernel/sys.c', function ksys_setsid(k): number {
  const leader = deref(k.current.group_leader)
  if (pid_nr(k, task_pid_type(leader, PIDTYPE_PGID)) === leader.pid) return -EPERM
  change_pid(k, leader, PIDTYPE_SID, leader.pid)
  change_pid(k, leader, PIDTYPE_PGID, leader.pid)
  const signal = deref(leader.signal)
  signal.leader = 1
  signal.tty = null
  return leader.pid
})
export const __x64_sys_setsid = kfunc('kernel/sys.c', function __x64_sys_setsid(k, _regs: pt_regs): number {
  return ksys_setsid(k)
})
export const __x64_sys_setpgid = kfunc('kernel/sys.c', function __x64_sys_setpgid(k, regs: pt_regs): number {
  const [pid, pgid] = [syscall_int(regs, 0), syscall_int(regs, 1)]
  const nr = pid === 0 ? k.current.tgid : pid
  if (nr !== k.current.tgid) return -ESRCH
  change_pid(k, deref(k.current.group_leader), PIDTYPE_PGID, pgid === 0 ? nr : pgid)
  return 0
})
export const __x64_sys_getpgrp = kfunc('kernel/sys.c', function __x64_sys_getpgrp(k, _regs: pt_regs): number {
  return pid_nr(k, task_pid_type(k.current, PIDTYPE_PGID))
})

export const __x64_sys_kill = kfunc('kernel/signal.c', function __x64_sys_kill(k, regs: pt_regs): number {
  return kill_something_info(k, syscall_int(regs, 1), syscall_int(regs, 0))
})

/**
 * The new action of rt_sigaction(sig, act, …), handed on: in user space it is handler, flags, restorer, each as long as a
 * word of the program, and 64 bits of mask.
 * @param word 8, or 4 for `struct compat_sigaction`
 * @returns 0 or a negative errno
 */
export function setUserAction(k: Kernel, regs: pt_regs, word: 4 | 8): number {
  const act = syscall_arg(regs, 1)
  if (act === 0n) return 0
  const handler = get_user(k, act, word)
  const flags = get_user(k, act + BigInt(word), word)
  const mask = get_user(k, act + BigInt(3 * word), 8)
  if (handler === undefined || flags === undefined || mask === undefined) return -EFAULT
  return do_sigaction(k, syscall_int(regs, 0), handler, Number(flags), mask)
}

export const __x64_sys_rt_sigaction = kfunc(
  'kernel/signal.c',
  function __x64_sys_rt_sigaction(k, regs: pt_regs): number {
    return setUserAction(k, regs, 8)
  },
)

export const __x64_sys_rt_sigprocmask = kfunc(
  'kernel/signal.c',
  function __x64_sys_rt_sigprocmask(k, regs: pt_regs): number {
    const { blocked } = k.current
    const old = sigset(blocked)
    const [how, set, oset] = [syscall_int(regs, 0), syscall_arg(regs, 1), syscall_arg(regs, 2)]
    if (set !== 0n) {
      const bits = get_user(k, set, 8)
      if (bits === undefined) return -EFAULT
      if (how === SIG_BLOCK) k.mem.setU64(blocked.$va, old | bits)
      else if (how === SIG_UNBLOCK) k.mem.setU64(blocked.$va, old & ~bits)
      else if (how === SIG_SETMASK) k.mem.setU64(blocked.$va, bits)
      else return -EINVAL
      recalc_sigpending(k.current)
    }
    return oset !== 0n && !put_user(k, old, oset, 8) ? -EFAULT : 0
  },
)

export const __x64_sys_pause = kfunc('kernel/signal.c', function* __x64_sys_pause(k, _regs: pt_regs): Call {
  while (!signal_pending(k.current)) {
    k.current.__state = TASK_INTERRUPTIBLE
    yield* schedule(k)
  }
  return -EINTR
})

const do_nanosleep = kfunc(
  'kernel/time/hrtimer.c',
  function* do_nanosleep(k, ns: bigint): Call {
    const sleeper = startSleeper(k, ktime_get_ns(k) + ns, 0n)
    while (!sleeper.fired() && !signal_pending(k.current)) {
      k.current.__state = TASK_INTERRUPTIBLE
      yield* schedule(k)
    }
    hrtimer_cancel(k, sleeper.timer)
    return sleeper.fired() ? 0 : -EINTR
  },
  { locals: HRTIMER_SLEEPER_BYTES },
)
const hrtimer_nanosleep = kfunc('kernel/time/hrtimer.c', function* hrtimer_nanosleep(k, ns: bigint): Call {
  return yield* do_nanosleep(k, ns)
})

/** Sleep for a `struct timespec` in user memory. @param word bytes of its members */
export function* sleepFor(k: Kernel, at: bigint, word: 4 | 8 = k.mem.wordSize): Call {
  const seconds = get_user(k, at, word)
  const ns = get_user(k, at + BigInt(word), word)
  if (seconds === undefined || ns === undefined) return -EFAULT
  if (ns >= 1_000_000_000n) return -EINVAL
  return yield* hrtimer_nanosleep(k, seconds * 1_000_000_000n + ns)
}
export const __x64_sys_nanosleep = kfunc(
  'kernel/time/hrtimer.c',
  function* __x64_sys_nanosleep(k, regs: pt_regs): Call {
    return yield* sleepFor(k, syscall_arg(regs, 0))
  },
)
const common_nsleep = kfunc('kernel/time/posix-timers.c', function* common_nsleep(k, at: bigint): Call {
  return yield* sleepFor(k, at)
})
export const __x64_sys_clock_nanosleep = kfunc(
  'kernel/time/posix-timers.c',
  function* __x64_sys_clock_nanosleep(k, regs: pt_regs): Call {
    return yield* common_nsleep(k, syscall_arg(regs, 2))
  },
)

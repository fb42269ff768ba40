/** Task states, task flags, clone flags and priorities. @see include/linux/sched.h, include/uapi/linux/sched.h */

export const TASK_RUNNING = 0x0
export const TASK_INTERRUPTIBLE = 0x1
export const TASK_UNINTERRUPTIBLE = 0x2
export const __TASK_STOPPED = 0x4
export const __TASK_TRACED = 0x8
export const EXIT_DEAD = 0x10
export const EXIT_ZOMBIE = 0x20
export const TASK_PARKED = 0x40
export const TASK_DEAD = 0x80
export const TASK_WAKEKILL = 0x100
export const TASK_WAKING = 0x200
export const TASK_NOLOAD = 0x400
export const TASK_NEW = 0x800
export const TASK_KILLABLE = TASK_WAKEKILL | TASK_UNINTERRUPTIBLE
export const TASK_STOPPED = TASK_WAKEKILL | __TASK_STOPPED
export const TASK_IDLE = TASK_UNINTERRUPTIBLE | TASK_NOLOAD
export const TASK_NORMAL = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE

export const PF_IDLE = 0x2
export const PF_EXITING = 0x4
export const PF_WQ_WORKER = 0x20
export const PF_FORKNOEXEC = 0x40
export const PF_SUPERPRIV = 0x100
export const PF_SIGNALED = 0x400
export const PF_NOFREEZE = 0x8000
export const PF_KTHREAD = 0x20_0000
export const PF_RANDOMIZE = 0x40_0000
export const PF_NO_SETAFFINITY = 0x400_0000

export const CLONE_VM = 0x100
export const CLONE_FS = 0x200
export const CLONE_FILES = 0x400
export const CLONE_SIGHAND = 0x800
export const CLONE_VFORK = 0x4000
export const CLONE_PARENT = 0x8000
export const CLONE_THREAD = 0x1_0000
export const CLONE_SETTLS = 0x8_0000
export const CLONE_PARENT_SETTID = 0x10_0000
export const CLONE_CHILD_CLEARTID = 0x20_0000
export const CLONE_UNTRACED = 0x80_0000
export const CLONE_CHILD_SETTID = 0x100_0000

export const SCHED_NORMAL = 0
export const SCHED_FIFO = 1
export const MAX_RT_PRIO = 100
export const DEFAULT_PRIO = 120
export const NICE_0_LOAD = 1 << 20

/** `thread_info.flags` @see arch/x86/include/asm/thread_info.h */
export const TIF_SIGPENDING = 2
export const TIF_NEED_RESCHED = 3
/** Addresses of a 32-bit program on a 64-bit kernel. */
export const TIF_ADDR32 = 29
/** `thread_info.status`: in a system call of a 32-bit program. */
export const TS_COMPAT = 0x0002

/** @see include/linux/wait.h */
export const WQ_FLAG_EXCLUSIVE = 0x1

/** @see include/linux/pid_types.h */
export const PIDTYPE_PID = 0
export const PIDTYPE_TGID = 1
export const PIDTYPE_PGID = 2
export const PIDTYPE_SID = 3

/** @see include/uapi/linux/wait.h */
export const WNOHANG = 1

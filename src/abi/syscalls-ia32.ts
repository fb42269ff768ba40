/**
 * The system calls of 32-bit x86 programs by number: `int $0x80` on an i386 kernel, and on an x86-64 one that runs
 * 32-bit programs. Each has the name programs know it by, the handler of an i386 kernel, and the one of an x86-64
 * kernel where that must convert structures. Numbers without a handler go to sys_ni_syscall.
 *
 * @see arch/x86/entry/syscalls/syscall_32.tbl
 */

export interface Ia32Call {
  /** `__NR_NAME` */
  readonly name: string
  /** The handler's name behind `sys_`, in 6.1. */
  readonly native: string
  /** The same behind `compat_sys_`, when a 64-bit kernel needs another handler. */
  readonly compat: string | undefined
}

/** One past the highest number of 6.1. */
export const NR_ia32_syscalls = 451

/**
 * By number. `name=handler` where the handler's name differs, `name=handler/compat` or `name/compat` where there is
 * another on x86-64, `name/` when that is of the handler's name; `n:` goes on at number n.
 */
export const ia32Calls: readonly (Ia32Call | undefined)[] = table(`
  restart_syscall exit fork read write open/ close waitpid creat link unlink execve/ chdir time=time32 mknod chmod
  lchown=lchown16 18:oldstat=stat lseek/ getpid mount umount=oldumount setuid=setuid16 getuid=getuid16
  stime=stime32 ptrace/ alarm oldfstat=fstat pause utime=utime32 33:access nice 36:sync kill rename mkdir rmdir
  dup pipe times/ 45:brk setgid=setgid16 getgid=getgid16 signal geteuid=geteuid16 getegid=getegid16 acct
  umount2=umount 54:ioctl/ fcntl/fcntl64 57:setpgid 59:oldolduname=olduname umask chroot ustat/ dup2 getppid
  getpgrp setsid sigaction/ sgetmask ssetmask setreuid=setreuid16 setregid=setregid16 sigsuspend sigpending/
  sethostname setrlimit/ getrlimit=old_getrlimit/ getrusage/ gettimeofday/ settimeofday/ getgroups=getgroups16
  setgroups=setgroups16 select=old_select/ symlink oldlstat=lstat readlink uselib swapon reboot
  readdir=old_readdir/ mmap=old_mmap/ia32_mmap munmap truncate/ ftruncate/ fchmod fchown=fchown16 getpriority
  setpriority 99:statfs/ fstatfs/ ioperm socketcall/ syslog setitimer/ getitimer/ stat=newstat/ lstat=newlstat/
  fstat=newfstat/ olduname=uname iopl vhangup 113:vm86old wait4/ swapoff sysinfo/ ipc/ fsync sigreturn/
  clone/ia32_clone setdomainname uname=newuname modify_ldt adjtimex=adjtimex_time32 mprotect sigprocmask/
  128:init_module delete_module 131:quotactl getpgid fchdir bdflush sysfs personality 138:setfsuid=setfsuid16
  setfsgid=setfsgid16 _llseek=llseek getdents/ _newselect=select/ flock msync readv writev getsid fdatasync
  _sysctl=sysctl mlock munlock mlockall munlockall sched_setparam sched_getparam sched_setscheduler
  sched_getscheduler sched_yield sched_get_priority_max sched_get_priority_min
  sched_rr_get_interval=sched_rr_get_interval_time32 nanosleep=nanosleep_time32 mremap setresuid=setresuid16
  getresuid=getresuid16 vm86 168:poll 170:setresgid=setresgid16 getresgid=getresgid16 prctl rt_sigreturn/
  rt_sigaction/ rt_sigprocmask/ rt_sigpending/ rt_sigtimedwait=rt_sigtimedwait_time32/ rt_sigqueueinfo/
  rt_sigsuspend/ pread64=ia32_pread64 pwrite64=ia32_pwrite64 chown=chown16 getcwd capget capset sigaltstack/
  sendfile/ 190:vfork ugetrlimit=getrlimit/ mmap2=mmap_pgoff truncate64=ia32_truncate64
  ftruncate64=ia32_ftruncate64 stat64/ia32_stat64 lstat64/ia32_lstat64 fstat64/ia32_fstat64 lchown32=lchown
  getuid32=getuid getgid32=getgid geteuid32=geteuid getegid32=getegid setreuid32=setreuid setregid32=setregid
  getgroups32=getgroups setgroups32=setgroups fchown32=fchown setresuid32=setresuid getresuid32=getresuid
  setresgid32=setresgid getresgid32=getresgid chown32=chown setuid32=setuid setgid32=setgid setfsuid32=setfsuid
  setfsgid32=setfsgid pivot_root mincore madvise getdents64 fcntl64/ 224:gettid readahead=ia32_readahead setxattr
  lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr
  fremovexattr tkill sendfile64 futex=futex_time32 sched_setaffinity/ sched_getaffinity/ set_thread_area
  get_thread_area io_setup/ io_destroy io_getevents=io_getevents_time32 io_submit/ io_cancel
  fadvise64=ia32_fadvise64 252:exit_group lookup_dcookie/ epoll_create epoll_ctl epoll_wait remap_file_pages
  set_tid_address timer_create/ timer_settime=timer_settime32 timer_gettime=timer_gettime32 timer_getoverrun
  timer_delete clock_settime=clock_settime32 clock_gettime=clock_gettime32 clock_getres=clock_getres_time32
  clock_nanosleep=clock_nanosleep_time32 statfs64/ fstatfs64/ tgkill utimes=utimes_time32
  fadvise64_64=ia32_fadvise64_64 274:mbind get_mempolicy set_mempolicy mq_open/ mq_unlink
  mq_timedsend=mq_timedsend_time32 mq_timedreceive=mq_timedreceive_time32 mq_notify/ mq_getsetattr/ kexec_load/
  waitid/ 286:add_key request_key keyctl/ ioprio_set ioprio_get inotify_init inotify_add_watch inotify_rm_watch
  migrate_pages openat/ mkdirat mknodat fchownat futimesat=futimesat_time32 fstatat64/ia32_fstatat64 unlinkat
  renameat linkat symlinkat readlinkat fchmodat faccessat pselect6=pselect6_time32/ ppoll=ppoll_time32/ unshare
  set_robust_list/ get_robust_list/ splice sync_file_range=ia32_sync_file_range tee vmsplice move_pages getcpu
  epoll_pwait utimensat=utimensat_time32 signalfd/ timerfd_create eventfd fallocate=ia32_fallocate
  timerfd_settime=timerfd_settime32 timerfd_gettime=timerfd_gettime32 signalfd4/ eventfd2 epoll_create1 dup3
  pipe2 inotify_init1 preadv/ pwritev/ rt_tgsigqueueinfo/ perf_event_open recvmmsg=recvmmsg_time32/
  fanotify_init fanotify_mark/ prlimit64 name_to_handle_at open_by_handle_at/ clock_adjtime=clock_adjtime32
  syncfs sendmmsg/ setns process_vm_readv process_vm_writev kcmp finit_module sched_setattr sched_getattr
  renameat2 seccomp getrandom memfd_create bpf execveat/ socket socketpair bind connect listen accept4
  getsockopt setsockopt getsockname getpeername sendto sendmsg/ recvfrom/ recvmsg/ shutdown userfaultfd
  membarrier mlock2 copy_file_range preadv2/ pwritev2/ pkey_mprotect pkey_alloc pkey_free statx arch_prctl/
  io_pgetevents=io_pgetevents_time32/io_pgetevents rseq 393:semget semctl/ shmget shmctl/ shmat/ shmdt msgget
  msgsnd/ msgrcv/ msgctl/ clock_gettime64=clock_gettime clock_settime64=clock_settime
  clock_adjtime64=clock_adjtime clock_getres_time64=clock_getres clock_nanosleep_time64=clock_nanosleep
  timer_gettime64=timer_gettime timer_settime64=timer_settime timerfd_gettime64=timerfd_gettime
  timerfd_settime64=timerfd_settime utimensat_time64=utimensat pselect6_time64=pselect6/pselect6_time64
  ppoll_time64=ppoll/ppoll_time64 416:io_pgetevents_time64=io_pgetevents/io_pgetevents_time64
  recvmmsg_time64=recvmmsg/recvmmsg_time64 mq_timedsend_time64=mq_timedsend
  mq_timedreceive_time64=mq_timedreceive semtimedop_time64=semtimedop
  rt_sigtimedwait_time64=rt_sigtimedwait/rt_sigtimedwait_time64 futex_time64=futex
  sched_rr_get_interval_time64=sched_rr_get_interval pidfd_send_signal io_uring_setup io_uring_enter
  io_uring_register open_tree move_mount fsopen fsconfig fsmount fspick pidfd_open clone3 close_range openat2
  pidfd_getfd faccessat2 process_madvise epoll_pwait2/ mount_setattr quotactl_fd landlock_create_ruleset
  landlock_add_rule landlock_restrict_self memfd_secret process_mrelease futex_waitv set_mempolicy_home_node
`)

/** The number of a call by its user-space name. @returns -1 when there is none */
export const ia32SyscallNumber = (name: string): number => ia32Calls.findIndex((call) => call?.name === name)

/** What an x86-64 kernel has at a number of its 32-bit table: a symbol. */
export function ia32Handler(nr: number): string | undefined {
  const call = ia32Calls[nr]
  if (call === undefined) return undefined
  return call.compat === undefined ? `__ia32_sys_${call.native}` : `__ia32_compat_sys_${call.compat}`
}

function table(text: string): (Ia32Call | undefined)[] {
  const calls: (Ia32Call | undefined)[] = []
  for (const word of text.trim().split(/\s+/)) {
    const [, at, name = '', native = name, compat] =
      /^(?:(\d+):)?(\w+)(?:=(\w+))?(?:\/(\w*))?$/.exec(word) ?? []
    while (at !== undefined && calls.length < Number(at)) calls.push(undefined)
    calls.push({ name, native, compat: compat === '' ? native : compat })
  }
  return calls
}

/** Signals. @see include/uapi/asm-generic/signal.h, include/uapi/asm-generic/siginfo.h */

export const SIGHUP = 1
export const SIGINT = 2
export const SIGQUIT = 3
export const SIGILL = 4
export const SIGTRAP = 5
export const SIGABRT = 6
export const SIGBUS = 7
export const SIGFPE = 8
export const SIGKILL = 9
export const SIGUSR1 = 10
export const SIGSEGV = 11
export const SIGUSR2 = 12
export const SIGPIPE = 13
export const SIGALRM = 14
export const SIGTERM = 15
export const SIGCHLD = 17
export const SIGCONT = 18
export const SIGSTOP = 19
export const SIGTSTP = 20
export const SIGTTIN = 21
export const SIGTTOU = 22
export const SIGURG = 23
export const SIGWINCH = 28
export const SIGIO = 29
export const _NSIG = 64

/** Handlers that are no addresses. */
export const SIG_DFL = 0n
export const SIG_IGN = 1n

export const SA_RESTORER = 0x0400_0000
export const SA_RESTART = 0x1000_0000
export const SA_NOCLDWAIT = 2

export const SIG_BLOCK = 0
export const SIG_UNBLOCK = 1
export const SIG_SETMASK = 2

export const SI_USER = 0
export const SI_KERNEL = 0x80
export const CLD_EXITED = 1
export const CLD_KILLED = 2

/** The bit of a signal in a `sigset_t` word. @see include/linux/signal.h:sigmask */
export const sigmask = (sig: number): bigint => 1n << BigInt(sig - 1)

/** Signals whose default is to do nothing. @see include/linux/signal.h:SIG_KERNEL_IGNORE_MASK */
export const SIG_KERNEL_IGNORE_MASK =
  sigmask(SIGCONT) | sigmask(SIGCHLD) | sigmask(SIGWINCH) | sigmask(SIGURG)
/** @see include/linux/signal.h:SIG_KERNEL_STOP_MASK */
export const SIG_KERNEL_STOP_MASK = sigmask(SIGSTOP) | sigmask(SIGTSTP) | sigmask(SIGTTIN) | sigmask(SIGTTOU)

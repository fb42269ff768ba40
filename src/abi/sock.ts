/** Bits and bounds of `struct sock`. @see include/net/sock.h */

/** `enum sock_flags`: bit numbers in `sk_flags`. */
export const SOCK_DEAD = 0
export const SOCK_DONE = 1
export const SOCK_URGINLINE = 2
export const SOCK_KEEPOPEN = 3
export const SOCK_LINGER = 4
export const SOCK_DESTROY = 5
export const SOCK_BROADCAST = 6
export const SOCK_TIMESTAMP = 7
export const SOCK_ZAPPED = 8
export const SOCK_USE_WRITE_QUEUE = 9
export const SOCK_DBG = 10
export const SOCK_RCU_FREE = 23

/** `sk_userlocks` */
export const SOCK_SNDBUF_LOCK = 1
export const SOCK_RCVBUF_LOCK = 2
export const SOCK_BINDADDR_LOCK = 4
export const SOCK_BINDPORT_LOCK = 8

/** `skc_reuse` */
export const SK_NO_REUSE = 0
export const SK_CAN_REUSE = 1
export const SK_FORCE_REUSE = 2

export const SK_MEM_SEND = 0
export const SK_MEM_RECV = 1

export const NO_QUEUE_MAPPING = 0xffff
/** sysctl_wmem_default, sysctl_rmem_default, sysctl_wmem_max, sysctl_rmem_max */
export const SK_MEM_DEFAULT = 212992

export const SOCK_MIN_SNDBUF = 4608
export const SOCK_MIN_RCVBUF = 2304

/** `struct inet_protosw` flags. */
export const INET_PROTOSW_REUSE = 1
export const INET_PROTOSW_PERMANENT = 2
export const INET_PROTOSW_ICSK = 4

/** `sk_wake_async` and wait keys. @see include/linux/net.h */
export const SOCKWQ_ASYNC_NOSPACE = 0
export const SOCKWQ_ASYNC_WAITDATA = 1

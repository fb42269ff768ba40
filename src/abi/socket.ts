/** Sockets as programs see them. @see include/linux/socket.h, include/uapi/asm-generic/socket.h, include/linux/net.h */

export const AF_UNSPEC = 0
export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16
export const AF_PACKET = 17
export const PF_INET = AF_INET
export const PF_INET6 = AF_INET6
/** Families there can be: one more than the last. */
export const NPROTO = 46

export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_SEQPACKET = 5
export const SOCK_MAX = 11
export const SOCK_TYPE_MASK = 0xf
/** Flags in socket()'s type: the file's. */
export const SOCK_CLOEXEC = 0o2000000
export const SOCK_NONBLOCK = 0o4000

/** `socket_state` */
export const SS_FREE = 0
export const SS_UNCONNECTED = 1
export const SS_CONNECTING = 2
export const SS_CONNECTED = 3
export const SS_DISCONNECTING = 4

/** `socket.flags`, bit numbers. */
export const SOCK_NOSPACE = 2
export const SOCK_PASSCRED = 3
export const SOCK_SUPPORT_ZC = 5

/** `sk_shutdown` */
export const RCV_SHUTDOWN = 1
export const SEND_SHUTDOWN = 2
export const SHUTDOWN_MASK = 3
export const SHUT_RD = 0
export const SHUT_WR = 1
export const SHUT_RDWR = 2

export const MSG_OOB = 1
export const MSG_PEEK = 2
export const MSG_DONTROUTE = 4
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_EOR = 0x80
export const MSG_WAITALL = 0x100
export const MSG_NOSIGNAL = 0x4000
export const MSG_MORE = 0x8000
export const MSG_CTRUNC = 8
export const MSG_ERRQUEUE = 0x2000
export const MSG_FASTOPEN = 0x2000_0000
export const MSG_CMSG_CLOEXEC = 0x4000_0000
export const MSG_CMSG_COMPAT = 0x8000_0000
export const MSG_SENDPAGE_NOTLAST = 0x2_0000

export const SOL_SOCKET = 1
export const SOL_IP = 0
export const SOL_TCP = 6
export const SOL_UDP = 17
export const SOL_IPV6 = 41

export const SO_DEBUG = 1
export const SO_REUSEADDR = 2
export const SO_TYPE = 3
export const SO_ERROR = 4
export const SO_DONTROUTE = 5
export const SO_BROADCAST = 6
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_KEEPALIVE = 9
export const SO_PRIORITY = 12
export const SO_LINGER = 13
export const SO_REUSEPORT = 15
export const SO_RCVLOWAT = 18
export const SO_RCVTIMEO = 20
export const SO_SNDTIMEO = 21
export const SO_ACCEPTCONN = 30
export const SO_MARK = 36
export const SO_PROTOCOL = 38
export const SO_DOMAIN = 39
export const SO_COOKIE = 57

export const SOMAXCONN = 4096

/** Calls of the socketcall() system call. @see include/uapi/linux/net.h */
export const SYS_SOCKET = 1
export const SYS_BIND = 2
export const SYS_CONNECT = 3
export const SYS_LISTEN = 4
export const SYS_ACCEPT = 5
export const SYS_GETSOCKNAME = 6
export const SYS_GETPEERNAME = 7
export const SYS_SOCKETPAIR = 8
export const SYS_SEND = 9
export const SYS_RECV = 10
export const SYS_SENDTO = 11
export const SYS_RECVFROM = 12
export const SYS_SHUTDOWN = 13
export const SYS_SETSOCKOPT = 14
export const SYS_GETSOCKOPT = 15
export const SYS_SENDMSG = 16
export const SYS_RECVMSG = 17
export const SYS_ACCEPT4 = 18
export const SYS_RECVMMSG = 19
export const SYS_SENDMMSG = 20
/** Words of arguments of each call, entry 0 unused. */
export const SOCKETCALL_NARGS: readonly number[] = [
  0, 3, 3, 3, 2, 3, 3, 3, 4, 4, 4, 6, 6, 2, 5, 5, 3, 3, 4, 5, 4,
]

export const SOCKFS_MAGIC = 0x534f434b
export const INET_ADDRSTRLEN = 16

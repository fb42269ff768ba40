/** Capabilities by number. @see include/uapi/linux/capability.h */

export const CAP_CHOWN = 0
export const CAP_DAC_OVERRIDE = 1
export const CAP_KILL = 5
export const CAP_NET_BIND_SERVICE = 10
export const CAP_NET_ADMIN = 12
export const CAP_NET_RAW = 13
export const CAP_SYS_MODULE = 16
export const CAP_SYS_PTRACE = 19
export const CAP_SYS_ADMIN = 21
export const CAP_SYSLOG = 34

/** The Internet families. @see include/uapi/linux/in.h, include/uapi/linux/in6.h, include/linux/inet.h */

import { htonl } from '../base/u32.ts'

export const IPPROTO_IP = 0
export const IPPROTO_ICMP = 1
export const IPPROTO_TCP = 6
export const IPPROTO_UDP = 17
export const IPPROTO_IPV6 = 41
export const IPPROTO_RAW = 255
export const MAX_INET_PROTOS = 256

export const INADDR_ANY = 0
/** In host order, as the kernel's macros are. */
export const INADDR_LOOPBACK = 0x7f00_0001
export const INADDR_BROADCAST = 0xffff_ffff

/** 127.0.0.1 in network order, as `sin_addr` holds it. */
export const LOOPBACK_BE = htonl(INADDR_LOOPBACK)

export const IP_TOS = 1
export const IP_TTL = 2
export const IP_MTU_DISCOVER = 10
export const IP_PMTUDISC_DONT = 0
export const IP_PMTUDISC_WANT = 1
export const IP_PMTUDISC_DO = 2

export const IPV6_V6ONLY = 26

/** sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6) */
export const SOCKADDR_IN_LEN = 16
export const SOCKADDR_IN6_LEN = 28
export const SOCKADDR_STORAGE_LEN = 128

/** Ports an unprivileged program may not bind. */
export const PROT_SOCK = 1024

/** 224.0.0.0/4, network order. */
export const ipv4_is_multicast = (addr: number): boolean => (addr & 0xf0) === 0xe0
/** 127.0.0.0/8 */
export const ipv4_is_loopback = (addr: number): boolean => (addr & 0xff) === 0x7f
export const ipv4_is_lbcast = (addr: number): boolean => addr === INADDR_BROADCAST

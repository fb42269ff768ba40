/** IPv6 sockets and addresses. @see include/uapi/linux/in6.h, include/net/ipv6.h, include/uapi/linux/if_addr.h */

/** `ipv6_addr_type()`: what an address is, without its scope. */
export const IPV6_ADDR_ANY = 0
export const IPV6_ADDR_UNICAST = 0x1
export const IPV6_ADDR_MULTICAST = 0x2
export const IPV6_ADDR_LOOPBACK = 0x10
export const IPV6_ADDR_LINKLOCAL = 0x20
export const IPV6_ADDR_SITELOCAL = 0x40
export const IPV6_ADDR_COMPATv4 = 0x80
export const IPV6_ADDR_MAPPED = 0x1000

/** 127.0.0.6 in network order: the IPv4 address of a socket that is bound to an IPv6 one. */
export const LOOPBACK4_IPV6 = 0x0600_007f

/** The least a bind() may pass: struct sockaddr_in6 as it was before it had a scope. */
export const SIN6_LEN_RFC2133 = 24

export const IPV6_UNICAST_HOPS = 16
export const IPV6_MTU_DISCOVER = 23
export const IPV6_RECVERR = 25
export const IPV6_V6ONLY = 26
export const IPV6_DONTFRAG = 62
export const IPV6_TCLASS = 67

export const IPV6_PMTUDISC_WANT = 1
export const IPV6_PMTUDISC_OMIT = 5
export const IPV6_DEFAULT_MCASTHOPS = 1
export const IPV6_DEFAULT_HOPLIMIT = 64

/** `inet6_ifaddr.flags` */
export const IFA_F_TENTATIVE = 0x40
export const IFA_F_PERMANENT = 0x80
/** `inet6_ifaddr.scope` */
export const IFA_HOST = IPV6_ADDR_LOOPBACK
export const IFA_LINK = IPV6_ADDR_LINKLOCAL
/** `inet6_ifaddr.ifa_proto`: the kernel's own, of the loopback device. */
export const IFAPROT_KERNEL_LO = 1
/** `inet6_dev.if_flags` */
export const IF_READY = 0x8000_0000
export const INFINITY_LIFE_TIME = 0xffff_ffff

/** Slots of `net.ipv6.inet6_addr_lst`, as a power of two. */
export const IN6_ADDR_HSIZE_SHIFT = 8

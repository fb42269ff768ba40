/** Links and addresses: include/uapi/linux/if*.h, include/linux/netdevice.h, include/uapi/linux/rtnetlink.h. */

export const IFNAMSIZ = 16
export const ETH_ALEN = 6
export const ETH_HLEN = 14
export const ETH_ZLEN = 60
export const ETH_P_IP = 0x0800
export const ETH_P_ARP = 0x0806
export const ETH_P_IPV6 = 0x86dd
export const ETH_P_ALL = 0x0003

export const ARPHRD_ETHER = 1
export const ARPHRD_LOOPBACK = 772

export const IFF_UP = 0x1
export const IFF_BROADCAST = 0x2
export const IFF_LOOPBACK = 0x8
export const IFF_RUNNING = 0x40
export const IFF_NOARP = 0x80
export const IFF_MULTICAST = 0x1000
export const IFF_LOWER_UP = 0x10000

export const IF_OPER_UNKNOWN = 0
export const IF_OPER_UP = 6
/** `net_device.state` bits */
export const __LINK_STATE_START = 1n << 0n
export const __LINK_STATE_PRESENT = 1n << 1n
export const NETREG_REGISTERED = 1

/** `skb.pkt_type` */
export const PACKET_HOST = 0
export const PACKET_BROADCAST = 1
export const PACKET_MULTICAST = 2
export const PACKET_OTHERHOST = 3

/** `skb.ip_summed` */
export const CHECKSUM_NONE = 0
export const CHECKSUM_UNNECESSARY = 1
export const CHECKSUM_COMPLETE = 2
export const CHECKSUM_PARTIAL = 3

export const RTN_UNICAST = 1
export const RTN_LOCAL = 2
export const RTN_BROADCAST = 3
export const RTN_MULTICAST = 5
export const RTCF_LOCAL = 0x8000_0000
export const RTCF_BROADCAST = 0x1000_0000
export const RTCF_MULTICAST = 0x2000_0000
export const RT_SCOPE_UNIVERSE = 0
export const RT_SCOPE_LINK = 253
export const RT_SCOPE_HOST = 254

/** `neighbour.nud_state`: include/uapi/linux/neighbour.h */
export const NUD_INCOMPLETE = 0x01
export const NUD_REACHABLE = 0x02
export const NUD_STALE = 0x04
export const NUD_DELAY = 0x08
export const NUD_PROBE = 0x10
export const NUD_FAILED = 0x20
export const NUD_NOARP = 0x40
export const NUD_PERMANENT = 0x80
export const NUD_VALID = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY

/** @see include/uapi/linux/netfilter.h, include/uapi/linux/netfilter_ipv4.h */

export const NF_DROP = 0
export const NF_ACCEPT = 1
export const NF_STOLEN = 2
export const NF_QUEUE = 3
export const NF_REPEAT = 4
/** Deprecated. */
export const NF_STOP = 5
export const NF_VERDICT_MASK = 0xff
/** With NF_QUEUE: go on when nobody takes from the queue. */
export const NF_VERDICT_FLAG_QUEUE_BYPASS = 0x8000
/** Bits of a verdict below an error number, or a queue's. */
export const NF_VERDICT_QBITS = 16

/** A drop that fails with `errno` (positive). */
export const NF_DROP_ERR = (errno: number): number => ((errno << NF_VERDICT_QBITS) | NF_DROP) >>> 0
/** 0, or the negative errno of a drop. */
export const NF_DROP_GETERR = (verdict: number): number => -(verdict >>> NF_VERDICT_QBITS)

export const NF_INET_PRE_ROUTING = 0
export const NF_INET_LOCAL_IN = 1
export const NF_INET_FORWARD = 2
export const NF_INET_LOCAL_OUT = 3
export const NF_INET_POST_ROUTING = 4
export const NF_INET_NUMHOOKS = 5
/** Places of the hooks, as they are called. */
export const NF_INET_NAMES: readonly string[] = [
  'PRE_ROUTING',
  'LOCAL_IN',
  'FORWARD',
  'LOCAL_OUT',
  'POST_ROUTING',
]

export const NFPROTO_UNSPEC = 0
export const NFPROTO_INET = 1
export const NFPROTO_IPV4 = 2
export const NFPROTO_ARP = 3
export const NFPROTO_NETDEV = 5
export const NFPROTO_BRIDGE = 7
export const NFPROTO_IPV6 = 10
/** Hooks of a protocol that `nf_hooks_needed` has room for. */
export const NF_MAX_HOOKS = 8

/** A hook's priority: those with smaller ones are asked first. */
export const NF_IP_PRI_FIRST = -0x8000_0000
export const NF_IP_PRI_RAW_BEFORE_DEFRAG = -450
export const NF_IP_PRI_CONNTRACK_DEFRAG = -400
export const NF_IP_PRI_RAW = -300
export const NF_IP_PRI_SELINUX_FIRST = -225
export const NF_IP_PRI_CONNTRACK = -200
export const NF_IP_PRI_MANGLE = -150
export const NF_IP_PRI_NAT_DST = -100
export const NF_IP_PRI_FILTER = 0
export const NF_IP_PRI_SECURITY = 50
export const NF_IP_PRI_NAT_SRC = 100
export const NF_IP_PRI_SELINUX_LAST = 225
export const NF_IP_PRI_CONNTRACK_HELPER = 300
export const NF_IP_PRI_CONNTRACK_CONFIRM = 0x7fff_ffff
export const NF_IP_PRI_LAST = 0x7fff_ffff

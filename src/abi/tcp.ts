/** TCP's constants. @see include/net/tcp.h, include/linux/tcp.h, include/uapi/linux/tcp.h, include/net/inet_connection_sock.h */

import { HZ } from './param.ts'

/** TCP flags as they lie in byte 13 of the header. */
export const TCPHDR_FIN = 0x01
export const TCPHDR_SYN = 0x02
export const TCPHDR_RST = 0x04
export const TCPHDR_PSH = 0x08
export const TCPHDR_ACK = 0x10
export const TCPHDR_URG = 0x20
export const TCPHDR_ECE = 0x40
export const TCPHDR_CWR = 0x80

export const TCPOPT_NOP = 1
export const TCPOPT_EOL = 0
export const TCPOPT_MSS = 2
export const TCPOPT_WINDOW = 3
export const TCPOPT_SACK_PERM = 4
export const TCPOPT_SACK = 5
export const TCPOPT_TIMESTAMP = 8
export const TCPOLEN_MSS = 4
export const TCPOLEN_WINDOW = 3
export const TCPOLEN_SACK_PERM = 2
export const TCPOLEN_TIMESTAMP = 10
export const TCPOLEN_TSTAMP_ALIGNED = 12
export const TCPOLEN_WSCALE_ALIGNED = 4
export const TCPOLEN_SACKPERM_ALIGNED = 4
export const TCPOLEN_MSS_ALIGNED = 4
export const TCPOLEN_SACK_BASE_ALIGNED = 4
export const TCPOLEN_SACK_PERBLOCK = 8
export const TCP_NUM_SACKS = 4

export const TCP_HEADER_LEN = 20
export const IP_HEADER_LEN = 20
/** MAX_TCP_HEADER: 128 bytes of options and IP, L2 and encapsulation in front. */
export const MAX_TCP_HEADER = 320
export const MAX_TCP_OPTION_SPACE = 40
export const TCP_MIN_SND_MSS = 48
export const TCP_MSS_DEFAULT = 536
export const TCP_MIN_MSS = 88
export const TCP_MAX_WSCALE = 14
export const MAX_TCP_WINDOW = 32767
export const TCP_INIT_CWND = 10
export const TCP_INFINITE_SSTHRESH = 0x7fff_ffff
export const TCP_MAX_QUICKACKS = 16
export const TCP_FASTRETRANS_THRESH = 3

/** Times in jiffies. */
export const TCP_TIMEOUT_INIT = HZ
export const TCP_TIMEOUT_FALLBACK = 3 * HZ
export const TCP_RTO_MAX = 120 * HZ
export const TCP_RTO_MIN = HZ / 5
export const TCP_TIMEOUT_MIN = 2
export const TCP_DELACK_MIN = HZ / 25
export const TCP_DELACK_MAX = HZ / 5
export const TCP_ATO_MIN = HZ / 25
export const TCP_RESOURCE_PROBE_INTERVAL = HZ / 2
export const TCP_TIMEWAIT_LEN = 60 * HZ
export const TCP_FIN_TIMEOUT = TCP_TIMEWAIT_LEN
export const TCP_FIN_TIMEOUT_MAX = 120 * HZ
export const TCP_PAWS_WINDOW = 1
export const TCP_PAWS_WRAP = 24 * 24 * 60 * 60
export const TCP_PAWS_MSL = 60

/** `icsk_pending` */
export const ICSK_TIME_RETRANS = 1
export const ICSK_TIME_DACK = 2
export const ICSK_TIME_PROBE0 = 3
export const ICSK_TIME_LOSS_PROBE = 5
export const ICSK_TIME_REO_TIMEOUT = 6

/** `icsk_ack.pending` */
export const ICSK_ACK_SCHED = 1
export const ICSK_ACK_TIMER = 2
export const ICSK_ACK_PUSHED = 4
export const ICSK_ACK_PUSHED2 = 8
export const ICSK_ACK_NOW = 16
export const ICSK_ACK_NOMEM = 32

/** `nonagle` */
export const TCP_NAGLE_OFF = 1
export const TCP_NAGLE_CORK = 2
export const TCP_NAGLE_PUSH = 4

/** `ecn_flags` */
export const TCP_ECN_OK = 1

/** `enum tcp_ca_state` */
export const TCP_CA_Open = 0
export const TCP_CA_Disorder = 1
export const TCP_CA_CWR = 2
export const TCP_CA_Recovery = 3
export const TCP_CA_Loss = 4

/** `enum tcp_ca_event` */
export const CA_EVENT_TX_START = 0
export const CA_EVENT_CWND_RESTART = 1
export const CA_EVENT_COMPLETE_CWR = 2
export const CA_EVENT_LOSS = 3

/** `TCP_SKB_CB(skb)->sacked` */
export const TCPCB_SACKED_ACKED = 0x01
export const TCPCB_SACKED_RETRANS = 0x02
export const TCPCB_LOST = 0x04
export const TCPCB_TAGBITS = 0x07
export const TCPCB_REPAIRED = 0x10
export const TCPCB_EVER_RETRANS = 0x80
export const TCPCB_RETRANS = 0x92

/** Socket options at level SOL_TCP. */
export const TCP_NODELAY = 1
export const TCP_MAXSEG = 2
export const TCP_CORK = 3
export const TCP_KEEPIDLE = 4
export const TCP_KEEPINTVL = 5
export const TCP_KEEPCNT = 6
export const TCP_SYNCNT = 7
export const TCP_LINGER2 = 8
export const TCP_DEFER_ACCEPT = 9
export const TCP_WINDOW_CLAMP = 10
export const TCP_INFO = 11
export const TCP_QUICKACK = 12
export const TCP_CONGESTION = 13
export const TCP_USER_TIMEOUT = 18

/** `sk_tsq_flags`: bit numbers of work put off until the socket is released. */
export const TSQ_THROTTLED = 0
export const TSQ_QUEUED = 1
export const TCP_TSQ_DEFERRED = 2
export const TCP_WRITE_TIMER_DEFERRED = 3
export const TCP_DELACK_TIMER_DEFERRED = 4
export const TCP_MTU_REDUCED_DEFERRED = 5
export const TCP_ACK_DEFERRED = 6

/** What tcp_timewait_state_process() decides. */
export const TCP_TW_SUCCESS = 0
export const TCP_TW_RST = 1
export const TCP_TW_ACK = 2
export const TCP_TW_SYN = 3

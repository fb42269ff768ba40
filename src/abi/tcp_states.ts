/** States of a TCP socket: `sk_state`. @see include/net/tcp_states.h */

export const TCP_ESTABLISHED = 1
export const TCP_SYN_SENT = 2
export const TCP_SYN_RECV = 3
export const TCP_FIN_WAIT1 = 4
export const TCP_FIN_WAIT2 = 5
export const TCP_TIME_WAIT = 6
export const TCP_CLOSE = 7
export const TCP_CLOSE_WAIT = 8
export const TCP_LAST_ACK = 9
export const TCP_LISTEN = 10
export const TCP_CLOSING = 11
/** A request_sock in the established hash. */
export const TCP_NEW_SYN_RECV = 12

/** Bit set of states, for tests against several at once. */
export const TCPF_ESTABLISHED = 1 << TCP_ESTABLISHED
export const TCPF_SYN_SENT = 1 << TCP_SYN_SENT
export const TCPF_SYN_RECV = 1 << TCP_SYN_RECV
export const TCPF_FIN_WAIT1 = 1 << TCP_FIN_WAIT1
export const TCPF_FIN_WAIT2 = 1 << TCP_FIN_WAIT2
export const TCPF_TIME_WAIT = 1 << TCP_TIME_WAIT
export const TCPF_CLOSE = 1 << TCP_CLOSE
export const TCPF_CLOSE_WAIT = 1 << TCP_CLOSE_WAIT
export const TCPF_LAST_ACK = 1 << TCP_LAST_ACK
export const TCPF_LISTEN = 1 << TCP_LISTEN
export const TCPF_CLOSING = 1 << TCP_CLOSING
export const TCPF_NEW_SYN_RECV = 1 << TCP_NEW_SYN_RECV

/** Names as the kernel's enumerators have them, by value. */
export const TCP_STATE_NAMES: readonly string[] = [
  '',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
  'NEW_SYN_RECV',
]

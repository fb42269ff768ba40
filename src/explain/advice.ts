/** What a hook on this path should compare, and why. */

import { inet_end_text, type InetAddresses } from '../helpers/sock.ts'
import type { Side, SockKindName } from './facts.ts'

/** Sentences for the author of a module: empty where nothing can be compared. */
export function adviceFor(
  kind: SockKindName,
  sides: { readonly local: Side; readonly remote: Side },
  ends: InetAddresses | undefined,
): string[] {
  if (kind === 'unix')
    return ['an address comparison never matches here: return early unless sk_family is AF_INET or AF_INET6']
  if (ends === undefined) return []
  if (kind === 'listener') {
    return [
      'a listener has no peer: skc_daddr is 0. A hook that must know the peer has to look at the accepted child (sock_graft, socket_recvmsg) or at the request_sock (inet_conn_request: ir_rmt_addr)',
    ]
  }
  if (kind === 'request' || kind === 'timewait') {
    return [
      `only struct ${kind === 'request' ? 'request_sock' : 'inet_timewait_sock'} lies here: test sk_state before touching any member behind offsetof(struct sock, sk_rx_dst)`,
    ]
  }
  if (kind === 'udp' && sides.remote === 'none') {
    return [
      'inet_daddr is 0 while the socket is not connected: a recvmsg hook that compares it never matches. The sender is in the packet (ip_hdr(skb)->saddr), seen by socket_sock_rcv_skb or netfilter',
    ]
  }
  const member = ends.family === 10 ? 'sk->sk_v6_daddr' : 'inet_sk(sk)->inet_daddr'
  const own = ends.family === 10 ? 'sk_v6_rcv_saddr' : 'inet_saddr'
  return [
    `to match the peer (${inet_end_text(ends.remote)}) compare ${member}, in network order: "daddr" is the destination of what this sock sends, which is the foreign end`,
    `${own} is the source of what this sock sends: this machine's own address (${ends.local.addr}), whoever the data comes from`,
    `in socket_recvmsg msg->msg_name is not filled yet; the sock is the only place the peer stands in`,
  ]
}

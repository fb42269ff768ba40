/** The same address as another struct: a socket's layers lie one in another. @see include/linux/tcp.h:tcp_sk */

import type { Va } from '../../../base/addr.ts'
import type { StructRef } from '../../../btf/ref.ts'
import type {
  inet_connection_sock,
  inet_request_sock,
  inet_sock,
  inet_timewait_sock,
  iphdr,
  ipv6_pinfo,
  request_sock,
  sk_buff,
  sock,
  tcp_request_sock,
  tcp_skb_cb,
  tcp_sock,
  tcp_timewait_sock,
  tcphdr,
} from '../../../btf/vmlinux.ts'
import type { Kernel } from '../../kernel.ts'
import { skb_network_header, skb_transport_header } from '../../net/core/skbuff.ts'

type At = StructRef | Va

export const to_sock = (k: Kernel, sk: At): sock => k.ref('sock', sk)
export const inet_sk = (k: Kernel, sk: At): inet_sock => k.ref('inet_sock', sk)
export const inet_csk = (k: Kernel, sk: At): inet_connection_sock => k.ref('inet_connection_sock', sk)
export const tcp_sk = (k: Kernel, sk: At): tcp_sock => k.ref('tcp_sock', sk)
export const inet6_sk = (k: Kernel, sk: At): ipv6_pinfo | null => inet_sk(k, sk).pinet6
export const inet_reqsk = (k: Kernel, sk: At): request_sock => k.ref('request_sock', sk)
export const req_to_sk = (k: Kernel, req: At): sock => k.ref('sock', req)
export const inet_rsk = (k: Kernel, sk: At): inet_request_sock => k.ref('inet_request_sock', sk)
export const tcp_rsk = (k: Kernel, sk: At): tcp_request_sock => k.ref('tcp_request_sock', sk)
export const inet_twsk = (k: Kernel, sk: At): inet_timewait_sock => k.ref('inet_timewait_sock', sk)
export const tcp_twsk = (k: Kernel, sk: At): tcp_timewait_sock => k.ref('tcp_timewait_sock', sk)

export const tcp_hdr = (k: Kernel, skb: sk_buff): tcphdr => k.ref('tcphdr', skb_transport_header(k, skb))
export const ip_hdr = (k: Kernel, skb: sk_buff): iphdr => k.ref('iphdr', skb_network_header(k, skb))
/** TCP's private bytes of a packet. */
export const TCP_SKB_CB = (k: Kernel, skb: sk_buff): tcp_skb_cb =>
  k.ref('tcp_skb_cb', skb.$va + skb.$offsetof('cb'))
/** Byte 13 of the header: all flags at once. */
export const tcp_flag_byte = (th: tcphdr): number => th.$mem.u8(th.$va + 13)

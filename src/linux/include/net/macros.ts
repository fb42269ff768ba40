/**
 * The preprocessor names of socket members (`sk_state` is `__sk_common.skc_state`), given to typed references so that
 * a function reads as the kernel's does and the write journal sees the true member.
 */

import type { StructRef } from '../../../btf/ref.ts'
import type { Types } from '../../../btf/types.ts'
import type {
  atomic64_t,
  hlist_node,
  hlist_nulls_node,
  in6_addr,
  inet_timewait_death_row,
  net,
  proto,
  refcount_struct,
} from '../../../btf/vmlinux.ts'
import type { Sourced } from '../../../memory/memory.ts'

type Int = number | Sourced
type Long = bigint | Sourced
type Ptr = StructRef | bigint | Sourced | null
type Body = StructRef | Uint8Array

/** Macro to member path, by struct. */
const MACROS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  sock: {
    sk_addrpair: '__sk_common.skc_addrpair',
    sk_daddr: '__sk_common.skc_daddr',
    sk_rcv_saddr: '__sk_common.skc_rcv_saddr',
    sk_hash: '__sk_common.skc_hash',
    sk_portpair: '__sk_common.skc_portpair',
    sk_dport: '__sk_common.skc_dport',
    sk_num: '__sk_common.skc_num',
    sk_family: '__sk_common.skc_family',
    sk_state: '__sk_common.skc_state',
    sk_reuse: '__sk_common.skc_reuse',
    sk_reuseport: '__sk_common.skc_reuseport',
    sk_ipv6only: '__sk_common.skc_ipv6only',
    sk_net_refcnt: '__sk_common.skc_net_refcnt',
    sk_bound_dev_if: '__sk_common.skc_bound_dev_if',
    sk_bind_node: '__sk_common.skc_bind_node',
    sk_prot: '__sk_common.skc_prot',
    sk_net: '__sk_common.skc_net.net',
    sk_v6_daddr: '__sk_common.skc_v6_daddr',
    sk_v6_rcv_saddr: '__sk_common.skc_v6_rcv_saddr',
    sk_cookie: '__sk_common.skc_cookie',
    sk_flags: '__sk_common.skc_flags',
    sk_node: '__sk_common.skc_node',
    sk_nulls_node: '__sk_common.skc_nulls_node',
    sk_tx_queue_mapping: '__sk_common.skc_tx_queue_mapping',
    sk_rx_queue_mapping: '__sk_common.skc_rx_queue_mapping',
    sk_incoming_cpu: '__sk_common.skc_incoming_cpu',
    sk_refcnt: '__sk_common.skc_refcnt',
    sk_rxhash: '__sk_common.skc_rxhash',
  },
  inet_sock: {
    inet_daddr: 'sk.__sk_common.skc_daddr',
    inet_rcv_saddr: 'sk.__sk_common.skc_rcv_saddr',
    inet_dport: 'sk.__sk_common.skc_dport',
    inet_num: 'sk.__sk_common.skc_num',
  },
  request_sock: {
    rsk_refcnt: '__req_common.skc_refcnt',
    rsk_hash: '__req_common.skc_hash',
    rsk_listener: '__req_common.skc_listener',
    rsk_window_clamp: '__req_common.skc_window_clamp',
    rsk_rcv_wnd: '__req_common.skc_rcv_wnd',
  },
  inet_request_sock: {
    ir_loc_addr: 'req.__req_common.skc_rcv_saddr',
    ir_rmt_addr: 'req.__req_common.skc_daddr',
    ir_num: 'req.__req_common.skc_num',
    ir_rmt_port: 'req.__req_common.skc_dport',
    ir_v6_rmt_addr: 'req.__req_common.skc_v6_daddr',
    ir_v6_loc_addr: 'req.__req_common.skc_v6_rcv_saddr',
    ir_iif: 'req.__req_common.skc_bound_dev_if',
    ir_cookie: 'req.__req_common.skc_cookie',
    ireq_net: 'req.__req_common.skc_net.net',
    ireq_state: 'req.__req_common.skc_state',
    ireq_family: 'req.__req_common.skc_family',
  },
  inet_timewait_sock: {
    tw_family: '__tw_common.skc_family',
    tw_state: '__tw_common.skc_state',
    tw_reuse: '__tw_common.skc_reuse',
    tw_reuseport: '__tw_common.skc_reuseport',
    tw_ipv6only: '__tw_common.skc_ipv6only',
    tw_bound_dev_if: '__tw_common.skc_bound_dev_if',
    tw_node: '__tw_common.skc_nulls_node',
    tw_bind_node: '__tw_common.skc_bind_node',
    tw_refcnt: '__tw_common.skc_refcnt',
    tw_hash: '__tw_common.skc_hash',
    tw_prot: '__tw_common.skc_prot',
    tw_net: '__tw_common.skc_net.net',
    tw_daddr: '__tw_common.skc_daddr',
    tw_v6_daddr: '__tw_common.skc_v6_daddr',
    tw_rcv_saddr: '__tw_common.skc_rcv_saddr',
    tw_v6_rcv_saddr: '__tw_common.skc_v6_rcv_saddr',
    tw_dport: '__tw_common.skc_dport',
    tw_num: '__tw_common.skc_num',
    tw_cookie: '__tw_common.skc_cookie',
    tw_dr: '__tw_common.skc_tw_dr',
  },
  tcp_timewait_sock: {
    tw_rcv_nxt: 'tw_sk.__tw_common.skc_tw_rcv_nxt',
    tw_snd_nxt: 'tw_sk.__tw_common.skc_tw_snd_nxt',
  },
}

/**
 * Make the macros members of the structs' references. Once for a kernel's types, before sockets exist.
 * @remarks the inspector's types have the members of BTF alone, as crash's have
 */
export function socketMacros(types: Types): void {
  for (const [struct, names] of Object.entries(MACROS)) types.alias(struct, names)
}

declare module '../../../btf/vmlinux.ts' {
  /** `struct sock` @see include/net/sock.h */
  interface sock {
    get sk_addrpair(): bigint
    set sk_addrpair(value: Long)
    get sk_daddr(): number
    set sk_daddr(value: Int)
    get sk_rcv_saddr(): number
    set sk_rcv_saddr(value: Int)
    get sk_hash(): number
    set sk_hash(value: Int)
    get sk_portpair(): number
    set sk_portpair(value: Int)
    get sk_dport(): number
    set sk_dport(value: Int)
    get sk_num(): number
    set sk_num(value: Int)
    get sk_family(): number
    set sk_family(value: Int)
    get sk_state(): number
    set sk_state(value: Int)
    get sk_reuse(): number
    set sk_reuse(value: Int)
    get sk_reuseport(): number
    set sk_reuseport(value: Int)
    get sk_ipv6only(): number
    set sk_ipv6only(value: Int)
    get sk_net_refcnt(): number
    set sk_net_refcnt(value: Int)
    get sk_bound_dev_if(): number
    set sk_bound_dev_if(value: Int)
    get sk_bind_node(): hlist_node
    set sk_bind_node(value: Body)
    get sk_prot(): proto | null
    set sk_prot(value: Ptr)
    get sk_net(): net | null
    set sk_net(value: Ptr)
    get sk_v6_daddr(): in6_addr
    set sk_v6_daddr(value: Body)
    get sk_v6_rcv_saddr(): in6_addr
    set sk_v6_rcv_saddr(value: Body)
    get sk_cookie(): atomic64_t
    set sk_cookie(value: Body)
    get sk_flags(): bigint
    set sk_flags(value: Long)
    get sk_node(): hlist_node
    set sk_node(value: Body)
    get sk_nulls_node(): hlist_nulls_node
    set sk_nulls_node(value: Body)
    get sk_tx_queue_mapping(): number
    set sk_tx_queue_mapping(value: Int)
    get sk_rx_queue_mapping(): number
    set sk_rx_queue_mapping(value: Int)
    get sk_incoming_cpu(): number
    set sk_incoming_cpu(value: Int)
    get sk_refcnt(): refcount_struct
    set sk_refcnt(value: Body)
    get sk_rxhash(): number
    set sk_rxhash(value: Int)
  }
  /** `struct inet_sock` @see include/net/inet_sock.h */
  interface inet_sock {
    get inet_daddr(): number
    set inet_daddr(value: Int)
    get inet_rcv_saddr(): number
    set inet_rcv_saddr(value: Int)
    get inet_dport(): number
    set inet_dport(value: Int)
    get inet_num(): number
    set inet_num(value: Int)
  }
  /** `struct request_sock` @see include/net/request_sock.h */
  interface request_sock {
    get rsk_refcnt(): refcount_struct
    set rsk_refcnt(value: Body)
    get rsk_hash(): number
    set rsk_hash(value: Int)
    get rsk_listener(): sock | null
    set rsk_listener(value: Ptr)
    get rsk_window_clamp(): number
    set rsk_window_clamp(value: Int)
    get rsk_rcv_wnd(): number
    set rsk_rcv_wnd(value: Int)
  }
  /** `struct inet_request_sock` @see include/net/inet_sock.h */
  interface inet_request_sock {
    get ir_loc_addr(): number
    set ir_loc_addr(value: Int)
    get ir_rmt_addr(): number
    set ir_rmt_addr(value: Int)
    get ir_num(): number
    set ir_num(value: Int)
    get ir_rmt_port(): number
    set ir_rmt_port(value: Int)
    get ir_v6_rmt_addr(): in6_addr
    set ir_v6_rmt_addr(value: Body)
    get ir_v6_loc_addr(): in6_addr
    set ir_v6_loc_addr(value: Body)
    get ir_iif(): number
    set ir_iif(value: Int)
    get ir_cookie(): atomic64_t
    set ir_cookie(value: Body)
    get ireq_net(): net | null
    set ireq_net(value: Ptr)
    get ireq_state(): number
    set ireq_state(value: Int)
    get ireq_family(): number
    set ireq_family(value: Int)
  }
  /** `struct inet_timewait_sock` @see include/net/inet_timewait_sock.h */
  interface inet_timewait_sock {
    get tw_family(): number
    set tw_family(value: Int)
    get tw_state(): number
    set tw_state(value: Int)
    get tw_reuse(): number
    set tw_reuse(value: Int)
    get tw_reuseport(): number
    set tw_reuseport(value: Int)
    get tw_ipv6only(): number
    set tw_ipv6only(value: Int)
    get tw_bound_dev_if(): number
    set tw_bound_dev_if(value: Int)
    get tw_node(): hlist_nulls_node
    set tw_node(value: Body)
    get tw_bind_node(): hlist_node
    set tw_bind_node(value: Body)
    get tw_refcnt(): refcount_struct
    set tw_refcnt(value: Body)
    get tw_hash(): number
    set tw_hash(value: Int)
    get tw_prot(): proto | null
    set tw_prot(value: Ptr)
    get tw_net(): net | null
    set tw_net(value: Ptr)
    get tw_daddr(): number
    set tw_daddr(value: Int)
    get tw_v6_daddr(): in6_addr
    set tw_v6_daddr(value: Body)
    get tw_rcv_saddr(): number
    set tw_rcv_saddr(value: Int)
    get tw_v6_rcv_saddr(): in6_addr
    set tw_v6_rcv_saddr(value: Body)
    get tw_dport(): number
    set tw_dport(value: Int)
    get tw_num(): number
    set tw_num(value: Int)
    get tw_cookie(): atomic64_t
    set tw_cookie(value: Body)
    get tw_dr(): inet_timewait_death_row | null
    set tw_dr(value: Ptr)
  }
  /** `struct tcp_timewait_sock` @see include/linux/tcp.h */
  interface tcp_timewait_sock {
    get tw_rcv_nxt(): number
    set tw_rcv_nxt(value: Int)
    get tw_snd_nxt(): number
    set tw_snd_nxt(value: Int)
  }
}

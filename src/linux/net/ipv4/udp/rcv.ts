/** A datagram arrives: its sock's receive queue, or an answer that nobody is there. */

import { ntohs } from '../../../../base/u32.ts'
import type { iphdr, sk_buff, sk_buff_head, sock } from '../../../../btf/vmlinux.ts'
import { EHOSTUNREACH, EMSGSIZE, ENOMEM, EPROTO } from '../../../../abi/errno.ts'
import { CHECKSUM_NONE, CHECKSUM_PARTIAL, RTCF_BROADCAST, RTCF_MULTICAST } from '../../../../abi/if.ts'
import { IPPROTO_UDP, IP_PMTUDISC_DONT } from '../../../../abi/in.ts'
import { PAGE_SIZE } from '../../../../abi/page.ts'
import { SK_MEM_RECV, SOCK_DEAD } from '../../../../abi/sock.ts'
import { TCP_ESTABLISHED } from '../../../../abi/tcp_states.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import {
  sk_incoming_cpu_update,
  sk_mark_napi_id,
  sock_flag,
  sock_rps_save_rxhash,
} from '../../../include/net/sock.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { atomic_add, atomic_inc } from '../../../lib/refcount.ts'
import { security_sock_rcv_skb } from '../../../security/security.ts'
import { dst_hold, dst_release } from '../../core/dst.ts'
import {
  __sk_mem_raise_allocated,
  sk_data_ready,
  sk_error_report,
  sk_mem_pages,
  sock_put,
} from '../../core/sock.ts'
import {
  __skb_queue_tail,
  ip_hdr,
  kfree_skb,
  skb_clone,
  skb_data,
  skb_dst,
  skb_dst_drop,
  skb_pull,
  skb_transport_header,
  skb_trim,
} from '../../core/skbuff.ts'
import { csum_fold, csum_partial, csum_tcpudp_nofold } from '../checksum.ts'
import { ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, icmp_send } from '../icmp.ts'
import { FRAG_NEEDED, icmp_err_convert } from '../icmp/convert.ts'
import { sock_efree, udp_ends, __udp4_lib_lookup, type UdpEnds } from './lookup.ts'
import { udp_for_each, udp_hashslot, udp_port_hash } from './table.ts'

const FILE = 'net/ipv4/udp.c'
const HEADER = 8
/** The packet holds nothing but its data: it is freed without a look at the rest. */
const UDP_SKB_IS_STATELESS = 0x8000_0000
const ICMP_PARAMETERPROB = 12
const ICMP_SOURCE_QUENCH = 4
const ICMP_REDIRECT = 5

export const udp_reader_queue = (k: Kernel, sk: sock): sk_buff_head => k.ref('udp_sock', sk).reader_queue

/**
 * What a reader needs of the packet, in the place of its device: size, length, whether it is whole and summed.
 * @see net/ipv4/udp.c:udp_set_dev_scratch
 */
function udp_set_dev_scratch(k: Kernel, skb: sk_buff): void {
  const at = skb.$vaOf('dev_scratch')
  const state = skb._skb_refdst === 0n ? UDP_SKB_IS_STATELESS : 0
  k.mem.setU32(at, (skb.truesize | state) >>> 0)
  // a word of 32 bits has no room for more
  if (k.mem.wordSize === 4) return
  // len, is_linear, csum_unnecessary
  k.mem.setU16(at + 4, skb.len)
  k.mem.setU8(at + 6, 1)
  k.mem.setU8(at + 7, skb.ip_summed !== CHECKSUM_NONE || skb.csum_valid === 1 ? 1 : 0)
}

/** Sizes {@link udp_set_dev_scratch} left. */
export const udp_skb_truesize = (k: Kernel, skb: sk_buff): number =>
  k.mem.u32(skb.$vaOf('dev_scratch')) & ~UDP_SKB_IS_STATELESS
export const udp_skb_len = (k: Kernel, skb: sk_buff): number =>
  k.mem.wordSize === 4 ? skb.len : k.mem.u16(skb.$vaOf('dev_scratch') + 4)

/**
 * Charge a datagram to its sock and queue it; the reader is told.
 * @returns 0, or -ENOMEM when the receive buffer is full: the sock counts a drop
 * @see net/ipv4/udp.c:__udp_enqueue_schedule_skb
 */
export const __udp_enqueue_schedule_skb = kfunc(
  FILE,
  function __udp_enqueue_schedule_skb(k, sk: sock, skb: sk_buff): number {
    const { rmem_alloc } = sk.sk_backlog
    const size = skb.truesize
    const drop = (): number => {
      atomic_inc(sk.sk_drops)
      return -ENOMEM
    }
    if (rmem_alloc.counter > sk.sk_rcvbuf) return drop()
    udp_set_dev_scratch(k, skb)
    atomic_add(size, rmem_alloc)
    if (rmem_alloc.counter > size + sk.sk_rcvbuf) {
      atomic_add(-size, rmem_alloc)
      return drop()
    }
    if (size >= sk.sk_forward_alloc) {
      const pages = sk_mem_pages(size)
      __sk_mem_raise_allocated(k, sk, pages * PAGE_SIZE, pages, SK_MEM_RECV)
      sk.sk_forward_alloc = sk.sk_forward_alloc + pages * PAGE_SIZE
    }
    sk.sk_forward_alloc = sk.sk_forward_alloc - size
    __skb_queue_tail(k, sk.sk_receive_queue, skb)
    if (!sock_flag(sk, SOCK_DEAD)) sk_data_ready(k, sk)
    return 0
  },
)

/** @see net/ipv4/udp.c:__udp_queue_rcv_skb */
function __udp_queue_rcv_skb(k: Kernel, sk: sock, skb: sk_buff): number {
  if (inet_sk(k, sk).inet_daddr !== 0) {
    sock_rps_save_rxhash(sk, skb)
    sk_mark_napi_id(sk, skb)
    sk_incoming_cpu_update(k, sk)
  } else if (sk.sk_napi_id === 0) sk.sk_napi_id = skb.napi_id
  if (__udp_enqueue_schedule_skb(k, sk, skb) === 0) return 0
  kfree_skb(k, skb)
  return -1
}

/** @returns 0, or -1 when it was dropped @see net/ipv4/udp.c:udp_queue_rcv_one_skb */
const udp_queue_rcv_one_skb = kfunc(FILE, function udp_queue_rcv_one_skb(k, sk: sock, skb: sk_buff): number {
  if (security_sock_rcv_skb(k, sk, skb) !== 0) {
    atomic_inc(sk.sk_drops)
    kfree_skb(k, skb)
    return -1
  }
  skb_pull(k, skb, HEADER)
  const cb = k.ref('udp_skb_cb', skb.$vaOf('cb'))
  cb.cscov = cb.cscov - HEADER
  // nobody asked for the interface: the reader needs no route either
  k.mem.fill(skb.$vaOf('cb'), 0, 12)
  skb_dst_drop(k, skb)
  return __udp_queue_rcv_skb(k, sk, skb)
})

/** @see net/ipv4/udp.c:udp_queue_rcv_skb */
const udp_queue_rcv_skb = kfunc(
  FILE,
  function udp_queue_rcv_skb(k, sk: sock, skb: sk_buff): number {
    return udp_queue_rcv_one_skb(k, sk, skb)
  },
  { sibling: true },
)

/** @see net/ipv4/udp.c:udp_unicast_rcv_skb */
const udp_unicast_rcv_skb = kfunc(FILE, function udp_unicast_rcv_skb(k, sk: sock, skb: sk_buff): number {
  const ret = udp_queue_rcv_skb(k, sk, skb)
  return ret > 0 ? -ret : 0
})

/** Is the packet's sum right, or was it checked already? */
function sound(k: Kernel, skb: sk_buff, iph: iphdr): boolean {
  const at = skb_transport_header(k, skb)
  if (skb.ip_summed === CHECKSUM_PARTIAL) {
    // it never left the machine: its sum is right once somebody fills it in
    skb.ip_summed = CHECKSUM_NONE
    skb.csum_valid = 1
    return true
  }
  if (skb.ip_summed !== CHECKSUM_NONE || k.mem.u16(at + 6) === 0) return true
  const pseudo = csum_tcpudp_nofold(iph.saddr, iph.daddr, skb.len, IPPROTO_UDP)
  return csum_fold(csum_partial(k.mem.read(at, skb.len), pseudo)) === 0
}

/** To every sock of the port that wants it. @see net/ipv4/udp.c:__udp4_lib_mcast_deliver */
const __udp4_lib_mcast_deliver = kfunc(
  FILE,
  function __udp4_lib_mcast_deliver(k, skb: sk_buff, ends: UdpEnds): number {
    const wants = (sk: sock): boolean =>
      udp_port_hash(k, sk) === ends.hnum &&
      (sk.sk_rcv_saddr === 0 || sk.sk_rcv_saddr === ends.daddr) &&
      (sk.sk_daddr === 0 || (sk.sk_daddr === ends.saddr && sk.sk_dport === ends.sport)) &&
      (sk.sk_bound_dev_if === 0 || sk.sk_bound_dev_if === ends.dif)
    const all = [...udp_for_each(k, udp_hashslot(k, ends.hnum), 'node')].filter(wants)
    const [first, ...others] = all
    for (const sk of others) udp_queue_rcv_skb(k, sk, skb_clone(k, skb))
    if (first === undefined) kfree_skb(k, skb)
    else udp_queue_rcv_skb(k, first, skb)
    return 0
  },
)

/** The sock early demultiplexing found. @see include/net/sock.h:skb_steal_sock */
function skb_steal_sock(k: Kernel, skb: sk_buff): sock | null {
  const { sk } = skb
  if (sk === null || skb.destructor !== k.text(sock_efree)) return null
  skb.destructor = 0n
  skb.sk = null
  return sk
}

/** The route a connected sock gets its packets by. @see net/ipv4/udp.c:udp_sk_rx_dst_set */
function udp_sk_rx_dst_set(k: Kernel, sk: sock, skb: sk_buff): void {
  const dst = skb_dst(k, skb)
  const old = sk.sk_rx_dst
  if (dst === null || old?.$va === dst.$va) return
  dst_hold(dst)
  sk.sk_rx_dst = dst
  sk.sk_rx_dst_ifindex = skb.skb_iif
  if (old !== null) dst_release(k, old)
}

/**
 * @param skb `data` at the UDP header
 * @returns 0
 * @see net/ipv4/udp.c:__udp4_lib_rcv
 */
export const __udp4_lib_rcv = kfunc(FILE, function __udp4_lib_rcv(k, skb: sk_buff): number {
  const drop = (): number => {
    kfree_skb(k, skb)
    return 0
  }
  if (skb.len < HEADER) return drop()
  const uh = k.ref('udphdr', skb_transport_header(k, skb))
  const iph = ip_hdr(k, skb)
  const ulen = ntohs(uh.len)
  if (ulen > skb.len || ulen < HEADER) return drop()
  skb_trim(k, skb, ulen)
  const cb = k.ref('udp_skb_cb', skb.$vaOf('cb'))
  cb.partial_cov = 0
  cb.cscov = skb.len
  if (!sound(k, skb, iph)) return drop()
  const known = skb_steal_sock(k, skb)
  if (known !== null) {
    udp_sk_rx_dst_set(k, known, skb)
    const ret = udp_unicast_rcv_skb(k, known, skb)
    sock_put(k, known)
    return ret
  }
  const ends = udp_ends(k, skb)
  const dst = skb_dst(k, skb)
  const many = dst !== null && (k.ref('rtable', dst).rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0
  if (many) return __udp4_lib_mcast_deliver(k, skb, ends)
  const sk = __udp4_lib_lookup(k, ends)
  if (sk !== null) return udp_unicast_rcv_skb(k, sk, skb)
  icmp_send(k, skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH)
  return drop()
})

/** `udp_protocol.handler` @see net/ipv4/udp.c:udp_rcv */
export const udp_rcv = kfunc(
  FILE,
  function udp_rcv(k, skb: sk_buff): number {
    return __udp4_lib_rcv(k, skb)
  },
  { sibling: true },
)

/** What an ICMP message means to the sender. @returns undefined when nothing */
function meaning(
  k: Kernel,
  sk: sock,
  type: number,
  code: number,
): { err: number; hard: boolean } | undefined {
  switch (type) {
    case ICMP_SOURCE_QUENCH:
    case ICMP_REDIRECT:
      return undefined
    case ICMP_PARAMETERPROB:
      return { err: EPROTO, hard: true }
    case ICMP_DEST_UNREACH: {
      if (code === FRAG_NEEDED) {
        return inet_sk(k, sk).pmtudisc === IP_PMTUDISC_DONT ? undefined : { err: EMSGSIZE, hard: true }
      }
      const known = icmp_err_convert[code]
      return known === undefined
        ? { err: EHOSTUNREACH, hard: false }
        : { err: known.errno, hard: known.fatal }
    }
    default:
      return { err: EHOSTUNREACH, hard: false }
  }
}

/**
 * An ICMP message about a datagram of ours: a connected sock's next call fails with what it says.
 *
 * @param skb  `data` at the IP header of the datagram that is quoted
 * @param type,code of the message
 * @returns 0
 * @see net/ipv4/udp.c:__udp4_lib_err
 */
export const __udp4_lib_err = kfunc(
  FILE,
  function __udp4_lib_err(k, skb: sk_buff, type: number, code: number): number {
    const iph = k.ref('iphdr', skb_data(k, skb))
    const uh = k.ref('udphdr', skb_data(k, skb) + iph.ihl * 4)
    // the quoted packet went out: its source is this end
    const ends = {
      saddr: iph.daddr,
      sport: uh.dest,
      daddr: iph.saddr,
      hnum: ntohs(uh.source),
      dif: skb.skb_iif,
    }
    const sk = __udp4_lib_lookup(k, ends)
    if (sk === null) return 0
    const what = meaning(k, sk, type, code)
    if (what === undefined) return 0
    if (inet_sk(k, sk).recverr === 0 && (!what.hard || sk.sk_state !== TCP_ESTABLISHED)) return 0
    sk.sk_err = what.err
    sk_error_report(k, sk)
    return 0
  },
)

/** `udp_protocol.err_handler` @see net/ipv4/udp.c:udp_err */
export const udp_err = kfunc(
  FILE,
  function udp_err(k, skb: sk_buff, type: number, code: number): number {
    return __udp4_lib_err(k, skb, type, code)
  },
  { sibling: true },
)

/** What include/net/sock.h inlines: flags, references, the socket's links, sizes of queues and lookups of casts. */

import { toVa, type Va } from '../../../base/addr.ts'
import { from, type StructRef } from '../../../btf/ref.ts'
import type { net, sk_buff, sock, socket, proto } from '../../../btf/vmlinux.ts'
import type { Sourced } from '../../../memory/memory.ts'
import { isForever } from '../../../abi/jiffies.ts'
import { NO_QUEUE_MAPPING, SOCK_DEAD, SK_CAN_REUSE, SK_NO_REUSE } from '../../../abi/sock.ts'
import { AF_INET6 } from '../../../abi/socket.ts'
import { TCPF_NEW_SYN_RECV, TCPF_TIME_WAIT, TCPF_LISTEN } from '../../../abi/tcp_states.ts'
import { INIT_HLIST_NODE, hlist_add_head, hlist_del, hlist_unhashed } from '../../../structures/hlist.ts'
import type { Kernel } from '../../kernel.ts'
import { deref } from '../../deref.ts'
import { atomic_add, refcount_dec_and_test, refcount_inc, refcount_read } from '../../lib/refcount.ts'
import './macros.ts'

/** Any pointer that may be followed to a socket. */
export type SockPtr = StructRef | Va

// ---- flags

/** Address of the 32-bit half of `sk_flags` that holds a flag. */
const flagWord = (sk: sock, flag: number): Va => sk.$va + sk.$offsetof('sk_flags') + (flag >= 32 ? 4 : 0)

export function sock_flag(sk: sock, flag: number): boolean {
  return ((sk.$mem.u32(flagWord(sk, flag)) >>> (flag & 31)) & 1) === 1
}

export function sock_set_flag(k: Kernel, sk: sock, flag: number): void {
  const word = flagWord(sk, flag)
  k.mem.setU32(word, (k.mem.u32(word) | (1 << (flag & 31))) >>> 0)
}

export function sock_reset_flag(k: Kernel, sk: sock, flag: number): void {
  const word = flagWord(sk, flag)
  k.mem.setU32(word, (k.mem.u32(word) & ~(1 << (flag & 31))) >>> 0)
}

export function sock_valbool_flag(k: Kernel, sk: sock, flag: number, on: boolean): void {
  if (on) sock_set_flag(k, sk, flag)
  else sock_reset_flag(k, sk, flag)
}

// ---- names and relatives

export const sock_net = (sk: sock): net => deref(sk.sk_net)

export const sk_prot = (sk: sock): proto => deref(sk.sk_prot)

/** Not a request_sock and not a TIME_WAIT stub: members beyond sock_common exist. */
export const sk_fullsock = (sk: sock): boolean =>
  ((1 << sk.sk_state) & ~(TCPF_TIME_WAIT | TCPF_NEW_SYN_RECV)) !== 0

export const sk_listener = (sk: sock): boolean =>
  ((1 << sk.sk_state) & (TCPF_LISTEN | TCPF_NEW_SYN_RECV)) !== 0

export const sock_owned_by_user = (sk: sock): boolean => sk.sk_lock.owned !== 0

/** The local address, also as the IPv4-mapped address that IPv6 lookups compare. */
export function sk_rcv_saddr_set(k: Kernel, sk: sock, addr: number | Sourced): void {
  sk.sk_rcv_saddr = addr
  ipv6_addr_set_v4mapped(k, sk.sk_v6_rcv_saddr.$va, addr)
}

export function sk_daddr_set(k: Kernel, sk: sock, addr: number | Sourced): void {
  sk.sk_daddr = addr
  ipv6_addr_set_v4mapped(k, sk.sk_v6_daddr.$va, addr)
}

/** `::ffff:a.b.c.d` @see include/net/ipv6.h:ipv6_addr_set_v4mapped */
export function ipv6_addr_set_v4mapped(k: Kernel, at: Va, addr: number | Sourced): void {
  k.mem.setU32(at, 0)
  k.mem.setU32(at + 4, 0)
  k.mem.setU32(at + 8, 0xffff_0000)
  if (typeof addr === 'number') k.mem.setU32(at + 12, addr)
  else k.mem.setU32(at + 12, Number(addr.value), addr.kind, addr.at)
}

/** @see include/net/inet_sock.h:inet_v6_ipv6only */
export const ipv6_only_sock = (sk: sock): boolean => sk.sk_ipv6only === 1

export const sock_is_inet6 = (sk: sock): boolean => sk.sk_family === AF_INET6

// ---- references

export function sock_hold(sk: sock): void {
  refcount_inc(sk.sk_refcnt)
}

/** Drop a reference that is known not to be the last. */
export function __sock_put(sk: sock): void {
  const { refs } = sk.sk_refcnt
  refs.counter = refs.counter - 1
}

/** True when the caller dropped the last reference and must free. */
export const sock_put_testzero = (sk: sock): boolean => refcount_dec_and_test(sk.sk_refcnt)

export const sk_refcnt_read = (sk: sock): number => refcount_read(sk.sk_refcnt)

// ---- hash links

export const sk_unhashed = (k: Kernel, sk: sock): boolean => hlist_unhashed(k.mem, sk.sk_node.$va)
export const sk_hashed = (k: Kernel, sk: sock): boolean => !sk_unhashed(k, sk)

/** @param node address of a `struct hlist_node` */
export function sk_node_init(k: Kernel, node: Va): void {
  k.mem.setPointer(node + k.mem.wordSize, 0)
}

export function sk_add_bind_node(k: Kernel, sk: sock, head: Va): void {
  hlist_add_head(k.mem, sk.sk_bind_node.$va, head)
}

export function __sk_del_bind_node(k: Kernel, sk: sock): void {
  hlist_del(k.mem, sk.sk_bind_node.$va)
}

export function sk_add_bind2_node(k: Kernel, sk: sock, head: Va): void {
  hlist_add_head(k.mem, sk.sk_bind2_node.$va, head)
}

export function __sk_del_bind2_node(k: Kernel, sk: sock): void {
  hlist_del(k.mem, sk.sk_bind2_node.$va)
}

export const init_hlist_node = (k: Kernel, node: Va): void => INIT_HLIST_NODE(k.mem, node)

// ---- queue mappings and hashes

export function sk_tx_queue_clear(sk: sock): void {
  sk.sk_tx_queue_mapping = NO_QUEUE_MAPPING
}

export function sk_rx_queue_clear(sk: sock): void {
  sk.sk_rx_queue_mapping = NO_QUEUE_MAPPING
}

/** Which receive queue of the device the packets come from. @see include/net/sock.h:sk_rx_queue_update */
export function sk_rx_queue_update(sk: sock, skb: sk_buff): void {
  const recorded = skb.queue_mapping
  if (recorded === 0) return // the driver did not say
  if (sk.sk_rx_queue_mapping !== recorded - 1) sk.sk_rx_queue_mapping = recorded - 1
}

/** @see include/net/busy_poll.h:sk_mark_napi_id */
export function sk_mark_napi_id(sk: sock, skb: sk_buff): void {
  const id = skb.napi_id
  if (sk.sk_napi_id !== id) sk.sk_napi_id = id
  sk_rx_queue_update(sk, skb)
}

/**
 * A child's first packet.
 * @remarks where the driver did not say, a child's receive queue stays what its memory held: it is not copied from
 *   the listener
 * @see include/net/busy_poll.h:sk_mark_napi_id_set
 */
export function sk_mark_napi_id_set(sk: sock, skb: sk_buff): void {
  sk.sk_napi_id = from(skb, 'napi_id')
  sk_rx_queue_update(sk, skb)
}

/** @see include/net/sock.h:sock_rps_save_rxhash */
export function sock_rps_save_rxhash(sk: sock, skb: sk_buff): void {
  const { hash } = skb
  if (sk.sk_rxhash !== hash) sk.sk_rxhash = from(skb, 'hash')
}

/** A random non-zero hash for transmit queues. @see include/net/sock.h:net_tx_rndhash */
export const net_tx_rndhash = (k: Kernel): number => k.random.u32() || 1

export function sk_set_txhash(k: Kernel, sk: sock): void {
  sk.sk_txhash = net_tx_rndhash(k)
}

export function sk_rethink_txhash(k: Kernel, sk: sock): boolean {
  if (sk.sk_txhash === 0 || sk.sk_txrehash !== 1) return false
  sk_set_txhash(k, sk)
  return true
}

export function sk_incoming_cpu_update(k: Kernel, sk: sock): void {
  const cpu = k.cpu.id
  if (sk.sk_incoming_cpu !== cpu) sk.sk_incoming_cpu = cpu
}

// ---- the socket a sock belongs to

/** `&sk->sk_wq->wait`, where readers of this socket wait. @returns 0 when the sock has no socket */
export function sk_sleep(sk: sock): Va {
  return sk.sk_wq?.wait.$va ?? 0
}

export function sk_set_socket(sk: sock, sock: socket | null): void {
  sk.sk_socket = sock
}

/** Cut a sock off from its process; protocol timers go on. @see include/net/sock.h:sock_orphan */
export function sock_orphan(k: Kernel, sk: sock): void {
  sock_set_flag(k, sk, SOCK_DEAD)
  sk_set_socket(sk, null)
  sk.sk_wq = null
}

// ---- sizes

export const sk_wmem_alloc_get = (sk: sock): number => sk.sk_wmem_alloc.refs.counter - 1
export const sk_rmem_alloc_get = (sk: sock): number => sk.sk_backlog.rmem_alloc.counter
export const sk_has_allocations = (sk: sock): boolean =>
  sk_wmem_alloc_get(sk) !== 0 || sk_rmem_alloc_get(sk) !== 0

export const sk_acceptq_is_full = (sk: sock): boolean => sk.sk_ack_backlog > sk.sk_max_ack_backlog

export function sk_acceptq_added(sk: sock): void {
  sk.sk_ack_backlog = sk.sk_ack_backlog + 1
}

export function sk_acceptq_removed(sk: sock): void {
  sk.sk_ack_backlog = sk.sk_ack_backlog - 1
}

export const sk_stream_min_wspace = (sk: sock): number => sk.sk_wmem_queued >> 1
export const sk_stream_wspace = (sk: sock): number => sk.sk_sndbuf - sk.sk_wmem_queued

/** @see include/net/sock.h:sk_stream_is_writeable */
export const sk_stream_is_writeable = (sk: sock): boolean => sk_stream_wspace(sk) >= sk_stream_min_wspace(sk)

export const sock_writeable = (sk: sock): boolean => sk.sk_wmem_alloc.refs.counter < sk.sk_sndbuf >> 1

export function sk_rmem_add(sk: sock, n: number): void {
  atomic_add(n, sk.sk_backlog.rmem_alloc)
}

// ---- errors and timeouts

/** Take the pending error. @returns 0 or a negative error number */
export function sock_error(sk: sock): number {
  const err = sk.sk_err
  if (err === 0) return 0
  sk.sk_err = 0
  return -err
}

/** In jiffies; 0n when the call must not block. */
export const sock_rcvtimeo = (sk: sock, noblock: boolean): bigint => (noblock ? 0n : sk.sk_rcvtimeo)
export const sock_sndtimeo = (sk: sock, noblock: boolean): bigint => (noblock ? 0n : sk.sk_sndtimeo)

/** At least one byte. */
export function sock_rcvlowat(sk: sock, waitall: boolean, len: number): number {
  const v = waitall ? len : Math.min(sk.sk_rcvlowat, len)
  return v === 0 ? 1 : v
}

/** Interrupted: restart unless the caller set a timeout. @see include/net/sock.h:sock_intr_errno */
export const sock_intr_errno = (timeo: bigint): number => (isForever(timeo) ? -512 : -4)

export const reuse_of = (flags: number): number => (flags !== 0 ? SK_CAN_REUSE : SK_NO_REUSE)

/** The Va of a `long` pointer member such as a callback. */
export const pointerVa = (value: bigint): Va => toVa(value)

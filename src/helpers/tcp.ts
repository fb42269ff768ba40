/** TCP's tables: established (with requests and TIME_WAIT among them), listeners, bound ports; accept queues. */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError, ValidationError } from '../base/errors.ts'
import { ntohs, sub32 } from '../base/u32.ts'
import type { StructRef } from '../btf/ref.ts'
import { hlist_for_each } from '../structures/hlist.ts'
import { hlist_nulls_for_each } from '../structures/hlist_nulls.ts'
import { globalRef, refAt, type Kernel } from './kernel.ts'
import {
  AF_INET,
  AF_INET6,
  inet_addresses,
  sock_common,
  sock_kind,
  TCP_LISTEN,
  tcp_state_name,
  type InetEnd,
  type SockKind,
} from './sock.ts'

/** Longer than any chain of a working table. */
const CHAIN_MAX = 100_000
/** No hash table has more buckets: thash_entries is bounded by 2^24. */
const BUCKETS_MAX = 2 ** 24
/** somaxconn can be any int; a queue is followed this far */
const ACCEPT_QUEUE_MAX = 1_000_000

/** A table or chain that could not be read to its end: the walk goes on with the next bucket. */
export type OnDamage = (error: FaultError | ValidationError) => void

const rethrow: OnDamage = (error) => {
  throw error
}

/** `struct inet_hashinfo tcp_hashinfo`. */
export function tcp_hashinfo(kernel: Kernel): StructRef {
  return globalRef(kernel, 'tcp_hashinfo', 'inet_hashinfo')
}

/** A sock_common found in a table, and what surrounds it. */
export interface HashedSock {
  readonly bucket: number
  readonly kind: SockKind
  /** `struct tcp_sock *` as `struct sock`, `struct request_sock` or `struct inet_timewait_sock` */
  readonly sk: StructRef
}

const STRUCT_OF_KIND = { full: 'sock', request: 'request_sock', timewait: 'inet_timewait_sock' } as const

/**
 * Every sock of the established table: connections, requests (state NEW_SYN_RECV) and TIME_WAIT.
 *
 * @param onDamage told of each chain that breaks; without it the first one is thrown
 * @see include/net/inet_hashtables.h:struct inet_ehash_bucket
 */
export function* ehash_for_each(
  kernel: Kernel,
  hashinfo = tcp_hashinfo(kernel),
  onDamage = rethrow,
): Generator<HashedSock> {
  const { mem, types } = kernel
  const buckets = checkedCount(hashinfo, Number(hashinfo.$int('ehash_mask')) + 1)
  const table = toVa(hashinfo.$int('ehash'), mem.wordSize)
  const stride = types.sizeof('inet_ehash_bucket')
  const member = types.offsetof('sock_common', 'skc_nulls_node')
  for (let bucket = 0; bucket < buckets; bucket++) {
    yield* guarded(nullsChain(kernel, table + bucket * stride, member, bucket), onDamage)
  }
}

function* nullsChain(kernel: Kernel, head: Va, member: number, bucket: number): Generator<HashedSock> {
  for (const node of hlist_nulls_for_each(kernel.mem, head, CHAIN_MAX)) {
    const kind = sock_kind(refAt(kernel, 'sock_common', node - member))
    yield { bucket, kind, sk: refAt(kernel, STRUCT_OF_KIND[kind], node - member) }
  }
}

/**
 * Every listening sock, from lhash2 (`listening_hash` before 4.18).
 *
 * @see include/net/inet_hashtables.h:struct inet_listen_hashbucket
 */
export function* lhash2_for_each(
  kernel: Kernel,
  hashinfo = tcp_hashinfo(kernel),
  onDamage = rethrow,
): Generator<StructRef> {
  const { mem, types } = kernel
  const stride = types.sizeof('inet_listen_hashbucket')
  const offset = types.offsetof('inet_listen_hashbucket', 'nulls_head')
  const member = types.offsetof('sock_common', 'skc_nulls_node')
  let table = hashinfo.$vaOf(hashinfo.$has('lhash2') ? 'lhash2' : 'listening_hash')
  let buckets = 32
  if (hashinfo.$has('lhash2')) {
    buckets = checkedCount(hashinfo, Number(hashinfo.$int('lhash2_mask')) + 1)
    table = mem.pointer(table)
  }
  for (let bucket = 0; bucket < buckets; bucket++) {
    const chain = nullsChain(kernel, table + bucket * stride + offset, member, bucket)
    for (const { sk } of guarded(chain, onDamage)) yield sk
  }
}

/** A bound port: its `struct inet_bind_bucket` and the socks bound to it. */
export interface BoundPort {
  readonly tb: StructRef
  readonly port: number
  readonly owners: readonly StructRef[]
}

/** Every bound port and its owners (full socks; TIME_WAIT is bound too and left out). */
export function* bhash_for_each(
  kernel: Kernel,
  hashinfo = tcp_hashinfo(kernel),
  onDamage = rethrow,
): Generator<BoundPort> {
  const { mem, types } = kernel
  const buckets = checkedCount(hashinfo, Number(hashinfo.$int('bhash_size')))
  const table = toVa(hashinfo.$int('bhash'), mem.wordSize)
  const stride = types.sizeof('inet_bind_hashbucket')
  const chain = types.offsetof('inet_bind_hashbucket', 'chain')
  const node = types.offsetof('inet_bind_bucket', 'node')
  for (let bucket = 0; bucket < buckets; bucket++) {
    yield* guarded(boundPorts(kernel, table + bucket * stride + chain, node), onDamage)
  }
}

function* boundPorts(kernel: Kernel, head: Va, node: number): Generator<BoundPort> {
  for (const at of hlist_for_each(kernel.mem, head, CHAIN_MAX)) {
    const tb = refAt(kernel, 'inet_bind_bucket', at - node)
    yield { tb, port: Number(tb.$int('port')), owners: [...boundSocks(kernel, tb)] }
  }
}

function* boundSocks(kernel: Kernel, tb: StructRef): Generator<StructRef> {
  if (!tb.$has('owners')) return
  const member = kernel.types.offsetof('sock_common', 'skc_bind_node')
  for (const at of hlist_for_each(kernel.mem, tb.$vaOf('owners'), CHAIN_MAX)) {
    if (sock_kind(refAt(kernel, 'sock_common', at - member)) === 'full')
      yield refAt(kernel, 'sock', at - member)
  }
}

/** Deliver a chain; where it breaks, tell and let the caller go on with the next. */
function* guarded<T>(chain: Generator<T>, onDamage: OnDamage): Generator<T> {
  try {
    yield* chain
  } catch (error) {
    if (error instanceof FaultError || error instanceof ValidationError) onDamage(error)
    else throw error
  }
}

function checkedCount(hashinfo: StructRef, buckets: number): number {
  if (buckets <= BUCKETS_MAX) return buckets
  throw new ValidationError(hashinfo.$addr, `a hash table of at most ${BUCKETS_MAX} buckets`, String(buckets))
}

/** An entry of an accept queue: the request that became ready and the connection it carries. */
export interface AcceptEntry {
  /** `struct request_sock *`, what the queue links */
  readonly req: StructRef
  /** `struct sock *`: the child that accept() will return */
  readonly child: StructRef | null
}

/**
 * Connections that are ready for accept(), oldest first: `icsk_accept_queue.rskq_accept_head` linked by `dl_next`.
 *
 * @param listener `struct sock *` in state LISTEN
 * @throws ValidationError when the queue does not end
 * @see net/ipv4/inet_connection_sock.c:inet_csk_reqsk_queue_add
 */
export function* accept_queue(listener: StructRef): Generator<AcceptEntry> {
  const icsk = listener.$cast('inet_connection_sock')
  let req = icsk.$ref('icsk_accept_queue.rskq_accept_head')
  const seen = new Set<Va>()
  while (req !== null) {
    if (seen.has(req.$va) || seen.size > ACCEPT_QUEUE_MAX) {
      throw new ValidationError(req.$addr, 'an accept queue that ends', 'a loop')
    }
    seen.add(req.$va)
    yield { req, child: req.$ref('sk') }
    req = req.$ref('dl_next')
  }
}

/** What a listener has waiting, in the kernel's own counters. */
export interface ListenerQueues {
  /** requests whose handshake is not complete (counted, linked only in ehash) */
  readonly qlen: number
  /** those of them whose SYN-ACK was not sent again yet */
  readonly young: number
  /** connections ready for accept() */
  readonly backlog: number
  readonly maxBacklog: number
}

export function listener_queues(listener: StructRef): ListenerQueues {
  const icsk = listener.$cast('inet_connection_sock')
  const sk = listener.$cast('sock')
  return {
    qlen: Number(icsk.$int('icsk_accept_queue.qlen.counter')),
    young: Number(icsk.$int('icsk_accept_queue.young.counter')),
    backlog: Number(sk.$int('sk_ack_backlog')),
    maxBacklog: Number(sk.$int('sk_max_ack_backlog')),
  }
}

/**
 * Bytes waiting in a connection: received and not read, written and not acknowledged. Both count sequence numbers,
 * so an unacknowledged SYN or FIN is one.
 *
 * @see net/ipv4/tcp_ipv4.c:get_tcp4_sock
 */
export function tcp_queues(sk: StructRef): { receive: number; send: number } {
  const tp = sk.$cast('tcp_sock')
  const receive = (Number(tp.$int('rcv_nxt')) - Number(tp.$int('copied_seq'))) | 0
  const send = sub32(Number(tp.$int('write_seq')), Number(tp.$int('snd_una')))
  return { receive: Math.max(0, receive), send }
}

/** `rsk_listener` of a request: the listener it belongs to. */
export function request_listener(req: StructRef): StructRef | null {
  const at = toVa(sock_common(req).$int('skc_listener'), req.$mem.wordSize)
  return at === 0 || Number.isNaN(at) ? null : req.$types.ref('sock', req.$mem, at)
}

/** `struct net *` a sock belongs to. */
export function sock_net(sk: StructRef): StructRef | null {
  return sock_common(sk).$ref('skc_net.net')
}

/** One line of what /proc/net/tcp would show, of any kind of sock. */
export interface TcpRow {
  readonly sk: bigint
  readonly kind: SockKind
  readonly state: string
  readonly family: number
  readonly local: InetEnd
  readonly remote: InetEnd
  readonly net: bigint
}

/** Read what all kinds have in common. @throws FaultError */
export function tcp_row(sk: StructRef): TcpRow {
  const skc = sock_common(sk)
  const addresses = inet_addresses(skc)
  const nowhere = { addr: '', port: 0 }
  return {
    sk: skc.$addr,
    kind: sock_kind(skc),
    state: tcp_state_name(Number(skc.$int('skc_state'))),
    family: addresses?.family ?? Number(skc.$int('skc_family')),
    local: addresses?.local ?? nowhere,
    remote: addresses?.remote ?? nowhere,
    net: sock_net(skc)?.$addr ?? 0n,
  }
}

/** Is it a TCP listener? Reads no further than the sock_common. */
export function is_listener(sk: StructRef): boolean {
  const skc = sock_common(sk)
  const family = Number(skc.$int('skc_family'))
  return (family === AF_INET || family === AF_INET6) && Number(skc.$int('skc_state')) === TCP_LISTEN
}

/** The ends of a TIME_WAIT: what the kernel keeps of the connection, and the substate it is really in. */
export function timewait_substate(tw: StructRef): string {
  return tcp_state_name(Number(tw.$cast('inet_timewait_sock').$int('tw_substate')))
}

/** Every UDP sock, by port. @see net/ipv4/udp.c:udp_get_first */
export function* udp_for_each(kernel: Kernel, onDamage = rethrow): Generator<StructRef> {
  const { mem, types } = kernel
  const table = globalRef(kernel, 'udp_table', 'udp_table')
  const buckets = checkedCount(table, Number(table.$int('mask')) + 1)
  const slots = toVa(table.$int('hash'), mem.wordSize)
  const stride = types.sizeof('udp_hslot')
  const member = types.offsetof('sock_common', 'skc_node')
  for (let bucket = 0; bucket < buckets; bucket++) {
    for (const at of guarded(hlist_for_each(mem, slots + bucket * stride, CHAIN_MAX), onDamage)) {
      yield refAt(kernel, 'sock', at - member)
    }
  }
}

/** `th->source`-like port members hold network order; this reads one in host order. */
export function be16(ref: StructRef, member: string): number {
  return ntohs(Number(ref.$int(member)))
}

/** bind() of connection sockets: which port, and who else may have it. */

import type { Va } from '../../../../base/addr.ts'
import type { inet_bind2_bucket, inet_bind_bucket, sock } from '../../../../btf/vmlinux.ts'
import { TCP_LISTEN, TCP_TIME_WAIT } from '../../../../abi/tcp_states.ts'
import { hlist_empty, hlist_for_each, hlist_for_each_entry } from '../../../../structures/hlist.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { sock_net } from '../../../include/net/sock.ts'
import { inet_csk } from '../../../include/net/casts.ts'
import {
  bhash2At,
  bhash2Chain,
  bhashChain,
  findBindBucket,
  inet_bind2_bucket_create,
  inet_bind2_bucket_find,
  inet_bind_bucket_create,
  inet_bind_hash,
  ipv4_portaddr_hash,
  tcp_hashinfo,
} from '../inet_hashtables.ts'
import { inet_rcv_saddr_equal } from './rcv_saddr.ts'

const FILE = 'net/ipv4/inet_connection_sock.c'

/** The range ports are picked from. @see net/ipv4/inet_connection_sock.c:inet_sk_get_local_port_range */
export const inet_sk_get_local_port_range = kfunc(FILE, function inet_sk_get_local_port_range(_k, sk: sock): {
  low: number
  high: number
} {
  const { range } = sock_net(sk).ipv4.ip_local_ports
  return { low: range.num(0), high: range.num(1) }
})

/** May these two not share a port? */
const inet_bind_conflict = kfunc(
  FILE,
  function inet_bind_conflict(k, sk: sock, sk2: sock, reuse: boolean, reuseport: boolean): boolean {
    if (sk2.$va === sk.$va) return false
    const boundDiffer =
      sk.sk_bound_dev_if !== 0 && sk2.sk_bound_dev_if !== 0 && sk.sk_bound_dev_if !== sk2.sk_bound_dev_if
    if (boundDiffer) return false
    // SO_REUSEADDR on both, and nobody listens
    if (reuse && sk2.sk_reuse !== 0 && sk2.sk_state !== TCP_LISTEN) return false
    if (reuseport && sk2.sk_reuseport !== 0) return false
    return inet_rcv_saddr_equal(k, sk, sk2, true)
  },
)

/** The socks bound to a port. */
function* ownersOf(k: Kernel, tb: inet_bind_bucket): Generator<sock> {
  const offset = k.types.offsetof('sock', 'sk_bind_node')
  for (const node of hlist_for_each(k.mem, tb.owners.$va)) yield k.ref('sock', node - offset)
}

/** TIME_WAIT stubs hang on the second bucket's own list. */
function* deathrowOf(k: Kernel, sk: sock, tb: inet_bind_bucket): Generator<sock> {
  for (const chain of new Set<Va>([
    bhash2Chain(k, sk, tb.port),
    bhash2At(k, ipv4_portaddr_hash(k, 0, tb.port)),
  ])) {
    for (const tb2 of hlist_for_each_entry(k.types, k.mem, chain, 'inet_bind2_bucket', 'node')) {
      if (tb2.port === tb.port) yield* stubsOf(k, tb2)
    }
  }
}

function* stubsOf(k: Kernel, tb2: inet_bind2_bucket): Generator<sock> {
  const offset = k.types.offsetof('inet_timewait_sock', 'tw_bind2_node')
  for (const node of hlist_for_each(k.mem, tb2.deathrow.$va)) yield k.ref('sock', node - offset)
}

export const inet_csk_bind_conflict = kfunc(
  FILE,
  function inet_csk_bind_conflict(k, sk: sock, tb: inet_bind_bucket): boolean {
    const reuse = sk.sk_reuse !== 0
    const reuseport = sk.sk_reuseport !== 0
    for (const sk2 of ownersOf(k, tb)) if (inet_bind_conflict(k, sk, sk2, reuse, reuseport)) return true
    for (const tw of deathrowOf(k, sk, tb)) {
      if (
        tw.sk_state === TCP_TIME_WAIT &&
        !(reuse && tw.sk_reuse !== 0) &&
        inet_rcv_saddr_equal(k, sk, tw, true)
      )
        return true
    }
    return false
  },
)

/** Keep in the bucket whether the next one may share it without a search. */
export const inet_csk_update_fastreuse = kfunc(
  FILE,
  function inet_csk_update_fastreuse(k, tb: inet_bind_bucket, sk: sock): void {
    const reuse = sk.sk_reuse !== 0 && sk.sk_state !== TCP_LISTEN ? 1 : 0
    if (hlist_empty(k.mem, tb.owners.$va)) {
      tb.fastreuse = reuse
      tb.fastreuseport = 0
      if (sk.sk_reuseport === 0) return
      tb.fastreuseport = 1
      tb.fastuid.val = sk.sk_uid.val
      tb.fast_rcv_saddr = sk.sk_rcv_saddr
      tb.fast_ipv6_only = sk.sk_ipv6only
      tb.fast_sk_family = sk.sk_family
      tb.fast_v6_rcv_saddr = sk.sk_v6_rcv_saddr
      return
    }
    if (reuse === 0) tb.fastreuse = 0
    if (sk.sk_reuseport === 0) tb.fastreuseport = 0
  },
)

/** Any free port: odd ones first, from a random place. @see net/ipv4/inet_connection_sock.c:inet_csk_find_open_port */
function findOpenPort(k: Kernel, sk: sock): number {
  const { low, high: last } = inet_sk_get_local_port_range(k, sk)
  const high = last + 1
  const remaining = high - low > 1 ? (high - low) & ~1 : high - low
  const start = k.random.below(remaining) | 1
  for (const parity of [0, -1]) {
    let port = low + start + parity
    for (let i = 0; i < remaining; i += 2, port += 2) {
      if (port >= high) port -= remaining
      const tb = findBindBucket(k, bhashChain(k, port), port)
      if (tb === null || !inet_csk_bind_conflict(k, sk, tb)) return port
    }
  }
  return 0
}

/**
 * Bind to a port, or to any free one.
 *
 * @param snum host order; 0 picks one
 * @returns 0, or 1 when the port is taken
 * @see net/ipv4/inet_connection_sock.c:inet_csk_get_port
 */
export const inet_csk_get_port = kfunc(FILE, function inet_csk_get_port(k, sk: sock, snum: number): number {
  const icsk = inet_csk(k, sk)
  const info = tcp_hashinfo(k)
  const port = snum === 0 ? findOpenPort(k, sk) : snum
  if (port === 0) return 1
  const chain = bhashChain(k, port)
  const found = findBindBucket(k, chain, port)
  if (found !== null && !hlist_empty(k.mem, found.owners.$va) && icsk.icsk_bind_hash === null) {
    const shared = found.fastreuse > 0 && sk.sk_reuse !== 0 && sk.sk_state !== TCP_LISTEN
    if (!shared && inet_csk_bind_conflict(k, sk, found)) return 1
  } else if (found !== null && icsk.icsk_bind_hash !== null && inet_csk_bind_conflict(k, sk, found)) return 1
  const tb = found ?? inet_bind_bucket_create(k, deref(info.bind_bucket_cachep), sk, chain, port)
  inet_csk_update_fastreuse(k, tb, sk)
  if (icsk.icsk_bind_hash !== null) return 0
  const chain2 = bhash2Chain(k, sk, port)
  const tb2 =
    inet_bind2_bucket_find(k, chain2, port, sk) ??
    inet_bind2_bucket_create(k, deref(info.bind2_bucket_cachep), sk, chain2, port)
  inet_bind_hash(k, sk, tb, tb2, port)
  return 0
})

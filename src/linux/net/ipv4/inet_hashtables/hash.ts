/** Linking socks into the established and the listening table, and finding them again. */

import type { Va } from '../../../../base/addr.ts'
import type { sock } from '../../../../btf/vmlinux.ts'
import { SOCK_DEAD, SOCK_RCU_FREE } from '../../../../abi/sock.ts'
import { AF_INET6, PF_INET } from '../../../../abi/socket.ts'
import { TCP_CLOSE, TCP_LISTEN } from '../../../../abi/tcp_states.ts'
import { INADDR_ANY } from '../../../../abi/in.ts'
import {
  hlist_nulls_add_head,
  hlist_nulls_del_init_rcu,
  hlist_nulls_for_each,
  hlist_nulls_replace_init_rcu,
} from '../../../../structures/hlist_nulls.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { __local_bh_enable_ip, local_bh_disable } from '../../../kernel/softirq.ts'
import { refcount_inc_not_zero } from '../../../lib/refcount.ts'
import { __sock_put, sk_hashed, sk_unhashed, sock_set_flag } from '../../../include/net/sock.ts'
import { inet_csk_destroy_sock } from '../inet_connection_sock.ts'
import { tcp_orphan_count_inc } from '../tcp/orphan.ts'
import {
  inet_ehash_bucket,
  inet_ehashfn,
  ipv4_portaddr_hash,
  ipv6_portaddr_hash,
  lhash2Head,
  sk_ehashfn,
  sock_prot_inuse_add,
} from './table.ts'

const FILE = 'net/ipv4/inet_hashtables.c'

/** The sock a chain's node belongs to. */
export const sockOfNode = (k: Kernel, node: Va): sock =>
  k.ref('sock', node - k.types.offsetof('sock', 'sk_node'))

/**
 * Is this the sock of that connection? The first sixteen bytes of every kind of sock are its addresses, hash and ports.
 * @see include/net/inet_hashtables.h:inet_match
 */
function matches(k: Kernel, sk: Va, hash: number, faddr: number, laddr: number, ports: number): boolean {
  const { mem } = k
  return (
    mem.u32(sk + 8) === hash &&
    mem.u32(sk) === faddr &&
    mem.u32(sk + 4) === laddr &&
    mem.u32(sk + 12) === ports
  )
}

/** Remote port (network order) and local port (host order) as `skc_portpair` holds them. */
export const INET_COMBINED_PORTS = (sport: number, dnum: number): number => ((dnum << 16) | sport) >>> 0

/**
 * The sock of a connection: full socks, requests and TIME_WAIT stubs alike, with a reference taken.
 *
 * @param saddr,daddr `__be32`, as the packet has them
 * @param sport       `__be16`
 * @param hnum        host order
 * @see net/ipv4/inet_hashtables.c:__inet_lookup_established
 */
export const __inet_lookup_established = kfunc(
  FILE,
  function __inet_lookup_established(
    k,
    saddr: number,
    sport: number,
    daddr: number,
    hnum: number,
  ): sock | null {
    const sk = findEstablished(k, saddr, sport, daddr, hnum)
    return sk !== null && refcount_inc_not_zero(sk.sk_refcnt) ? sk : null
  },
)

/** As {@link __inet_lookup_established}, no reference taken. */
export function findEstablished(
  k: Kernel,
  saddr: number,
  sport: number,
  daddr: number,
  hnum: number,
  except: Va = 0,
): sock | null {
  const hash = inet_ehashfn(k, daddr, hnum, saddr, sport)
  const ports = INET_COMBINED_PORTS(sport, hnum)
  const offset = k.types.offsetof('sock', 'sk_node')
  for (const node of hlist_nulls_for_each(k.mem, inet_ehash_bucket(k, hash))) {
    if (node - offset !== except && matches(k, node - offset, hash, saddr, daddr, ports)) {
      return k.ref('sock', node - offset)
    }
  }
  return null
}

/** How well a listener suits: -1 not at all. @see net/ipv4/inet_hashtables.c:compute_score */
function compute_score(k: Kernel, sk: sock, hnum: number, daddr: number, dif: number): number {
  if (sk.sk_num !== hnum || sk.sk_ipv6only === 1 || sk.sk_rcv_saddr !== daddr) return -1
  const bound = sk.sk_bound_dev_if
  if (bound !== 0 && bound !== dif) return -1
  let score = bound !== 0 ? 2 : 1
  if (sk.sk_family === PF_INET) score++
  if (sk.sk_incoming_cpu === k.cpu.id) score++
  return score
}

const inet_lhash2_lookup = kfunc(
  FILE,
  function inet_lhash2_lookup(k, head: Va, hnum: number, daddr: number, dif: number): sock | null {
    let best: sock | null = null
    let hiscore = 0
    for (const node of hlist_nulls_for_each(k.mem, head)) {
      const sk = sockOfNode(k, node)
      const score = compute_score(k, sk, hnum, daddr, dif)
      if (score <= hiscore) continue
      best = sk
      hiscore = score
    }
    return best
  },
)

/** The listener of that address and port, or of the port on any address. No reference is taken. */
export const __inet_lookup_listener = kfunc(
  FILE,
  function __inet_lookup_listener(k, daddr: number, hnum: number, dif: number): sock | null {
    return (
      inet_lhash2_lookup(k, lhash2Head(k, ipv4_portaddr_hash(k, daddr, hnum)), hnum, daddr, dif) ??
      inet_lhash2_lookup(k, lhash2Head(k, ipv4_portaddr_hash(k, INADDR_ANY, hnum)), hnum, INADDR_ANY, dif)
    )
  },
)

/**
 * Put a sock into the established table, in place of another when there is one.
 *
 * @param osk `struct sock *`: the request or TIME_WAIT stub that gives way
 * @param dup filled with a sock that already has this connection, when the caller asks
 * @returns false when `osk` is gone from the table or there is a duplicate
 * @see net/ipv4/inet_hashtables.c:inet_ehash_insert
 */
export const inet_ehash_insert = kfunc(
  FILE,
  function inet_ehash_insert(k, sk: sock, osk: sock | null, dup: { found: sock | null } | null): boolean {
    const hash = sk_ehashfn(k, sk)
    sk.sk_hash = hash
    if (osk !== null) {
      if (!sk_hashed(k, osk)) return false
      // readers of the chain see the one or the other, never neither
      hlist_nulls_replace_init_rcu(k.mem, osk.sk_node.$va, sk.sk_node.$va)
      __sock_put(osk)
      return true
    }
    if (dup !== null) {
      dup.found = findEstablished(k, sk.sk_daddr, sk.sk_dport, sk.sk_rcv_saddr, sk.sk_num, sk.$va)
      if (dup.found !== null) return false
    }
    hlist_nulls_add_head(k.mem, sk.sk_node.$va, inet_ehash_bucket(k, hash))
    return true
  },
)

/** As {@link inet_ehash_insert}; a sock that loses is destroyed. */
export const inet_ehash_nolisten = kfunc(
  FILE,
  function inet_ehash_nolisten(k, sk: sock, osk: sock | null, dup: { found: sock | null } | null): boolean {
    if (inet_ehash_insert(k, sk, osk, dup)) {
      sock_prot_inuse_add(k, sk, 1)
      return true
    }
    tcp_orphan_count_inc(k)
    sk.sk_state = TCP_CLOSE
    sock_set_flag(k, sk, SOCK_DEAD)
    inet_csk_destroy_sock(k, sk)
    return false
  },
)

const inet_lhash2_bucket_sk = kfunc(FILE, function inet_lhash2_bucket_sk(k, sk: sock): Va {
  const hash =
    sk.sk_family === AF_INET6
      ? ipv6_portaddr_hash(k, sk.sk_v6_rcv_saddr, sk.sk_num)
      : ipv4_portaddr_hash(k, sk.sk_rcv_saddr, sk.sk_num)
  return lhash2Head(k, hash)
})

/** A listener joins the listening table, any other sock the established one. */
export const __inet_hash = kfunc(FILE, function __inet_hash(k, sk: sock, osk: sock | null): number {
  if (sk.sk_state !== TCP_LISTEN) {
    local_bh_disable(k)
    inet_ehash_nolisten(k, sk, osk, null)
    __local_bh_enable_ip(k)
    return 0
  }
  const head = inet_lhash2_bucket_sk(k, sk)
  sock_set_flag(k, sk, SOCK_RCU_FREE)
  hlist_nulls_add_head(k.mem, sk.sk_node.$va, head)
  sock_prot_inuse_add(k, sk, 1)
  return 0
})

export const inet_hash = kfunc(FILE, function inet_hash(k, sk: sock): number {
  return sk.sk_state === TCP_CLOSE ? 0 : __inet_hash(k, sk, null)
})

/** Out of whichever table it is in. */
export const inet_unhash = kfunc(FILE, function inet_unhash(k, sk: sock): void {
  if (sk_unhashed(k, sk)) return
  hlist_nulls_del_init_rcu(k.mem, sk.sk_node.$va)
  sock_prot_inuse_add(k, sk, -1)
})

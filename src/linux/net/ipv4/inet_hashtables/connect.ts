/** A local port for an outgoing connection. */

import { toVa } from '../../../../base/addr.ts'
import { htons } from '../../../../base/u32.ts'
import type { inet_bind_bucket, inet_timewait_sock, sock } from '../../../../btf/vmlinux.ts'
import { EADDRNOTAVAIL } from '../../../../abi/errno.ts'
import { TCP_TIME_WAIT } from '../../../../abi/tcp_states.ts'
import { hlist_nulls_add_head } from '../../../../structures/hlist_nulls.ts'
import type { Hash64 } from '../../../../structures/siphash.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { __local_bh_enable_ip, local_bh_disable } from '../../../kernel/softirq.ts'
import { sk_unhashed, sock_net } from '../../../include/net/sock.ts'
import { inet_csk, inet_sk, inet_twsk, req_to_sk } from '../../../include/net/casts.ts'
import { secure_ipv4_port_ephemeral } from '../../core/secure_seq.ts'
import { inet_twsk_bind_unhash, inet_twsk_deschedule_put } from '../inet_timewait_sock.ts'
import { tcp_twsk_unique } from '../tcp_ipv4/unique.ts'
import {
  findBindBucket,
  inet_bind2_bucket_create,
  inet_bind2_bucket_find,
  inet_bind_bucket_create,
  inet_bind_hash,
} from './bind.ts'
import { findEstablished, inet_ehash_nolisten } from './hash.ts'
import {
  INET_TABLE_PERTURB_SIZE,
  bhash2Chain,
  bhashChain,
  inet_ehash_bucket,
  inet_ehashfn,
  sock_prot_inuse_add,
  tcp_hashinfo,
} from './table.ts'

const FILE = 'net/ipv4/inet_hashtables.c'

/** What __inet_check_established() finds in the way and may take over. */
interface Takeover {
  tw: inet_timewait_sock | null
}

/**
 * Is the connection free with this local port? If so the sock takes its place in the table.
 *
 * @param lport host order
 * @returns 0 or -EADDRNOTAVAIL
 * @see net/ipv4/inet_hashtables.c:__inet_check_established
 */
export const __inet_check_established = kfunc(
  FILE,
  function __inet_check_established(k, sk: sock, lport: number, taken: Takeover | null): number {
    const inet = inet_sk(k, sk)
    const hash = inet_ehashfn(k, sk.sk_rcv_saddr, lport, sk.sk_daddr, sk.sk_dport)
    const other = findEstablished(k, sk.sk_daddr, sk.sk_dport, sk.sk_rcv_saddr, lport, sk.$va)
    if (other !== null) {
      if (other.sk_state !== TCP_TIME_WAIT || taken === null) return -EADDRNOTAVAIL
      if (!tcp_twsk_unique(k, sk, inet_twsk(k, other))) return -EADDRNOTAVAIL
      taken.tw = inet_twsk(k, other)
    }
    sk.sk_num = lport
    inet.inet_sport = htons(lport)
    sk.sk_hash = hash
    hlist_nulls_add_head(k.mem, sk.sk_node.$va, inet_ehash_bucket(k, hash))
    sock_prot_inuse_add(k, sk, 1)
    return 0
  },
)

/** The counter that moves the search on with every port given out; random at first. */
function perturb(k: Kernel, index: number): { read: () => number; add: (n: number) => void } {
  const table = k.mem.pointer(toVa(k.sym('table_perturb'), k.mem.wordSize))
  const at = table + 4 * index
  if (k.mem.u32(at) === 0) k.mem.setU32(at, k.random.u32())
  return { read: () => k.mem.u32(at), add: (n) => k.mem.setU32(at, (k.mem.u32(at) + n) >>> 0) }
}

/** The port's bucket if the sock may have the port: a new one, or one of connections only. */
function tryPort(k: Kernel, sk: sock, port: number, taken: Takeover): inet_bind_bucket | null {
  const chain = bhashChain(k, port)
  const tb = findBindBucket(k, chain, port)
  if (tb !== null) {
    // ports somebody chose by bind() are left alone
    if (tb.fastreuse >= 0 || tb.fastreuseport >= 0) return null
    return __inet_check_established(k, sk, port, taken) === 0 ? tb : null
  }
  const made = inet_bind_bucket_create(k, deref(tcp_hashinfo(k).bind_bucket_cachep), sk, chain, port)
  made.fastreuse = -1
  made.fastreuseport = -1
  return made
}

/** A sock that has its port already only takes its place in the table. */
function hashBound(k: Kernel, sk: sock, port: number): number {
  const tb = inet_csk(k, sk).icsk_bind_hash
  const alone =
    tb !== null && k.mem.pointer(tb.owners.$va) === sk.sk_bind_node.$va && sk.sk_bind_node.next === null
  if (!alone) return __inet_check_established(k, sk, port, null)
  inet_ehash_nolisten(k, sk, null, null)
  return 0
}

/**
 * Find a port and enter the tables with it.
 *
 * @param offset where to begin: a keyed hash of the other three of the connection's four numbers
 * @returns 0 or -EADDRNOTAVAIL when every port of the range is taken
 * @see net/ipv4/inet_hashtables.c:__inet_hash_connect
 */
export const __inet_hash_connect = kfunc(
  FILE,
  function __inet_hash_connect(k, sk: sock, offset: Hash64): number {
    const inet = inet_sk(k, sk)
    local_bh_disable(k)
    try {
      if (sk.sk_num !== 0) return hashBound(k, sk, sk.sk_num)
      const range = sock_net(sk).ipv4.ip_local_ports.range
      const low = range.num(0)
      const high = range.num(1) + 1
      const remaining = high - low > 1 ? (high - low) & ~1 : high - low
      const counter = perturb(k, offset.low & (INET_TABLE_PERTURB_SIZE - 1))
      const start = (((counter.read() + offset.high) >>> 0) % remaining) & ~1
      // even ports first (from the low end's parity): bind() prefers the odd ones
      for (const parity of remaining > 1 ? [0, 1] : [0]) {
        let port = low + start + parity
        for (let i = 0; i < remaining; i += 2, port += 2) {
          if (port >= high) port -= remaining
          const taken: Takeover = { tw: null }
          const tb = tryPort(k, sk, port, taken)
          if (tb === null) continue
          counter.add(Math.max(i, k.random.below(8) * 2) + 2)
          claimPort(k, sk, tb, port, taken.tw)
          inet.inet_sport = htons(port)
          return 0
        }
      }
      return -EADDRNOTAVAIL
    } finally {
      __local_bh_enable_ip(k)
    }
  },
)

function claimPort(
  k: Kernel,
  sk: sock,
  tb: inet_bind_bucket,
  port: number,
  tw: inet_timewait_sock | null,
): void {
  const chain = bhash2Chain(k, sk, port)
  const cache = deref(tcp_hashinfo(k).bind2_bucket_cachep)
  const tb2 =
    inet_bind2_bucket_find(k, chain, port, sk) ?? inet_bind2_bucket_create(k, cache, sk, chain, port)
  inet_bind_hash(k, sk, tb, tb2, port)
  if (sk_unhashed(k, sk)) {
    inet_sk(k, sk).inet_sport = htons(port)
    inet_ehash_nolisten(k, sk, tw === null ? null : req_to_sk(k, tw), null)
  }
  if (tw === null) return
  inet_twsk_bind_unhash(k, tw)
  inet_twsk_deschedule_put(k, tw)
}

/** @see net/ipv4/inet_hashtables.c:inet_hash_connect */
export const inet_hash_connect = kfunc(
  FILE,
  function inet_hash_connect(k, sk: sock): number {
    const inet = inet_sk(k, sk)
    const none: Hash64 = { low: 0, high: 0 }
    const offset =
      sk.sk_num === 0 ? secure_ipv4_port_ephemeral(k, sk.sk_rcv_saddr, sk.sk_daddr, inet.inet_dport) : none
    return __inet_hash_connect(k, sk, offset)
  },
  { sibling: true },
)

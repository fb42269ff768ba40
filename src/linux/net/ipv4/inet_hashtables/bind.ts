/** Who is bound to which port: a bucket for each port (bhash) and for each address and port (bhash2). */

import type { Va } from '../../../../base/addr.ts'
import { from } from '../../../../btf/ref.ts'
import type { inet_bind2_bucket, inet_bind_bucket, kmem_cache, sock } from '../../../../btf/vmlinux.ts'
import { ENOENT } from '../../../../abi/errno.ts'
import { AF_INET, AF_INET6 } from '../../../../abi/socket.ts'
import type { Sourced } from '../../../../memory/memory.ts'
import { hlist_add_head, hlist_del, hlist_empty, hlist_for_each_entry } from '../../../../structures/hlist.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../../../mm/slub.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import {
  __sk_del_bind2_node,
  __sk_del_bind_node,
  sk_add_bind2_node,
  sk_add_bind_node,
  sk_rcv_saddr_set,
  sock_net,
} from '../../../include/net/sock.ts'
import { inet_csk, inet_sk } from '../../../include/net/casts.ts'
import { bhash2At, bhash2Chain, ipv4_portaddr_hash, ipv6_addr_any, tcp_hashinfo } from './table.ts'

const FILE = 'net/ipv4/inet_hashtables.c'

/** @param chain the slot's `struct hlist_head` */
export const inet_bind_bucket_create = kfunc(
  FILE,
  function inet_bind_bucket_create(
    k,
    cache: kmem_cache,
    sk: sock,
    chain: Va,
    port: number,
  ): inet_bind_bucket {
    const tb = k.ref('inet_bind_bucket', kmem_cache_alloc(k, cache))
    tb.$set('ib_net.net', sock_net(sk))
    tb.l3mdev = 0
    tb.port = port
    tb.fastreuse = 0
    tb.fastreuseport = 0
    k.mem.setPointer(tb.owners.$va, 0)
    hlist_add_head(k.mem, tb.node.$va, chain)
    return tb
  },
)

/** A bucket nobody is bound to goes. */
export const inet_bind_bucket_destroy = kfunc(
  FILE,
  function inet_bind_bucket_destroy(k, cache: kmem_cache, tb: inet_bind_bucket): void {
    if (!hlist_empty(k.mem, tb.owners.$va)) return
    hlist_del(k.mem, tb.node.$va)
    kmem_cache_free(k, cache, tb.$va)
  },
)

export const inet_bind2_bucket_create = kfunc(
  FILE,
  function inet_bind2_bucket_create(
    k,
    cache: kmem_cache,
    sk: sock,
    chain: Va,
    port: number,
  ): inet_bind2_bucket {
    const tb = k.ref('inet_bind2_bucket', kmem_cache_alloc(k, cache))
    tb.$set('ib_net.net', sock_net(sk))
    tb.l3mdev = 0
    tb.port = port
    tb.family = sk.sk_family
    if (sk.sk_family === AF_INET6) tb.v6_rcv_saddr = sk.sk_v6_rcv_saddr
    else tb.rcv_saddr = sk.sk_rcv_saddr
    k.mem.setPointer(tb.owners.$va, 0)
    k.mem.setPointer(tb.deathrow.$va, 0)
    hlist_add_head(k.mem, tb.node.$va, chain)
    return tb
  },
)

export const inet_bind2_bucket_destroy = kfunc(
  FILE,
  function inet_bind2_bucket_destroy(k, cache: kmem_cache, tb: inet_bind2_bucket): void {
    if (!hlist_empty(k.mem, tb.owners.$va) || !hlist_empty(k.mem, tb.deathrow.$va)) return
    hlist_del(k.mem, tb.node.$va)
    kmem_cache_free(k, cache, tb.$va)
  },
)

/** The port's bucket. */
export function findBindBucket(k: Kernel, chain: Va, port: number): inet_bind_bucket | null {
  for (const tb of hlist_for_each_entry(k.types, k.mem, chain, 'inet_bind_bucket', 'node')) {
    if (tb.port === port) return tb
  }
  return null
}

/** Is it the bucket of the sock's own address? */
export const inet_bind2_bucket_addr_match = kfunc(
  FILE,
  function inet_bind2_bucket_addr_match(_k, tb: inet_bind2_bucket, sk: sock): boolean {
    if (sk.sk_family !== tb.family) return false
    if (sk.sk_family === AF_INET6) return equalBytes(tb.v6_rcv_saddr.$bytes(), sk.sk_v6_rcv_saddr.$bytes())
    return tb.rcv_saddr === sk.sk_rcv_saddr
  },
)

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i])

export const inet_bind2_bucket_find = kfunc(
  FILE,
  function inet_bind2_bucket_find(k, chain: Va, port: number, sk: sock): inet_bind2_bucket | null {
    for (const tb of hlist_for_each_entry(k.types, k.mem, chain, 'inet_bind2_bucket', 'node')) {
      if (tb.port === port && inet_bind2_bucket_addr_match(k, tb, sk)) return tb
    }
    return null
  },
)

/** Is it a bucket of the wildcard address that covers the sock's family? */
export function matchesAny(tb: inet_bind2_bucket, port: number, sk: sock): boolean {
  if (tb.port !== port) return false
  if (tb.family === AF_INET6) return ipv6_addr_any(tb.v6_rcv_saddr)
  return tb.family === AF_INET && tb.rcv_saddr === 0 && (sk.sk_family === AF_INET || sk.sk_ipv6only === 0)
}

/** The sock becomes an owner of both buckets. */
export const inet_bind_hash = kfunc(
  FILE,
  function inet_bind_hash(
    k,
    sk: sock,
    tb: inet_bind_bucket,
    tb2: inet_bind2_bucket,
    port: number | Sourced<number>,
  ): void {
    const icsk = inet_csk(k, sk)
    sk.sk_num = port
    sk_add_bind_node(k, sk, tb.owners.$va)
    icsk.icsk_bind_hash = tb
    sk_add_bind2_node(k, sk, tb2.owners.$va)
    icsk.icsk_bind2_hash = tb2
  },
)

/** Give the port up. */
export const inet_put_port = kfunc(FILE, function inet_put_port(k, sk: sock): void {
  const info = tcp_hashinfo(k)
  const icsk = inet_csk(k, sk)
  const tb = icsk.icsk_bind_hash
  const tb2 = icsk.icsk_bind2_hash
  if (tb !== null) {
    __sk_del_bind_node(k, sk)
    icsk.icsk_bind_hash = null
    sk.sk_num = 0
    if (tb2 !== null) {
      __sk_del_bind2_node(k, sk)
      icsk.icsk_bind2_hash = null
      inet_bind2_bucket_destroy(k, deref(info.bind2_bucket_cachep), tb2)
    }
    inet_bind_bucket_destroy(k, deref(info.bind_bucket_cachep), tb)
  }
})

/**
 * The child joins its listener's port; a listener of the wildcard address has no bucket for the child's own
 * address yet, so one is made.
 *
 * @returns 0, or -ENOENT when the listener has no port any more
 */
export const __inet_inherit_port = kfunc(
  FILE,
  function __inet_inherit_port(k, sk: sock, child: sock): number {
    const info = tcp_hashinfo(k)
    const icsk = inet_csk(k, sk)
    const port = child.sk_num
    const tb = icsk.icsk_bind_hash
    let tb2 = icsk.icsk_bind2_hash
    if (tb === null || tb2 === null) return -ENOENT
    if (!inet_bind2_bucket_addr_match(k, tb2, child)) {
      const chain = bhash2Chain(k, child, port)
      tb2 =
        inet_bind2_bucket_find(k, chain, port, child) ??
        inet_bind2_bucket_create(k, deref(info.bind2_bucket_cachep), child, chain, port)
    }
    inet_bind_hash(k, child, tb, tb2, from(child, 'sk_num'))
    return 0
  },
)

/**
 * A sock gets its source address after it was bound (or before): it moves to the bucket of that address.
 *
 * @param saddr `__be32`
 * @returns 0 or a negative error number
 */
export const inet_bhash2_update_saddr = kfunc(
  FILE,
  function inet_bhash2_update_saddr(k, sk: sock, saddr: number): number {
    const inet = inet_sk(k, sk)
    const icsk = inet_csk(k, sk)
    const old = icsk.icsk_bind2_hash
    if (old === null) {
      inet.inet_saddr = saddr
      sk_rcv_saddr_set(k, sk, saddr)
      return 0
    }
    const info = tcp_hashinfo(k)
    const cache = deref(info.bind2_bucket_cachep)
    const port = sk.sk_num
    __sk_del_bind2_node(k, sk)
    inet.inet_saddr = saddr
    sk_rcv_saddr_set(k, sk, saddr)
    const chain = bhash2At(k, ipv4_portaddr_hash(k, saddr, port))
    const tb2 =
      inet_bind2_bucket_find(k, chain, port, sk) ?? inet_bind2_bucket_create(k, cache, sk, chain, port)
    sk_add_bind2_node(k, sk, tb2.owners.$va)
    icsk.icsk_bind2_hash = tb2
    inet_bind2_bucket_destroy(k, cache, old)
    return 0
  },
)

/** Back to no address, after a connect() that failed. */
export const inet_bhash2_reset_saddr = kfunc(FILE, function inet_bhash2_reset_saddr(k, sk: sock): void {
  if ((sk.sk_userlocks & 4) === 0) inet_bhash2_update_saddr(k, sk, 0)
})

/** TCP's three tables (established, bound, listening): where they lie and how keys become slots. */

import type { Va } from '../../../../base/addr.ts'
import { toVa } from '../../../../base/addr.ts'
import type { in6_addr, inet_hashinfo, net, sock } from '../../../../btf/vmlinux.ts'
import { AF_INET6 } from '../../../../abi/socket.ts'
import { jhash2, jhash_1word, jhash_3words } from '../../../../structures/jhash.ts'
import { INIT_HLIST_NULLS_HEAD } from '../../../../structures/hlist_nulls.ts'
import { SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC, kmem_cache_create } from '../../../mm/slab_common.ts'
import { kvzalloc } from '../../../mm/slab.ts'
import { PAGE_SIZE } from '../../../../abi/page.ts'
import { deref } from '../../../deref.ts'
import { perKernel, type Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { sock_is_inet6, sock_net } from '../../../include/net/sock.ts'

/** Entries of `table_perturb`. */
export const INET_TABLE_PERTURB_SIZE = 1 << 16
/** Nulls values of listening buckets begin here, so that no chain's end is taken for another's. */
const LISTENING_NULLS_BASE = 1 << 29

/** What every lookup needs, read once: table addresses and sizes never change after boot. */
export interface Tables {
  readonly ehash: Va
  readonly ehashMask: number
  readonly bhash: Va
  readonly bhash2: Va
  readonly bhashSize: number
  readonly lhash2: Va
  readonly lhash2Mask: number
  readonly bucketSize: number
  readonly chainOffset: number
  readonly listenBucketSize: number
  readonly nullsOffset: number
  readonly secret: Va
  readonly hashMix: Va
}

export const tables: (k: Kernel) => Tables = perKernel((k) => {
  const info = tcp_hashinfo(k)
  return {
    ehash: deref(info.ehash).$va,
    ehashMask: info.ehash_mask,
    bhash: deref(info.bhash).$va,
    bhash2: deref(info.bhash2).$va,
    bhashSize: info.bhash_size,
    lhash2: deref(info.lhash2).$va,
    lhash2Mask: info.lhash2_mask,
    bucketSize: k.types.sizeof('inet_bind_hashbucket'),
    chainOffset: k.types.offsetof('inet_bind_hashbucket', 'chain'),
    listenBucketSize: k.types.sizeof('inet_listen_hashbucket'),
    nullsOffset: k.types.offsetof('inet_listen_hashbucket', 'nulls_head'),
    secret: toVa(ehashSecretSymbol(k), k.mem.wordSize),
    hashMix: k.global('init_net', 'net').$vaOf('hash_mix'),
  }
})

export const tcp_hashinfo = (k: Kernel): inet_hashinfo => k.global('tcp_hashinfo', 'inet_hashinfo')

/** A static of its function, which the compiler numbers. */
function ehashSecretSymbol(k: Kernel): bigint {
  for (const [name, address] of k.symbols) if (/^inet_ehash_secret(\.\d+)?$/.test(name)) return address
  return k.sym('inet_ehash_secret')
}

/** Entries of a table that grows with memory, one for every `1 << scale` bytes, at least a page. @see mm/page_alloc.c:alloc_large_system_hash */
function entriesFor(k: Kernel, bucketSize: number, scale: number, limit: number): number {
  const wanted = Math.max(k.mem.sizeBytes / 2 ** scale, PAGE_SIZE / bucketSize)
  return Math.min(2 ** Math.ceil(Math.log2(wanted)), limit)
}

/**
 * Make the tables. The port perturbation table fills as ports are asked for.
 * @see net/ipv4/tcp.c:tcp_init, net/ipv4/inet_hashtables.c:inet_hashinfo2_init
 */
export const inet_hashinfo2_init = kfunc(
  'net/ipv4/inet_hashtables.c',
  function inet_hashinfo2_init(k, info: inet_hashinfo): void {
    const flags = { flags: SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT }
    const { sizeof } = { sizeof: (name: string) => k.types.sizeof(name) }
    info.bind_bucket_cachep = kmem_cache_create(k, 'tcp_bind_bucket', sizeof('inet_bind_bucket'), flags)
    info.bind2_bucket_cachep = kmem_cache_create(k, 'tcp_bind2_bucket', sizeof('inet_bind2_bucket'), flags)

    const slots = entriesFor(k, k.mem.wordSize, 17, 512 * 1024)
    const ehash = kvzalloc(k, slots * k.mem.wordSize)
    for (let i = 0; i < slots; i++) INIT_HLIST_NULLS_HEAD(k.mem, ehash + i * k.mem.wordSize, i)
    info.ehash = BigInt(ehash)
    info.ehash_mask = slots - 1
    const locks = Math.min(PAGE_SIZE / 4, slots)
    info.ehash_locks = BigInt(kvzalloc(k, locks * 4))
    info.ehash_locks_mask = locks - 1

    const bucket = sizeof('inet_bind_hashbucket')
    const bhash = kvzalloc(k, 2 * slots * bucket)
    info.bhash = BigInt(bhash)
    info.bhash2 = BigInt(bhash + slots * bucket)
    info.bhash_size = slots

    const listen = sizeof('inet_listen_hashbucket')
    const listeners = entriesFor(k, listen, 21, 64 * 1024)
    const lhash2 = kvzalloc(k, listeners * listen)
    const head = k.types.offsetof('inet_listen_hashbucket', 'nulls_head')
    for (let i = 0; i < listeners; i++) {
      INIT_HLIST_NULLS_HEAD(k.mem, lhash2 + i * listen + head, i + LISTENING_NULLS_BASE)
    }
    info.lhash2 = BigInt(lhash2)
    info.lhash2_mask = listeners - 1

    const perturb = toVa(k.sym('table_perturb'), k.mem.wordSize)
    k.mem.setPointer(perturb, kvzalloc(k, INET_TABLE_PERTURB_SIZE * 4))
  },
)

/** @see include/net/netns/hash.h:net_hash_mix */
export const net_hash_mix = (k: Kernel): number => k.mem.u32(tables(k).hashMix)

/**
 * Hash of a connection. The secret is made at the first use.
 *
 * @param laddr,faddr `__be32`
 * @param lport       host order
 * @param fport       `__be16`
 * @see net/ipv4/inet_hashtables.c:inet_ehashfn
 */
export function inet_ehashfn(k: Kernel, laddr: number, lport: number, faddr: number, fport: number): number {
  const { secret } = tables(k)
  let key = k.mem.u32(secret)
  if (key === 0) {
    key = k.random.u32()
    k.mem.setU32(secret, key)
  }
  return jhash_3words(laddr, faddr, (lport << 16) | fport, (key + net_hash_mix(k)) | 0)
}

/** Hash of a sock by what it holds: local and remote address and port. @see net/ipv4/inet_hashtables.c:sk_ehashfn */
export function sk_ehashfn(k: Kernel, sk: sock): number {
  if (sock_is_inet6(sk) && !ipv6_addr_v4mapped(sk.sk_v6_daddr)) return inet6_ehashfn(k, sk)
  return inet_ehashfn(k, sk.sk_rcv_saddr, sk.sk_num, sk.sk_daddr, sk.sk_dport)
}

/** @see net/ipv6/inet6_hashtables.c:inet6_ehashfn @remarks keyed by the one secret; IPv6 has two of its own */
function inet6_ehashfn(k: Kernel, sk: sock): number {
  const laddr = words(k, sk.sk_v6_rcv_saddr)
  const faddr = words(k, sk.sk_v6_daddr)
  const lhash = jhash2(laddr, net_hash_mix(k))
  const fhash = jhash2(faddr, net_hash_mix(k))
  return jhash_3words(lhash, fhash, (sk.sk_dport << 16) | sk.sk_num, net_hash_mix(k))
}

const words = (k: Kernel, a: in6_addr): number[] => [0, 4, 8, 12].map((at) => k.mem.u32(a.$va + at))

export const ipv6_addr_any = (a: in6_addr): boolean => a.$bytes().every((byte) => byte === 0)

/** `::ffff:a.b.c.d` */
export function ipv6_addr_v4mapped(a: in6_addr): boolean {
  const { $mem: mem, $va: va } = a
  return mem.u32(va) === 0 && mem.u32(va + 4) === 0 && mem.u32(va + 8) === 0xffff_0000
}

/** @param addr `__be32` @param port host order @see include/net/ip.h:ipv4_portaddr_hash */
export const ipv4_portaddr_hash = (k: Kernel, addr: number, port: number): number =>
  (jhash_1word(addr, net_hash_mix(k)) ^ port) >>> 0

/** @see include/net/ipv6.h:ipv6_portaddr_hash */
export function ipv6_portaddr_hash(k: Kernel, addr: in6_addr, port: number): number {
  const mix = net_hash_mix(k)
  const [, , , last = 0] = words(k, addr)
  if (ipv6_addr_any(addr)) return (jhash_1word(0, mix) ^ port) >>> 0
  if (ipv6_addr_v4mapped(addr)) return (jhash_1word(last, mix) ^ port) >>> 0
  return (jhash2(words(k, addr), mix) ^ port) >>> 0
}

/** The chain of a connection's hash. */
export const inet_ehash_bucket = (k: Kernel, hash: number): Va => {
  const t = tables(k)
  return t.ehash + (hash & t.ehashMask) * k.mem.wordSize
}

/** The chain of buckets of a port. @see include/net/inet_hashtables.h:inet_bhashfn */
export const bhashChain = (k: Kernel, port: number): Va => {
  const t = tables(k)
  const slot = (port + net_hash_mix(k)) & (t.bhashSize - 1)
  return t.bhash + slot * t.bucketSize + t.chainOffset
}

/** The chain of buckets of an address and port. @see include/net/inet_hashtables.h:inet_bhashfn_portaddr */
export function bhash2Chain(k: Kernel, sk: sock, port: number): Va {
  const hash =
    sk.sk_family === AF_INET6
      ? ipv6_portaddr_hash(k, sk.sk_v6_rcv_saddr, port)
      : ipv4_portaddr_hash(k, sk.sk_rcv_saddr, port)
  return bhash2At(k, hash)
}

export const bhash2At = (k: Kernel, hash: number): Va => {
  const t = tables(k)
  return t.bhash2 + (hash & (t.bhashSize - 1)) * t.bucketSize + t.chainOffset
}

/** The head of the chain listeners of that hash are on. @see include/net/inet_hashtables.h:inet_lhash2_bucket */
export const lhash2Head = (k: Kernel, hash: number): Va => {
  const t = tables(k)
  return t.lhash2 + (hash & t.lhash2Mask) * t.listenBucketSize + t.nullsOffset
}

/** Count a sock of its protocol in or out. @see include/net/sock.h:sock_prot_inuse_add */
export function sock_prot_inuse_add(k: Kernel, sk: sock, n: number): void {
  const net: net = sock_net(sk)
  const inuse = net.core.prot_inuse
  if (inuse === null || inuse.$va === 0) return
  const at = inuse.$va + k.per_cpu_offset() + deref(sk.sk_prot).inuse_idx * 4
  k.mem.setU32(at, (k.mem.u32(at) + n) >>> 0)
}

/** The tables of sockets other than TCP's and UDP's: UNIX, raw, packet and netlink. */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { hlist_for_each } from '../structures/hlist.ts'
import { findSymbolVa, refAt, type Kernel } from './kernel.ts'
import { for_each_net } from './net.ts'

/** Buckets of a UNIX table: half for bound sockets, half for the others. @see include/net/af_unix.h:UNIX_HASH_SIZE */
const UNIX_HASH_SIZE = 512
/** @see include/net/raw.h:RAW_HTABLE_SIZE */
const RAW_HTABLE_SIZE = 256
/** @see include/uapi/linux/netlink.h:MAX_LINKS */
const MAX_LINKS = 32
const CHAIN_MAX = 100_000
const BUCKETS_MAX = 1 << 20

/** Every UNIX socket: per namespace since 6.0, one table before. @see net/unix/af_unix.c */
export function* unix_for_each(kernel: Kernel): Generator<StructRef> {
  const global = findSymbolVa(kernel, 'unix_socket_table')
  if (global !== undefined) yield* socks(kernel, global, UNIX_HASH_SIZE)
  else if (kernel.types.has('net', 'unx.table.buckets')) {
    for (const net of for_each_net(kernel)) {
      const buckets = toVa(net.$int('unx.table.buckets'), kernel.mem.wordSize)
      if (buckets !== 0) yield* socks(kernel, buckets, UNIX_HASH_SIZE)
    }
  }
}

/** Every raw socket, IPv4 and IPv6. @see net/ipv4/raw.c:raw_v4_hashinfo */
export function* raw_for_each(kernel: Kernel): Generator<StructRef> {
  if (!kernel.types.has('raw_hashinfo', 'ht')) return
  const offset = kernel.types.offsetof('raw_hashinfo', 'ht')
  for (const name of ['raw_v4_hashinfo', 'raw_v6_hashinfo']) {
    const table = findSymbolVa(kernel, name)
    if (table !== undefined) yield* socks(kernel, table + offset, RAW_HTABLE_SIZE)
  }
}

/** Every packet socket. @see net/packet/af_packet.c:packet_seq_ops */
export function* packet_for_each(kernel: Kernel): Generator<StructRef> {
  if (!kernel.types.has('net', 'packet.sklist')) return
  for (const net of for_each_net(kernel)) yield* socks(kernel, net.$vaOf('packet.sklist'), 1)
}

/** Every netlink socket: a hash table for each protocol. @see net/netlink/af_netlink.c:nl_table */
export function* netlink_for_each(kernel: Kernel): Generator<StructRef> {
  const { types, mem } = kernel
  const at = findSymbolVa(kernel, 'nl_table')
  if (at === undefined || !types.has('netlink_table', 'hash') || !types.has('netlink_sock', 'node')) return
  const first = refAt(kernel, 'netlink_table', mem.pointer(at))
  for (let protocol = 0; protocol < MAX_LINKS; protocol++) {
    const table = first.$index(protocol).$ref('hash.tbl')
    if (table === null) continue
    const size = Number(table.$int('size'))
    if (size > BUCKETS_MAX) throw new ValidationError(table.$addr, 'a hash table', `${size} buckets`)
    for (let i = 0; i < size; i++) {
      const bucket = table.$vaOf('buckets') + i * mem.wordSize
      for (const node of rhash_chain(kernel, bucket))
        yield refAt(kernel, 'netlink_sock', node - types.offsetof('netlink_sock', 'node')).$cast('sock')
    }
  }
}

/** The socks linked by their `sk_node` in an array of `struct hlist_head`. @throws FaultError, ValidationError */
function* socks(kernel: Kernel, table: Va, buckets: number): Generator<StructRef> {
  const node = kernel.types.offsetof('sock', '__sk_common.skc_node')
  for (let i = 0; i < buckets; i++) {
    for (const at of nodes(kernel, table + i * kernel.mem.wordSize)) yield refAt(kernel, 'sock', at - node)
  }
}

/** An hlist, or one that ends in an odd number (nulls). */
function* nodes(kernel: Kernel, head: Va): Generator<Va> {
  if ((kernel.mem.u32(head) & 1) === 1) return
  yield* hlist_for_each(kernel.mem, head, CHAIN_MAX)
}

/** A chain of `struct rhash_head`: the bucket's lowest bit is a lock, the end is odd. @see include/linux/rhashtable.h */
function* rhash_chain(kernel: Kernel, bucket: Va): Generator<Va> {
  const seen = new Set<Va>()
  let node = toVa(kernel.mem.word(bucket) & ~1n, kernel.mem.wordSize)
  while (node !== 0) {
    if (Number.isNaN(node) || seen.has(node) || seen.size > CHAIN_MAX)
      throw new ValidationError(toAddr(bucket), 'a chain that ends', 'a loop')
    seen.add(node)
    yield node
    const next = kernel.mem.word(node)
    if ((next & 1n) === 1n) return
    node = toVa(next, kernel.mem.wordSize)
  }
}

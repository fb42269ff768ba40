/**
 * Neighbours: from an IPv4 address to a link address, with the packets that wait while it is being asked for.
 *
 * @see net/core/neighbour.c
 */

import { toVa, type Va } from '../../../base/addr.ts'
import { rol32 } from '../../../base/u32.ts'
import type { neigh_table, neighbour, net_device, rtable, sk_buff } from '../../../btf/vmlinux.ts'
import { EINVAL } from '../../../abi/errno.ts'
import {
  ETH_ALEN,
  ETH_P_IP,
  IFF_LOOPBACK,
  IFF_NOARP,
  NUD_FAILED,
  NUD_INCOMPLETE,
  NUD_NOARP,
  NUD_REACHABLE,
  NUD_VALID,
} from '../../../abi/if.ts'
import { INIT_LIST_HEAD, list_add_tail } from '../../../structures/list.ts'
import { kfunc } from '../../kfunc.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { __local_bh_enable_ip, local_bh_disable } from '../../kernel/softirq.ts'
import { jiffies } from '../../kernel/time/timekeeping.ts'
import { kzalloc } from '../../mm/slab.ts'
import { dev_addr, eth_header } from '../ethernet/eth.ts'
import { dev_queue_xmit } from './dev.ts'
import { __skb_dequeue, __skb_queue_purge, __skb_queue_tail, ip_hdr, skb_queue_head_init } from './skbuff.ts'

const HASH_BUCKETS = 8
const HASH_SHIFT = 3
/** Requests before a neighbour is given up. @see net/ipv4/arp.c: MCAST_PROBES */
const PROBES = 3

/** How ARP asks: set when ARP comes up. */
interface Solicitor {
  solicit(k: Kernel, neigh: neighbour): void
}
const solicitor = perKernel(() => ({}) as { arp: Solicitor })

export const arp_tbl = (k: Kernel): neigh_table => k.global('arp_tbl', 'neigh_table')

/** @see net/core/neighbour.c:neigh_table_init */
export function neigh_table_init(k: Kernel, arp: Solicitor): void {
  Object.assign(solicitor(k), { arp })
  const tbl = arp_tbl(k)
  const nht = k.ref('neigh_hash_table', kzalloc(k, k.types.sizeof('neigh_hash_table')))
  nht.hash_shift = HASH_SHIFT
  for (let i = 0; i < 4; i++) nht.hash_rnd.set(i, (k.random.u32() | 1) >>> 0)
  nht.hash_buckets = BigInt.asUintN(64, BigInt(kzalloc(k, HASH_BUCKETS * k.mem.wordSize)))
  tbl.nht = nht
  tbl.family = 2
  tbl.key_len = 4
  tbl.protocol = 0x0008
  tbl.entry_size = Math.ceil((k.types.offsetof('neighbour', 'primary_key') + 4) / 8) * 8
  INIT_LIST_HEAD(k.mem, tbl.gc_list.$va)
  INIT_LIST_HEAD(k.mem, tbl.managed_list.$va)
  INIT_LIST_HEAD(k.mem, tbl.parms_list.$va)
  list_add_tail(k.mem, tbl.parms.list.$va, tbl.parms_list.$va)
}

/** @see include/net/arp.h:arp_hashfn */
function bucket(k: Kernel, key: number, dev: net_device): Va {
  const nht = k.ref('neigh_hash_table', arp_tbl(k).nht as NonNullable<neigh_table['nht']>)
  const rnd = nht.hash_rnd.num(0)
  const value =
    (key ^ (Number(dev.$addr & 0xffffffffn) >>> 0) ^ rol32(Number(dev.$addr & 0xffffffffn), 16)) >>> 0
  const hash = Math.imul(value, rnd) >>> (32 - HASH_SHIFT)
  return toVa(nht.hash_buckets, k.mem.wordSize) + hash * k.mem.wordSize
}

/** @see net/core/neighbour.c:neigh_lookup */
export const neigh_lookup = kfunc(
  'net/core/neighbour.c',
  function neigh_lookup(k: Kernel, key: number, dev: net_device): neighbour | null {
    let n = k.mem.pointer(bucket(k, key, dev))
    for (let hops = 0; n !== 0 && hops < 1000; hops++) {
      const neigh = k.ref('neighbour', n)
      if (k.mem.u32(neigh.primary_key.$va) === key && neigh.dev?.$va === dev.$va) return neigh
      n = k.mem.pointer(neigh.$va)
    }
    return null
  },
)

/**
 * @param key `__be32`
 * @see net/core/neighbour.c:___neigh_create
 */
export const ___neigh_create = kfunc(
  'net/core/neighbour.c',
  function ___neigh_create(k: Kernel, key: number, dev: net_device): neighbour {
    const tbl = arp_tbl(k)
    const neigh = k.ref('neighbour', kzalloc(k, tbl.entry_size + 16))
    neigh.tbl = tbl
    neigh.parms = tbl.parms
    neigh.dev = dev
    neigh.refcnt.refs.counter = 2
    neigh.updated = jiffies(k)
    neigh.used = jiffies(k)
    neigh.type = 1
    skb_queue_head_init(neigh.arp_queue)
    INIT_LIST_HEAD(k.mem, neigh.gc_list.$va)
    INIT_LIST_HEAD(k.mem, neigh.managed_list.$va)
    k.mem.setU32(neigh.primary_key.$va, key)
    neigh.output = k.text(neigh_resolve_output)
    if ((dev.flags & (IFF_NOARP | IFF_LOOPBACK)) !== 0) {
      // loopback: no address to ask for, its own serves as the link address
      neigh.nud_state = NUD_NOARP
      k.mem.write(neigh.ha.$va, dev_addr(k, dev))
    }
    const head = bucket(k, key, dev)
    k.mem.setPointer(neigh.$va, k.mem.pointer(head))
    k.mem.setPointer(head, neigh.$va)
    tbl.entries.counter = tbl.entries.counter + 1
    return neigh
  },
)

/** The neighbour a packet goes to: the route's gateway, or the destination. @see include/net/route.h:ip_neigh_for_gw */
export function ip_neigh_for_gw(k: Kernel, rt: rtable, skb: sk_buff): neighbour {
  const dev = rt.dst.dev as net_device
  // on loopback one neighbour stands for all of 127/8 and the host's own addresses
  const key = (dev.flags & IFF_LOOPBACK) !== 0 ? 0 : rt.rt_gw_family === 2 ? rt.rt_gw4 : ip_hdr(k, skb).daddr
  return neigh_lookup(k, key, dev) ?? ___neigh_create(k, key, dev)
}

/** @see include/net/neighbour.h:neigh_output */
export function neigh_output(k: Kernel, neigh: neighbour, skb: sk_buff): number {
  return k.indirect<Output>(neigh.output)(k, neigh, skb)
}
type Output = (k: Kernel, neigh: neighbour, skb: sk_buff) => number

/** The address is known and trusted: header and out. */
export const neigh_connected_output = kfunc(
  'net/core/neighbour.c',
  function neigh_connected_output(k: Kernel, neigh: neighbour, skb: sk_buff): number {
    return transmit(k, neigh, skb)
  },
  { sibling: true },
)

/** The address may have to be asked for first; the packet waits meanwhile. */
export const neigh_resolve_output = kfunc(
  'net/core/neighbour.c',
  function neigh_resolve_output(k: Kernel, neigh: neighbour, skb: sk_buff): number {
    if (neigh_event_send(k, neigh, skb)) return 0
    k.jump()
    return transmit(k, neigh, skb)
  },
)

function transmit(k: Kernel, neigh: neighbour, skb: sk_buff): number {
  const dev = neigh.dev as net_device
  eth_header(k, skb, dev, ETH_P_IP, k.mem.read(neigh.ha.$va, ETH_ALEN), dev_addr(k, dev))
  return dev_queue_xmit(k, skb)
}

/** @returns true when the packet was kept (or dropped) here */
function neigh_event_send(k: Kernel, neigh: neighbour, skb: sk_buff): boolean {
  neigh.used = jiffies(k)
  return (neigh.nud_state & NUD_VALID) === 0 && __neigh_event_send(k, neigh, skb)
}

const __neigh_event_send = kfunc(
  'net/core/neighbour.c',
  function __neigh_event_send(k: Kernel, neigh: neighbour, skb: sk_buff): boolean {
    local_bh_disable(k)
    __skb_queue_tail(k, neigh.arp_queue, skb)
    neigh.arp_queue_len_bytes = neigh.arp_queue_len_bytes + skb.truesize
    if (neigh.nud_state !== NUD_INCOMPLETE) {
      neigh.nud_state = NUD_INCOMPLETE
      neigh.probes.counter = 0
      probe(k, neigh)
    }
    __local_bh_enable_ip(k)
    return true
  },
)

/** Ask once, and again every second until somebody answers or nobody is left to. @see net/core/neighbour.c:neigh_timer_handler */
function probe(k: Kernel, neigh: neighbour): void {
  neigh.probes.counter = neigh.probes.counter + 1
  solicitor(k).arp.solicit(k, neigh)
  const cpu = k.cpu.id
  k.clock.after(1_000_000_000, () => {
    if (neigh.nud_state !== NUD_INCOMPLETE) return
    k.onCpu(cpu, () => {
      if (neigh.probes.counter < PROBES) probe(k, neigh)
      else {
        neigh.nud_state = NUD_FAILED
        neigh.arp_queue_len_bytes = 0
        __skb_queue_purge(k, neigh.arp_queue)
      }
    })
  })
}

/**
 * Somebody told us his link address: what waited for it goes out.
 * @see net/core/neighbour.c:neigh_update
 */
export const neigh_update = kfunc(
  'net/core/neighbour.c',
  function neigh_update(k: Kernel, neigh: neighbour, lladdr: Uint8Array): number {
    if (lladdr.length !== ETH_ALEN) return -EINVAL
    k.mem.write(neigh.ha.$va, lladdr)
    neigh.nud_state = NUD_REACHABLE
    neigh.confirmed = jiffies(k)
    neigh.updated = jiffies(k)
    neigh.output = k.text(neigh_resolve_output)
    neigh.arp_queue_len_bytes = 0
    for (let skb = __skb_dequeue(k, neigh.arp_queue); skb !== null; skb = __skb_dequeue(k, neigh.arp_queue)) {
      neigh_output(k, neigh, skb)
    }
    return 0
  },
)
